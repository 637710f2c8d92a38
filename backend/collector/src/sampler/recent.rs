//! What was decided lately: a bounded memory of two generations, and the span ids of a kept trace.

use std::{collections::HashMap, hash::Hash};

/// Remembers at most `weight_max`, and at least the half of it that was put in last.
///
/// Two maps instead of a linked list: when the young one is full it becomes the old one, and the old one is forgotten at
/// once. The price is that the memory is half empty at times; the gain is no pointer per entry.
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: usize,
    weight_max: usize,
    weigh: fn(&V) -> usize,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(weight_max: usize, weigh: fn(&V) -> usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            weight: 0,
            weight_max,
            weigh,
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let weight = (self.weigh)(&value);
        if self.weight + weight > self.weight_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, value);
    }

    /// Takes an entry out. To use one is to take it and to insert it again, which makes it young.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.remove(key) {
            self.weight -= (self.weigh)(&value);
            return Some(value);
        }
        self.old.remove(key)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }
}

/// Ids of the spans that were kept of one trace, sorted.
#[derive(Default)]
pub(super) struct SpanIds(Vec<u64>);

impl SpanIds {
    /// Adds `id` unless it is there; beyond `ids_max` duplicates are no longer recognised.
    pub(super) fn insert(&mut self, id: u64, ids_max: usize) -> bool {
        match self.0.binary_search(&id) {
            Ok(_) => false,
            Err(at) => {
                if self.0.len() < ids_max {
                    self.0.insert(at, id);
                }
                true
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_younger_half_is_remembered_and_never_more_than_the_bound() {
        let mut recent = Recent::new(10, |()| 1);
        for number in 0..100 {
            recent.insert(number, ());
            assert!(
                (0..=number)
                    .rev()
                    .take(5)
                    .all(|young| recent.contains(&young)),
                "after {number}"
            );
            assert!(
                (0..=number).filter(|key| recent.contains(key)).count() <= 10,
                "after {number}"
            );
        }
    }

    #[test]
    fn an_entry_that_is_used_stays() {
        let mut recent = Recent::new(10, |()| 1);
        recent.insert(1000, ());
        for number in 0..100 {
            recent.insert(number, ());
            let used = recent.take(&1000);
            assert_eq!(used, Some(()), "after {number}");
            recent.insert(1000, ());
        }
        assert_eq!((recent.take(&1000), recent.take(&1000)), (Some(()), None));
    }

    #[test]
    fn a_heavy_entry_pushes_out_more() {
        let mut recent = Recent::new(10, |weight: &usize| *weight);
        (0..5).for_each(|key| recent.insert(key, 1));
        recent.insert(5, 5);
        recent.insert(6, 5);
        assert_eq!(
            (0..7).map(|key| recent.contains(&key)).collect::<Vec<_>>(),
            [false, false, false, false, false, true, true]
        );
    }

    #[test]
    fn an_id_is_new_once_until_there_are_too_many() {
        let mut ids = SpanIds::default();
        let new: Vec<bool> = [7, 3, 7, 3, 9, 9, 9]
            .into_iter()
            .map(|id| ids.insert(id, 2))
            .collect();
        assert_eq!(new, [true, true, false, false, true, true, true]);
        assert_eq!(ids.len(), 2);
    }
}
