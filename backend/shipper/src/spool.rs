//! The log files of one service, in the order in which they were written, held open.
//!
//! A file is told by its inode, so a rename is no change. One that is deleted stays readable while it is open here, so rotation
//! loses nothing while a destination is away, up to [`SPOOL_BYTES_MAX`]; what is let go beyond it is counted.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Bytes of files of one service that may wait for a destination, those that were deleted included.
pub const SPOOL_BYTES_MAX: u64 = 1 << 30;
/// Rotated files that are looked for.
const ROTATED_MAX: u32 = 64;

/// Where a destination is: behind so many bytes of this file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    pub(crate) inode: u64,
    pub(crate) offset: u64,
}

pub(crate) struct Spool {
    path: PathBuf,
    /// The oldest first; the destination is in the first.
    files: VecDeque<Held>,
    offset: u64,
    /// In the rest of a line that was cut.
    is_skipping: bool,
    /// Bytes that were let go unread and not said yet.
    lost: u64,
}

struct Held {
    inode: u64,
    file: File,
}

/// Lines that were read, each with its line break, and how far.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Position,
    /// Bytes that were let go unread just before them.
    pub(crate) lost: u64,
}

impl Spool {
    /// Files of the service whose newest one is `path`. From the beginning of the oldest when `position` is `None` or of a file
    /// that is gone: then lines may come twice, or be lost with that file.
    pub(crate) fn open(path: &Path, position: Option<Position>) -> io::Result<Self> {
        let mut spool = Self {
            path: path.to_owned(),
            files: VecDeque::new(),
            offset: 0,
            is_skipping: false,
            lost: 0,
        };
        spool.look()?;
        let Some(position) = position else {
            return Ok(spool);
        };
        let mut files = spool.files.iter();
        match files.position(|held| held.inode == position.inode) {
            Some(at) => {
                spool.files.drain(..at);
                spool.offset = position.offset;
            }
            None => tracing::error!(
                path = %path.display(),
                "a log file went away before all of its lines were delivered"
            ),
        }
        Ok(spool)
    }

    /// The next lines, about `bytes_max` bytes of them; `None` if there is no whole one. Of a line that is longer than that the
    /// beginning is read, and the rest passed over.
    pub(crate) fn read(&mut self, bytes_max: usize) -> io::Result<Option<Chunk>> {
        self.look()?;
        self.let_go()?;
        while let Some(held) = self.files.front() {
            if held.file.metadata()?.len() < self.offset {
                // Truncated: it is written anew.
                self.offset = 0;
            }
            let mut bytes = vec![0; bytes_max];
            let read = read_at(&held.file, &mut bytes, self.offset)?;
            bytes.truncate(read);
            if self.is_skipping && read > 0 {
                let end = memchr::memchr(b'\n', &bytes).map(|at| at + 1);
                self.is_skipping = end.is_none();
                self.offset += end.unwrap_or(read) as u64;
                continue;
            }
            let is_last = self.files.len() == 1;
            let end = match memchr::memrchr(b'\n', &bytes) {
                Some(at) => Some(at + 1),
                None if read == bytes_max => {
                    self.is_skipping = true;
                    Some(read)
                }
                // Nobody writes to a file that was rotated away: its end is the end of a line.
                None if !is_last && read > 0 => Some(read),
                None => None,
            };
            if let Some(end) = end {
                bytes.truncate(end);
                self.offset += end as u64;
                let end = Position {
                    inode: held.inode,
                    offset: self.offset,
                };
                let lost = std::mem::take(&mut self.lost);
                return Ok(Some(Chunk { bytes, end, lost }));
            }
            if is_last {
                break;
            }
            self.files.pop_front();
            self.offset = 0;
            self.is_skipping = false;
        }
        Ok(None)
    }

    /// Bytes that were not read yet.
    pub(crate) fn waiting(&self) -> u64 {
        let lengths = self
            .files
            .iter()
            .filter_map(|held| held.file.metadata().ok());
        let all: u64 = lengths.map(|file| file.len()).sum();
        all.saturating_sub(self.offset)
    }

    /// Takes files that are new. To be called more often than files are deleted, whatever the destination does.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let newest = self.files.back().map(|held| held.inode);
        let mut new = Vec::new();
        for number in 0..=ROTATED_MAX {
            let path = match number {
                0 => self.path.clone(),
                _ => PathBuf::from(format!("{}.{number}", self.path.display())),
            };
            let file = match File::open(&path) {
                Ok(file) => file,
                // It is just being rotated, or was never written.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let inode = file.metadata()?.ino();
            let is_known = |held: &Held| held.inode == inode;
            if Some(inode) == newest || self.files.iter().any(is_known) {
                break;
            }
            // While names move, one file may be met twice.
            if !new.iter().any(is_known) {
                new.push(Held { inode, file });
            }
        }
        self.files.extend(new.into_iter().rev());
        Ok(())
    }

    /// Lets go the oldest files while there is too much.
    fn let_go(&mut self) -> io::Result<()> {
        while self.files.len() > 1 && self.waiting() > SPOOL_BYTES_MAX {
            let Some(held) = self.files.pop_front() else {
                break;
            };
            self.lost += held.file.metadata()?.len().saturating_sub(self.offset);
            self.offset = 0;
        }
        Ok(())
    }
}

/// Fills as much as there is.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
