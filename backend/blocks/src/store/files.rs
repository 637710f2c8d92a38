//! The names of a store's files.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

const LOG: &str = "wal";
const BLOCK: &str = "blk";
const TEMPORARY: &str = "tmp";
const DAMAGED: &str = "damaged";

pub(super) struct Files {
    dir: PathBuf,
}

/// What is in the directory, by number.
#[derive(Default)]
pub(super) struct Found {
    pub(super) logs: Vec<u64>,
    pub(super) blocks: Vec<u64>,
    /// Blocks that were not finished.
    pub(super) temporary: Vec<PathBuf>,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(super) fn log(&self, number: u64) -> PathBuf {
        self.numbered(number, LOG)
    }

    pub(super) fn block(&self, number: u64) -> PathBuf {
        self.numbered(number, BLOCK)
    }

    pub(super) fn temporary(&self, number: u64) -> PathBuf {
        self.numbered(number, TEMPORARY)
    }

    fn numbered(&self, number: u64, extension: &str) -> PathBuf {
        self.dir.join(format!("{number:08}.{extension}"))
    }

    pub(super) fn list(&self) -> Result<Found, Error> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.dir).map_err(Error::io("list", &self.dir))? {
            let path = entry.map_err(Error::io("list", &self.dir))?.path();
            let number = path
                .file_stem()
                .and_then(OsStr::to_str)
                .and_then(|stem| stem.parse().ok());
            match (path.extension().and_then(OsStr::to_str), number) {
                (Some(LOG), Some(number)) => found.logs.push(number),
                (Some(BLOCK), Some(number)) => found.blocks.push(number),
                (Some(TEMPORARY), Some(_)) => found.temporary.push(path),
                _ => {}
            }
        }
        found.logs.sort_unstable();
        found.blocks.sort_unstable();
        Ok(found)
    }

    /// Renames a file so that it is not opened again; says under which name it is now.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.dir.join(format!("{name}.{DAMAGED}"));
        fs::rename(path, &aside).map_err(Error::io("rename", path))?;
        Ok(aside)
    }
}
