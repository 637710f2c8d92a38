//! CloudWatch Logs: `PutLogEvents` in awsJson 1.1, groups and streams made when they are missing.

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    batch::{Batch, Line},
    delivery::{SendError, answered},
};

const TARGET: &str = "Logs_20140328";
const MS_NS: i64 = 1_000_000;
/// A batch may not span more.
const SPAN_MS_MAX: i64 = 24 * 3_600 * 1_000;
/// Bytes that the size of an event counts beside its text.
const EVENT_BYTES: usize = 26;
/// Bytes of a batch, and events in it.
const REQUEST_BYTES_MAX: usize = 1_048_576;
const EVENTS_MAX: usize = 10_000;

/// Puts into the groups of one environment.
#[derive(Clone, Debug)]
pub(crate) struct CloudWatch {
    client: Client,
    url: String,
    env: String,
    stream: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Put<'a> {
    log_group_name: &'a str,
    log_stream_name: &'a str,
    log_events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    timestamp: i64,
    message: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Taken {
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
    message: String,
}

impl CloudWatch {
    pub(crate) fn new(client: Client, url: &str, env: &str, stream: &str) -> Self {
        Self {
            client,
            url: url.to_owned(),
            env: env.to_owned(),
            stream: stream.to_owned(),
        }
    }

    /// How many lines of the batch were not taken and never will be.
    pub(crate) async fn send(&self, service: &str, batch: &Batch) -> Result<u64, SendError> {
        let group = format!("/tripod/{}/{service}", self.env);
        let mut lines: Vec<&Line> = batch.lines.iter().collect();
        // Events of a request must be in the order of time.
        lines.sort_by_key(|line| line.t_ns);
        let mut rejected = 0;
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let (request, after) = rest.split_at(request_length(rest));
            rejected += self.put(&group, request).await?;
            rest = after;
        }
        Ok(rejected)
    }

    async fn put(&self, group: &str, lines: &[&Line]) -> Result<u64, SendError> {
        let put = Put {
            log_group_name: group,
            log_stream_name: &self.stream,
            log_events: lines.iter().map(|line| event(line)).collect(),
        };
        let body = serde_json::to_vec(&put).expect("texts and numbers are JSON");
        let answer = match self.call("PutLogEvents", body.clone()).await {
            Err(SendError::Missing) => {
                self.make(group).await?;
                self.call("PutLogEvents", body).await?
            }
            answer => answer?,
        };
        let taken: Taken = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(taken
            .rejected_log_events_info
            .map_or(0, |rejected| rejected.count(lines.len())))
    }

    /// Makes the group and the stream; one that is there already is as good.
    async fn make(&self, group: &str) -> Result<(), SendError> {
        let of_group = json!({"logGroupName": group});
        let of_stream = json!({"logGroupName": group, "logStreamName": self.stream});
        for (operation, body) in [("CreateLogGroup", of_group), ("CreateLogStream", of_stream)] {
            match self.call(operation, body.to_string().into_bytes()).await {
                Ok(_) | Err(SendError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn call(&self, operation: &str, body: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{TARGET}.{operation}"))
            .body(body)
            .send()
            .await;
        let response = answered(response)?;
        let status = response.status();
        let body = answered(response.bytes().await)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let failure: Failure = serde_json::from_slice(&body).unwrap_or_default();
        let reason = format!("{status}: {} {}", failure.kind, failure.message);
        let kind = failure.kind.rsplit('#').next().unwrap_or_default();
        Err(match kind {
            "ResourceNotFoundException" => SendError::Missing,
            "ResourceAlreadyExistsException" => SendError::Exists,
            "InvalidParameterException" if status == StatusCode::BAD_REQUEST => {
                SendError::Refused(reason)
            }
            _ => SendError::Later(reason),
        })
    }
}

impl Rejected {
    /// Of a request in the order of time.
    fn count(&self, events: usize) -> u64 {
        let old = self.too_old_log_event_end_index.unwrap_or(0);
        let expired = self.expired_log_event_end_index.unwrap_or(0);
        let new = self.too_new_log_event_start_index.unwrap_or(events);
        (old.max(expired).min(events) + events.saturating_sub(new)) as u64
    }
}

fn event<'a>(line: &'a Line) -> Event<'a> {
    Event {
        timestamp: line.t_ns.div_euclid(MS_NS),
        message: &line.text,
    }
}

/// How many of the lines fit into one request: at least one.
fn request_length(lines: &[&Line]) -> usize {
    let first_ms = lines[0].t_ns.div_euclid(MS_NS);
    let mut bytes = 0;
    let fit = lines.iter().take(EVENTS_MAX).take_while(|line| {
        bytes += line.text.len() + EVENT_BYTES;
        bytes <= REQUEST_BYTES_MAX && line.t_ns.div_euclid(MS_NS) - first_ms < SPAN_MS_MAX
    });
    fit.count().max(1)
}
