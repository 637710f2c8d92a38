//! What became of the lines, by destination: the shipper's own metrics, and the same numbers for whoever runs it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::spool::Lost;

/// Counts of one destination since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub destination: &'static str,
    /// Lines that it took. One that is sent twice counts once, when the answer came.
    pub delivered: u64,
    /// Lines of requests that it says it had already.
    pub duplicate: u64,
    /// Lines that it will never take, passed over.
    pub rejected: u64,
    /// Lines that were let go before it had them.
    pub lost: u64,
    /// Lines that were cut, or had bytes that are no UTF-8.
    pub mended: u64,
    /// Attempts that had to be repeated.
    pub retries: u64,
    /// Bytes of log files that it has taken, or that were passed over.
    pub bytes: u64,
    /// Bytes of log files that wait for it.
    pub lag_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Counts {
    destination: &'static str,
    delivered: AtomicU64,
    duplicate: AtomicU64,
    rejected: AtomicU64,
    lost: AtomicU64,
    mended: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    lag_bytes: AtomicU64,
}

pub(crate) fn describe() {
    describe_counter!(names::SHIPPER_LINES, "Lines by what became of them.");
    describe_counter!(
        names::SHIPPER_BYTES,
        "Bytes of log files that are done with."
    );
    describe_counter!(names::SHIPPER_RETRIES, "Attempts that have to be repeated.");
    describe_gauge!(
        names::SHIPPER_LAG_BYTES,
        "Bytes of log files that wait to be delivered."
    );
    describe_counter!(
        names::SHIPPER_LOST_BYTES,
        "Bytes of log files that were let go before they were delivered."
    );
    describe_counter!(
        names::SHIPPER_LINES_MENDED,
        "Lines that were cut, or had bytes that are no UTF-8."
    );
    describe_counter!(
        names::SHIPPER_FILE_FAILURES,
        "Log files and positions that could not be read or kept."
    );
    counter!(names::SHIPPER_FILE_FAILURES).increment(0);
}

impl Counts {
    pub(crate) fn new(destination: &'static str) -> Self {
        let counts = Self {
            destination,
            delivered: AtomicU64::new(0),
            duplicate: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            mended: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lag_bytes: AtomicU64::new(0),
        };
        // All series are there from the beginning.
        counts.delivered(0);
        counts.duplicate(0);
        counts.rejected(0);
        counts.lost(Lost::default());
        counts.retried(0);
        counts.done(0, 0);
        counts.lag(0);
        counts
    }

    pub(crate) fn destination(&self) -> &'static str {
        self.destination
    }

    pub(crate) fn delivered(&self, lines: u64) {
        self.lines(&self.delivered, names::OUTCOME_DELIVERED, lines);
    }

    pub(crate) fn duplicate(&self, lines: u64) {
        self.lines(&self.duplicate, names::OUTCOME_DUPLICATE, lines);
    }

    pub(crate) fn rejected(&self, lines: u64) {
        self.lines(&self.rejected, names::OUTCOME_REJECTED, lines);
    }

    pub(crate) fn lost(&self, lost: Lost) {
        self.lines(&self.lost, names::OUTCOME_LOST, lost.lines);
        counter!(names::SHIPPER_LOST_BYTES, names::DESTINATION => self.destination)
            .increment(lost.bytes);
    }

    pub(crate) fn retried(&self, attempts: u64) {
        self.retries.fetch_add(attempts, Relaxed);
        counter!(names::SHIPPER_RETRIES, names::DESTINATION => self.destination)
            .increment(attempts);
    }

    /// A batch that is behind us.
    pub(crate) fn done(&self, bytes: u64, mended: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.mended.fetch_add(mended, Relaxed);
        counter!(names::SHIPPER_BYTES, names::DESTINATION => self.destination).increment(bytes);
        counter!(names::SHIPPER_LINES_MENDED, names::DESTINATION => self.destination)
            .increment(mended);
    }

    pub(crate) fn lag(&self, bytes: u64) {
        self.lag_bytes.store(bytes, Relaxed);
        gauge!(names::SHIPPER_LAG_BYTES, names::DESTINATION => self.destination).set(bytes as f64);
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            destination: self.destination,
            delivered: self.delivered.load(Relaxed),
            duplicate: self.duplicate.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            lost: self.lost.load(Relaxed),
            mended: self.mended.load(Relaxed),
            retries: self.retries.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            lag_bytes: self.lag_bytes.load(Relaxed),
        }
    }

    fn lines(&self, count: &AtomicU64, outcome: &'static str, lines: u64) {
        count.fetch_add(lines, Relaxed);
        let labels = [
            (names::DESTINATION, self.destination),
            (names::OUTCOME, outcome),
        ];
        counter!(names::SHIPPER_LINES, &labels).increment(lines);
    }
}
