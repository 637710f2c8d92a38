//! Which streams there are, and in which hours each has lines: what answers questions about labels without reading lines.
//!
//! In memory, and in a file that is only appended to: a stream is noted before its first line of an hour is stored, so the file
//! may name an hour that has none, never miss one that has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
};

use tsdb::{Labels, Matcher};

use crate::{Error, record};

const FILE: &str = "streams";
const FILE_NEW: &str = "streams.new";
const HOUR_NS: i64 = 3_600 * 1_000_000_000;
/// Length and checksum before each note.
const FRAME_BYTES: usize = 8;
/// The hour before the labels.
const HOUR_BYTES: usize = 8;

pub(crate) struct Streams {
    by_labels: BTreeMap<Labels, Stream>,
    file: File,
    path: PathBuf,
}

#[derive(Default)]
struct Stream {
    /// Of the lines that came since the start.
    newest_ns: Option<i64>,
    hours: BTreeSet<i64>,
}

impl Streams {
    /// Reads the file of a folder. Notes that are older than `oldest_ns` are left out of it from now on, and a torn end is cut:
    /// its line was not acknowledged.
    pub(crate) fn open(folder: &Path, oldest_ns: i64) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Error::Io { path, source }),
        };
        let mut by_labels: BTreeMap<Labels, Stream> = BTreeMap::new();
        let mut rest = &bytes[..];
        let mut text = Vec::new();
        while let Some((note, after)) = frame(rest) {
            let (hour, labels) = note.split_at(HOUR_BYTES);
            let hour = i64::from_le_bytes(hour.try_into().expect("it was cut to this length"));
            if hour >= hour_of(oldest_ns) {
                text.extend_from_slice(&rest[..rest.len() - after.len()]);
                let stream = by_labels.entry(record::labels(labels)?).or_default();
                stream.hours.insert(hour);
            }
            rest = after;
        }
        let failed = |source| Error::Io {
            path: path.clone(),
            source,
        };
        if text.len() != bytes.len() {
            let new = folder.join(FILE_NEW);
            fs::write(&new, &text)
                .and_then(|()| fs::rename(&new, &path))
                .map_err(failed)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        Ok(Self {
            by_labels,
            file,
            path,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(crate) fn has(&self, labels: &Labels) -> bool {
        self.by_labels.contains_key(labels)
    }

    /// The time of its newest line since the start.
    pub(crate) fn newest_ns(&self, labels: &Labels) -> Option<i64> {
        self.by_labels.get(labels)?.newest_ns
    }

    /// Writes down that a stream is about to have lines at these times.
    pub(crate) fn note(
        &mut self,
        labels: &Labels,
        times_ns: impl Iterator<Item = i64>,
    ) -> Result<(), Error> {
        let hours: BTreeSet<i64> = times_ns.map(hour_of).collect();
        let known = self.by_labels.get(labels).map(|stream| &stream.hours);
        let new = hours
            .into_iter()
            .filter(|hour| !known.is_some_and(|known| known.contains(hour)));
        let new: Vec<i64> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for hour in &new {
            let mut note = hour.to_le_bytes().to_vec();
            record::encode_labels(&mut note, labels);
            text.extend_from_slice(&(note.len() as u32).to_le_bytes());
            text.extend_from_slice(&crc32fast::hash(&note).to_le_bytes());
            text.extend_from_slice(&note);
        }
        let length = self.file.metadata().map(|file| file.len());
        let written = length.and_then(|length| {
            self.file.write_all(&text).inspect_err(|_| {
                // What follows a torn note would not be read. If it cannot be cut either, the next start cuts it.
                let _ = self.file.set_len(length);
            })
        });
        written.map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        let stream = self.by_labels.entry(labels.clone()).or_default();
        stream.hours.extend(new);
        Ok(())
    }

    /// Lines up to this time were stored.
    pub(crate) fn stored(&mut self, labels: &Labels, newest_ns: i64) {
        if let Some(stream) = self.by_labels.get_mut(labels) {
            stream.newest_ns = stream.newest_ns.max(Some(newest_ns));
        }
    }

    /// Those with a line in an hour of the range, in label order.
    pub(crate) fn select(&self, matchers: &[Matcher], range_ns: &Range<i64>) -> Vec<Labels> {
        if range_ns.is_empty() {
            return Vec::new();
        }
        let hours = hour_of(range_ns.start)..=hour_of(range_ns.end - 1);
        self.by_labels
            .iter()
            .filter(|(_, stream)| stream.hours.range(hours.clone()).next().is_some())
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.holds(labels)))
            .map(|(labels, _)| labels.clone())
            .collect()
    }

    /// Forgets hours whose blocks are gone.
    pub(crate) fn forget(&mut self, oldest_ns: i64) {
        let oldest = hour_of(oldest_ns);
        self.by_labels.retain(|_, stream| {
            stream.hours = stream.hours.split_off(&oldest);
            !stream.hours.is_empty()
        });
    }
}

fn hour_of(t_ns: i64) -> i64 {
    t_ns.div_euclid(HOUR_NS)
}

/// The first note of `bytes` and what is behind it; `None` at the end and where it is torn or damaged.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(FRAME_BYTES)?;
    let (length, sum) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(sum.try_into().ok()?);
    let (note, rest) = rest.split_at_checked(length)?;
    (length >= HOUR_BYTES && crc32fast::hash(note) == sum).then_some((note, rest))
}
