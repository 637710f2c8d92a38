//! PutLogEvents: what a batch may be, which of its events are too old or too new, and storing the others.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    catalogue::{EVENT_OVERHEAD_BYTES, Ingested, Taken},
    events::{self, NewEvent},
    names,
    refusal::Refusal,
    service::Service,
};

/// Events of one request.
const BATCH_EVENTS_MAX: usize = 10_000;
/// Bytes of one request's messages, with [`EVENT_OVERHEAD_BYTES`] for each.
const BATCH_BYTES_MAX: u64 = 1_048_576;
/// Bytes of one event, its overhead included; fewer where the store takes no such message.
const EVENT_BYTES_MAX: u64 = 1_048_576;
/// From the first to the last event of one request.
const BATCH_SPAN_MS_MAX: i64 = 24 * HOUR_MS;
/// How far in the future an event may be.
const TOO_NEW_MS: i64 = 2 * HOUR_MS;
/// How far in the past an event may be.
const TOO_OLD_MS: i64 = 14 * DAY_MS;
const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The sequence token of a request is ignored, as the service does since 2023: it is not even a member here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutEvents {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

/// Where in a batch, which is in the order of time, the events begin and end that are taken.
#[derive(Debug, PartialEq, Eq)]
struct Judgement {
    too_old: usize,
    expired: usize,
    /// The first that is too new, or the number of events.
    too_new: usize,
}

pub(crate) fn put_events(service: &Service, request: PutEvents) -> Result<Value, Refusal> {
    let group = names::group(&request.log_group_name)?;
    let stream = names::stream(&request.log_stream_name)?;
    check(&request.log_events)?;
    let _changing = service.changing();
    let now_ms = service.now_ms();
    let (id, sequence, retention_days) = {
        let catalogue = service.catalogue();
        let known = catalogue
            .group(group)
            .ok_or_else(|| Refusal::not_found("log group"))?;
        let stream = catalogue
            .stream(group, stream)
            .ok_or_else(|| Refusal::not_found("log stream"))?;
        (stream.id, stream.sequence, known.retention_days)
    };
    let judgement = judge(&request.log_events, now_ms, retention_days);
    let total = request.log_events.len();
    let mut taken = request.log_events;
    taken.truncate(judgement.too_new);
    taken.drain(..judgement.first_taken().min(taken.len()));
    let mut next = sequence;
    if let Some(summary) = summary(&taken, sequence, now_ms) {
        next = summary.sequence;
        let first = next - summary.events;
        let events: Vec<NewEvent> = taken
            .into_iter()
            .zip(first..)
            .map(|(event, number)| events::event(event.message, event.timestamp, number, now_ms))
            .collect();
        // Stored before it is counted: what is counted and not stored would be lost, the other way around a number is left out.
        service
            .events
            .append(&events::labels(group, stream, id), events, now_ms)?;
        service
            .catalogue()
            .count(group, stream, summary)
            .map_err(|error| Refusal::change(&error, "log stream"))?;
    }
    let mut answer = json!({ "nextSequenceToken": sequence_token(next) });
    if let Some(rejected) = judgement.rejected(total) {
        answer["rejectedLogEventsInfo"] = rejected;
    }
    Ok(answer)
}

/// Nobody needs it, but old clients ask for it.
pub(super) fn sequence_token(sequence: u64) -> String {
    format!("{:056}", sequence + 1)
}

/// The limits that refuse the whole batch.
fn check(batch: &[InputEvent]) -> Result<(), Refusal> {
    if batch.is_empty() {
        return Err(Refusal::constraint(
            "logEvents",
            "have length greater than or equal to 1",
        ));
    }
    if batch.len() > BATCH_EVENTS_MAX {
        let constraint = format!("have length less than or equal to {BATCH_EVENTS_MAX}");
        return Err(Refusal::constraint("logEvents", &constraint));
    }
    let mut batch_bytes = 0;
    for (index, event) in batch.iter().enumerate() {
        let member = |name: &str| format!("logEvents.{}.member.{name}", index + 1);
        if event.message.is_empty() {
            let constraint = "have length greater than or equal to 1";
            return Err(Refusal::constraint(&member("message"), constraint));
        }
        if event.timestamp < 0 {
            let constraint = "have value greater than or equal to 0";
            return Err(Refusal::constraint(&member("timestamp"), constraint));
        }
        let bytes = event.message.len() as u64 + EVENT_OVERHEAD_BYTES;
        if bytes > EVENT_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "Log event too large: {bytes} bytes exceeds limit of {EVENT_BYTES_MAX}"
            )));
        }
        batch_bytes += bytes;
    }
    if batch_bytes > BATCH_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "Upload too large: {batch_bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    if !batch.is_sorted_by_key(|event| event.timestamp) {
        return Err(Refusal::invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    // In order and not negative: the difference is one.
    if batch[batch.len() - 1].timestamp - batch[0].timestamp > BATCH_SPAN_MS_MAX {
        return Err(Refusal::invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

fn judge(batch: &[InputEvent], now_ms: i64, retention_days: Option<u32>) -> Judgement {
    let before = |t_ms: i64| batch.partition_point(|event| event.timestamp < t_ms);
    Judgement {
        too_old: before(now_ms - TOO_OLD_MS),
        expired: retention_days.map_or(0, |days| before(now_ms - i64::from(days) * DAY_MS)),
        too_new: before(now_ms + TOO_NEW_MS + 1),
    }
}

impl Judgement {
    fn first_taken(&self) -> usize {
        self.too_old.max(self.expired)
    }

    /// The ends are exclusive, the start is inclusive.
    fn rejected(&self, total: usize) -> Option<Value> {
        let mut rejected = serde_json::Map::new();
        if self.too_old > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), json!(self.too_old));
        }
        if self.expired > 0 {
            rejected.insert("expiredLogEventEndIndex".to_owned(), json!(self.expired));
        }
        if self.too_new < total {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), json!(self.too_new));
        }
        (!rejected.is_empty()).then_some(Value::Object(rejected))
    }
}

/// `None` when nothing is taken.
fn summary(taken: &[InputEvent], sequence: u64, now_ms: i64) -> Option<Taken> {
    let (first, last) = (taken.first()?, taken.last()?);
    let events = taken.len() as u64;
    Some(Taken {
        events,
        sequence: events::first_sequence(sequence, events) + events,
        message_bytes: taken.iter().map(|event| event.message.len() as u64).sum(),
        times: Ingested {
            first_event_ms: first.timestamp,
            last_event_ms: last.timestamp,
            last_ingestion_ms: now_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW_MS: i64 = 100 * DAY_MS;

    fn batch(times: &[i64]) -> Vec<InputEvent> {
        let event = |timestamp: &i64| InputEvent {
            timestamp: *timestamp,
            message: "m".to_owned(),
        };
        times.iter().map(event).collect()
    }

    #[test]
    fn the_borders_of_too_old_expired_and_too_new_belong_to_what_is_taken() {
        let times = [
            NOW_MS - 14 * DAY_MS - 1,
            NOW_MS - 14 * DAY_MS,
            NOW_MS - DAY_MS - 1,
            NOW_MS - DAY_MS,
            NOW_MS + 2 * HOUR_MS,
            NOW_MS + 2 * HOUR_MS + 1,
        ];
        let expected = Judgement {
            too_old: 1,
            expired: 0,
            too_new: 5,
        };
        assert_eq!(judge(&batch(&times), NOW_MS, None), expected);
        let expected = Judgement {
            expired: 3,
            ..expected
        };
        assert_eq!(judge(&batch(&times), NOW_MS, Some(1)), expected);
    }

    #[test]
    fn a_batch_spans_a_day_and_no_more() {
        assert_eq!(check(&batch(&[5, 5 + DAY_MS])), Ok(()));
        assert!(check(&batch(&[5, 6 + DAY_MS])).is_err());
        assert!(check(&batch(&[6, 5])).is_err());
        assert!(check(&batch(&[-1])).is_err());
        assert!(check(&batch(&[i64::MIN, i64::MAX])).is_err());
        assert!(check(&batch(&[])).is_err());
    }

    #[test]
    fn the_bytes_of_an_event_and_of_a_batch_are_bounded_to_the_byte() {
        let of = |sizes: &[usize]| -> Vec<InputEvent> {
            let event = |size: &usize| InputEvent {
                timestamp: 1,
                message: "x".repeat(*size),
            };
            sizes.iter().map(event).collect()
        };
        assert_eq!(check(&of(&[1_048_550])), Ok(()));
        assert_eq!(
            check(&of(&[1_048_551])).unwrap_err().message,
            "Log event too large: 1048577 bytes exceeds limit of 1048576"
        );
        assert_eq!(check(&of(&[524_262, 524_262])), Ok(()));
        assert_eq!(
            check(&of(&[524_262, 524_263])).unwrap_err().message,
            "Upload too large: 1048577 bytes exceeds limit of 1048576"
        );
        assert_eq!(check(&of(&[1; BATCH_EVENTS_MAX])), Ok(()));
        assert!(check(&of(&[1; BATCH_EVENTS_MAX + 1])).is_err());
    }
}
