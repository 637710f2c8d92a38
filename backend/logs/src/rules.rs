//! Which lines are taken. The limits and their values are those of Loki 3.7 in its default configuration.

use tsdb::Labels;

use crate::store::NewEntry;

const SECOND_NS: i64 = 1_000_000_000;
/// A line that is older is refused (`reject_old_samples_max_age`): 7 days.
pub const OLD_NS_MAX: i64 = 7 * 24 * 3_600 * SECOND_NS;
/// How far a line may be ahead of the clock (`creation_grace_period`).
pub const AHEAD_NS_MAX: i64 = 600 * SECOND_NS;
/// How far a line may be behind the newest of its stream (half of `max_chunk_age`).
pub const BEHIND_NS_MAX: i64 = 3_600 * SECOND_NS;
/// `max_line_size`.
pub const LINE_BYTES_MAX: usize = 256 << 10;
/// Bytes of a line where whoever appends has judged already: an event of CloudWatch Logs.
pub const LINE_BYTES_MAX_ANYTHING: usize = 1 << 20;
/// Labels of a stream (`max_label_names_per_series`).
pub const LABELS_MAX: usize = 15;
/// Bytes of the labels of a stream, names and values.
pub const LABELS_BYTES_MAX: usize = 16 << 10;
/// Structured metadata of a line (`max_structured_metadata_entries_count`).
pub const METADATA_MAX: usize = 128;
/// `max_structured_metadata_size`.
pub const METADATA_BYTES_MAX: usize = 64 << 10;

/// Whose rules a store follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// Loki's: bounds on time and size, and a line that was stored before is shown once.
    #[default]
    Loki,
    /// Whoever appends has judged already; the same line twice is two lines. Sizes are still bounded.
    Anything,
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TooOld {
        oldest_ns: i64,
    },
    TooFarAhead,
    TooFarBehind {
        oldest_ns: i64,
    },
    LineTooLong {
        bytes: usize,
    },
    /// There is none, or there are too many or too long ones.
    InvalidLabels,
    TooMuchMetadata {
        count: usize,
    },
    MetadataTooLong {
        bytes: usize,
    },
    /// A new stream when there are as many as there may be.
    StreamLimit,
}

impl Rules {
    /// What is wrong with the labels of a stream.
    pub(crate) fn labels(self, labels: &Labels) -> Option<Refused> {
        let count = labels.iter().len();
        let bytes: usize = labels
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let is_good = (1..=LABELS_MAX).contains(&count) && bytes <= LABELS_BYTES_MAX;
        (!is_good).then_some(Refused::InvalidLabels)
    }

    /// What is wrong with a line of a stream whose newest is `newest_ns`.
    pub(crate) fn entry(
        self,
        entry: &NewEntry,
        newest_ns: Option<i64>,
        now_ns: i64,
    ) -> Option<Refused> {
        size(self, entry).or_else(|| time(self, entry.t_ns, newest_ns, now_ns))
    }
}

fn size(rules: Rules, entry: &NewEntry) -> Option<Refused> {
    let metadata = &entry.metadata;
    let bytes: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let line_bytes_max = match rules {
        Rules::Loki => LINE_BYTES_MAX,
        Rules::Anything => LINE_BYTES_MAX_ANYTHING,
    };
    match () {
        () if entry.line.len() > line_bytes_max => Some(Refused::LineTooLong {
            bytes: entry.line.len(),
        }),
        () if metadata.len() > METADATA_MAX => Some(Refused::TooMuchMetadata {
            count: metadata.len(),
        }),
        () if bytes > METADATA_BYTES_MAX => Some(Refused::MetadataTooLong { bytes }),
        () => None,
    }
}

fn time(rules: Rules, t_ns: i64, newest_ns: Option<i64>, now_ns: i64) -> Option<Refused> {
    let oldest_ns = match rules {
        Rules::Loki => now_ns.saturating_sub(OLD_NS_MAX),
        // The calendar of the store begins with 1970.
        Rules::Anything => 0,
    };
    if t_ns < oldest_ns {
        return Some(Refused::TooOld { oldest_ns });
    }
    if rules == Rules::Anything {
        return None;
    }
    if t_ns > now_ns.saturating_add(AHEAD_NS_MAX) {
        return Some(Refused::TooFarAhead);
    }
    let oldest_ns = newest_ns?.saturating_sub(BEHIND_NS_MAX);
    (t_ns < oldest_ns).then_some(Refused::TooFarBehind { oldest_ns })
}
