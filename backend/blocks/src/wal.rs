//! The write-ahead log of one head: a frame for each append.
//!
//! A frame is whole or not there: what a failed write left is cut off at once, what a kill left is cut off by the next
//! replay. Frames reach the system with each append and the disk with [`Log::sync`].

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::bytes::{self, Reader};
use crate::{Error, PAYLOAD_BYTES_MAX, Record, TERMS_MAX};

pub(crate) const MAGIC: &[u8; 8] = b"TRPDWAL1";
/// Length and checksum before the body of a frame.
const FRAME_HEAD_BYTES: usize = 8;
/// Key, times, number of terms, length of the payload.
const RECORD_HEAD_BYTES: usize = 8 + 8 + 8 + 4 + 4;
/// Largest body that is taken and replayed.
pub(crate) const FRAME_BYTES_MAX: usize = 256 << 20;

pub(crate) struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Reused for every frame.
    frame: Vec<u8>,
    /// What a failed write left is still to be cut off.
    is_torn: bool,
    is_dirty: bool,
}

/// What a replay found besides records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Bytes of an unfinished frame at the end, cut off.
    pub(crate) torn_bytes: u64,
    /// Bytes of frames in the middle whose checksum is wrong, left out.
    pub(crate) damaged_bytes: u64,
}

impl Log {
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let mut file = file.map_err(Error::io("create", &path))?;
        if let Err(source) = file.write_all(MAGIC) {
            // Or the next attempt would find it in its way.
            let _ = fs::remove_file(&path);
            return Err(Error::io("write", &path)(source));
        }
        Ok(Self::at(path, file, MAGIC.len() as u64))
    }

    /// Gives every record of an existing log to `each`, cuts what is unfinished, and continues it.
    pub(crate) fn replay(
        path: PathBuf,
        each: impl FnMut(&Record<'_>),
    ) -> Result<(Self, Replayed), Error> {
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        let length = file.metadata().map_err(Error::io("read", &path))?.len();
        let mut replay = Replay {
            reader: BufReader::with_capacity(1 << 20, &file),
            left: length,
            each,
            damaged_bytes: 0,
        };
        let whole = replay.run().map_err(Error::io("read", &path))?;
        let Some(whole) = whole else {
            return Err(Error::Damaged {
                path,
                what: "it does not begin as a log",
            });
        };
        let mut replayed = Replayed {
            torn_bytes: length - whole,
            damaged_bytes: replay.damaged_bytes,
        };
        file.set_len(whole).map_err(Error::io("cut", &path))?;
        let mut log = Self::at(path, file, whole);
        if whole == 0 {
            // Killed before the first eight bytes were there: nothing was acknowledged.
            replayed.torn_bytes = length;
            log.file
                .write_all(MAGIC)
                .map_err(Error::io("write", &log.path))?;
            log.bytes = MAGIC.len() as u64;
        }
        Ok((log, replayed))
    }

    fn at(path: PathBuf, file: File, bytes: u64) -> Self {
        Self {
            path,
            file,
            bytes,
            frame: Vec::new(),
            is_torn: false,
            is_dirty: true,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of the records or none.
    pub(crate) fn append(&mut self, records: &[Record<'_>]) -> Result<(), Error> {
        self.cut_torn()?;
        encode(records, &mut self.frame)?;
        if let Err(source) = self.file.write_all(&self.frame) {
            self.is_torn = true;
            // If it fails now, the next append tries again before it writes.
            let _ = self.cut_torn();
            return Err(Error::io("write", &self.path)(source));
        }
        self.bytes += self.frame.len() as u64;
        self.is_dirty = true;
        Ok(())
    }

    fn cut_torn(&mut self) -> Result<(), Error> {
        if self.is_torn {
            self.file
                .set_len(self.bytes)
                .map_err(Error::io("cut", &self.path))?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// To the disk, if something came since the last time.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.is_dirty {
            self.file
                .sync_data()
                .map_err(Error::io("sync", &self.path))?;
            self.is_dirty = false;
        }
        Ok(())
    }
}

fn encode(records: &[Record<'_>], frame: &mut Vec<u8>) -> Result<(), Error> {
    frame.clear();
    frame.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    for record in records {
        let (terms, payload) = (record.terms, record.payload);
        for number in [record.key, record.time_min_ns, record.time_max_ns] {
            frame.extend_from_slice(&number.to_le_bytes());
        }
        // Both are far below 2^32: the store has checked the bounds of a record.
        frame.extend_from_slice(&(terms.len() as u32).to_le_bytes());
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        terms
            .iter()
            .for_each(|term| frame.extend_from_slice(&term.to_le_bytes()));
        frame.extend_from_slice(payload);
    }
    let body = frame.len() - FRAME_HEAD_BYTES;
    if body > FRAME_BYTES_MAX {
        return Err(Error::TooLarge {
            bytes: body,
            max: FRAME_BYTES_MAX,
        });
    }
    let checksum = crc32fast::hash(&frame[FRAME_HEAD_BYTES..]);
    frame[..4].copy_from_slice(&(body as u32).to_le_bytes());
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

struct Replay<'f, F> {
    reader: BufReader<&'f File>,
    /// Bytes of the file that were not read yet.
    left: u64,
    each: F,
    damaged_bytes: u64,
}

impl<F: FnMut(&Record<'_>)> Replay<'_, F> {
    /// How many bytes of the file are whole; `None` when it is no log of this version.
    fn run(&mut self) -> std::io::Result<Option<u64>> {
        let length = self.left;
        let mut magic = [0; MAGIC.len()];
        if length < magic.len() as u64 {
            return Ok(Some(0));
        }
        self.reader.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Ok(None);
        }
        self.left -= magic.len() as u64;
        let mut body = Vec::new();
        loop {
            let whole = length - self.left;
            if !self.frame(&mut body)? {
                return Ok(Some(whole));
            }
        }
    }

    /// False when no whole frame is left.
    fn frame(&mut self, body: &mut Vec<u8>) -> std::io::Result<bool> {
        let Some(after_head) = self.left.checked_sub(FRAME_HEAD_BYTES as u64) else {
            return Ok(false);
        };
        let mut head = [0; FRAME_HEAD_BYTES];
        self.reader.read_exact(&mut head)?;
        let mut head = Reader(&head);
        let (Some(bytes), Some(checksum)) = (head.length(), head.u32()) else {
            return Ok(false);
        };
        if bytes > FRAME_BYTES_MAX || bytes as u64 > after_head {
            return Ok(false);
        }
        body.resize(bytes, 0);
        self.reader.read_exact(body)?;
        let is_last = bytes as u64 == after_head;
        let is_sound = crc32fast::hash(body) == checksum && self.records(body).is_some();
        if !is_sound && is_last {
            return Ok(false);
        }
        if !is_sound {
            self.damaged_bytes += (FRAME_HEAD_BYTES + bytes) as u64;
        }
        self.left = after_head - bytes as u64;
        Ok(true)
    }

    /// `None`, and nothing given away, when the body does not hold whole records.
    fn records(&mut self, body: &[u8]) -> Option<()> {
        let mut found = Vec::new();
        let mut reader = Reader(body);
        while !reader.0.is_empty() {
            found.push(record(&mut reader)?);
        }
        for (head, terms, payload) in found {
            let terms: Vec<u64> = bytes::numbers(terms).collect();
            (self.each)(&Record {
                terms: &terms,
                payload,
                ..head
            });
        }
        Some(())
    }
}

/// A record without terms and payload, and these beside it.
fn record<'b>(reader: &mut Reader<'b>) -> Option<(Record<'static>, &'b [u8], &'b [u8])> {
    let mut head = Reader(reader.take(RECORD_HEAD_BYTES)?);
    let record = Record {
        key: head.u64()?,
        time_min_ns: head.u64()?,
        time_max_ns: head.u64()?,
        terms: &[],
        payload: &[],
    };
    let (terms, payload) = (head.length()?, head.length()?);
    if terms > TERMS_MAX || payload > PAYLOAD_BYTES_MAX || !record.has_times() {
        return None;
    }
    Some((record, reader.take(terms * 8)?, reader.take(payload)?))
}
