//! Loki's push API: a protobuf `PushRequest`, compressed with snappy. Labels `service`, `level`, `env`; `trace_id` and `span_id` as
//! structured metadata.

use bytes::Bytes;
use conventions::{fields, metrics as names};
use reqwest::{Client, StatusCode};

use crate::{
    batch::{Batch, Line},
    delivery::{SendError, answered},
};

const PATH: &str = "/loki/api/v1/push";
const ENV: &str = "env";
/// How many nanoseconds a second has.
const SECOND_NS: i64 = 1_000_000_000;
/// Wire types of protobuf.
const VARINT: u8 = 0;
const LENGTH: u8 = 2;

/// Pushes to one Loki.
#[derive(Clone, Debug)]
pub(crate) struct Loki {
    client: Client,
    url: String,
    env: String,
}

impl Loki {
    pub(crate) fn new(client: Client, url: &str, env: &str) -> Self {
        Self {
            client,
            url: format!("{url}{PATH}"),
            env: env.to_owned(),
        }
    }

    pub(crate) async fn send(&self, service: &str, batch: &Batch) -> Result<(), SendError> {
        let request = push_request(service, &self.env, batch);
        let body = snap::raw::Encoder::new()
            .compress_vec(&request)
            .map_err(|error| SendError::Refused(error.to_string()))?;
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(Bytes::from(body))
            .send()
            .await;
        let response = answered(response)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.text().await.unwrap_or_default();
        let reason = format!("{status}: {}", text.trim());
        // What Loki says it will never take is given up, anything else tried again.
        match status == StatusCode::BAD_REQUEST || status == StatusCode::PAYLOAD_TOO_LARGE {
            true => Err(SendError::Refused(reason)),
            false => Err(SendError::Later(reason)),
        }
    }
}

/// `logproto.PushRequest`: streams (1) of labels (1) and entries (2) of timestamp (1), line (2) and structured metadata (3).
fn push_request(service: &str, env: &str, batch: &Batch) -> Vec<u8> {
    let mut request =
        Vec::with_capacity(batch.lines.iter().map(|line| line.text.len() + 160).sum());
    for (level, lines) in batch.by_level() {
        let mut stream = Vec::new();
        field(&mut stream, 1, selector(service, level, env).as_bytes());
        for line in lines {
            field(&mut stream, 2, &entry(line));
        }
        field(&mut request, 1, &stream);
    }
    request
}

fn selector(service: &str, level: Option<&str>, env: &str) -> String {
    let mut text = format!("{{{}={env:?}", ENV);
    if let Some(level) = level {
        text.push_str(&format!(", {}={level:?}", fields::LEVEL));
    }
    text.push_str(&format!(", {}={service:?}}}", names::SERVICE));
    text
}

fn entry(line: &Line) -> Vec<u8> {
    let mut timestamp = Vec::with_capacity(16);
    number(&mut timestamp, 1, line.t_ns.div_euclid(SECOND_NS) as u64);
    number(&mut timestamp, 2, line.t_ns.rem_euclid(SECOND_NS) as u64);
    let mut entry = Vec::with_capacity(line.text.len() + 128);
    field(&mut entry, 1, &timestamp);
    field(&mut entry, 2, line.text.as_bytes());
    for (name, value) in [
        (fields::SPAN_ID, line.part(&line.span_id)),
        (fields::TRACE_ID, line.part(&line.trace_id)),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let mut pair = Vec::with_capacity(64);
            field(&mut pair, 1, name.as_bytes());
            field(&mut pair, 2, value.as_bytes());
            field(&mut entry, 3, &pair);
        }
    }
    entry
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | LENGTH);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3 | VARINT);
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
