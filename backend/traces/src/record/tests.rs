//! What goes into a record comes out of it, and damaged bytes harm nobody.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span,
};
use otlp::TraceId;
use otlp::wire::{self, Visit};
use proptest::prelude::*;
use prost::Message as _;

use super::encode::{ATTRIBUTE_BYTES_MAX, Builder};
use super::{Damaged, Record, Stored, export};
use crate::joined::JoinedTrace;
use traceql::model::{Scope, Span as _, Trace as _, Value as Seen};

const TRACE: TraceId = TraceId([7; 16]);

/// Gives everything to the builder.
struct Into<'b>(&'b mut Builder);

impl<'a> Visit<'a> for Into<'_> {
    fn resource(&mut self, resource: wire::Resource<'a>) {
        self.0.resource(&resource);
    }

    fn scope(&mut self, scope: wire::Scope<'a>) {
        self.0.scope(&scope);
    }

    fn span(&mut self, span: wire::Span<'a>) {
        self.0.span(&span);
    }
}

/// The record of a request in which every span belongs to [`TRACE`].
fn record(request: &TracesData) -> Vec<u8> {
    let mut builder = Builder::default();
    wire::walk(&request.encode_to_vec(), &mut Into(&mut builder)).unwrap();
    finished(&builder)
}

fn finished(builder: &Builder) -> Vec<u8> {
    let mut bytes = Vec::new();
    builder.finish(TRACE, &(5..=6), &mut bytes);
    bytes
}

fn exported(records: &[&[u8]]) -> Result<TracesData, Damaged> {
    let records: Result<Vec<Record<'_>>, Damaged> =
        records.iter().map(|bytes| Record::open(bytes)).collect();
    let bytes = export::traces_data(&JoinedTrace::new(TRACE, records?))?;
    Ok(TracesData::decode(&*bytes).unwrap())
}

fn request(spans: Vec<Span>) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource::default()),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope::default()),
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn span(id: u8) -> Span {
    Span {
        trace_id: TRACE.0.to_vec(),
        span_id: vec![id; 8],
        name: format!("span {id}"),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 2_000,
        ..Span::default()
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn values() -> impl Strategy<Value = Option<Value>> {
    let scalar = prop_oneof![
        "\\PC{0,12}".prop_map(Value::StringValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<Vec<u8>>().prop_map(Value::BytesValue),
    ];
    let nested = scalar.prop_recursive(3, 8, 3, |inner| {
        let some = inner.prop_map(|value| AnyValue { value: Some(value) });
        let list = prop::collection::vec(some, 0..3);
        prop_oneof![
            list.clone()
                .prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            list.prop_map(|values| {
                let values = values.into_iter().map(|value| KeyValue {
                    key: "inner".to_owned(),
                    value: Some(value),
                    ..KeyValue::default()
                });
                Value::KvlistValue(KeyValueList {
                    values: values.collect(),
                })
            }),
        ]
    });
    prop::option::weighted(0.9, nested)
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let one = ("[a-c.é]{0,4}", values()).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    });
    prop::collection::vec(one, 0..4)
}

prop_compose! {
    fn events()(
        time_unix_nano in any::<u64>(), name in "\\PC{0,6}", attributes in attributes(),
        dropped_attributes_count in any::<u32>(),
    ) -> span::Event {
        span::Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn links()(
        trace_id in prop_oneof![Just(Vec::new()), any::<[u8; 16]>().prop_map(Vec::from)],
        span_id in prop_oneof![Just(Vec::new()), any::<[u8; 8]>().prop_map(Vec::from)], trace_state in "[a-z=,]{0,9}",
        attributes in attributes(), dropped_attributes_count in any::<u32>(), flags in any::<u32>(),
    ) -> span::Link {
        span::Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    fn spans()(
        (parent_span_id, trace_state, name) in (prop::option::of(1..u8::MAX), "[a-z=,]{0,9}", "\\PC{0,12}"),
        (kind, flags, start, end) in (any::<i32>(), any::<u32>(), any::<u64>(), any::<u64>()),
        (attributes, dropped_attributes_count) in (attributes(), any::<u32>()),
        (events, dropped_events_count) in (prop::collection::vec(events(), 0..3), any::<u32>()),
        (links, dropped_links_count) in (prop::collection::vec(links(), 0..3), any::<u32>()),
        (message, code) in ("\\PC{0,6}", 1..i32::MAX),
    ) -> Span {
        Span {
            parent_span_id: parent_span_id.map(|id| vec![id; 8]).unwrap_or_default(),
            trace_state, name, kind, flags, attributes, dropped_attributes_count, events, dropped_events_count, links,
            dropped_links_count,
            start_time_unix_nano: start, end_time_unix_nano: end,
            status: Some(Status { message, code }),
            ..Span::default()
        }
    }
}

prop_compose! {
    fn resource_spans()(
        resource in attributes(), scope in attributes(), dropped in any::<u32>(), texts in "[a-z]{0,3}",
        spans in prop::collection::vec(spans(), 1..4),
    ) -> ResourceSpans {
        ResourceSpans {
            resource: Some(Resource {
                attributes: resource,
                dropped_attributes_count: dropped,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: texts.clone(),
                    version: texts.clone(),
                    attributes: scope,
                    dropped_attributes_count: dropped,
                }),
                spans,
                schema_url: texts.clone(),
            }],
            schema_url: texts,
        }
    }
}

prop_compose! {
    fn requests()(mut resource_spans in prop::collection::vec(resource_spans(), 1..4)) -> TracesData {
        let spans = resource_spans
            .iter_mut()
            .flat_map(|resource| &mut resource.scope_spans)
            .flat_map(|scope| &mut scope.spans);
        for (number, span) in (1u64..).zip(spans) {
            span.trace_id = TRACE.0.to_vec();
            span.span_id = number.to_be_bytes().to_vec();
        }
        TracesData { resource_spans }
    }
}

proptest! {
    #[test]
    fn a_request_comes_back_equal(request in requests()) {
        // Compared as bytes: a NaN is not equal to itself.
        prop_assert_eq!(exported(&[&record(&request)]).unwrap().encode_to_vec(), request.encode_to_vec());
    }

    #[test]
    fn flipped_and_cut_bytes_never_panic(
        request in requests(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = record(&request);
        for (at, bits) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        touch_everything(&bytes);
    }

    #[test]
    fn noise_behind_a_version_never_panics(noise in any::<Vec<u8>>()) {
        touch_everything(&[&[super::VERSION], &*noise].concat());
    }
}

/// Reads whatever can be read.
fn touch_everything(bytes: &[u8]) {
    let Ok(record) = Record::open(bytes) else {
        return;
    };
    let trace = JoinedTrace::new(record.trace_id(), vec![record, record]);
    let _ = export::traces_data(&trace);
    let _ = (trace.root(), trace.bounds_ns(), trace.indexed_ns());
    for index in 0..trace.len() {
        let span = trace.span(index);
        let _ = (
            span.parent(),
            span.kind(),
            span.status(),
            span.duration_ns(),
        );
        let _ = (span.status_message(), span.instrumentation());
        span.events(&mut |_, _| {});
        span.links(&mut |_, _| {});
        for scope in [
            Scope::Span,
            Scope::Resource,
            Scope::Event,
            Scope::Link,
            Scope::Instrumentation,
        ] {
            span.attributes(scope, &mut |_, _| {});
            span.attribute(scope, "a", &mut |_| false);
        }
    }
}

#[test]
fn another_version_and_an_empty_record_are_errors() {
    let mut bytes = record(&request(vec![span(1)]));
    bytes[0] = 2;
    assert_eq!(Record::open(&bytes).map(|_| ()), Err(Damaged::Version(2)));
    assert!(Record::open(&[]).is_err());
}

#[test]
fn a_copy_of_a_span_is_stored_once_and_the_later_end_wins() {
    let (early, mut late) = (span(1), span(1));
    late.end_time_unix_nano += 1;
    late.name = "late".to_owned();
    let expected = request(vec![late.clone(), span(2)]);
    for spans in [
        vec![early.clone(), span(2), late.clone()],
        vec![late.clone(), span(2), early.clone()],
    ] {
        assert_eq!(exported(&[&record(&request(spans))]).unwrap(), expected);
    }
    let (first, second) = (record(&request(vec![early])), record(&request(vec![late])));
    for records in [[&*first, &*second], [&*second, &*first]] {
        let joined = exported(&records).unwrap();
        let spans: Vec<&Span> = joined
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
            .collect();
        assert_eq!(spans, [&expected.resource_spans[0].scope_spans[0].spans[0]]);
    }
}

#[test]
fn client_and_server_that_share_an_id_are_two_spans() {
    let (mut client, mut server) = (span(1), span(1));
    (client.kind, server.kind) = (3, 2);
    let both = request(vec![client, server]);
    assert_eq!(exported(&[&record(&both)]).unwrap(), both);
}

#[test]
fn long_keys_and_values_are_cut_at_a_character() {
    let long = "é".repeat(ATTRIBUTE_BYTES_MAX);
    let cut = "é".repeat(ATTRIBUTE_BYTES_MAX / 2);
    let odd = format!("x{long}");
    let odd_cut = format!("x{}", "é".repeat(ATTRIBUTE_BYTES_MAX / 2 - 1));
    let mut one = span(1);
    one.attributes = vec![pair(&long, text(&long)), pair("odd", text(&odd))];
    let request = request(vec![one]).encode_to_vec();
    let mut builder = Builder::default();
    wire::walk(&request, &mut Into(&mut builder)).unwrap();
    assert_eq!(builder.attributes_truncated(), 3);
    let bytes = finished(&builder);
    let record = Record::open(&bytes).unwrap();
    let stored: Vec<_> = record.attributes(&record.row(0)).collect();
    assert_eq!(
        stored,
        [
            (&*cut, Stored::String(&cut)),
            ("odd", Stored::String(&odd_cut))
        ]
    );
}

#[test]
fn text_that_is_no_utf_8_loses_what_is_not() {
    let bad = "a?b".to_owned();
    let mut one = span(1);
    one.name = bad.clone();
    one.attributes = vec![pair(&bad, text(&bad))];
    let mut request = request(vec![one]).encode_to_vec();
    for at in 0..request.len() - 2 {
        if &request[at..at + 3] == b"a?b" {
            request[at + 1] = 0xff;
        }
    }
    let mut builder = Builder::default();
    wire::walk(&request, &mut Into(&mut builder)).unwrap();
    let bytes = finished(&builder);
    let record = Record::open(&bytes).unwrap();
    let stored: Vec<_> = record.attributes(&record.row(0)).collect();
    assert_eq!(stored, [("a\u{fffd}b", Stored::String("a\u{fffd}b"))]);
    assert_eq!(record.row(0).name, "a\u{fffd}b");
}

#[test]
fn a_query_sees_scalars_and_the_elements_of_arrays() {
    let element = |value| AnyValue { value: Some(value) };
    let mut one = span(1);
    one.attributes = vec![
        pair("one", Value::IntValue(1)),
        pair(
            "many",
            Value::ArrayValue(ArrayValue {
                values: vec![element(text("a")), element(text("b"))],
            }),
        ),
        pair("bytes", Value::BytesValue(vec![1])),
    ];
    let bytes = record(&request(vec![one]));
    let trace = JoinedTrace::new(TRACE, vec![Record::open(&bytes).unwrap()]);
    let span = trace.span(0);
    let mut seen = Vec::new();
    span.attributes(Scope::Span, &mut |key, value| seen.push((key, value)));
    let expected = [
        ("one", Seen::Int(1)),
        ("many", Seen::String("a")),
        ("many", Seen::String("b")),
    ];
    assert_eq!(seen, expected);
    assert!(span.is_array(Scope::Span, "many") && !span.is_array(Scope::Span, "bytes"));
}
