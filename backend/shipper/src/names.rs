//! The names of a service's files: `<service>.log` is written, `<service>.log.1` is the one before, and so on. What is in them, and
//! which of them are known, is the spool's matter.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const EXTENSION: &str = ".log";
/// Rotated files of one service that are looked for.
const ROTATED_MAX: u32 = 64;
/// Missing numbers in a row after which no older file is looked for. While names move, one is missing.
const MISSING_MAX: u32 = 2;

/// A file as it is called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    pub(crate) inode: u64,
}

/// The files of a service, the newest first, each once.
pub(crate) fn of_service(logs: &Path, service: &str) -> io::Result<Vec<Named>> {
    let mut found: Vec<Named> = Vec::new();
    let mut missing = 0;
    for number in 0..=ROTATED_MAX {
        let path = logs.join(match number {
            0 => format!("{service}{EXTENSION}"),
            _ => format!("{service}{EXTENSION}.{number}"),
        });
        let inode = match fs::metadata(&path) {
            Ok(file) => file.ino(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing += 1;
                if missing == MISSING_MAX {
                    break;
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        missing = 0;
        if !found.iter().any(|named| named.inode == inode) {
            found.push(Named { path, inode });
        }
    }
    Ok(found)
}
