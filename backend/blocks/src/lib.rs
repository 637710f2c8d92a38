//! Append-only compressed block files with a write-ahead log.
//!
//! A [`Store`] owns one directory. A [`Record`] is opaque bytes under a key, a time range and a set of terms; it is there for
//! every [`Snapshot`] as soon as [`Store::append`] returns, survives a kill, and leaves with its block by age or size. What
//! the bytes mean is the caller's matter. The files are described in `docs/formats/blocks.md`.

mod block;
mod bytes;
mod error;
mod filter;
mod head;
mod page;
mod snapshot;
mod store;
mod wal;

pub use error::Error;
pub use page::{Page, Payload, Stored};
pub use snapshot::{Pages, Scan, Snapshot};
pub use store::{HEAD_AGE_MAX, Options, Recovery, Retired, Stats, Store};

/// Largest payload of one record, bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// Most terms of one record.
pub const TERMS_MAX: usize = 1 << 20;

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What [`Snapshot::find`] looks up. Expected to be spread evenly, as [`hash`] does.
    pub key: u64,
    /// Unix nanoseconds; at most `time_max_ns`, and not the very last.
    pub time_min_ns: u64,
    pub time_max_ns: u64,
    /// Hashes that a [`Scan`] can ask for, in any order.
    pub terms: &'a [u64],
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Whether a scan over all of time finds it.
    pub(crate) fn has_times(&self) -> bool {
        self.time_min_ns <= self.time_max_ns && self.time_min_ns < u64::MAX
    }
}

/// The hash of keys and terms: xxh3-64 with seed 0. Part of the format.
pub fn hash(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}
