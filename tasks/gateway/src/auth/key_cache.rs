//! Which API keys were found in the table, and which were not: a bounded memory with an injected clock.
//!
//! It asks nobody and compares no secrets. What is remembered is a key's id and what the table says of it; the key as
//! the client sent it is never here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long a key that exists is believed without asking again: as long as it still works after it was removed, and
/// while the table is away.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(30);
/// How long an id without a key is believed: as long as a new key may have to wait if it was used too early.
pub(super) const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Ids remembered with a key, and as many without one. Strangers who try ids push out other strangers only.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// What is remembered of a key id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Memory<K> {
    Known(K),
    Unknown,
    /// Nothing: the table has to be asked.
    None,
}

pub(super) struct KeyCache<K> {
    known: Expiring<K>,
    unknown: Expiring<()>,
}

impl<K: Clone> KeyCache<K> {
    pub(super) fn new() -> Self {
        Self {
            known: Expiring::new(KNOWN_FOR),
            unknown: Expiring::new(UNKNOWN_FOR),
        }
    }

    pub(super) fn get(&self, id: &str, now: Instant) -> Memory<K> {
        if let Some(key) = self.known.get(id, now) {
            return Memory::Known(key.clone());
        }
        match self.unknown.get(id, now) {
            Some(()) => Memory::Unknown,
            None => Memory::None,
        }
    }

    /// Remembers what the table said.
    pub(super) fn put(&mut self, id: &str, key: Option<K>, now: Instant) {
        match key {
            Some(key) => {
                self.unknown.remove(id);
                self.known.insert(id, key, now);
            }
            None => {
                self.known.remove(id);
                self.unknown.insert(id, (), now);
            }
        }
    }
}

/// A map whose entries all live equally long, so that the oldest one is always the next to go.
struct Expiring<V> {
    lifetime: Duration,
    entries: HashMap<String, Entry<V>>,
    /// In the order of their end. An id that was removed or replaced meanwhile stays here until its turn.
    ends: VecDeque<(Instant, String)>,
}

struct Entry<V> {
    value: V,
    end: Instant,
}

impl<V> Expiring<V> {
    fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            entries: HashMap::new(),
            ends: VecDeque::new(),
        }
    }

    fn get(&self, id: &str, now: Instant) -> Option<&V> {
        let entry = self.entries.get(id).filter(|entry| now < entry.end)?;
        Some(&entry.value)
    }

    fn insert(&mut self, id: &str, value: V, now: Instant) {
        self.make_room(now);
        let end = now + self.lifetime;
        self.ends.push_back((end, id.to_owned()));
        self.entries.insert(id.to_owned(), Entry { value, end });
    }

    fn remove(&mut self, id: &str) {
        self.entries.remove(id);
    }

    /// Drops what has ended, and the oldest entry if that was not enough.
    fn make_room(&mut self, now: Instant) {
        while let Some((end, id)) = self.ends.front()
            && (*end <= now || self.ends.len() >= ENTRIES_MAX)
        {
            if self.entries.get(id).is_some_and(|entry| entry.end == *end) {
                self.entries.remove(id);
            }
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_key_is_believed_for_its_time_and_no_longer() {
        let start = Instant::now();
        let mut cache = KeyCache::new();
        cache.put("ada", Some(1), start);
        assert_eq!(cache.get("ada", start), Memory::Known(1));
        assert_eq!(
            cache.get("ada", start + KNOWN_FOR - MOMENT),
            Memory::Known(1)
        );
        assert_eq!(cache.get("ada", start + KNOWN_FOR), Memory::None);
    }

    #[test]
    fn an_unknown_id_is_believed_for_a_shorter_time() {
        let start = Instant::now();
        let mut cache = KeyCache::<u8>::new();
        cache.put("ada", None, start);
        assert_eq!(
            cache.get("ada", start + UNKNOWN_FOR - MOMENT),
            Memory::Unknown
        );
        assert_eq!(cache.get("ada", start + UNKNOWN_FOR), Memory::None);
    }

    #[test]
    fn the_last_answer_of_the_table_counts() {
        let start = Instant::now();
        let mut cache = KeyCache::new();
        cache.put("ada", None, start);
        cache.put("ada", Some(1), start);
        assert_eq!(cache.get("ada", start), Memory::Known(1));
        cache.put("ada", Some(2), start);
        assert_eq!(cache.get("ada", start), Memory::Known(2));
        cache.put("ada", None, start);
        assert_eq!(cache.get("ada", start), Memory::Unknown);
    }

    #[test]
    fn a_renewed_key_outlives_its_first_end() {
        let start = Instant::now();
        let later = start + KNOWN_FOR / 2;
        let mut cache = KeyCache::new();
        cache.put("ada", Some(1), start);
        cache.put("ada", Some(1), later);
        cache.put("bob", Some(2), start + KNOWN_FOR);
        assert_eq!(
            cache.get("ada", later + KNOWN_FOR - MOMENT),
            Memory::Known(1)
        );
    }

    #[test]
    fn strangers_do_not_push_out_keys() {
        let start = Instant::now();
        let mut cache = KeyCache::new();
        cache.put("ada", Some(1), start);
        for stranger in 0..2 * ENTRIES_MAX {
            cache.put(&format!("stranger-{stranger}"), None, start);
        }
        assert_eq!(cache.get("ada", start), Memory::Known(1));
        assert_eq!(cache.unknown.entries.len(), ENTRIES_MAX);
        assert_eq!(cache.get("stranger-0", start), Memory::None);
    }

    proptest! {
        /// Against a model without bounds: the cache may forget, but never says what the table did not say last, and
        /// never for longer than it may.
        #[test]
        fn nothing_is_ever_remembered_wrongly(steps in prop::collection::vec((0..4_u8, any::<Option<u8>>(), 0..9_u64), 1..200)) {
            let mut now = Instant::now();
            let mut cache = KeyCache::new();
            let mut model: HashMap<u8, (Option<u8>, Instant)> = HashMap::new();
            for (id, said, seconds) in steps {
                now += Duration::from_secs(seconds);
                for (id, (said, at)) in &model {
                    let lifetime = if said.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
                    let expected = match said {
                        _ if now >= *at + lifetime => Memory::None,
                        Some(key) => Memory::Known(*key),
                        None => Memory::Unknown,
                    };
                    prop_assert_eq!(cache.get(&id.to_string(), now), expected);
                }
                cache.put(&id.to_string(), said, now);
                model.insert(id, (said, now));
            }
            prop_assert!(cache.known.ends.len() <= 200 && cache.known.entries.len() <= 4);
        }
    }
}
