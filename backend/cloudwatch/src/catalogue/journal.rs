//! The catalogue's file: one record a line, checksum first. A record is appended for each change; when most are outdated the file
//! is written anew beside the old one and put in its place.
//!
//! What a record means is the catalogue's. The format is described in `docs/formats/cloudwatch.md`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{CatalogueRecovery, Group, Stream};

const FILE: &str = "catalogue.jsonl";
const NEW_FILE: &str = "catalogue.jsonl.new";
/// The first line: what the file is, and in which version.
const HEADER: &str = "tripod cloudwatch catalogue 1";
/// Records beside the living ones before the file is written anew: about 3 MB.
const OUTDATED_RECORDS_MAX: usize = 10_000;
/// Hexadecimal digits of the checksum, and the space after it.
const CHECKSUM_CHARS: usize = 9;

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    NextId { id: u64 },
    Group(Group),
    GroupGone { name: String },
    Stream(Stream),
    StreamGone { group: String, name: String },
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole records: what is after them is a failed write's.
    length: u64,
    /// A write failed: its beginning may stand at the end.
    torn: bool,
    records: usize,
}

/// All whole records of the folder's journal, none when there is no journal. Nothing is changed.
pub(super) fn read(dir: &Path) -> io::Result<(Vec<Record>, CatalogueRecovery)> {
    let text = match fs::read(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let (records, length) = whole_records(&text)?;
    let cut_bytes = text.len() as u64 - length;
    Ok((records, CatalogueRecovery { cut_bytes }))
}

impl Journal {
    /// Puts a journal with just these records in the place of the folder's.
    pub(super) fn create(dir: &Path, records: impl Iterator<Item = Record>) -> io::Result<Self> {
        let (path, new_path) = (dir.join(FILE), dir.join(NEW_FILE));
        let mut new = BufWriter::new(File::create(&new_path)?);
        let mut count = 0;
        writeln!(new, "{HEADER}")?;
        for record in records {
            new.write_all(line(&record)?.as_bytes())?;
            count += 1;
        }
        let mut file = new.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&new_path, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self {
            length: file.stream_position()?,
            path,
            file,
            torn: false,
            records: count,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// In the kernel's hands when this returns: it outlives the process, and what must outlive the machine is in the event store.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = line(record)?;
        // Half a record that an earlier failure left must not stand before this one.
        if self.torn {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
        }
        self.torn = true;
        self.file.write_all(line.as_bytes())?;
        self.torn = false;
        self.length += line.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// As a full disk does.
    #[cfg(test)]
    pub(super) fn refuse_writes(&mut self) {
        self.file = File::open(&self.path).expect("the file is there");
    }

    pub(super) fn is_long(&self, living: usize) -> bool {
        self.records > 2 * living + OUTDATED_RECORDS_MAX
    }
}

fn line(record: &Record) -> io::Result<String> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// The records, and how many bytes they and the header take.
fn whole_records(text: &[u8]) -> io::Result<(Vec<Record>, u64)> {
    let mut records = Vec::new();
    let mut length = 0;
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if index == 0 {
            match line.strip_suffix(b"\n") {
                Some(header) if header == HEADER.as_bytes() => {}
                // A first line that was never finished is a file that was never begun.
                None if HEADER.as_bytes().starts_with(line) => break,
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "not a catalogue of this version",
                    ));
                }
            }
        } else {
            match record(line) {
                Some(record) => records.push(record),
                None => break,
            }
        }
        length += line.len() as u64;
    }
    Ok((records, length))
}

fn record(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (checksum, json) = line.split_at_checked(CHECKSUM_CHARS)?;
    let checksum = u32::from_str_radix(checksum.trim_end(), 16).ok()?;
    (checksum == crc32fast::hash(json.as_bytes()))
        .then(|| serde_json::from_str(json).ok())
        .flatten()
}
