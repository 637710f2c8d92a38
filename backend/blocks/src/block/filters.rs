//! The filters of terms that are in memory: the most lately used ones, up to a bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Block;
use crate::Error;
use crate::filter::TermFilter;

/// Bytes of filters held in memory: of about 13 million spans.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Shared by all snapshots of a store.
#[derive(Default)]
pub(crate) struct FilterCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    /// By number of the block, with the turn of the last use.
    filters: HashMap<u64, (Arc<TermFilter>, u64)>,
    bytes: usize,
    turn: u64,
}

impl FilterCache {
    pub(crate) fn of(&self, block: &Block) -> Result<Arc<TermFilter>, Error> {
        if let Some(filter) = self.cached().touch(block.number) {
            return Ok(filter);
        }
        // Without the lock: a second reader may load the same one, and loses nothing but time.
        let filter = Arc::new(block.load_filter()?);
        self.cached().insert(block.number, &filter);
        Ok(filter)
    }

    /// Loads the filters of the newest blocks as far as there is room, while `is_wanted`: so that the first who asks does not wait
    /// for all of them. The newest come last: whoever asks meanwhile begins with those.
    pub(crate) fn warm(&self, blocks: &[Arc<Block>], is_wanted: impl Fn() -> bool) {
        let mut bytes = 0;
        let fit = blocks.iter().rev().take_while(|block| {
            bytes += block.filter_bytes();
            bytes <= CACHE_BYTES_MAX as u64
        });
        let fit: Vec<&Arc<Block>> = fit.collect();
        for block in fit.into_iter().rev() {
            if !is_wanted() {
                return;
            }
            // Who asks for one that cannot be read is told.
            let _ = self.of(block);
        }
    }

    pub(crate) fn forget(&self, number: u64) {
        self.cached().remove(number);
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    fn touch(&mut self, number: u64) -> Option<Arc<TermFilter>> {
        self.turn += 1;
        let (filter, used) = self.filters.get_mut(&number)?;
        *used = self.turn;
        Some(Arc::clone(filter))
    }

    fn insert(&mut self, number: u64, filter: &Arc<TermFilter>) {
        self.remove(number);
        self.bytes += filter.rows().len();
        self.filters.insert(number, (Arc::clone(filter), self.turn));
        while self.bytes > CACHE_BYTES_MAX {
            let oldest = self.filters.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(number, _)| *number) else {
                break;
            };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some((filter, _)) = self.filters.remove(&number) {
            self.bytes -= filter.rows().len();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Options, Record, Store};

    #[test]
    fn filters_are_loaded_before_anybody_asks_while_the_store_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
        for key in 1..=3 {
            let record = Record {
                key,
                time_min_ns: key,
                time_max_ns: key,
                terms: &[key],
                payload: b"payload",
            };
            store.append(&[record]).unwrap();
            store.seal().unwrap();
        }
        let open = |number: u64| {
            let path = dir.path().join(format!("{number:08}.blk"));
            Arc::new(Block::open(&path, number).unwrap())
        };
        let blocks: Vec<Arc<Block>> = (1..=3).map(open).collect();
        let loaded = |is_wanted: &dyn Fn() -> bool| {
            let filters = FilterCache::default();
            filters.warm(&blocks, is_wanted);
            let cached = filters.cached();
            let mut numbers: Vec<u64> = cached.filters.keys().copied().collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(loaded(&|| true), [1, 2, 3]);
        assert_eq!(loaded(&|| false), []);
    }
}
