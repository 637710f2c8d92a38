//! Blocks: the samples of two hours in one file that never changes, with an index of its label pairs.
//!
//! A block is read in pages, each checked when it comes from the disk; nothing of it is kept in memory but its footer and
//! what the shared cache of pages has. [`write()`] makes one. The layout is in `docs/formats/tsdb.md`.

mod footer;
mod pages;
mod query;
mod write;

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use footer::Footer;
pub(crate) use pages::PageCache;
pub(crate) use query::Query;
pub(crate) use write::write;

use crate::Error;
use footer::FOOTER_BYTES;
use pages::PAGE_BYTES;

pub(crate) const MAGIC: &[u8; 8] = b"TRPDTSB1";

/// A block file, open.
pub(crate) struct Block {
    path: PathBuf,
    file: File,
    pub(crate) file_bytes: u64,
    pub(crate) footer: Footer,
    /// One checksum for each page.
    checksums: Vec<u32>,
    cache: Arc<PageCache>,
    /// Of this opening; a name in the cache.
    number: u64,
}

impl Block {
    /// Reads the footer and the checksums of pages, no page.
    pub(crate) fn open(path: &Path, cache: &Arc<PageCache>) -> Result<Self, Error> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let file = File::open(path).map_err(Error::io("open", path))?;
        let file_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let Some(end) = file_bytes.checked_sub(FOOTER_BYTES as u64) else {
            return Err(Error::damaged(path, "it is shorter than a footer"));
        };
        let mut bytes = [0; FOOTER_BYTES];
        file.read_exact_at(&mut bytes, end)
            .map_err(Error::io("read", path))?;
        let Some(footer) = Footer::read(&bytes) else {
            return Err(Error::damaged(path, "its footer is wrong"));
        };
        let table = footer.pages_end.div_ceil(PAGE_BYTES as u64) * 4;
        if footer.pages_end.checked_add(table) != Some(end) {
            return Err(Error::damaged(
                path,
                "its length is not what its footer says",
            ));
        }
        // As long as the file at most, so it can be allocated.
        let mut bytes = vec![0; table as usize];
        file.read_exact_at(&mut bytes, footer.pages_end)
            .map_err(Error::io("read", path))?;
        if crc32fast::hash(&bytes) != footer.table_checksum {
            return Err(Error::damaged(path, "its table of checksums is wrong"));
        }
        let (words, _) = bytes.as_chunks::<4>();
        Ok(Self {
            path: path.to_owned(),
            file,
            file_bytes,
            footer,
            checksums: words.iter().map(|word| u32::from_le_bytes(*word)).collect(),
            cache: Arc::clone(cache),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.footer.t_min <= *range.end() && self.footer.t_max >= *range.start()
    }

    /// From the directory and from the cache; who reads it may go on.
    pub(crate) fn delete(&self) -> Result<(), Error> {
        self.cache.forget(self.number);
        fs::remove_file(&self.path).map_err(Error::io("delete", &self.path))
    }

    /// Renamed, so that it is not opened again.
    pub(crate) fn set_aside(&self) -> PathBuf {
        self.cache.forget(self.number);
        set_aside(&self.path)
    }

    fn page(&self, page: u32) -> Result<Arc<[u8]>, Error> {
        if let Some(bytes) = self.cache.get((self.number, page)) {
            return Ok(bytes);
        }
        let at = u64::from(page) * PAGE_BYTES as u64;
        let checksum = self.checksums.get(page as usize);
        let (Some(checksum), Some(length)) = (checksum, self.footer.pages_end.checked_sub(at))
        else {
            return Err(Error::damaged(&self.path, "it refers to beyond its end"));
        };
        let mut bytes = vec![0; length.min(PAGE_BYTES as u64) as usize];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(Error::io("read", &self.path))?;
        if crc32fast::hash(&bytes) != *checksum {
            return Err(Error::damaged(&self.path, "a page is not what was written"));
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.cache.put((self.number, page), Arc::clone(&bytes));
        Ok(bytes)
    }
}

/// Renames a file that cannot be read, and says its new name; the old one if that fails.
pub(crate) fn set_aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    let aside = PathBuf::from(name);
    match fs::rename(path, &aside) {
        Ok(()) => aside,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "a damaged file cannot be set aside");
            path.to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
