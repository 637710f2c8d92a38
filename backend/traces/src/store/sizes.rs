//! How many bytes of each recent trace were taken, to refuse what one trace gets beyond its bound.
//!
//! Two generations of a bounded map: a trace that got nothing for a while is forgotten and may grow again; readers bound
//! what they join on their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Traces of one generation: at most twice as many are known.
const GENERATION_TRACES: usize = 65_536;

#[derive(Default)]
pub(super) struct Sizes(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<u64, usize>,
    old: HashMap<u64, usize>,
}

impl Sizes {
    /// Bytes taken so far of a trace.
    pub(super) fn of(&self, trace: u64) -> usize {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.of(trace)
    }

    /// What was stored of several traces.
    pub(super) fn add(&self, taken: impl Iterator<Item = (u64, usize)>) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (trace, bytes) in taken {
            generations.add(trace, bytes);
        }
    }
}

impl Generations {
    fn of(&self, trace: u64) -> usize {
        let known = self.young.get(&trace).or_else(|| self.old.get(&trace));
        known.copied().unwrap_or(0)
    }

    fn add(&mut self, trace: u64, bytes: usize) {
        let total = self.of(trace) + bytes;
        self.young.insert(trace, total);
        if self.young.len() >= GENERATION_TRACES {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sizes_add_up_and_the_memory_of_them_is_bounded() {
        let sizes = Sizes::default();
        sizes.add([(1, 10), (2, 5), (1, 20)].into_iter());
        assert_eq!((sizes.of(1), sizes.of(2), sizes.of(3)), (30, 5, 0));
        for trace in 0..10 * GENERATION_TRACES as u64 {
            sizes.add(std::iter::once((trace, 1)));
        }
        assert_eq!(sizes.of(10 * GENERATION_TRACES as u64 - 1), 1);
        assert_eq!(sizes.of(1), 0, "forgotten");
        let known = sizes.0.lock().unwrap();
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION_TRACES);
    }
}
