//! Pushes: protobuf in snappy, or JSON, into the store; and Loki's words for what is not taken.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use logs::{Appended, LINE_BYTES_MAX, METADATA_BYTES_MAX, METADATA_MAX, NewEntry, Push, Refused};
use serde::Deserialize;
use tsdb::{Labels, Match};

use super::{Shared, UNPACKED_BYTES_MAX, failure::Failure};
use crate::tempo::proto::{Fields, Malformed, Value};

const SECOND_NS: i64 = 1_000_000_000;
/// Refused lines whose reasons are said.
const REASONS_MAX: usize = 10;
/// The name of a service under which Loki's own clients look for it.
const SERVICE_NAME: &str = "service_name";
/// Labels that may name the service, the best first.
const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];
const UNKNOWN_SERVICE: &str = "unknown_service";

#[derive(Deserialize)]
struct JsonPush {
    #[serde(default)]
    streams: Vec<JsonStream>,
}

#[derive(Deserialize)]
struct JsonStream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<JsonEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonEntry {
    Plain(String, String),
    WithMetadata(String, String, BTreeMap<String, String>),
}

pub(super) async fn push(
    State(loki): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let pushes = decode(&headers, &body)?;
    let (at, now_ns) = (Arc::clone(&loki), (loki.now_ns)());
    loki.pushes
        .run(move || {
            let labels: Vec<Labels> = pushes.iter().map(|push| push.labels.clone()).collect();
            let times: Vec<Vec<i64>> = pushes
                .iter()
                .map(|push| push.entries.iter().map(|entry| entry.t_ns).collect())
                .collect();
            // The store says once why it cannot. Whoever pushes tries again.
            let appended = at.store.append(pushes, now_ns);
            let appended = appended.map_err(|_| Failure::internal("lines cannot be stored now"))?;
            match refusal(&appended, &labels, &times) {
                None => Ok(StatusCode::NO_CONTENT),
                Some(reason) => Err(Failure::bad_request(reason)),
            }
        })
        .await
}

fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Push>, Failure> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let pushes = match media_type {
        "application/json" => json(&unzipped(headers, body)?)?,
        _ => protobuf(body)?,
    };
    if pushes.is_empty() {
        return Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "error at least one valid stream is required for ingestion",
        ));
    }
    Ok(pushes)
}

fn unzipped<'b>(
    headers: &HeaderMap,
    body: &'b Bytes,
) -> Result<std::borrow::Cow<'b, [u8]>, Failure> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.as_bytes())
    {
        None | Some(b"") => Ok(body.as_ref().into()),
        Some(b"gzip") => {
            let mut unzipped = Vec::new();
            let mut reader = GzDecoder::new(body.as_ref()).take(UNPACKED_BYTES_MAX as u64 + 1);
            reader
                .read_to_end(&mut unzipped)
                .map_err(|error| Failure::bad_request(error.to_string()))?;
            match unzipped.len() <= UNPACKED_BYTES_MAX {
                true => Ok(unzipped.into()),
                false => Err(too_large()),
            }
        }
        Some(_) => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding is not supported",
        )),
    }
}

fn too_large() -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("push request is larger than {UNPACKED_BYTES_MAX} bytes"),
    )
}

fn json(body: &[u8]) -> Result<Vec<Push>, Failure> {
    let bad = |error: serde_json::Error| Failure::bad_request(error.to_string());
    let push: JsonPush = serde_json::from_slice(body).map_err(bad)?;
    let mut pushes = Vec::with_capacity(push.streams.len());
    for stream in push.streams {
        let mut entries = Vec::with_capacity(stream.values.len());
        for value in stream.values {
            let (time, line, metadata) = match value {
                JsonEntry::Plain(time, line) => (time, line, BTreeMap::new()),
                JsonEntry::WithMetadata(time, line, metadata) => (time, line, metadata),
            };
            let t_ns = time.parse().map_err(|_| {
                Failure::bad_request(format!("{time:?} is no number of nanoseconds"))
            })?;
            entries.push(NewEntry {
                t_ns,
                line,
                metadata: metadata.into_iter().collect(),
            });
        }
        pushes.push(Push {
            labels: with_service_name(Labels::new(stream.stream)),
            entries,
        });
    }
    Ok(pushes)
}

/// `logproto.PushRequest`: streams (1).
fn protobuf(body: &[u8]) -> Result<Vec<Push>, Failure> {
    let length = snap::raw::decompress_len(body);
    if length
        .as_ref()
        .is_ok_and(|length| *length > UNPACKED_BYTES_MAX)
    {
        return Err(too_large());
    }
    let request = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|_| Failure::bad_request("snappy: corrupt input"))?;
    let mut pushes = Vec::new();
    for field in Fields::new(&request) {
        if let (1, Value::Bytes(bytes)) = field.map_err(malformed)? {
            pushes.push(stream(bytes)?);
        }
    }
    Ok(pushes)
}

/// `StreamAdapter`: labels (1) as a selector, entries (2).
fn stream(bytes: &[u8]) -> Result<Push, Failure> {
    let (mut labels, mut entries) = (Labels::default(), Vec::new());
    for field in Fields::new(bytes) {
        match field.map_err(malformed)? {
            (1, Value::Bytes(selector)) => {
                labels = labels_of(text(selector)?)?;
            }
            (2, Value::Bytes(bytes)) => entries.push(entry(bytes)?),
            _ => {}
        }
    }
    Ok(Push {
        labels: with_service_name(labels),
        entries,
    })
}

/// `EntryAdapter`: timestamp (1), line (2), structured metadata (3).
fn entry(bytes: &[u8]) -> Result<NewEntry, Failure> {
    let mut entry = NewEntry {
        t_ns: 0,
        line: String::new(),
        metadata: Vec::new(),
    };
    for field in Fields::new(bytes) {
        match field.map_err(malformed)? {
            (1, Value::Bytes(timestamp)) => entry.t_ns = time(timestamp)?,
            (2, Value::Bytes(line)) => entry.line = text(line)?.to_owned(),
            (3, Value::Bytes(bytes)) => {
                let (mut name, mut value) = ("", "");
                for field in Fields::new(bytes) {
                    match field.map_err(malformed)? {
                        (1, Value::Bytes(bytes)) => name = text(bytes)?,
                        (2, Value::Bytes(bytes)) => value = text(bytes)?,
                        _ => {}
                    }
                }
                entry.metadata.push((name.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
    Ok(entry)
}

/// `google.protobuf.Timestamp`: seconds (1), nanoseconds (2).
fn time(bytes: &[u8]) -> Result<i64, Failure> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for field in Fields::new(bytes) {
        match field.map_err(malformed)? {
            (1, Value::Number(number)) => seconds = number as i64,
            (2, Value::Number(number)) => nanoseconds = number as i64,
            _ => {}
        }
    }
    let out_of_range = || Failure::bad_request("timestamp is out of range");
    seconds
        .checked_mul(SECOND_NS)
        .and_then(|ns| ns.checked_add(nanoseconds))
        .ok_or_else(out_of_range)
}

fn malformed(error: Malformed) -> Failure {
    Failure::bad_request(error.to_string())
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::bad_request("proto: invalid UTF-8"))
}

/// The labels of a selector, all of which must be equalities.
fn labels_of(selector: &str) -> Result<Labels, Failure> {
    let matchers = logql::parse_matchers(selector)
        .map_err(|error| Failure::bad_request(format!("error parsing labels: {error}")))?;
    let mut pairs = Vec::with_capacity(matchers.len());
    for matcher in &matchers {
        let Match::Equal(value) = &matcher.matches else {
            return Err(Failure::bad_request(format!(
                "error parsing labels: {selector} is no label set"
            )));
        };
        pairs.push((&*matcher.name, &**value));
    }
    Ok(Labels::new(pairs))
}

fn with_service_name(labels: Labels) -> Labels {
    if labels.is_empty() || !labels.get(SERVICE_NAME).is_empty() {
        return labels;
    }
    let name = SERVICE_LABELS
        .iter()
        .map(|name| labels.get(name))
        .find(|value| !value.is_empty());
    let name = name.unwrap_or(UNKNOWN_SERVICE);
    Labels::new(labels.iter().chain([(SERVICE_NAME, name)]))
}

/// What is said of the lines that were not taken; `None` if all were.
fn refusal(appended: &Appended, labels: &[Labels], times: &[Vec<i64>]) -> Option<String> {
    if appended.refused.is_empty() {
        return None;
    }
    let reasons: Vec<String> = appended
        .refused
        .iter()
        .take(REASONS_MAX)
        .map(|(push, entry, why)| reason(*why, &labels[*push], times[*push][*entry]))
        .collect();
    let count = appended.refused.len();
    let total = appended.stored + count as u64;
    Some(format!(
        "{}\ntotal ignored: {count} out of {total}",
        reasons.join("\n")
    ))
}

fn reason(why: Refused, labels: &Labels, t_ns: i64) -> String {
    let stream = selector(labels);
    let at = |t_ns: i64| {
        Timestamp::from_nanosecond(i128::from(t_ns))
            .map_or_else(|_| t_ns.to_string(), |t| t.to_string())
    };
    match why {
        Refused::TooOld { oldest_ns } => format!(
            "entry for stream '{stream}' has timestamp too old: {}, oldest acceptable timestamp is: {}",
            at(t_ns),
            at(oldest_ns)
        ),
        Refused::TooFarAhead => format!(
            "entry for stream '{stream}' has timestamp too new: {}",
            at(t_ns)
        ),
        Refused::TooFarBehind { oldest_ns } => format!(
            "entry with timestamp {} ignored, reason: 'entry too far behind, entry timestamp is: {}, oldest acceptable timestamp is: {}',",
            at(t_ns),
            at(t_ns),
            at(oldest_ns)
        ),
        Refused::LineTooLong { bytes } => format!(
            "Max entry size '{LINE_BYTES_MAX}' bytes exceeded for stream '{stream}' while adding an entry with length '{bytes}' bytes"
        ),
        Refused::InvalidLabels => match labels.is_empty() {
            true => "error at least one label pair is required per stream".to_owned(),
            false => format!("stream '{stream}' has too many or too long labels"),
        },
        Refused::TooMuchMetadata { count } => format!(
            "stream '{stream}' has too many structured metadata labels: '{count}'. Limit '{METADATA_MAX}'"
        ),
        Refused::MetadataTooLong { bytes } => format!(
            "stream '{stream}' has structured metadata too large: '{bytes}' bytes, limit: '{METADATA_BYTES_MAX}' bytes"
        ),
        Refused::StreamLimit => {
            format!("Maximum active stream limit exceeded when trying to create stream {stream}")
        }
    }
}

fn selector(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
