//! One block file: opened and read here, written in [`write`].
//!
//! What every read needs (table of pages, keys, fences of the index) is in memory; pages and the index are read where they
//! are; the filter of terms is held in the store's bounded cache.

mod filters;
mod footer;
mod write;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::bytes::{self, Reader};
use crate::filter::{KeyFilter, TermFilter};
use crate::page::{self, RawPage};

pub(crate) use filters::FilterCache;
use footer::{Footer, Section};
pub(crate) use write::write;

pub(crate) const MAGIC: &[u8; 8] = b"TRPDBLK1";
/// Offset (8), stored bytes, raw bytes, records, checksum (4 each), first and last time (8 each).
const PAGE_ROW_BYTES: usize = 8 + 4 * 4 + 2 * 8;
/// The index is cut into pieces of this size, each with its own checksum.
const INDEX_PIECE_BYTES: usize = 4096;
/// Checksum and number of entries.
const INDEX_HEAD_BYTES: usize = 8;
/// Key, page, slot.
const INDEX_ENTRY_BYTES: usize = 16;
const INDEX_ENTRIES: usize = (INDEX_PIECE_BYTES - INDEX_HEAD_BYTES) / INDEX_ENTRY_BYTES;

/// A sealed block. Its file can be deleted while readers hold it.
pub(crate) struct Block {
    /// Number in the store's directory.
    pub(crate) number: u64,
    path: PathBuf,
    file: File,
    file_bytes: u64,
    pub(crate) time_min_ns: u64,
    pub(crate) time_max_ns: u64,
    records: u64,
    pages: Vec<PageRow>,
    keys: KeyFilter,
    /// First key of each piece of the index.
    fences: Vec<u64>,
    /// Keys of several records: here, or here and in an older block.
    split: Section,
    index_at: u64,
    filter: Section,
    filter_bits: usize,
}

/// Where a page is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRow {
    offset: u64,
    stored_bytes: u32,
    raw_bytes: u32,
    records: u32,
    checksum: u32,
    pub(crate) time_min_ns: u64,
    pub(crate) time_max_ns: u64,
}

impl Block {
    pub(crate) fn open(path: &Path, number: u64) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let file_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let footer = Footer::read(&file, file_bytes, path)?;
        let read = |section: &Section| section.read(&file, path);
        let damaged = |what| Error::Damaged {
            path: path.to_owned(),
            what,
        };
        let pages = read(&footer.table)?;
        let pages = table(&pages, footer.pages_bytes).ok_or_else(|| damaged("table of pages"))?;
        let keys = KeyFilter::read(read(&footer.keys)?).ok_or_else(|| damaged("filter of keys"))?;
        let times = pages.iter().fold((u64::MAX, 0), |(min, max), page| {
            (page.time_min_ns.min(min), page.time_max_ns.max(max))
        });
        Ok(Self {
            number,
            records: pages.iter().map(|page| u64::from(page.records)).sum(),
            fences: bytes::numbers(&read(&footer.fences)?).collect(),
            path: path.to_owned(),
            file,
            file_bytes,
            time_min_ns: times.0,
            time_max_ns: times.1,
            pages,
            keys,
            split: footer.split,
            index_at: footer.index_at,
            filter: footer.filter,
            filter_bits: footer.filter_bits,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    pub(crate) fn pages(&self) -> &[PageRow] {
        &self.pages
    }

    /// Keys that have several records.
    pub(crate) fn split(&self) -> Result<Vec<u64>, Error> {
        let keys = self.split.read(&self.file, &self.path)?;
        Ok(bytes::numbers(&keys).collect())
    }

    pub(crate) fn read_page(&self, page: usize) -> Result<RawPage, Error> {
        let row = self.pages.get(page).ok_or_else(|| self.damaged("index"))?;
        let mut stored = vec![0; row.stored_bytes as usize];
        let read = self.file.read_exact_at(&mut stored, row.offset);
        read.map_err(Error::io("read", &self.path))?;
        if crc32fast::hash(&stored) != row.checksum {
            return Err(self.damaged("page"));
        }
        page::decompress(&stored, row.raw_bytes as usize).ok_or_else(|| self.damaged("page"))
    }

    /// Page and slot of each record with this key, in the order in which they came.
    pub(crate) fn find(&self, key: u64) -> Result<Vec<(usize, usize)>, Error> {
        let mut found = Vec::new();
        if !self.keys.may_hold(key) {
            return Ok(found);
        }
        // A key's entries may begin in the piece before the first one whose fence has reached it.
        let first = self
            .fences
            .partition_point(|fence| *fence < key)
            .saturating_sub(1);
        for piece in first..self.fences.len() {
            if self.fences[piece] > key {
                break;
            }
            self.find_in_piece(piece, key, &mut found)?;
        }
        Ok(found)
    }

    pub(crate) fn has(&self, key: u64) -> Result<bool, Error> {
        Ok(!self.find(key)?.is_empty())
    }

    fn find_in_piece(
        &self,
        piece: usize,
        key: u64,
        found: &mut Vec<(usize, usize)>,
    ) -> Result<(), Error> {
        let mut bytes = [0; INDEX_PIECE_BYTES];
        let offset = self.index_at + (piece * INDEX_PIECE_BYTES) as u64;
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(Error::io("read", &self.path))?;
        let (head, entries) = bytes.split_at(INDEX_HEAD_BYTES);
        let mut head = Reader(head);
        let (checksum, count) = (head.u32(), head.length());
        let entries = count
            .and_then(|count| entries.get(..count.checked_mul(INDEX_ENTRY_BYTES)?))
            .filter(|entries| Some(crc32fast::hash(entries)) == checksum)
            .ok_or_else(|| self.damaged("index"))?;
        let mut entries = Reader(entries);
        while let (Some(entry), Some(page), Some(slot)) =
            (entries.u64(), entries.length(), entries.length())
        {
            if entry == key {
                found.push((page, slot));
            }
        }
        Ok(())
    }

    pub(crate) fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            what,
        }
    }

    fn filter_bytes(&self) -> u64 {
        self.filter.bytes
    }

    fn load_filter(&self) -> Result<TermFilter, Error> {
        let rows = self.filter.read(&self.file, &self.path)?;
        TermFilter::read(self.filter_bits, self.pages.len(), rows)
            .ok_or_else(|| self.damaged("filter of terms"))
    }
}

/// `None` when a page would lie outside of the pages' bytes.
fn table(bytes: &[u8], pages_bytes: u64) -> Option<Vec<PageRow>> {
    let mut rows = Vec::with_capacity(bytes.len() / PAGE_ROW_BYTES);
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let row = PageRow {
            offset: reader.u64()?,
            stored_bytes: reader.u32()?,
            raw_bytes: reader.u32()?,
            records: reader.u32()?,
            checksum: reader.u32()?,
            time_min_ns: reader.u64()?,
            time_max_ns: reader.u64()?,
        };
        if row.offset.checked_add(row.stored_bytes.into())? > pages_bytes {
            return None;
        }
        rows.push(row);
    }
    Some(rows)
}
