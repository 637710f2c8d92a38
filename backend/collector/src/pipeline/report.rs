//! The account of a collector in one line: nothing that was received is missing from it.

use std::fmt;

use super::queue::Exported;
use crate::{
    metrics::Levels,
    sampler::{Account, EARLY},
};

/// What became of every span that was received. `received` = `accepted` + `refused`, and `accepted` = `kept` +
/// `sampled_out` + `duplicates` + `lost` + `pending`; after the stop nothing is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub received: u64,
    pub accepted: u64,
    /// The client was told to try again, or that the span is invalid.
    pub refused: u64,
    /// Exported.
    pub kept: u64,
    pub sampled_out: u64,
    pub duplicates: u64,
    /// Kept, but the destination did not take them.
    pub lost: u64,
    /// Not decided or not exported yet.
    pub pending: u64,
    /// Memory that undecided spans take.
    pub buffered_bytes: u64,
    /// Traces decided before their time: for memory, for their number, for their size, at the stop; and dropped for
    /// more bytes than the configuration file allows.
    pub decided_early: [u64; EARLY],
    /// Requests that are no OTLP; how many spans they held is unknown.
    pub malformed_requests: u64,
}

/// What was not taken.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    pub spans: u64,
    pub malformed_requests: u64,
}

impl Report {
    pub(super) fn new(
        account: &Account,
        exported: &Exported,
        refused: Refused,
        levels: &Levels,
    ) -> Self {
        // Kept spans that the queue does not know yet wait in their shard.
        let kept_pending = account.kept - exported.sent - exported.lost;
        Self {
            received: account.accepted + refused.spans,
            accepted: account.accepted,
            refused: refused.spans,
            kept: exported.sent,
            sampled_out: account.sampled_out,
            duplicates: account.duplicates,
            lost: exported.lost,
            pending: levels.spans + kept_pending,
            buffered_bytes: levels.bytes,
            decided_early: account.early,
            malformed_requests: refused.malformed_requests,
        }
    }

    /// Every span is accounted for.
    pub fn is_exact(&self) -> bool {
        let accounted = self.kept + self.sampled_out + self.duplicates + self.lost + self.pending;
        self.received == self.accepted + self.refused && self.accepted == accounted
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            accepted,
            refused,
            kept,
            sampled_out,
            duplicates,
            lost,
            pending,
            ..
        } = self;
        let [memory, traces, size, stop, too_large] = self.decided_early;
        write!(
            f,
            "spans received {received} = accepted {accepted} + refused {refused}; accepted = kept {kept} + sampled out {sampled_out} + \
             duplicates {duplicates} + lost {lost} + pending {pending}; traces decided early: memory {memory}, number {traces}, \
             size {size}, stop {stop}, too large {too_large}; malformed requests {}",
            self.malformed_requests
        )
    }
}
