//! The notification log: what each webhook was last told of each group. It decides what is news. Kept over a restart by the
//! journal.
//!
//! An entry is kept for two repeat intervals. Whoever takes nothing for longer than that is not told of an end any more, as in
//! the real one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::labels::Fingerprint;

/// Entries held; beyond, the oldest go.
pub const ENTRIES_MAX: usize = 100_000;

/// Whom an entry is about: a group, and one webhook of its receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogKey {
    pub group: String,
    pub receiver: String,
    pub webhook: usize,
}

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub key: LogKey,
    pub time_ms: i64,
    pub firing: BTreeSet<Fingerprint>,
    pub resolved: BTreeSet<Fingerprint>,
    pub expires_at_ms: i64,
}

#[derive(Debug, Default)]
pub(crate) struct NotificationLog {
    entries: BTreeMap<LogKey, LogEntry>,
}

impl NotificationLog {
    /// True if a webhook must be told that these alerts fire and those are resolved.
    pub(crate) fn is_news(
        &self,
        key: &LogKey,
        firing: &BTreeSet<Fingerprint>,
        resolved: &BTreeSet<Fingerprint>,
        send_resolved: bool,
        repeat_before_ms: i64,
    ) -> bool {
        let Some(last) = self.entries.get(key) else {
            return !firing.is_empty();
        };
        if !firing.is_subset(&last.firing) {
            return true;
        }
        // Told even where resolved alerts are not sent: the log must know that nothing fires any more.
        if firing.is_empty() {
            return !last.firing.is_empty();
        }
        (send_resolved && !resolved.is_subset(&last.resolved)) || last.time_ms < repeat_before_ms
    }

    /// Replaces what was told before. By order, not by time: the clock may have gone back.
    pub(crate) fn set(&mut self, entry: LogEntry) {
        self.entries.insert(entry.key.clone(), entry);
        if self.entries.len() > ENTRIES_MAX {
            let oldest = self.entries.values().min_by_key(|entry| entry.time_ms);
            if let Some(key) = oldest.map(|entry| entry.key.clone()) {
                self.entries.remove(&key);
            }
        }
    }

    pub(crate) fn forget(&mut self, now_ms: i64) {
        self.entries.retain(|_, entry| entry.expires_at_ms > now_ms);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.values()
    }
}
