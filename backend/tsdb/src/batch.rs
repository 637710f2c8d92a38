//! What is handed to [`crate::Store::append`] and what comes back: one batch is one scrape or one remote-write request.

use crate::{Exemplar, Labels};

/// Labels of one series.
pub const LABELS_MAX: usize = 256;
/// Bytes of the labels of one series, with those that keep them apart.
pub const LABELS_BYTES_MAX: usize = 64 << 10;
/// How far a sample may be ahead of the time of its batch: clocks differ. As in Prometheus.
pub const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;

/// A series in the head, for the appender that saw it before. Valid for the process; never given to another series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub(crate) u64);

/// Which series a sample or exemplar belongs to.
#[derive(Clone, Debug)]
pub enum SeriesKey {
    /// The fast path. A series that has left memory meanwhile is [`Outcome::UnknownSeries`].
    Ref(SeriesRef),
    /// Found by its labels, or created.
    Labels(Labels),
    /// The reference if it is still known, otherwise the labels.
    Cached(SeriesRef, Labels),
}

/// One sample of a batch.
#[derive(Clone, Debug)]
pub struct Entry {
    pub series: SeriesKey,
    pub t_ms: i64,
    pub value: f64,
}

/// Samples in the order in which they are judged. Reuse one for many appends: [`Batch::clear`] keeps its memory.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What is too far ahead is measured from here.
    pub now_ms: i64,
    pub entries: Vec<Entry>,
}

/// What became of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Stored,
    /// The newest sample of the series has the same time and the same bits: nothing to do, and no error in Prometheus.
    Duplicate,
    /// The newest sample of the series has the same time and another value.
    DuplicateTimestamp,
    /// The series has a newer sample.
    OutOfOrder,
    /// Before what the head takes (Prometheus: out of bounds).
    TooOld,
    /// More than [`crate::AHEAD_MS_MAX`] after `now_ms` (Prometheus: out of bounds).
    TooFarAhead,
    /// A new series when the head has as many as it may.
    SeriesLimit,
    /// A reference alone whose series has left memory.
    UnknownSeries,
    /// No labels, or more than [`crate::LABELS_MAX`] or [`crate::LABELS_BYTES_MAX`].
    InvalidLabels,
}

/// What became of one sample, and the reference to send the next one by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub outcome: Outcome,
    /// There whenever the series is.
    pub series: Option<SeriesRef>,
}

/// What became of a batch, entry by entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendReport {
    /// In the batch's order.
    pub entries: Vec<Appended>,
    /// How many were stored.
    pub stored: usize,
    /// How many series were not in the head before.
    pub series_created: usize,
}

/// An exemplar and the series that has it.
#[derive(Clone, Debug)]
pub struct ExemplarEntry {
    pub series: SeriesKey,
    pub exemplar: Exemplar,
}

/// What became of one exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExemplarOutcome {
    Stored,
    /// The same as the newest of its series: nothing to do.
    Duplicate,
    /// Older than the newest of its series, or of the same time and smaller.
    OutOfOrder,
    /// Its labels have more than [`crate::EXEMPLAR_CHARS_MAX`] characters.
    LabelsTooLong,
    /// The head has no such series.
    UnknownSeries,
}

impl Batch {
    pub fn new(now_ms: i64) -> Self {
        Self {
            now_ms,
            entries: Vec::new(),
        }
    }

    pub fn push(&mut self, series: SeriesKey, t_ms: i64, value: f64) {
        self.entries.push(Entry {
            series,
            t_ms,
            value,
        });
    }

    /// Empty, for the next scrape.
    pub fn clear(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.entries.clear();
    }
}

impl AppendReport {
    /// How many samples had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let had = |entry: &&Appended| entry.outcome == outcome;
        self.entries.iter().filter(had).count()
    }
}
