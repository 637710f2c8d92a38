//! Loki and CloudWatch Logs as far as a shipper sees them: they keep what they are given, and fail as they are told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time};

/// How a destination behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    /// Answers with this status.
    Status(u16),
    /// Does not answer for a second, and takes nothing.
    Slow,
    /// Takes everything and says that it failed.
    Lying,
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    mood: Option<Mood>,
    /// How often each line came, with its stream.
    lines: BTreeMap<(String, String), usize>,
    groups: Vec<String>,
}

/// A line as Loki is given it.
struct Entry {
    line: String,
    metadata: Vec<(String, String)>,
}

impl Sink {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let sink = Self::default();
        let routes = Router::new()
            .route("/loki/api/v1/push", post(loki))
            .route("/", post(cloudwatch))
            .with_state(sink.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (sink, address)
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = Some(mood);
    }

    /// How often each line came, by stream and line.
    pub(crate) fn lines(&self) -> BTreeMap<(String, String), usize> {
        self.0.lock().unwrap().lines.clone()
    }

    fn mood(&self) -> Mood {
        self.0.lock().unwrap().mood.unwrap_or(Mood::Good)
    }

    fn keep(&self, stream: &str, line: String) {
        let mut kept = self.0.lock().unwrap();
        *kept.lines.entry((stream.to_owned(), line)).or_default() += 1;
    }
}

/// What a mood answers instead of the truth; `None` if it is good.
async fn refusal(mood: Mood) -> Option<Response> {
    match mood {
        Mood::Good => None,
        Mood::Lying => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Mood::Status(status) => Some(StatusCode::from_u16(status).unwrap().into_response()),
        Mood::Slow => {
            time::sleep(Duration::from_secs(1)).await;
            Some(StatusCode::GATEWAY_TIMEOUT.into_response())
        }
    }
}

async fn loki(State(sink): State<Sink>, body: Bytes) -> Response {
    let mood = sink.mood();
    let mut refusal = refusal(mood).await;
    if let (Some(refusal), false) = (&mut refusal, mood == Mood::Lying) {
        return std::mem::take(refusal);
    }
    let request = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let streams = streams(&request);
    // A line that nobody takes; the others of its request are taken, as by Loki.
    let mut is_bad = false;
    for (labels, entries) in streams {
        for entry in entries {
            if entry.line.contains("poison") {
                is_bad = true;
            } else {
                let metadata: Vec<String> = entry
                    .metadata
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                sink.keep(&format!("{labels} {}", metadata.join(" ")), entry.line);
            }
        }
    }
    match (refusal, is_bad) {
        (Some(refusal), _) => refusal,
        (None, true) => (StatusCode::BAD_REQUEST, "entry is poison").into_response(),
        (None, false) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn cloudwatch(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> Response {
    let mood = sink.mood();
    let mut refusal = refusal(mood).await;
    if let (Some(refusal), false) = (&mut refusal, mood == Mood::Lying) {
        return std::mem::take(refusal);
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let group = asked["logGroupName"].as_str().unwrap().to_owned();
    let error = |kind: &str| {
        let body = json!({"__type": kind, "message": "no"}).to_string();
        (StatusCode::BAD_REQUEST, body).into_response()
    };
    let operation = headers["x-amz-target"].to_str().unwrap();
    let mut kept = sink.0.lock().unwrap();
    let is_there = kept.groups.contains(&group);
    match operation {
        "Logs_20140328.CreateLogGroup" if is_there => {
            return error("ResourceAlreadyExistsException");
        }
        "Logs_20140328.CreateLogGroup" => kept.groups.push(group),
        "Logs_20140328.CreateLogStream" => {}
        "Logs_20140328.PutLogEvents" if !is_there => {
            return error("com.amazonaws.logs#ResourceNotFoundException");
        }
        "Logs_20140328.PutLogEvents" => {
            drop(kept);
            let mut before = 0;
            for event in asked["logEvents"].as_array().unwrap() {
                let time = event["timestamp"].as_i64().unwrap();
                assert!(time >= before, "events must be in the order of time");
                before = time;
                sink.keep(&group, event["message"].as_str().unwrap().to_owned());
            }
        }
        other => panic!("{other} is no operation of a shipper"),
    }
    refusal.unwrap_or_else(|| "{}".into_response())
}

fn streams(request: &[u8]) -> Vec<(String, Vec<Entry>)> {
    fields(request)
        .into_iter()
        .map(|(_, stream)| {
            let mut labels = String::new();
            let mut entries = Vec::new();
            for (number, bytes) in fields(stream) {
                match number {
                    1 => labels = String::from_utf8(bytes.to_vec()).unwrap(),
                    _ => entries.push(entry(bytes)),
                }
            }
            (labels, entries)
        })
        .collect()
}

fn entry(bytes: &[u8]) -> Entry {
    let mut entry = Entry {
        line: String::new(),
        metadata: Vec::new(),
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for (number, bytes) in fields(bytes) {
        match number {
            2 => entry.line = text(bytes),
            3 => {
                let pair = fields(bytes);
                entry.metadata.push((text(pair[0].1), text(pair[1].1)));
            }
            _ => {}
        }
    }
    entry
}

/// The fields with a length, by their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        let value = varint(&mut bytes);
        if tag & 7 == 2 {
            let (field, rest) = bytes.split_at(value as usize);
            bytes = rest;
            found.push((tag >> 3, field));
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}
