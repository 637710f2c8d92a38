//! Writes a frozen head as a block file: under another name first, on the disk before it gets its own.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::PoisonError;

use super::footer::{Footer, Section};
use super::{INDEX_ENTRIES, INDEX_HEAD_BYTES, INDEX_PIECE_BYTES};
use crate::Error;
use crate::filter::{KeyFilter, TermFilter};
use crate::head::{Data, HeadView, Index};
use crate::page;

/// `temporary` is renamed to `path` when all of it is on the disk. If that fails, its room is free again.
pub(crate) fn write(head: &HeadView, temporary: &Path, path: &Path) -> Result<(), Error> {
    let written = try_write(head, temporary, path);
    if written.is_err() {
        // One that stays is written over by the next attempt.
        let _ = fs::remove_file(temporary);
    }
    written
}

fn try_write(head: &HeadView, temporary: &Path, path: &Path) -> Result<(), Error> {
    let file = File::create(temporary).map_err(Error::io("create", temporary))?;
    let written = BlockWriter {
        out: BufWriter::with_capacity(1 << 20, &file),
        at: 0,
    }
    .block(head);
    written.map_err(Error::io("write", temporary))?;
    file.sync_all().map_err(Error::io("sync", temporary))?;
    fs::rename(temporary, path).map_err(Error::io("rename", temporary))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(Error::io("sync", dir))
}

struct BlockWriter<'f> {
    out: BufWriter<&'f File>,
    at: u64,
}

impl BlockWriter<'_> {
    fn block(mut self, head: &HeadView) -> std::io::Result<()> {
        let mut footer = Footer::default();
        let table = self.pages(head)?;
        footer.pages_bytes = self.at;
        footer.table = self.section(&table)?;
        {
            let index = head.index.read().unwrap_or_else(PoisonError::into_inner);
            footer.keys = self.section(KeyFilter::build(&index.keys).bytes())?;
            footer.split = self.section(&split(&index))?;
            footer.index_at = self.at;
            let fences = self.index(&entries(head, &index))?;
            footer.fences = self.section(&fences)?;
        }
        let terms: Vec<&[u64]> = head.pages().map(|page| &*page.terms).collect();
        let filter = TermFilter::build(terms.iter().copied());
        footer.filter_bits = filter.bits();
        footer.filter = self.section(filter.rows())?;
        self.put(&footer.encode())?;
        self.out.flush()
    }

    /// The table of the pages that were written.
    fn pages(&mut self, head: &HeadView) -> std::io::Result<Vec<u8>> {
        let mut table = Vec::new();
        for page in head.pages() {
            let opened;
            let (stored, raw_bytes) = match &page.data {
                Data::Compressed { stored, raw_bytes } => (&**stored, *raw_bytes),
                Data::Open(raw) => {
                    opened = page::compress(raw.bytes());
                    (&*opened, raw.bytes().len())
                }
            };
            table.extend_from_slice(&self.at.to_le_bytes());
            for number in [
                stored.len() as u32,
                raw_bytes as u32,
                page.records,
                crc32fast::hash(stored),
            ] {
                table.extend_from_slice(&number.to_le_bytes());
            }
            for time_ns in [page.time_min_ns, page.time_max_ns] {
                table.extend_from_slice(&time_ns.to_le_bytes());
            }
            self.put(stored)?;
        }
        Ok(table)
    }

    /// The first key of each piece.
    fn index(&mut self, entries: &[(u64, u32, u32)]) -> std::io::Result<Vec<u8>> {
        let mut fences = Vec::new();
        for piece in entries.chunks(INDEX_ENTRIES) {
            let mut bytes = vec![0; INDEX_HEAD_BYTES];
            for (key, page, slot) in piece {
                bytes.extend_from_slice(&key.to_le_bytes());
                bytes.extend_from_slice(&page.to_le_bytes());
                bytes.extend_from_slice(&slot.to_le_bytes());
            }
            let checksum = crc32fast::hash(&bytes[INDEX_HEAD_BYTES..]);
            bytes[..4].copy_from_slice(&checksum.to_le_bytes());
            bytes[4..8].copy_from_slice(&(piece.len() as u32).to_le_bytes());
            bytes.resize(INDEX_PIECE_BYTES, 0);
            fences.extend_from_slice(&piece[0].0.to_le_bytes());
            self.put(&bytes)?;
        }
        Ok(fences)
    }

    fn section(&mut self, bytes: &[u8]) -> std::io::Result<Section> {
        let section = Section {
            offset: self.at,
            bytes: bytes.len() as u64,
            checksum: crc32fast::hash(bytes),
        };
        self.put(bytes)?;
        Ok(section)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Key, page and slot of every record, by key and then as they came.
fn entries(head: &HeadView, index: &Index) -> Vec<(u64, u32, u32)> {
    let mut entries = Vec::with_capacity(index.keys.len());
    for (number, page) in (0..).zip(head.pages()) {
        let keys = &index.keys[page.first as usize..][..page.records as usize];
        entries.extend((0..).zip(keys).map(|(slot, key)| (*key, number, slot)));
    }
    entries.sort_unstable();
    entries
}

fn split(index: &Index) -> Vec<u8> {
    let mut keys: Vec<u64> = index.split.iter().copied().collect();
    keys.sort_unstable();
    keys.iter().flat_map(|key| key.to_le_bytes()).collect()
}
