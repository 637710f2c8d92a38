//! OTLP requests for the tests, said in a few words.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use otlp::TraceId;
use prost::Message as _;

/// Where the tests' time begins: 2023-11-14T22:13:20Z.
pub(crate) const T0: u64 = 1_700_000_000_000_000_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
/// When the tests' requests arrive.
pub(crate) const NOW: u64 = T0 + 3_600 * SECOND;

pub(crate) const SERVER: i32 = 2;
pub(crate) const CLIENT: i32 = 3;

/// Trace ids that differ in their last bytes.
pub(crate) fn trace_id(number: u64) -> TraceId {
    let mut id = [0xab; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

pub(crate) fn string(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub(crate) fn int(value: i64) -> Value {
    Value::IntValue(value)
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A span of 10 ms that starts at [`T0`].
pub(crate) fn span(trace: u64, id: u64, parent: u64, name: &str) -> Span {
    Span {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: match parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        name: name.to_owned(),
        kind: SERVER,
        start_time_unix_nano: T0,
        end_time_unix_nano: T0 + 10 * MS,
        ..Span::default()
    }
}

pub(crate) trait Change: Sized {
    fn with(self, key: &str, value: Value) -> Self;
    fn times(self, start_ns: u64, end_ns: u64) -> Self;
    fn failed(self) -> Self;
}

impl Change for Span {
    fn with(mut self, key: &str, value: Value) -> Self {
        self.attributes.push(pair(key, value));
        self
    }

    fn times(mut self, start_ns: u64, end_ns: u64) -> Self {
        self.start_time_unix_nano = start_ns;
        self.end_time_unix_nano = end_ns;
        self
    }

    fn failed(mut self) -> Self {
        self.status = Some(Status {
            message: "it broke".to_owned(),
            code: 2,
        });
        self
    }
}

/// The spans of one service.
pub(crate) fn service(name: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![pair("service.name", string(name))],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "tests".to_owned(),
                version: "1".to_owned(),
                ..InstrumentationScope::default()
            }),
            spans,
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    }
}

pub(crate) fn request(resource_spans: Vec<ResourceSpans>) -> Vec<u8> {
    TracesData { resource_spans }.encode_to_vec()
}

/// Every span of an answer, with the name of its service.
pub(crate) fn spans_of(answer: &traces::TraceData) -> Vec<(String, Span)> {
    let decoded = TracesData::decode(&*answer.protobuf).unwrap();
    let mut spans = Vec::new();
    for resource_spans in decoded.resource_spans {
        let resource = resource_spans.resource.unwrap();
        let name = resource
            .attributes
            .iter()
            .find(|pair| pair.key == "service.name");
        let name = match name.and_then(|pair| pair.value.clone()?.value) {
            Some(Value::StringValue(name)) => name,
            _ => String::new(),
        };
        let scopes = resource_spans.scope_spans.into_iter();
        spans.extend(
            scopes
                .flat_map(|scope| scope.spans)
                .map(|span| (name.clone(), span)),
        );
    }
    spans
}
