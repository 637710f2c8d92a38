//! The write-ahead log: numbered files of checksummed frames, one frame for each append.
//!
//! Each file says the labels of a series before its first sample, so it can be read without the files before it, and a file
//! whose samples are all in blocks is deleted. A frame is whole or not there. Frames reach the system with each append and
//! the disk with [`Log::dirty`]'s caller: a kill takes nothing that was acknowledged, a power cut may take the last minute.

mod frame;
mod replay;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use frame::{Frame, Item};
pub(crate) use replay::replay;

use crate::Error;

const MAGIC: &[u8; 8] = b"TRPDTSL1";
/// Length and checksum before the body of a frame.
const FRAME_HEAD_BYTES: usize = 8;
/// Largest body that is taken and replayed.
pub const FRAME_BYTES_MAX: usize = 256 << 20;

/// The file that is appended to.
pub(crate) struct Log {
    pub(crate) number: u64,
    path: PathBuf,
    file: Arc<File>,
    pub(crate) bytes: u64,
    /// Of the newest sample.
    pub(crate) t_max: i64,
    /// What a failed write left could not be cut off.
    is_broken: bool,
    is_dirty: bool,
}

/// A file that takes no more.
#[derive(Clone, Debug)]
pub(crate) struct OldLog {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) t_max: i64,
}

impl Log {
    pub(crate) fn create(dir: &Path, number: u64) -> Result<Self, Error> {
        let path = dir.join(format!("{number:08}.log"));
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let mut file = file.map_err(Error::io("create", &path))?;
        file.write_all(MAGIC).map_err(Error::io("write", &path))?;
        Ok(Self {
            number,
            path,
            file: Arc::new(file),
            bytes: MAGIC.len() as u64,
            t_max: i64::MIN,
            is_broken: false,
            is_dirty: true,
        })
    }

    /// All of the frame or nothing; `t_max` is of its newest sample.
    pub(crate) fn append(&mut self, frame: &mut Frame, t_max: i64) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Broken);
        }
        let bytes = frame.finish()?;
        if let Err(source) = (&*self.file).write_all(bytes) {
            self.is_broken = self.file.set_len(self.bytes).is_err();
            return Err(Error::io("write", &self.path)(source));
        }
        self.bytes += bytes.len() as u64;
        self.t_max = self.t_max.max(t_max);
        self.is_dirty = true;
        Ok(())
    }

    /// What has to be synced, if something came since the last time. So that the caller can sync without a lock.
    pub(crate) fn dirty(&mut self) -> Option<(Arc<File>, PathBuf)> {
        let is_dirty = std::mem::take(&mut self.is_dirty);
        is_dirty.then(|| (Arc::clone(&self.file), self.path.clone()))
    }

    pub(crate) fn ended(self) -> OldLog {
        OldLog {
            path: self.path,
            bytes: self.bytes,
            t_max: self.t_max,
        }
    }
}

#[cfg(test)]
mod tests;
