//! The head: records that are in the write-ahead log and not yet in a block, in memory as compressed pages.
//!
//! A snapshot shares the closed pages and the index of keys with the head that goes on, and copies the open page.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::Record;
use crate::page::{self, Builder, RawPage};

/// One closed page, or a copy of the open one.
pub(crate) struct HeadPage {
    pub(crate) data: Data,
    /// Sorted, each once.
    pub(crate) terms: Box<[u64]>,
    pub(crate) time_min_ns: u64,
    pub(crate) time_max_ns: u64,
    /// Number of its first record in the head.
    pub(crate) first: u32,
    pub(crate) records: u32,
}

pub(crate) enum Data {
    Compressed { stored: Box<[u8]>, raw_bytes: usize },
    Open(RawPage),
}

impl HeadPage {
    pub(crate) fn read(&self) -> RawPage {
        match &self.data {
            Data::Open(raw) => raw.clone(),
            Data::Compressed { stored, raw_bytes } => page::decompress(stored, *raw_bytes)
                .expect("what was compressed in this process can be decompressed"),
        }
    }
}

#[derive(Default)]
pub(crate) struct Head {
    pages: Arc<Vec<Arc<HeadPage>>>,
    open: Builder,
    index: Arc<RwLock<Index>>,
    payload_bytes: usize,
    /// Records of the closed pages.
    closed: u32,
}

/// The records of a head by key, numbered as they came.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) keys: Vec<u64>,
    /// The record with the same key before this one.
    before: Vec<Option<u32>>,
    last: HashMap<u64, u32>,
    /// Keys of several records, here or in an older block.
    pub(crate) split: HashSet<u64>,
}

impl Head {
    /// `is_older` says whether a block has the key.
    pub(crate) fn push(&mut self, record: &Record<'_>, is_older: bool) {
        self.index
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record.key, is_older);
        self.open.push(record);
        self.payload_bytes += record.payload.len();
        if self.open.is_full() {
            self.close_page();
        }
    }

    fn close_page(&mut self) {
        if self.open.records() == 0 {
            return;
        }
        let raw = self.open.raw();
        let page = self.page(Data::Compressed {
            stored: page::compress(&raw).into(),
            raw_bytes: raw.len(),
        });
        self.closed += page.records;
        Arc::make_mut(&mut self.pages).push(Arc::new(page));
        self.open.clear();
    }

    /// The open page with these bytes.
    fn page(&self, data: Data) -> HeadPage {
        let (time_min_ns, time_max_ns) = self.open.time_ns();
        HeadPage {
            data,
            terms: self.open.terms(),
            time_min_ns,
            time_max_ns,
            first: self.closed,
            records: u32::try_from(self.open.records()).expect("a head is sealed long before"),
        }
    }

    pub(crate) fn records(&self) -> u32 {
        self.closed + self.open.records() as u32
    }

    /// Bytes of payloads, uncompressed.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Everything pushed so far.
    pub(crate) fn view(&self) -> HeadView {
        let open = (self.open.records() > 0).then(|| {
            let raw = RawPage::new(self.open.raw().into());
            let raw = raw.expect("a builder builds what a reader reads");
            Arc::new(self.page(Data::Open(raw)))
        });
        HeadView {
            closed: Arc::clone(&self.pages),
            open,
            index: Arc::clone(&self.index),
            records: self.records(),
        }
    }

    /// Nothing comes any more: every page closed.
    pub(crate) fn freeze(mut self) -> HeadView {
        self.close_page();
        self.view()
    }
}

impl Index {
    fn push(&mut self, key: u64, is_older: bool) {
        let number = u32::try_from(self.keys.len()).expect("a head is sealed long before");
        let before = self.last.insert(key, number);
        self.before.push(before);
        self.keys.push(key);
        if is_older || before.is_some() {
            self.split.insert(key);
        }
    }

    /// Numbers of the records with this key, the newest first.
    fn find(&self, key: u64) -> impl Iterator<Item = u32> + '_ {
        let last = self.last.get(&key).copied();
        std::iter::successors(last, |number| self.before[*number as usize])
    }
}

/// A head as it was at one moment.
#[derive(Clone)]
pub(crate) struct HeadView {
    closed: Arc<Vec<Arc<HeadPage>>>,
    open: Option<Arc<HeadPage>>,
    pub(crate) index: Arc<RwLock<Index>>,
    records: u32,
}

impl HeadView {
    pub(crate) fn pages(&self) -> impl Iterator<Item = &Arc<HeadPage>> + Clone {
        self.closed.iter().chain(&self.open)
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Page and slot of each record with this key, in the order in which they came.
    pub(crate) fn find(&self, key: u64) -> Vec<(&Arc<HeadPage>, usize)> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let known = |number: &u32| *number < self.records;
        let mut found: Vec<_> = index
            .find(key)
            .filter(known)
            .map(|number| self.locate(number))
            .collect();
        found.reverse();
        found
    }

    fn locate(&self, number: u32) -> (&Arc<HeadPage>, usize) {
        let after = self
            .closed
            .partition_point(|page| page.first + page.records <= number);
        let page = self.closed.get(after).or(self.open.as_ref());
        let page = page.expect("a record of the view is in one of its pages");
        (page, (number - page.first) as usize)
    }

    pub(crate) fn has(&self, key: u64) -> bool {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .last
            .contains_key(&key)
    }

    pub(crate) fn is_split(&self, key: u64) -> bool {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .split
            .contains(&key)
    }
}
