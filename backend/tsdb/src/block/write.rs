//! Writing a block: chunks as they come, then the index, all into a file that gets its name when it is whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::MAGIC;
use super::footer::Footer;
use super::pages::PAGE_BYTES;
use crate::bytes::{push_string, push_varint, push_zigzag};
use crate::chunk::Chunk;
use crate::{Error, Labels};

/// Writes the chunks of series, which come in label order, each with a chunk at least, in time order.
pub(crate) fn write(
    path: &Path,
    end_ms: i64,
    series: &[(Labels, Vec<Chunk>)],
) -> Result<Footer, Error> {
    let unfinished = path.with_extension("tmp");
    let written = write_file(&unfinished, end_ms, series);
    let footer = written.inspect_err(|_| {
        // What is left of it is removed by the next opening at the latest.
        let _ = fs::remove_file(&unfinished);
    })?;
    fs::rename(&unfinished, path).map_err(Error::io("name", path))?;
    if let Some(dir) = path.parent() {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(Error::io("sync", dir))?;
    }
    Ok(footer)
}

fn write_file(path: &Path, end_ms: i64, series: &[(Labels, Vec<Chunk>)]) -> Result<Footer, Error> {
    let io = || Error::io("write", path);
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut out = PageWriter::new(BufWriter::with_capacity(PAGE_BYTES, file));
    out.write(MAGIC).map_err(io())?;
    let mut index = Index::new(series);
    let mut footer = Footer {
        t_min: i64::MAX,
        t_max: i64::MIN,
        end_ms,
        series: series.len() as u64,
        ..Footer::default()
    };
    for (labels, chunks) in series {
        index.add(labels, chunks, out.at);
        for chunk in chunks {
            footer.samples += u64::from(chunk.samples);
            footer.t_min = footer.t_min.min(chunk.t_min);
            footer.t_max = footer.t_max.max(chunk.t_max);
            out.write(&chunk.bits).map_err(io())?;
        }
    }
    index.write(path, &mut out, &mut footer)?;
    let (file, checksums) = out.finish().map_err(io())?;
    let mut file = file;
    let table: Vec<u8> = checksums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    footer.table_checksum = crc32fast::hash(&table);
    file.write_all(&table).map_err(io())?;
    file.write_all(&footer.bytes()).map_err(io())?;
    let file = file
        .into_inner()
        .map_err(|error| io()(error.into_error()))?;
    file.sync_all().map_err(Error::io("sync", path))?;
    Ok(footer)
}

/// The index while it is built: strings by number, entries of series, and lists of series by pair.
struct Index<'l> {
    symbols: HashMap<&'l str, u32>,
    sorted: Vec<&'l str>,
    entries: Vec<u8>,
    starts: Vec<usize>,
    pairs: BTreeMap<u32, BTreeMap<u32, Vec<u32>>>,
}

impl<'l> Index<'l> {
    fn new(series: &'l [(Labels, Vec<Chunk>)]) -> Self {
        let strings = series.iter().flat_map(|(labels, _)| labels.iter());
        let mut symbols = HashMap::new();
        for (name, value) in strings {
            symbols.insert(name, 0);
            symbols.insert(value, 0);
        }
        let mut sorted: Vec<&str> = symbols.keys().copied().collect();
        sorted.sort_unstable();
        for (symbol, number) in sorted.iter().zip(0..) {
            symbols.insert(symbol, number);
        }
        Self {
            symbols,
            sorted,
            entries: Vec::new(),
            starts: Vec::new(),
            pairs: BTreeMap::new(),
        }
    }

    fn add(&mut self, labels: &'l Labels, chunks: &[Chunk], at: u64) {
        // The head has fewer series than places can be numbered.
        let number = self.starts.len() as u32;
        self.starts.push(self.entries.len());
        push_varint(&mut self.entries, labels.iter().len() as u64);
        for (name, value) in labels.iter() {
            let (name, value) = (self.symbols[name], self.symbols[value]);
            push_varint(&mut self.entries, u64::from(name));
            push_varint(&mut self.entries, u64::from(value));
            let series = self
                .pairs
                .entry(name)
                .or_default()
                .entry(value)
                .or_default();
            series.push(number);
        }
        push_varint(&mut self.entries, at);
        push_varint(&mut self.entries, chunks.len() as u64);
        let mut before = 0;
        for chunk in chunks {
            push_zigzag(&mut self.entries, chunk.t_min.wrapping_sub(before));
            push_varint(
                &mut self.entries,
                chunk.t_max.wrapping_sub(chunk.t_min) as u64,
            );
            push_varint(&mut self.entries, u64::from(chunk.samples));
            push_varint(&mut self.entries, chunk.bits.len() as u64);
            before = chunk.t_max;
        }
    }

    fn write(
        mut self,
        path: &Path,
        out: &mut PageWriter,
        footer: &mut Footer,
    ) -> Result<(), Error> {
        let offset = |bytes: usize| {
            u32::try_from(bytes).map_err(|_| Error::TooLarge {
                bytes,
                max: u32::MAX as usize,
            })
        };
        footer.symbols_at = out.at;
        footer.symbols = self.sorted.len() as u64;
        let mut strings = Vec::new();
        let mut table = Vec::new();
        for symbol in &self.sorted {
            table.extend_from_slice(&offset(strings.len())?.to_le_bytes());
            push_string(&mut strings, symbol);
        }
        table.extend_from_slice(&offset(strings.len())?.to_le_bytes());
        out.part(path, &[&table, &strings])?;

        footer.series_at = out.at;
        self.starts.push(self.entries.len());
        table.clear();
        for start in &self.starts {
            table.extend_from_slice(&offset(*start)?.to_le_bytes());
        }
        out.part(path, &[&table, &self.entries])?;

        footer.pairs_at = out.at;
        let mut names = Vec::new();
        let mut values = Vec::new();
        let mut lists = Vec::new();
        for (name, of_name) in &self.pairs {
            names.extend_from_slice(&name.to_le_bytes());
            names.extend_from_slice(&(footer.values as u32).to_le_bytes());
            for (value, series) in of_name {
                values.extend_from_slice(&value.to_le_bytes());
                values.extend_from_slice(&offset(lists.len())?.to_le_bytes());
                push_list(&mut lists, series);
                footer.values += 1;
            }
        }
        footer.names = self.pairs.len() as u64;
        let ends = [offset(footer.values as usize)?, offset(lists.len())?];
        names.extend_from_slice(&u32::MAX.to_le_bytes());
        names.extend_from_slice(&ends[0].to_le_bytes());
        values.extend_from_slice(&u32::MAX.to_le_bytes());
        values.extend_from_slice(&ends[1].to_le_bytes());
        out.part(path, &[&names, &values, &lists])?;
        footer.pages_end = out.at;
        Ok(())
    }
}

fn push_list(out: &mut Vec<u8>, series: &[u32]) {
    push_varint(out, series.len() as u64);
    let mut before = 0;
    for number in series {
        push_varint(out, u64::from(number - before));
        before = *number;
    }
}

/// Notes the checksum of each page that goes by.
struct PageWriter {
    out: BufWriter<File>,
    at: u64,
    checksums: Vec<u32>,
    page: crc32fast::Hasher,
}

impl PageWriter {
    fn new(out: BufWriter<File>) -> Self {
        Self {
            out,
            at: 0,
            checksums: Vec::new(),
            page: crc32fast::Hasher::new(),
        }
    }

    fn part(&mut self, path: &Path, pieces: &[&[u8]]) -> Result<(), Error> {
        let mut written = pieces.iter().map(|piece| self.write(piece));
        written
            .try_for_each(|result| result)
            .map_err(Error::io("write", path))
    }

    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        while !bytes.is_empty() {
            let room = PAGE_BYTES - (self.at % PAGE_BYTES as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.page.update(now);
            self.at += now.len() as u64;
            bytes = later;
            if now.len() == room {
                self.end_page();
            }
        }
        Ok(())
    }

    fn end_page(&mut self) {
        let page = std::mem::take(&mut self.page);
        self.checksums.push(page.finalize());
    }

    fn finish(mut self) -> std::io::Result<(BufWriter<File>, Vec<u32>)> {
        if !self.at.is_multiple_of(PAGE_BYTES as u64) {
            self.end_page();
        }
        Ok((self.out, self.checksums))
    }
}
