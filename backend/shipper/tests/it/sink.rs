//! Loki and CloudWatch Logs as far as a shipper sees them: they keep what they are given, and fail as they are told.

use std::{
    collections::HashSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use flate2::read::GzDecoder;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How a destination behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Good,
    /// Answers with this status, and takes nothing.
    Status(u16),
    /// Never answers, and takes nothing.
    Hanging,
    /// Takes everything and says that it failed.
    Lying,
    /// Ends each connection without an answer.
    Gone,
}

/// A line that the destination never takes.
pub(crate) const POISON: &str = "poison";

/// What is done with a line: stream or group, and text.
type Keep = Box<dyn FnMut(&str, String) + Send>;

#[derive(Clone)]
pub(crate) struct Sink {
    shared: Arc<Mutex<Shared>>,
    pub(crate) address: SocketAddr,
}

#[derive(Default)]
struct Shared {
    mood: Mood,
    /// Every line, with its stream.
    lines: Vec<(String, String)>,
    keep: Option<Keep>,
    /// Operations of CloudWatch, in their order, but for those that put lines.
    operations: Vec<(String, Value)>,
    groups: HashSet<String>,
    /// Of the last request to CloudWatch.
    authorization: Option<String>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::default();
        let sink = Self { shared, address };
        let routes = sink.routes();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        sink
    }

    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/loki/api/v1/push", post(loki))
            .route("/", post(cloudwatch))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(self.clone())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared().mood = mood;
    }

    /// Instead of keeping the lines.
    pub(crate) fn keep(&self, keep: impl FnMut(&str, String) + Send + 'static) {
        self.shared().keep = Some(Box::new(keep));
    }

    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        self.shared().lines.clone()
    }

    pub(crate) fn operations(&self) -> Vec<(String, Value)> {
        self.shared().operations.clone()
    }

    pub(crate) fn authorization(&self) -> Option<String> {
        self.shared().authorization.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn take(&self, stream: &str, line: String) {
        let mut shared = self.shared();
        match &mut shared.keep {
            Some(keep) => keep(stream, line),
            None => shared.lines.push((stream.to_owned(), line)),
        }
    }

    /// What is answered instead of the truth, and whether the lines are taken all the same.
    async fn refusal(&self) -> Option<(Response, bool)> {
        let mood = self.shared().mood;
        match mood {
            Mood::Good => None,
            Mood::Lying => Some((StatusCode::INTERNAL_SERVER_ERROR.into_response(), true)),
            Mood::Status(status) => {
                Some((StatusCode::from_u16(status).unwrap().into_response(), false))
            }
            Mood::Hanging => std::future::pending().await,
            Mood::Gone => Some((Response::new(Body::new(Broken)), false)),
        }
    }
}

/// A body that breaks the connection.
struct Broken;

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("gone"))))
    }
}

async fn loki(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> Response {
    let refusal = sink.refusal().await;
    if let Some((refusal, false)) = refusal {
        return refusal;
    }
    let streams = match headers["content-type"].to_str().unwrap() {
        "application/json" => json_streams(&headers, &body),
        _ => streams(&snap::raw::Decoder::new().decompress_vec(&body).unwrap()),
    };
    // The others of its request are taken, as by Loki.
    let mut is_bad = false;
    for (labels, entries) in streams {
        for entry in entries {
            if entry.line.contains(POISON) {
                is_bad = true;
                continue;
            }
            let pairs = entry.metadata.iter();
            let metadata: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            sink.take(&format!("{labels} {}", metadata.join(" ")), entry.line);
        }
    }
    match (refusal, is_bad) {
        (Some((refusal, _)), _) => refusal,
        (None, true) => (StatusCode::BAD_REQUEST, "entry is poison").into_response(),
        (None, false) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn cloudwatch(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> Response {
    let refusal = sink.refusal().await;
    if let Some((refusal, false)) = refusal {
        return refusal;
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let authorization = headers.get("authorization");
    sink.shared().authorization = authorization.map(|text| text.to_str().unwrap().to_owned());
    let operation = headers["x-amz-target"].to_str().unwrap();
    let operation = operation.strip_prefix("Logs_20140328.").unwrap();
    let outcome = match operation {
        "PutLogEvents" => put(&sink, &asked),
        operation => make(&sink, operation, asked),
    };
    match (refusal, outcome) {
        (Some((refusal, _)), _) => refusal,
        // Without its id Fluent Bit takes an answer for none.
        (None, Ok(())) => ([("x-amzn-requestid", "1")], "{}").into_response(),
        (None, Err(kind)) => {
            let body = json!({"__type": kind, "message": "no"}).to_string();
            (StatusCode::BAD_REQUEST, body).into_response()
        }
    }
}

fn make(sink: &Sink, operation: &str, asked: Value) -> Result<(), &'static str> {
    let group = asked["logGroupName"].as_str().unwrap().to_owned();
    let mut shared = sink.shared();
    shared.operations.push((operation.to_owned(), asked));
    match operation {
        "CreateLogGroup" if !shared.groups.insert(group.clone()) => {
            Err("ResourceAlreadyExistsException")
        }
        // Fluent Bit makes a group only when it is told that there is none.
        _ if !shared.groups.contains(&group) => Err("ResourceNotFoundException"),
        _ => Ok(()),
    }
}

fn put(sink: &Sink, asked: &Value) -> Result<(), &'static str> {
    let group = asked["logGroupName"].as_str().unwrap();
    let events = asked["logEvents"].as_array().unwrap();
    if !sink.shared().groups.contains(group) {
        return Err("com.amazonaws.logs#ResourceNotFoundException");
    }
    let times = events
        .iter()
        .map(|event| event["timestamp"].as_i64().unwrap());
    assert!(times.is_sorted(), "events must be in the order of time");
    let text = |event: &Value| event["message"].as_str().unwrap().to_owned();
    // All of a request or nothing, as by AWS.
    if events.iter().any(|event| text(event).contains(POISON)) {
        return Err("InvalidParameterException");
    }
    for event in events {
        sink.take(group, text(event));
    }
    Ok(())
}

/// A line as Loki is given it.
struct Entry {
    line: String,
    metadata: Vec<(String, String)>,
}

/// What Fluent Bit sends, written as the labels of a push are.
fn json_streams(headers: &HeaderMap, body: &[u8]) -> Vec<(String, Vec<Entry>)> {
    assert_eq!(headers["content-encoding"], "gzip");
    let request: Value = serde_json::from_reader(GzDecoder::new(body)).unwrap();
    let pairs = |object: &Value| -> Vec<(String, String)> {
        let pairs = object.as_object().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        pairs
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    };
    let entry = |value: &Value| {
        let mut metadata = pairs(&value[2]);
        metadata.sort_by(|one, other| other.cmp(one));
        let line = value[1].as_str().unwrap().to_owned();
        Entry { line, metadata }
    };
    let streams = request["streams"].as_array().unwrap().iter();
    let streams = streams.map(|stream| {
        let mut labels = pairs(&stream["stream"]);
        labels.sort();
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let entries = stream["values"].as_array().unwrap().iter().map(entry);
        (format!("{{{}}}", labels.join(", ")), entries.collect())
    });
    streams.collect()
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
