//! Ended spans as an OTLP `ExportTraceServiceRequest`, written straight from the SDK's data
//! (<https://github.com/open-telemetry/opentelemetry-proto>, `trace.proto` and `common.proto`, version 1).
//!
//! By way of the generated messages each span would cost some 40 allocations, which is more than all else an export
//! costs. The tests compare the result with theirs.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::cuts::told;

#[cfg(test)]
pub(super) mod tests;

/// Size of a request beyond which no further span is added to it: a fifth of what the Collector's receiver takes
/// (20 MiB), so that only a single enormous span can be refused for its size.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Bytes kept free for the length of a nested message while its end is not known: what most of its kind need. Where
/// the guess is wrong the message is moved.
#[derive(Clone, Copy)]
enum Length {
    /// Up to 127 bytes: an attribute.
    Short = 1,
    /// Up to 16 KiB: a span.
    Medium = 2,
    /// Up to 2 MiB: a batch.
    Long = 3,
}

/// Flags: whether the parent is remote is known (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`).
const KNOWS_IS_REMOTE: u32 = 0x100;
/// Flags: the parent, or the linked span, is in another process (`SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`).
const IS_REMOTE: u32 = 0x200;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// Turns batches into requests of one process.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// The resource, encoded once.
    resource: Vec<u8>,
    schema_url: String,
    /// Size of the last request: the next one is about as long.
    last_bytes: usize,
}

impl Encoder {
    pub(crate) fn new(resource: &ResourceAttributesWithSchema) -> Self {
        let message = opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: resource.attributes.0.clone(),
            ..Default::default()
        };
        Self {
            resource: message.encode_to_vec(),
            schema_url: resource.schema_url.clone().unwrap_or_default(),
            last_bytes: 0,
        }
    }

    /// One request with the first spans of `batch`, and how many: all of them, unless they are very large.
    pub(crate) fn encode(&mut self, batch: &[SpanData]) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(self.last_bytes + self.last_bytes / 8);
        let mut taken = 0;
        message(&mut out, 1, Length::Long, |out| {
            bytes(out, 1, &self.resource);
            let one_scope = |left: &SpanData, right: &SpanData| {
                left.instrumentation_scope == right.instrumentation_scope
            };
            for spans in batch.chunk_by(one_scope) {
                if out.len() < REQUEST_BYTES_MAX {
                    message(out, 2, Length::Long, |out| {
                        taken += scope_spans(out, spans);
                    });
                }
            }
            text(out, 3, &self.schema_url);
        });
        self.last_bytes = out.len();
        (out, taken)
    }
}

/// As many of `spans` as fit, at least one. They are not empty, and all have one scope.
fn scope_spans(out: &mut Vec<u8>, spans: &[SpanData]) -> usize {
    let scope = &spans[0].instrumentation_scope;
    message(out, 1, Length::Short, |out| {
        instrumentation_scope(out, scope)
    });
    let mut taken = 0;
    while taken < spans.len() && (taken == 0 || out.len() < REQUEST_BYTES_MAX) {
        message(out, 2, Length::Medium, |out| span(out, &spans[taken]));
        taken += 1;
    }
    text(out, 3, scope.schema_url().unwrap_or_default());
    taken
}

fn instrumentation_scope(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    text(out, 1, scope.name());
    text(out, 2, scope.version().unwrap_or_default());
    for attribute in scope.attributes() {
        key_value(out, 3, attribute);
    }
}

fn span(out: &mut Vec<u8>, span: &SpanData) {
    let context = &span.span_context;
    ids(out, context);
    if span.parent_span_id != SpanId::INVALID {
        bytes(out, 4, &span.parent_span_id.to_bytes());
    }
    text(out, 5, &span.name);
    varint(out, 6, kind(&span.span_kind));
    fixed64(out, 7, nanoseconds(span.start_time));
    fixed64(out, 8, nanoseconds(span.end_time));
    attributes(out, 9, &span.attributes);
    varint(out, 10, span.dropped_attributes_count.into());
    for happened in &span.events.events {
        message(out, 11, Length::Medium, |out| event(out, happened));
    }
    varint(out, 12, span.events.dropped_count.into());
    for linked in &span.links.links {
        message(out, 13, Length::Short, |out| link(out, linked));
    }
    varint(out, 14, span.links.dropped_count.into());
    message(out, 15, Length::Short, |out| status(out, &span.status));
    fixed32(out, 16, flags(context, span.parent_span_is_remote));
}

fn event(out: &mut Vec<u8>, event: &Event) {
    fixed64(out, 1, nanoseconds(event.timestamp));
    text(out, 2, &event.name);
    attributes(out, 3, &event.attributes);
    varint(out, 4, event.dropped_attributes_count.into());
}

fn link(out: &mut Vec<u8>, link: &Link) {
    let context = &link.span_context;
    ids(out, context);
    attributes(out, 4, &link.attributes);
    varint(out, 5, link.dropped_attributes_count.into());
    fixed32(out, 6, flags(context, context.is_remote()));
}

/// Trace id, span id and trace state have the same numbers in a span and in a link.
fn ids(out: &mut Vec<u8>, context: &SpanContext) {
    bytes(out, 1, &context.trace_id().to_bytes());
    bytes(out, 2, &context.span_id().to_bytes());
    text(out, 3, &context.trace_state().header());
}

fn status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => varint(out, 3, 1),
        Status::Error { description } => {
            text(out, 2, description);
            varint(out, 3, 2);
        }
    }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn flags(context: &SpanContext, is_remote: bool) -> u32 {
    let remote = if is_remote { IS_REMOTE } else { 0 };
    u32::from(context.trace_flags().to_u8()) | KNOWS_IS_REMOTE | remote
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since_epoch = told(time).duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// The SDK appends when an attribute is set again; OTLP demands unique keys, and the last value is the true one.
fn attributes(out: &mut Vec<u8>, tag: u8, attributes: &[KeyValue]) {
    for (index, attribute) in attributes.iter().enumerate() {
        let mut later = attributes[index + 1..].iter();
        if !later.any(|later| later.key == attribute.key) {
            key_value(out, tag, attribute);
        }
    }
}

fn key_value(out: &mut Vec<u8>, tag: u8, pair: &KeyValue) {
    message(out, tag, Length::Short, |out| {
        text(out, 1, pair.key.as_str());
        message(out, 2, Length::Short, |out| any_value(out, &pair.value));
    });
}

/// A value is written even when it is its type's default: it says which type it has.
fn any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(value) => bytes(out, 1, value.as_str().as_bytes()),
        Value::Bool(value) => present_varint(out, 2, u64::from(*value)),
        Value::I64(value) => present_varint(out, 3, value.cast_unsigned()),
        Value::F64(value) => {
            key(out, 4, FIXED64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Array(array) => message(out, 5, Length::Short, |out| items(out, array)),
        // The API may get further types; their text is better than nothing.
        other => bytes(out, 1, other.as_str().as_bytes()),
    }
}

fn items(out: &mut Vec<u8>, array: &Array) {
    let mut item = |value: &Value| message(out, 1, Length::Short, |out| any_value(out, value));
    match array {
        Array::Bool(values) => values.iter().for_each(|value| item(&Value::Bool(*value))),
        Array::I64(values) => values.iter().for_each(|value| item(&Value::I64(*value))),
        Array::F64(values) => values.iter().for_each(|value| item(&Value::F64(*value))),
        Array::String(values) => values
            .iter()
            .for_each(|value| item(&Value::String(value.clone()))),
        other => item(&Value::from(other.to_string())),
    }
}

/// A nested message, with its length in front in as few bytes as it needs.
fn message(out: &mut Vec<u8>, tag: u8, guess: Length, body: impl FnOnce(&mut Vec<u8>)) {
    key(out, tag, BYTES);
    let reserved = guess as usize;
    let start = out.len();
    out.resize(start + reserved, 0);
    body(out);
    let end = out.len();
    let length = end - start - reserved;
    let needed = encoded_len_varint(length as u64);
    if needed != reserved {
        out.resize(end.max(end - reserved + needed), 0);
        out.copy_within(start + reserved..end, start + needed);
        out.truncate(end - reserved + needed);
    }
    encode_varint(length as u64, &mut &mut out[start..start + needed]);
}

fn text(out: &mut Vec<u8>, tag: u8, value: &str) {
    if !value.is_empty() {
        bytes(out, tag, value.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    key(out, tag, BYTES);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Left out when it is 0, as protobuf has it for plain numbers.
fn varint(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        present_varint(out, tag, value);
    }
}

fn present_varint(out: &mut Vec<u8>, tag: u8, value: u64) {
    key(out, tag, VARINT);
    encode_varint(value, out);
}

fn fixed64(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        key(out, tag, FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn fixed32(out: &mut Vec<u8>, tag: u8, value: u32) {
    key(out, tag, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

fn key(out: &mut Vec<u8>, tag: u8, wire_type: u8) {
    encode_varint(u64::from(tag) << 3 | u64::from(wire_type), out);
}
