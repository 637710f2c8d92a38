//! What survives a restart, in one file: silences and the notification log, as records that are appended and checked by a sum.
//! When the file has grown to a multiple of what is current, it is replaced as a whole.
//!
//! The format: `TPAM0001`, then for each record its length and its CRC-32 (both 4 bytes, little end first) and the record in JSON.
//! Later records replace earlier ones of the same silence, or of the same group and webhook. A tail that is torn or damaged is
//! cut, and said.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::machine::Record;

const MAGIC: &[u8; 8] = b"TPAM0001";
const FILE: &str = "alertmanager.journal";
const FILE_NEW: &str = "alertmanager.journal.new";
/// A longer record is not written, and is damage when it is read.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// A shorter file is not replaced.
const REPLACED_BYTES_MIN: u64 = 1 << 20;
/// A file is replaced when it is this many times as long as what was current when it was last.
const GROWTH_MAX: u64 = 2;

/// What was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub records: usize,
    /// Bytes of a torn or damaged tail, which are gone.
    pub lost_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is used by another process", path.display())]
    Locked { path: PathBuf },
    #[error("{} is not a journal of this version", path.display())]
    Format { path: PathBuf },
    #[error("a record has {bytes} bytes, more than {RECORD_BYTES_MAX}")]
    TooLong { bytes: usize },
}

/// An open journal. One process has it at a time.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// When the file was last replaced or opened.
    bytes_current: u64,
    /// An append has failed: the end of the file is not known to be whole.
    is_broken: bool,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Vec<Record>, Recovery), JournalError> {
        let path = folder.join(FILE);
        let wrap = |source| JournalError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(wrap)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(wrap)?;
        if file.try_lock().is_err() {
            return Err(JournalError::Locked { path });
        }
        let length = file.metadata().map_err(wrap)?.len();
        let mut reader = BufReader::new(&file);
        let mut magic = Vec::new();
        let mut begin = (&mut reader).take(MAGIC.len() as u64);
        begin.read_to_end(&mut magic).map_err(wrap)?;
        if !MAGIC.starts_with(&magic) {
            return Err(JournalError::Format { path });
        }
        let mut records = Vec::new();
        let mut bytes = magic.len() as u64;
        while let Some((record, size)) = read(&mut reader).map_err(wrap)? {
            records.push(record);
            bytes += size;
        }
        if magic.len() < MAGIC.len() {
            // The file is new, or its first write was torn.
            file.rewind()
                .and_then(|()| file.write_all(MAGIC))
                .map_err(wrap)?;
            bytes = MAGIC.len() as u64;
        }
        file.set_len(bytes).map_err(wrap)?;
        file.seek(SeekFrom::End(0)).map_err(wrap)?;
        let recovery = Recovery {
            records: records.len(),
            lost_bytes: length.saturating_sub(bytes),
        };
        let journal = Self {
            folder: folder.to_owned(),
            file,
            bytes,
            bytes_current: bytes,
            is_broken: false,
        };
        Ok((journal, records, recovery))
    }

    /// Writes records, so that they are there after a crash of the machine. When that fails, [`Self::must_replace`] holds from
    /// then on until it has worked: what could not be written is not lost.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let (mut bytes, mut too_long) = (Vec::new(), Ok(()));
        for record in records {
            match encode(record) {
                Ok(record) => bytes.extend(record),
                Err(error) => too_long = Err(error),
            }
        }
        let written = self.file.write_all(&bytes);
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                too_long
            }
            Err(source) => {
                self.is_broken = true;
                Err(self.error(source))
            }
        }
    }

    /// True if the file has grown too long, or is not whole.
    pub(crate) fn must_replace(&self) -> bool {
        self.is_broken
            || self.bytes > REPLACED_BYTES_MIN.max(self.bytes_current.saturating_mul(GROWTH_MAX))
    }

    /// Writes a file with these records alone, and puts it in the place of the old one.
    pub(crate) fn replace(
        &mut self,
        records: impl Iterator<Item = Record>,
    ) -> Result<(), JournalError> {
        let new = self.folder.join(FILE_NEW);
        let mut bytes = MAGIC.len() as u64;
        // What is too long was said when it was appended.
        let encoded = records.filter_map(|record| encode(&record).ok());
        let write = || -> io::Result<File> {
            let mut writer = BufWriter::new(File::create(&new)?);
            writer.write_all(MAGIC)?;
            for record in encoded {
                bytes += record.len() as u64;
                writer.write_all(&record)?;
            }
            let file = writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            file.try_lock().map_err(io::Error::from)?;
            fs::rename(&new, self.folder.join(FILE))?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        };
        let written = write();
        self.file = written.map_err(|source| self.error(source))?;
        (self.bytes, self.bytes_current, self.is_broken) = (bytes, bytes, false);
        Ok(())
    }

    fn error(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.folder.join(FILE),
            source,
        }
    }
}

fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    let json = serde_json::to_vec(record).expect("a record has no key that is not text");
    if json.len() > RECORD_BYTES_MAX {
        return Err(JournalError::TooLong { bytes: json.len() });
    }
    let length = u32::try_from(json.len()).expect("the bound of a record fits");
    let mut bytes = Vec::with_capacity(json.len() + 8);
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&json).to_le_bytes());
    bytes.extend(json);
    Ok(bytes)
}

/// The next whole record and its length in the file; `None` at the end, or where the rest is no record.
fn read(reader: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut heading = Vec::new();
    reader.take(8).read_to_end(&mut heading)?;
    let Ok([l0, l1, l2, l3, sums @ ..]) = <[u8; 8]>::try_from(heading) else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > RECORD_BYTES_MAX {
        return Ok(None);
    }
    let mut json = Vec::new();
    reader.take(length as u64).read_to_end(&mut json)?;
    if json.len() < length || crc32fast::hash(&json) != u32::from_le_bytes(sums) {
        return Ok(None);
    }
    let record = serde_json::from_slice(&json).ok();
    Ok(record.map(|record| (record, length as u64 + 8)))
}

#[cfg(test)]
mod tests;
