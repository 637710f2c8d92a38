//! Pages: blocks are checked and read in pieces of [`PAGE_BYTES`], the ones used last stay in memory.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Block;
use crate::Error;

pub(super) const PAGE_BYTES: usize = 64 << 10;
/// Pages that one query holds of one block.
const HELD_MAX: usize = 64;

/// Opening of a block and page.
type Key = (u64, u32);

/// Pages of all blocks of a store. When full, the page that came first goes, unless it was used since it was last looked at.
pub(crate) struct PageCache {
    pages_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pages: HashMap<Key, Cached>,
    queue: VecDeque<Key>,
}

struct Cached {
    bytes: Arc<[u8]>,
    was_used: bool,
}

impl PageCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            pages_max: (bytes_max / PAGE_BYTES).max(1),
            state: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<[u8]>> {
        let mut state = self.state();
        let cached = state.pages.get_mut(&key)?;
        cached.was_used = true;
        Some(Arc::clone(&cached.bytes))
    }

    pub(super) fn put(&self, key: Key, bytes: Arc<[u8]>) {
        let mut state = self.state();
        while state.pages.len() >= self.pages_max {
            state.evict_one();
        }
        let was_used = false;
        if state
            .pages
            .insert(key, Cached { bytes, was_used })
            .is_none()
        {
            state.queue.push_back(key);
        }
    }

    pub(super) fn forget(&self, block: u64) {
        let mut state = self.state();
        state.pages.retain(|(number, _), _| *number != block);
        state.queue.retain(|(number, _)| *number != block);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends, since each turn takes a mark or a page away. Both collections have the same keys.
    fn evict_one(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            match self.pages.get_mut(&key) {
                Some(cached) if cached.was_used => {
                    cached.was_used = false;
                    self.queue.push_back(key);
                }
                _ => {
                    self.pages.remove(&key);
                    return;
                }
            }
        }
    }
}

/// Reads one block for one query, and holds the pages it used last so that most reads ask nobody.
pub(super) struct Pages<'b> {
    pub(super) block: &'b Block,
    held: Vec<Option<(u32, Arc<[u8]>)>>,
}

impl<'b> Pages<'b> {
    pub(super) fn new(block: &'b Block) -> Self {
        Self {
            block,
            held: vec![None; HELD_MAX],
        }
    }

    /// Copied only when it reaches over the end of a page.
    pub(super) fn read(&mut self, at: u64, length: usize) -> Result<Cow<'_, [u8]>, Error> {
        let end = at.checked_add(length as u64);
        if end.is_none_or(|end| end > self.block.footer.pages_end) {
            let block = self.block;
            return Err(Error::damaged(&block.path, "it refers to beyond its end"));
        }
        let start = (at % PAGE_BYTES as u64) as usize;
        if start + length <= PAGE_BYTES {
            return Ok(Cow::Borrowed(&self.page(at)?[start..start + length]));
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = at + bytes.len() as u64;
            let start = (at % PAGE_BYTES as u64) as usize;
            let left = length - bytes.len();
            let page = self.page(at)?;
            bytes.extend_from_slice(&page[start..page.len().min(start + left)]);
        }
        Ok(Cow::Owned(bytes))
    }

    fn page(&mut self, at: u64) -> Result<&[u8], Error> {
        // The caller has checked that it is in the file, which has fewer than 2^32 pages.
        let page = (at / PAGE_BYTES as u64) as u32;
        let slot = &mut self.held[page as usize % HELD_MAX];
        if !matches!(slot, Some((held, _)) if *held == page) {
            *slot = None;
        }
        let (_, bytes) = match slot {
            Some(held) => held,
            empty => empty.insert((page, self.block.page(page)?)),
        };
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_that_was_not_used_goes_first() {
        let cache = PageCache::new(2 * PAGE_BYTES);
        cache.put((1, 0), [0].into());
        cache.put((1, 1), [1].into());
        assert!(cache.get((1, 0)).is_some());
        cache.put((2, 0), [2].into());
        assert!(cache.get((1, 1)).is_none());
        assert_eq!(cache.get((1, 0)).unwrap()[..], [0]);
        cache.forget(1);
        assert!(cache.get((1, 0)).is_none());
        assert_eq!(cache.get((2, 0)).unwrap()[..], [2]);
        assert_eq!(cache.state().queue.len(), 1);
    }
}
