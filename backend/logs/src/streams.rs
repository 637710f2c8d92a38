//! Which streams there are, and in which hours each has lines: what answers questions about labels without reading lines.
//!
//! In memory, and in a file that is only appended to: a stream is noted before its first line of an hour is stored, so the file
//! may name an hour that has none, never miss one that has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use tsdb::{Labels, Matcher};

use crate::{Error, record};

const FILE: &str = "streams";
const FILE_NEW: &str = "streams.new";
const FILE_DAMAGED: &str = "streams.damaged";
const HOUR_NS: i64 = 3_600 * 1_000_000_000;
/// Length and checksum before each note.
const FRAME_BYTES: usize = 8;
/// The hour before the labels.
const HOUR_BYTES: usize = 8;

/// In which hours streams have lines.
pub(crate) type Hours = BTreeMap<Labels, BTreeSet<i64>>;

pub(crate) struct Streams {
    by_labels: BTreeMap<Labels, Stream>,
    file: File,
    path: PathBuf,
    /// Behind the last whole note.
    end: u64,
    /// What a failed write left is still to be cut off.
    is_torn: bool,
}

#[derive(Default)]
struct Stream {
    /// Of the lines that came since the start.
    newest_ns: Option<i64>,
    hours: BTreeSet<i64>,
}

impl Streams {
    /// Reads the file of a folder. One that is missing or not whole to its end is made anew of what `stored` says the lines are;
    /// the damaged one is set aside, and its new name is the second answer.
    pub(crate) fn open(
        folder: &Path,
        stored: impl FnOnce() -> Result<Hours, Error>,
    ) -> Result<(Self, Option<PathBuf>), Error> {
        let path = folder.join(FILE);
        let failed = |source| Error::Io {
            path: path.clone(),
            source,
        };
        let mut aside = None;
        let hours = match fs::read(&path) {
            Ok(bytes) => {
                let hours = notes(&bytes);
                if hours.is_none() {
                    let damaged = folder.join(FILE_DAMAGED);
                    fs::rename(&path, &damaged).map_err(failed)?;
                    aside = Some(damaged);
                }
                hours
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let hours = match hours {
            Some(hours) => hours,
            None => {
                let hours = stored()?;
                replace(folder, &path, &hours).map_err(failed)?;
                hours
            }
        };
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(failed)?;
        let end = file.metadata().map_err(failed)?.len();
        let by_labels = hours.into_iter().map(|(labels, hours)| {
            let newest_ns = None;
            (labels, Stream { newest_ns, hours })
        });
        let streams = Self {
            by_labels: by_labels.collect(),
            file,
            path,
            end,
            is_torn: false,
        };
        Ok((streams, aside))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(crate) fn has(&self, labels: &Labels) -> bool {
        self.by_labels.contains_key(labels)
    }

    /// Whether one has this label with this value.
    pub(crate) fn have_label(&self, name: &str, value: &str) -> bool {
        let mut streams = self.by_labels.keys();
        streams.any(|labels| labels.get(name) == value)
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
            encode(&mut text, *hour, labels);
        }
        self.write(&text).map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        let stream = self.by_labels.entry(labels.clone()).or_default();
        stream.hours.extend(new);
        Ok(())
    }

    fn write(&mut self, notes: &[u8]) -> io::Result<()> {
        self.cut_torn()?;
        if let Err(error) = self.file.write_all(notes) {
            self.is_torn = true;
            // If it fails now, the next note tries again before it is written.
            let _ = self.cut_torn();
            return Err(error);
        }
        self.end += notes.len() as u64;
        Ok(())
    }

    fn cut_torn(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.end)?;
            self.is_torn = false;
        }
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

pub(crate) fn hour_of(t_ns: i64) -> i64 {
    t_ns.div_euclid(HOUR_NS)
}

fn encode(out: &mut Vec<u8>, hour: i64, labels: &Labels) {
    let mut note = hour.to_le_bytes().to_vec();
    record::encode_labels(&mut note, labels);
    out.extend_from_slice(&(note.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&note).to_le_bytes());
    out.extend_from_slice(&note);
}

/// Makes these the only notes.
fn replace(folder: &Path, path: &Path, hours: &Hours) -> io::Result<()> {
    let mut text = Vec::new();
    for (labels, hours) in hours {
        hours
            .iter()
            .for_each(|hour| encode(&mut text, *hour, labels));
    }
    let new = folder.join(FILE_NEW);
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// `None` when something in the file is no note, be it only its end.
fn notes(mut bytes: &[u8]) -> Option<Hours> {
    let mut hours = Hours::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(FRAME_BYTES)?;
        let (length, sum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let sum = u32::from_le_bytes(sum.try_into().ok()?);
        let (note, rest) = rest.split_at_checked(length)?;
        let (hour, labels) = note.split_at_checked(HOUR_BYTES)?;
        if crc32fast::hash(note) != sum {
            return None;
        }
        let hour = i64::from_le_bytes(hour.try_into().ok()?);
        let labels = record::labels(labels).ok()?;
        hours.entry(labels).or_default().insert(hour);
        bytes = rest;
    }
    Some(hours)
}
