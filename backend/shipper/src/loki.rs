//! Loki's push API: a protobuf `PushRequest`, compressed with snappy. Labels `service`, `level`, `env`; `trace_id` and `span_id` as
//! structured metadata.
//!
//! Written by hand in one pass, every length computed beforehand: this is the path that decides how much one core ships.

use bytes::Bytes;
use conventions::{fields, metrics};
use reqwest::{Client, StatusCode};

use crate::{
    batch::{Batch, Line, Stream},
    http::{self, SendError},
};

const PATH: &str = "/loki/api/v1/push";
const ENV: &str = "env";
const SECOND_NS: i64 = 1_000_000_000;
/// Tags: field number and wire type. `PushRequest.streams`, `Stream.labels`, `Entry.timestamp`, the first of any pair.
const FIRST_TEXT: u8 = 1 << 3 | 2;
/// `Stream.entries`, `Entry.line`, the second of any pair.
const SECOND_TEXT: u8 = 2 << 3 | 2;
/// `Entry.structuredMetadata`.
const THIRD_TEXT: u8 = 3 << 3 | 2;
/// `Timestamp.seconds` and `Timestamp.nanos`.
const FIRST_NUMBER: u8 = 1 << 3;
const SECOND_NUMBER: u8 = 2 << 3;

/// Pushes to one Loki.
pub(crate) struct Loki {
    client: Client,
    url: String,
    env: String,
    snappy: snap::raw::Encoder,
    /// Entries by stream, and the whole request; kept for the next one.
    entries: Vec<Vec<u8>>,
    request: Vec<u8>,
}

impl Loki {
    pub(crate) fn new(client: Client, url: &str, env: &str) -> Self {
        Self {
            client,
            url: format!("{}{PATH}", url.trim_end_matches('/')),
            env: env.to_owned(),
            snappy: snap::raw::Encoder::new(),
            entries: Vec::new(),
            request: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, batch: &Batch, lines: &[u32]) -> Result<(), SendError> {
        self.encode(batch, lines);
        let body = self.snappy.compress_vec(&self.request);
        let body = body.map_err(|error| SendError::Refused(error.to_string()))?;
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(Bytes::from(body));
        let (status, answer) = http::answer(request).await?;
        if status.is_success() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer);
        let reason = format!("{status}: {}", answer.trim());
        // What Loki says it will never take is given up, anything else tried again.
        Err(match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => SendError::Refused(reason),
            _ => SendError::Later(reason),
        })
    }

    fn encode(&mut self, batch: &Batch, lines: &[u32]) {
        self.entries
            .resize_with(batch.streams.len().max(self.entries.len()), Vec::new);
        self.entries.iter_mut().for_each(Vec::clear);
        for &line in lines {
            let line = &batch.lines[line as usize];
            push_entry(&mut self.entries[line.stream], batch, line);
        }
        self.request.clear();
        for (stream, entries) in batch.streams.iter().zip(&self.entries) {
            if entries.is_empty() {
                continue;
            }
            let labels = labels(stream, &self.env);
            let length = text_length(labels.len()) + entries.len();
            push_length(&mut self.request, FIRST_TEXT, length);
            push_text(&mut self.request, FIRST_TEXT, labels.as_bytes());
            self.request.extend_from_slice(entries);
        }
    }
}

/// Names and levels have nothing that needs an escape.
fn labels(stream: &Stream, env: &str) -> String {
    let Stream { service, level } = stream;
    let level = match level.as_str() {
        "" => String::new(),
        level => format!("{}=\"{level}\", ", fields::LEVEL),
    };
    format!(
        "{{{ENV}=\"{env}\", {level}{}=\"{service}\"}}",
        metrics::SERVICE
    )
}

/// `Stream.entries`: timestamp, line, structured metadata.
fn push_entry(out: &mut Vec<u8>, batch: &Batch, line: &Line) {
    let text = batch.text(line).as_bytes();
    let metadata = [
        (fields::TRACE_ID, batch.trace_id(line)),
        (fields::SPAN_ID, batch.span_id(line)),
    ];
    let metadata = metadata.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let seconds = line.t_ns.div_euclid(SECOND_NS) as u64;
    let nanos = line.t_ns.rem_euclid(SECOND_NS) as u64;
    let time_length = 2 + varint_length(seconds) + varint_length(nanos);
    let pair_length =
        |(name, value): (&[u8], &[u8])| text_length(name.len()) + text_length(value.len());
    let mut length = text_length(time_length) + text_length(text.len());
    for pair in metadata.iter().filter(|(_, value)| !value.is_empty()) {
        length += text_length(pair_length(*pair));
    }
    push_length(out, SECOND_TEXT, length);
    push_length(out, FIRST_TEXT, time_length);
    out.push(FIRST_NUMBER);
    push_varint(out, seconds);
    out.push(SECOND_NUMBER);
    push_varint(out, nanos);
    push_text(out, SECOND_TEXT, text);
    for pair in metadata.iter().filter(|(_, value)| !value.is_empty()) {
        push_length(out, THIRD_TEXT, pair_length(*pair));
        push_text(out, FIRST_TEXT, pair.0);
        push_text(out, SECOND_TEXT, pair.1);
    }
}

fn push_text(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    push_length(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

fn push_length(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    push_varint(out, length as u64);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Of a text with its tag and length.
fn text_length(bytes: usize) -> usize {
    1 + varint_length(bytes as u64) + bytes
}

fn varint_length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                push_varint(&mut out, value);
                assert_eq!(out.len(), varint_length(value), "{value}");
            }
        }
    }

    #[test]
    fn labels_are_in_the_order_of_loki_and_a_level_may_be_missing() {
        let stream = |level: &str| Stream {
            service: "gateway".to_owned(),
            level: level.to_owned(),
        };
        let text = labels(&stream("INFO"), "prod");
        assert_eq!(text, r#"{env="prod", level="INFO", service="gateway"}"#);
        let text = labels(&stream(""), "prod");
        assert_eq!(text, r#"{env="prod", service="gateway"}"#);
    }
}
