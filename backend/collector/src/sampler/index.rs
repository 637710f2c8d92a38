//! Undecided traces by their id, in many small tables: one large table makes a request wait while it grows or tidies up,
//! small ones do so one by one.

use std::collections::HashMap;

use otlp::TraceId;

/// Tables per lane of a shard; with millions of traces some thousands stand in each.
const PARTS: usize = 64;

/// The number of each undecided trace, in the order of arrival.
pub(super) struct Index {
    parts: Vec<HashMap<TraceId, u64>>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            parts: vec![HashMap::new(); PARTS],
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: &TraceId) -> Option<u64> {
        self.parts[part(id)].get(id).copied()
    }

    pub(super) fn insert(&mut self, id: TraceId, number: u64) {
        let before = self.parts[part(&id)].insert(id, number);
        self.len += usize::from(before.is_none());
    }

    pub(super) fn remove(&mut self, id: &TraceId) {
        let before = self.parts[part(id)].remove(id);
        self.len -= usize::from(before.is_some());
        if self.len == 0 {
            // What a burst took is given back when it is over.
            self.parts.fill_with(HashMap::new);
        }
    }
}

/// By bytes that are random in any trace id. Where they are not, tables are larger, and nothing else is wrong.
fn part(id: &TraceId) -> usize {
    usize::from(id.0[8] ^ id.0[15]) % PARTS
}
