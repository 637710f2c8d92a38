//! Where events are kept: what this crate asks of a store, and how an event becomes a stored line and a line an event again.
//!
//! The service counts milliseconds, the store nanoseconds: the rest is the event's number in its stream, so that no two events of
//! a stream have the same time and a time is a place to read on from.

use logql::Entry;
use tsdb::Labels;

use crate::catalogue::STREAMS_MAX;

/// Label: the stream's number, with as many digits as any has, so that streams are in the order of their numbers. It comes first.
pub(crate) const ID: &str = "id";
/// Label.
pub(crate) const LOG_GROUP: &str = "log_group";
/// Label.
pub(crate) const LOG_STREAM: &str = "log_stream";
/// Metadata: when the event came in, in milliseconds.
const INGESTED: &str = "ingested";
/// Nanoseconds in a millisecond.
const MS: i64 = 1_000_000;

/// One event to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub t_ns: i64,
    pub line: String,
    /// In the order of names, names unique.
    pub metadata: Vec<(&'static str, String)>,
}

/// A store of events: the log store, or one in memory.
pub trait Events: logql::Source {
    /// Stores all of them or none, in any order of time and duplicates too; when this returns they outlive the process.
    ///
    /// # Errors
    /// When nothing is stored.
    fn append(
        &self,
        labels: &Labels,
        events: Vec<NewEvent>,
        now_ms: i64,
    ) -> Result<(), AppendError>;
}

/// What a log store is opened with to keep events: judged already, duplicates too, and as many streams as the catalogue has.
#[must_use]
pub fn store_options() -> logs::Options {
    logs::Options {
        name: "cloudwatch",
        rules: logs::Rules::Anything,
        streams_max: STREAMS_MAX,
        ..logs::Options::default()
    }
}

impl Events for logs::Store {
    fn append(
        &self,
        labels: &Labels,
        events: Vec<NewEvent>,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let push = logs::Push {
            labels: labels.clone(),
            entries: events.into_iter().map(entry).collect(),
        };
        let appended = Self::append(self, vec![push], ns(now_ms))
            .map_err(|error| AppendError(error.into()))?;
        // Sizes and times are within bounds: what is left is a stream too many, and then all are refused.
        match appended.refused.first() {
            None => Ok(()),
            Some((.., reason)) => Err(AppendError(format!("refused: {reason:?}").into())),
        }
    }
}

fn entry(event: NewEvent) -> logs::NewEntry {
    let metadata = event.metadata.into_iter();
    logs::NewEntry {
        t_ns: event.t_ns,
        line: event.line,
        metadata: metadata
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// Events were not stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot store events")]
pub struct AppendError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A place between events: of a time, and of streams at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) t_ns: i64,
    pub(crate) stream_id: u64,
}

pub(crate) fn labels(group: &str, stream: &str, id: u64) -> Labels {
    Labels::new([
        (ID, format!("{id:020}")),
        (LOG_GROUP, group.to_owned()),
        (LOG_STREAM, stream.to_owned()),
    ])
}

/// The number of a stream that has these labels; no stream of ours is 0.
pub(crate) fn stream_id(labels: &Labels) -> u64 {
    labels.get(ID).parse().unwrap_or(0)
}

/// The event of this number, counted from 0, in its stream.
pub(crate) fn event(message: String, time_ms: i64, sequence: u64, now_ms: i64) -> NewEvent {
    let mut metadata = vec![(INGESTED, now_ms.to_string())];
    metadata.extend(crate::pattern::indexed_fields(&message));
    NewEvent {
        t_ns: time_ms * MS + (sequence % MS as u64) as i64,
        line: message,
        metadata,
    }
}

/// The first number for a request of so many events: they do not straddle the place where numbers begin again, which keeps those of
/// the same millisecond in order.
pub(crate) fn first_sequence(sequence: u64, events: u64) -> u64 {
    let in_round = sequence % MS as u64;
    if in_round + events > MS as u64 {
        sequence - in_round + MS as u64
    } else {
        sequence
    }
}

pub(crate) fn ns(time_ms: i64) -> i64 {
    time_ms.saturating_mul(MS)
}

pub(crate) fn time_ms(entry: &Entry<'_>) -> i64 {
    entry.t_ns.div_euclid(MS)
}

pub(crate) fn ingestion_ms(entry: &Entry<'_>) -> i64 {
    let metadata = entry.metadata.iter().find(|(name, _)| *name == INGESTED);
    metadata
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or_else(|| time_ms(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_request_do_not_begin_again() {
        assert_eq!(first_sequence(5, 10), 5);
        assert_eq!(first_sequence(999_990, 10), 999_990);
        assert_eq!(first_sequence(999_991, 10), 1_000_000);
        assert_eq!(first_sequence(1_999_999, 2), 2_000_000);
    }

    #[test]
    fn streams_are_in_the_order_of_their_numbers() {
        assert!(labels("z", "z", 9) < labels("a", "a", 10));
        assert_eq!(stream_id(&labels("g", "s", 42)), 42);
    }
}
