//! Reading: a consistent view of a store, lookups by key, scans by time and terms.

use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use crate::Error;
use crate::block::{Block, FilterCache};
use crate::filter;
use crate::head::{HeadPage, HeadView};
use crate::page::{self, Page, Payload, RawPage};

/// What readers share with each other and with the store.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) filters: FilterCache,
    /// Keys of several records, as far as one of them is in a block.
    pub(crate) split: RwLock<HashSet<u64>>,
}

/// Everything that was appended before it was taken. Holds its files and pages until it is dropped.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
    /// The one that is being written as a block, then the one that grows.
    pub(crate) heads: Vec<HeadView>,
}

/// Which pages to walk, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Records that overlap it, Unix nanoseconds.
    pub time_ns: Range<u64>,
    /// Pages that may hold what satisfies one of these; no condition at all when empty. Each is an AND of ORs of terms; a
    /// term of each OR is somewhere in the page, not necessarily in one record.
    pub any_of: Vec<Vec<Vec<u64>>>,
    /// By the last time of the pages, descending; otherwise by their first, ascending.
    pub newest_first: bool,
}

impl Snapshot {
    /// The payloads under a key, in the order in which they were appended.
    ///
    /// # Errors
    /// A block is damaged or cannot be read.
    pub fn find(&self, key: u64) -> Result<Vec<Payload>, Error> {
        let mut found = Vec::new();
        for block in self.blocks.iter() {
            let mut last: Option<(usize, RawPage)> = None;
            for (page, slot) in block.find(key)? {
                let raw = match last.take() {
                    Some((number, raw)) if number == page => raw,
                    _ => block.read_page(page)?,
                };
                if slot >= raw.records() {
                    return Err(block.damaged("index"));
                }
                found.push(raw.payload(slot));
                last = Some((page, raw));
            }
        }
        for (page, slot) in self.heads.iter().flat_map(|head| head.find(key)) {
            found.push(page.read().payload(slot));
        }
        Ok(found)
    }

    /// Whether a key may have several records. Never false for one that has.
    pub fn is_split(&self, key: u64) -> bool {
        let split = self
            .shared
            .split
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        split.contains(&key) || self.heads.iter().any(|head| head.is_split(key))
    }

    /// The pages that may hold what is asked for. A page that cannot be read is an error in its place; the ones behind it
    /// follow.
    pub fn scan(&self, scan: &Scan) -> Pages<'_> {
        let mut pages = Pages {
            snapshot: self,
            scan: scan.clone(),
            heap: BinaryHeap::new(),
        };
        for (number, block) in self.blocks.iter().enumerate() {
            pages.consider(block.time_min_ns, block.time_max_ns, Place::Block(number));
        }
        for page in self.heads.iter().flat_map(HeadView::pages) {
            if scan.any_of.is_empty() || filter::satisfies(&page.terms, &scan.any_of) {
                let place = Place::Head(Arc::clone(page));
                pages.consider(page.time_min_ns, page.time_max_ns, place);
            }
        }
        pages
    }
}

/// The pages of a scan, in its order.
pub struct Pages<'s> {
    snapshot: &'s Snapshot,
    scan: Scan,
    /// What comes next is on top. A block stands for its pages until it gets there.
    heap: BinaryHeap<Candidate>,
}

struct Candidate {
    /// Greater comes first.
    order: u64,
    time_min_ns: u64,
    time_max_ns: u64,
    place: Place,
}

enum Place {
    Block(usize),
    Page { block: usize, page: usize },
    Head(Arc<HeadPage>),
}

impl Pages<'_> {
    fn consider(&mut self, time_min_ns: u64, time_max_ns: u64, place: Place) {
        if page::overlaps(&self.scan.time_ns, time_min_ns, time_max_ns) {
            let order = if self.scan.newest_first {
                time_max_ns
            } else {
                !time_min_ns
            };
            self.heap.push(Candidate {
                order,
                time_min_ns,
                time_max_ns,
                place,
            });
        }
    }

    fn open(&mut self, number: usize) -> Result<(), Error> {
        let block = &self.snapshot.blocks[number];
        let pages: Vec<usize> = match self.scan.any_of.is_empty() {
            true => (0..block.pages().len()).collect(),
            false => self
                .snapshot
                .shared
                .filters
                .of(block)?
                .candidates(&self.scan.any_of),
        };
        for page in pages {
            let row = block.pages()[page];
            let place = Place::Page {
                block: number,
                page,
            };
            self.consider(row.time_min_ns, row.time_max_ns, place);
        }
        Ok(())
    }

    fn page(&self, raw: RawPage, time_min_ns: u64, time_max_ns: u64) -> Page {
        Page {
            raw,
            range_ns: self.scan.time_ns.clone(),
            time_min_ns,
            time_max_ns,
        }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Page, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.heap.pop()?;
            let raw = match next.place {
                Place::Block(number) => match self.open(number) {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                },
                Place::Page { block, page } => self.snapshot.blocks[block].read_page(page),
                Place::Head(page) => Ok(page.read()),
            };
            return Some(raw.map(|raw| self.page(raw, next.time_min_ns, next.time_max_ns)));
        }
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}
