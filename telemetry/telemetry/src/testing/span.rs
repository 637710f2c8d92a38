//! A finished span as OTLP carries it, in owned and comparable form.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conventions::resource::SERVICE_NAME;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Array, StringValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as proto;

/// A finished span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// Attributes of the process that emitted it.
    pub resource: BTreeMap<String, Value>,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// All-zero if the emitter sent something else than 16 bytes.
    pub trace_id: TraceId,
    /// All-zero if the emitter sent something else than 8 bytes.
    pub span_id: SpanId,
    /// `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process; false for a root.
    pub parent_is_remote: bool,
    /// The W3C `tracestate` header.
    pub trace_state: String,
    /// As it is searched for: `GET /v1/tasks/{id}`.
    pub name: String,
    /// Client, server and so on.
    pub kind: SpanKind,
    /// When the operation began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// By name. Of several values with one name, which OTLP forbids, the last.
    pub attributes: BTreeMap<String, Value>,
    /// How many attributes the emitter sent, so that duplicates show.
    pub attributes_sent: usize,
    /// Spans of other operations, possibly of other traces.
    pub links: Vec<Link>,
    /// What happened while it lasted.
    pub events: Vec<SpanEvent>,
    /// Unset, Ok or Error.
    pub status: Status,
}

/// A span's reference to another span that is not its parent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// Of the span linked to.
    pub trace_id: TraceId,
    /// Of the span linked to.
    pub span_id: SpanId,
    /// The W3C `tracestate` header of the span linked to.
    pub trace_state: String,
    /// By name.
    pub attributes: BTreeMap<String, Value>,
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// What happened.
    pub name: String,
    /// When.
    pub time: SystemTime,
    /// By name.
    pub attributes: BTreeMap<String, Value>,
}

impl Span {
    /// `service.name` of the emitter, empty if it named none.
    pub fn service(&self) -> &str {
        match self.resource.get(SERVICE_NAME) {
            Some(Value::String(name)) => name.as_str(),
            _ => "",
        }
    }

    /// A text attribute. `None` if there is none of this name, or if it is no text.
    pub fn text(&self, attribute: &str) -> Option<&str> {
        match self.attributes.get(attribute) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A whole-number attribute. `None` if there is none of this name, or if it was sent as another type.
    pub fn int(&self, attribute: &str) -> Option<i64> {
        match self.attributes.get(attribute) {
            Some(Value::I64(number)) => Some(*number),
            _ => None,
        }
    }

    /// A boolean attribute. `None` if there is none of this name, or if it was sent as another type.
    pub fn flag(&self, attribute: &str) -> Option<bool> {
        match self.attributes.get(attribute) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// Whether the status is Error.
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error { .. })
    }

    /// Whether `self` is a child of `parent`.
    pub fn is_child_of(&self, parent: &Span) -> bool {
        self.trace_id == parent.trace_id && self.parent_span_id == Some(parent.span_id)
    }

    /// Whether `self` has a link to `other`.
    pub fn links_to(&self, other: &Span) -> bool {
        let ids = (other.trace_id, other.span_id);
        self.links
            .iter()
            .any(|link| (link.trace_id, link.span_id) == ids)
    }
}

/// All spans of a request, in its order.
pub(super) fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = attributes(resource_spans.resource.unwrap_or_default().attributes);
        for scope_spans in resource_spans.scope_spans {
            let scope = scope_spans.scope.unwrap_or_default().name;
            for received in scope_spans.spans {
                spans.push(span(received, &resource, &scope));
            }
        }
    }
    spans
}

fn span(received: proto::Span, resource: &BTreeMap<String, Value>, scope: &str) -> Span {
    let remote = proto::SpanFlags::ContextIsRemoteMask as u32;
    Span {
        kind: kind(received.kind()),
        resource: resource.clone(),
        scope: scope.to_owned(),
        trace_id: trace_id(&received.trace_id),
        span_id: span_id(&received.span_id),
        parent_span_id: Some(span_id(&received.parent_span_id)).filter(|id| *id != SpanId::INVALID),
        parent_is_remote: received.flags & remote != 0,
        trace_state: received.trace_state,
        name: received.name,
        start: time(received.start_time_unix_nano),
        end: time(received.end_time_unix_nano),
        attributes_sent: received.attributes.len(),
        attributes: attributes(received.attributes),
        links: received.links.into_iter().map(link).collect(),
        events: received.events.into_iter().map(event).collect(),
        status: received.status.map_or(Status::Unset, status),
    }
}

fn link(received: proto::span::Link) -> Link {
    Link {
        trace_id: trace_id(&received.trace_id),
        span_id: span_id(&received.span_id),
        trace_state: received.trace_state,
        attributes: attributes(received.attributes),
    }
}

fn event(received: proto::span::Event) -> SpanEvent {
    SpanEvent {
        name: received.name,
        time: time(received.time_unix_nano),
        attributes: attributes(received.attributes),
    }
}

fn kind(received: proto::span::SpanKind) -> SpanKind {
    match received {
        proto::span::SpanKind::Server => SpanKind::Server,
        proto::span::SpanKind::Client => SpanKind::Client,
        proto::span::SpanKind::Producer => SpanKind::Producer,
        proto::span::SpanKind::Consumer => SpanKind::Consumer,
        proto::span::SpanKind::Internal | proto::span::SpanKind::Unspecified => SpanKind::Internal,
    }
}

fn status(received: proto::Status) -> Status {
    match received.code() {
        proto::status::StatusCode::Unset => Status::Unset,
        proto::status::StatusCode::Ok => Status::Ok,
        proto::status::StatusCode::Error => Status::error(received.message),
    }
}

fn trace_id(bytes: &[u8]) -> TraceId {
    bytes
        .try_into()
        .map_or(TraceId::INVALID, TraceId::from_bytes)
}

fn span_id(bytes: &[u8]) -> SpanId {
    bytes.try_into().map_or(SpanId::INVALID, SpanId::from_bytes)
}

fn time(unix_nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_nanoseconds)
}

fn attributes(received: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let pair = |received: KeyValue| (received.key, value(received.value));
    received.into_iter().map(pair).collect()
}

/// Maps and bytes, which OpenTelemetry's Rust API has no value for, become their text.
fn value(received: Option<AnyValue>) -> Value {
    match received.and_then(|received| received.value) {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::BoolValue(flag)) => flag.into(),
        Some(any_value::Value::IntValue(number)) => number.into(),
        Some(any_value::Value::DoubleValue(number)) => number.into(),
        Some(any_value::Value::ArrayValue(array)) => {
            texts(array.values.into_iter().map(|item| value(Some(item))))
        }
        Some(other) => format!("{other:?}").into(),
        None => "".into(),
    }
}

/// An array as texts, whatever its items are: `aws.dynamodb.table_names` and its like hold nothing else.
fn texts(items: impl Iterator<Item = Value>) -> Value {
    let texts = items.map(|item| StringValue::from(item.as_str().into_owned()));
    Value::Array(Array::String(texts.collect()))
}
