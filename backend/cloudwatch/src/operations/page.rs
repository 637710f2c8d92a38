//! One page of events: its limits, and what a group still shows.

use crate::{
    catalogue::{EVENT_OVERHEAD_BYTES, Group},
    events,
};

use super::put::DAY_MS;

/// Events of one page, and how many it has when nothing is said.
pub(super) const EVENTS_MAX: usize = 10_000;
/// Bytes of one page's messages. One event always fits.
const BYTES_MAX: u64 = 1 << 20;

/// Counts what goes into a page.
pub(super) struct Room {
    events: usize,
    bytes: u64,
}

impl Room {
    pub(super) fn new(events: usize) -> Self {
        Self {
            events,
            bytes: BYTES_MAX,
        }
    }

    /// Whether this message still fits; then it is counted.
    pub(super) fn takes(&mut self, message: &str) -> bool {
        let bytes = message.len() as u64 + EVENT_OVERHEAD_BYTES;
        if self.events == 0 || self.bytes < bytes {
            return false;
        }
        self.events -= 1;
        self.bytes -= bytes;
        true
    }
}

/// The first time, in nanoseconds, that a group shows: older events are expired, though they may still be stored.
pub(super) fn start_ns(group: &Group, asked_ms: Option<i64>, now_ms: i64) -> i64 {
    let retention = group.retention_days.map(i64::from);
    let shown_ms = retention.map_or(i64::MIN, |days| now_ms - days * DAY_MS);
    events::ns(asked_ms.unwrap_or(0).max(shown_ms))
}
