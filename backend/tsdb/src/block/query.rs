//! Reading a block: label pairs, label sets, samples. Everything read is checked; what does not fit is damage.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::Block;
use super::pages::Pages;
use crate::bytes::Reader;
use crate::chunk::{self, CHUNK_SAMPLES_MAX};
use crate::postings::Index;
use crate::{Error, LABELS_MAX, Labels, Matcher, Sample};

/// An entry of a table of pairs or names: a string and where what it stands for begins.
const ENTRY_BYTES: u64 = 8;
/// Cut into at most as many chunks: one for each sample, and samples are at least a millisecond apart.
const CHUNKS_MAX: usize = crate::BLOCK_MS as usize;

/// A string, and where what it stands for begins.
type Entry = (u32, u64);

/// One query of one block.
pub(crate) struct Query<'b> {
    pages: Pages<'b>,
    /// Strings read before.
    symbols: HashMap<u32, Box<str>>,
}

/// A series of a block.
pub(crate) struct BlockSeries {
    pub(crate) labels: Labels,
    chunks: Vec<Placed>,
}

/// A chunk in the file.
struct Placed {
    samples: u16,
    at: u64,
    bytes: usize,
}

impl<'b> Query<'b> {
    pub(crate) fn new(block: &'b Block) -> Self {
        Self {
            pages: Pages::new(block),
            symbols: HashMap::new(),
        }
    }

    /// A series by its number, with its chunks in a range.
    pub(crate) fn series(
        &mut self,
        number: u32,
        range: &RangeInclusive<i64>,
    ) -> Result<BlockSeries, Error> {
        let entry = self.entry(number)?;
        let parsed = parse(&entry, range);
        let (symbols, chunks) = parsed.ok_or_else(|| self.damage())?;
        let labels = self.labels(&symbols)?;
        Ok(BlockSeries { labels, chunks })
    }

    /// Adds the samples of a series that are in a range.
    pub(crate) fn samples(
        &mut self,
        series: &BlockSeries,
        range: &RangeInclusive<i64>,
        out: &mut Vec<Sample>,
    ) -> Result<(), Error> {
        let block = self.pages.block;
        for placed in &series.chunks {
            let bits = self.pages.read(placed.at, placed.bytes)?;
            let read = chunk::read(&bits, placed.samples, range, out);
            read.ok_or_else(|| damage(block))?;
        }
        Ok(())
    }

    /// Gives away all names of labels.
    pub(crate) fn names(&mut self, each: &mut dyn FnMut(&str)) -> Result<(), Error> {
        for index in 0..self.footer().names {
            let (symbol, _) = self.name_entry(index)?;
            each(self.symbol(symbol)?);
        }
        Ok(())
    }

    /// Gives away all values of a label.
    pub(crate) fn label_values(
        &mut self,
        name: &str,
        each: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        for index in self.values_of(name)? {
            let (symbol, _) = self.value_entry(index)?;
            self.uncached_symbol(symbol, &mut *each)?;
        }
        Ok(())
    }

    fn entry(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        let footer = self.footer();
        if u64::from(number) >= footer.series {
            return Err(self.damage());
        }
        let entries = footer.series_at + (footer.series + 1) * 4;
        let (start, end) = self.offsets(footer.series_at + u64::from(number) * 4)?;
        Ok(self
            .pages
            .read(entries + start, (end - start) as usize)?
            .into_owned())
    }

    fn labels(&mut self, symbols: &[(u32, u32)]) -> Result<Labels, Error> {
        for (name, value) in symbols {
            self.symbol(*name)?;
            self.symbol(*value)?;
        }
        let pairs: Vec<(&str, &str)> = symbols
            .iter()
            .map(|(name, value)| (&*self.symbols[name], &*self.symbols[value]))
            .collect();
        Ok(Labels::from_sorted(&pairs))
    }

    fn symbol(&mut self, number: u32) -> Result<&str, Error> {
        if !self.symbols.contains_key(&number) {
            let symbol = self.uncached_symbol(number, |symbol| Box::<str>::from(symbol))?;
            self.symbols.insert(number, symbol);
        }
        Ok(&self.symbols[&number])
    }

    /// For what is looked at once, as in a search.
    fn uncached_symbol<T>(
        &mut self,
        number: u32,
        with: impl FnOnce(&str) -> T,
    ) -> Result<T, Error> {
        let footer = self.footer();
        if u64::from(number) >= footer.symbols {
            return Err(self.damage());
        }
        let strings = footer.symbols_at + (footer.symbols + 1) * 4;
        let (start, end) = self.offsets(footer.symbols_at + u64::from(number) * 4)?;
        let block = self.pages.block;
        let bytes = self.pages.read(strings + start, (end - start) as usize)?;
        let string = Reader(&bytes).string();
        string.map(with).ok_or_else(|| damage(block))
    }

    /// Two neighbours in a table of offsets.
    fn offsets(&mut self, at: u64) -> Result<(u64, u64), Error> {
        let (start, end) = self.words(at)?;
        match start <= end {
            true => Ok((start.into(), end.into())),
            false => Err(self.damage()),
        }
    }

    /// A label name and where its values begin.
    fn name_entry(&mut self, index: u64) -> Result<Entry, Error> {
        let at = self.footer().pairs_at + index * ENTRY_BYTES;
        self.table_entry(at)
    }

    /// A label value and where its list begins.
    fn value_entry(&mut self, index: u64) -> Result<Entry, Error> {
        let at = self.values_at() + index * ENTRY_BYTES;
        self.table_entry(at)
    }

    fn table_entry(&mut self, at: u64) -> Result<Entry, Error> {
        let (symbol, start) = self.words(at)?;
        Ok((symbol, start.into()))
    }

    fn words(&mut self, at: u64) -> Result<(u32, u32), Error> {
        let block = self.pages.block;
        let bytes = self.pages.read(at, 8)?;
        let mut reader = Reader(&bytes);
        let words = reader.u32().zip(reader.u32());
        words.ok_or_else(|| damage(block))
    }

    fn values_at(&self) -> u64 {
        let footer = self.footer();
        footer.pairs_at + (footer.names + 1) * ENTRY_BYTES
    }

    /// Indexes of the values of a label; none when it is nowhere.
    fn values_of(&mut self, name: &str) -> Result<std::ops::Range<u64>, Error> {
        let names = 0..self.footer().names;
        let Some(index) = self.search(names, name, Self::name_entry)? else {
            return Ok(0..0);
        };
        let (_, start) = self.name_entry(index)?;
        let (_, end) = self.name_entry(index + 1)?;
        match start <= end && end <= self.footer().values {
            true => Ok(start..end),
            false => Err(self.damage()),
        }
    }

    /// Entries are in the order of their strings.
    fn search(
        &mut self,
        mut range: std::ops::Range<u64>,
        wanted: &str,
        entry: fn(&mut Self, u64) -> Result<Entry, Error>,
    ) -> Result<Option<u64>, Error> {
        while !range.is_empty() {
            let middle = range.start + (range.end - range.start) / 2;
            let (symbol, _) = entry(self, middle)?;
            let order = self.uncached_symbol(symbol, |found| found.cmp(wanted))?;
            match order {
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        Ok(None)
    }

    fn list(&mut self, index: u64) -> Result<Vec<u32>, Error> {
        let footer = self.footer();
        let lists = self.values_at() + (footer.values + 1) * ENTRY_BYTES;
        let (_, start) = self.value_entry(index)?;
        let (_, end) = self.value_entry(index + 1)?;
        let Some(length) = end.checked_sub(start) else {
            return Err(self.damage());
        };
        let block = self.pages.block;
        let bytes = self.pages.read(lists + start, length as usize)?;
        parse_list(&bytes, footer.series).ok_or_else(|| damage(block))
    }

    fn footer(&self) -> super::Footer {
        self.pages.block.footer
    }

    fn damage(&self) -> Error {
        damage(self.pages.block)
    }
}

impl BlockSeries {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

impl Index for Query<'_> {
    type Error = Error;

    fn all(&mut self) -> Result<Vec<u32>, Error> {
        // Each series has four bytes of offset in the file, so it is a number that can be allocated.
        Ok((0..self.footer().series as u32).collect())
    }

    fn pair(&mut self, name: &str, value: &str) -> Result<Vec<u32>, Error> {
        let values = self.values_of(name)?;
        match self.search(values, value, Self::value_entry)? {
            Some(index) => self.list(index),
            None => Ok(Vec::new()),
        }
    }

    fn pairs(
        &mut self,
        name: &str,
        wanted: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<Vec<u32>>, Error> {
        let mut lists = Vec::new();
        for index in self.values_of(name)? {
            let (symbol, _) = self.value_entry(index)?;
            if self.uncached_symbol(symbol, |value| wanted(value))? {
                lists.push(self.list(index)?);
            }
        }
        Ok(lists)
    }

    fn values(&mut self, name: &str) -> Result<usize, Error> {
        let values = self.values_of(name)?;
        Ok((values.end - values.start) as usize)
    }

    fn holds(&mut self, series: u32, matcher: &Matcher) -> Result<bool, Error> {
        let series = self.series(series, &(0..=0))?;
        Ok(matcher.holds(&series.labels))
    }
}

fn damage(block: &Block) -> Error {
    Error::damaged(block.path(), "its index makes no sense")
}

type Parsed = (Vec<(u32, u32)>, Vec<Placed>);

/// The strings of a series, and its chunks in the range.
fn parse(entry: &[u8], range: &RangeInclusive<i64>) -> Option<Parsed> {
    let mut reader = Reader(entry);
    let labels = reader.length().filter(|labels| *labels <= LABELS_MAX)?;
    let mut symbols = Vec::with_capacity(labels);
    for _ in 0..labels {
        let pair = (reader.varint()?, reader.varint()?);
        symbols.push((pair.0.try_into().ok()?, pair.1.try_into().ok()?));
    }
    let mut at = reader.varint()?;
    let count = reader.length().filter(|count| *count <= CHUNKS_MAX)?;
    let mut chunks = Vec::new();
    let mut before = 0_i64;
    for _ in 0..count {
        let t_min = before.wrapping_add(reader.zigzag()?);
        let t_max = t_min.wrapping_add(reader.varint()? as i64);
        let samples = u16::try_from(reader.varint()?).ok()?;
        let bytes = reader.length()?;
        if samples > CHUNK_SAMPLES_MAX {
            return None;
        }
        if t_min <= *range.end() && t_max >= *range.start() {
            chunks.push(Placed { samples, at, bytes });
        }
        before = t_max;
        at = at.checked_add(bytes as u64)?;
    }
    Some((symbols, chunks))
}

/// Numbers below `series`, rising.
fn parse_list(bytes: &[u8], series: u64) -> Option<Vec<u32>> {
    let mut reader = Reader(bytes);
    let count = reader.length().filter(|count| *count <= bytes.len())?;
    let mut list = Vec::with_capacity(count);
    let mut number = 0_u64;
    for index in 0..count {
        let step = reader.varint()?;
        if step == 0 && index > 0 {
            return None;
        }
        number = number.checked_add(step).filter(|number| *number < series)?;
        list.push(number as u32);
    }
    Some(list)
}
