//! CloudWatch Logs: `PutLogEvents` in awsJson 1.1, groups and streams made when they are missing.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html> has the limits of a request.

mod sign;

use std::{collections::BTreeMap, io::Write};

use bytes::Bytes;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Clock,
    batch::{Batch, Line},
    delivery::Taken,
    http::{self, SendError},
};

pub use sign::Signer;

const TARGET: &str = "Logs_20140328";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const MS_NS: i64 = 1_000_000;
/// A request may not span more.
const SPAN_MS_MAX: i64 = 24 * 3_600 * 1_000;
/// Bytes that the size of an event counts beside its text.
const EVENT_BYTES: usize = 26;
/// Bytes of a request's events, and their number.
const REQUEST_BYTES_MAX: usize = 1_048_576;
const EVENTS_MAX: usize = 10_000;
/// Kinds of errors that say that the request will never be taken.
const REFUSALS: [&str; 3] = [
    "InvalidParameterException",
    "SerializationException",
    "ValidationException",
];

/// Puts into the groups of one environment.
pub(crate) struct CloudWatch {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) env: String,
    pub(crate) stream: String,
    pub(crate) retention_days: Option<u32>,
    pub(crate) signer: Option<Signer>,
    pub(crate) clock: Clock,
}

/// What a call that was not a success said.
enum CallError {
    Missing,
    Exists,
    HadAlready,
    Failed(SendError),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    rejected_log_events_info: Option<Rejected>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rejected {
    too_new_log_event_start_index: Option<usize>,
    too_old_log_event_end_index: Option<usize>,
    expired_log_event_end_index: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl CloudWatch {
    pub(crate) async fn send(&self, batch: &Batch, lines: &[u32]) -> Result<Taken, SendError> {
        let service = lines.first().map(|line| &batch.lines[*line as usize]);
        let service = service.map_or("", |line| batch.service(line));
        let group = format!("/tripod/{}/{service}", self.env);
        let body = Bytes::from(self.body(&group, batch, lines));
        let mut outcome = self.call("PutLogEvents", body.clone()).await;
        if matches!(outcome, Err(CallError::Missing)) {
            self.make(&group).await?;
            outcome = self.call("PutLogEvents", body).await;
        }
        match outcome {
            Ok(answer) => taken(&answer, lines.len()),
            Err(CallError::HadAlready) => Ok(Taken {
                duplicate: lines.len() as u64,
                ..Taken::default()
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn body(&self, group: &str, batch: &Batch, lines: &[u32]) -> Vec<u8> {
        let line = |number: u32| &batch.lines[number as usize];
        let texts = lines.iter().map(|number| batch.text(line(*number)).len());
        let mut body = Vec::with_capacity(texts.map(|bytes| bytes * 5 / 4 + 64).sum());
        let head = json!({"logGroupName": group, "logStreamName": self.stream}).to_string();
        body.extend_from_slice(head.trim_end_matches('}').as_bytes());
        body.extend_from_slice(b",\"logEvents\":[");
        for (at, number) in lines.iter().enumerate() {
            let line = line(*number);
            let comma = if at == 0 { "" } else { "," };
            write!(
                body,
                "{comma}{{\"timestamp\":{},\"message\":",
                time_ms(line)
            )
            .and_then(|()| Ok(serde_json::to_writer(&mut body, batch.text(line))?))
            .expect("a vector takes everything");
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        body
    }

    /// Makes the group and the stream; one that is there already is as good. Retention is that of groups made here.
    async fn make(&self, group: &str) -> Result<(), SendError> {
        let of_group = json!({"logGroupName": group});
        let is_new = self.make_one("CreateLogGroup", of_group).await?;
        if let (true, Some(days)) = (is_new, self.retention_days) {
            let retention = json!({"logGroupName": group, "retentionInDays": days});
            self.make_one("PutRetentionPolicy", retention).await?;
        }
        let of_stream = json!({"logGroupName": group, "logStreamName": self.stream});
        self.make_one("CreateLogStream", of_stream).await?;
        Ok(())
    }

    /// Whether it was not there before. What cannot be made now may be made later: no line is refused for it.
    async fn make_one(&self, operation: &str, of: serde_json::Value) -> Result<bool, SendError> {
        match self.call(operation, Bytes::from(of.to_string())).await {
            Ok(_) => Ok(true),
            Err(CallError::Exists) => Ok(false),
            Err(CallError::Failed(SendError::Refused(reason))) => Err(SendError::Later(reason)),
            Err(error) => Err(error.into()),
        }
    }

    async fn call(&self, operation: &str, body: Bytes) -> Result<Vec<u8>, CallError> {
        let target = format!("{TARGET}.{operation}");
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", &target)];
        let mut request = self.client.post(&self.url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(signer) = &self.signer {
            let signed = signer.sign(request, &self.url, headers, &body, (self.clock)());
            request = signed.map_err(|error| SendError::Later(error.to_string()))?;
        }
        let (status, answer) = http::answer(request.body(body)).await?;
        match status.is_success() {
            true => Ok(answer),
            false => Err(failure(status, &answer)),
        }
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        Self::Failed(error)
    }
}

impl From<CallError> for SendError {
    fn from(error: CallError) -> Self {
        let later = |reason: &str| Self::Later(reason.to_owned());
        match error {
            CallError::Failed(error) => error,
            CallError::Missing => later("the group or the stream was deleted again"),
            CallError::Exists | CallError::HadAlready => later("an answer to another question"),
        }
    }
}

impl Rejected {
    /// Of a request in the order of time.
    fn count(&self, events: usize) -> usize {
        let old = self.too_old_log_event_end_index.unwrap_or(0);
        let expired = self.expired_log_event_end_index.unwrap_or(0);
        let new = self.too_new_log_event_start_index.unwrap_or(events);
        let old = old.max(expired).min(events);
        (old + events.saturating_sub(new)).min(events)
    }
}

/// Requests for the lines of a batch: one service each, in the order of time, within the limits.
pub(crate) fn parts(batch: &Batch) -> Vec<Vec<u32>> {
    let mut by_service: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (number, line) in batch.lines.iter().enumerate() {
        let lines = by_service.entry(batch.service(line)).or_default();
        lines.push(u32::try_from(number).expect("a batch has fewer lines than bytes"));
    }
    let mut parts = Vec::new();
    for mut lines in by_service.into_values() {
        lines.sort_by_key(|number| batch.lines[*number as usize].t_ns);
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(length(batch, rest));
            parts.push(part.to_vec());
            rest = after;
        }
    }
    parts
}

/// How many of the lines fit into one request: at least one.
fn length(batch: &Batch, lines: &[u32]) -> usize {
    let line = |number: u32| &batch.lines[number as usize];
    let first_ms = time_ms(line(lines[0]));
    let mut bytes = 0;
    let fit = lines.iter().take(EVENTS_MAX).take_while(|number| {
        let line = line(**number);
        bytes += batch.text(line).len() + EVENT_BYTES;
        bytes <= REQUEST_BYTES_MAX && time_ms(line) - first_ms < SPAN_MS_MAX
    });
    fit.count().max(1)
}

fn time_ms(line: &Line) -> i64 {
    line.t_ns.div_euclid(MS_NS)
}

fn taken(answer: &[u8], events: usize) -> Result<Taken, SendError> {
    if answer.is_empty() {
        return Ok(Taken::default());
    }
    // Something in between that answers everything has not stored it.
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        SendError::Later(format!("the answer is not that of PutLogEvents: {error}"))
    })?;
    let rejected = answer.rejected_log_events_info.unwrap_or_default();
    Ok(Taken {
        rejected: rejected.count(events) as u64,
        duplicate: 0,
    })
}

fn failure(status: StatusCode, answer: &[u8]) -> CallError {
    let failure: Failure = serde_json::from_slice(answer).unwrap_or_default();
    let kind = failure.kind.rsplit('#').next().unwrap_or_default();
    let reason = format!("{status}: {kind} {}", failure.message);
    let is_refusal = match kind {
        "ResourceNotFoundException" => return CallError::Missing,
        "ResourceAlreadyExistsException" => return CallError::Exists,
        "DataAlreadyAcceptedException" => return CallError::HadAlready,
        "" => matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
        ),
        kind => status == StatusCode::BAD_REQUEST && REFUSALS.contains(&kind),
    };
    CallError::Failed(match is_refusal {
        true => SendError::Refused(reason),
        false => SendError::Later(reason),
    })
}

#[cfg(test)]
mod tests;
