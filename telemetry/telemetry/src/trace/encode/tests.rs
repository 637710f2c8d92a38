//! Requests against those of the generated messages.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use opentelemetry::StringValue;
use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Some ended span.
pub(in super::super) fn sample() -> SpanData {
    SpanData {
        span_context: context(1, 1, false, 1, &[]),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "work".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn context(
    trace: u128,
    span: u64,
    remote: bool,
    flags: u8,
    state: &[(String, String)],
) -> SpanContext {
    SpanContext::new(
        TraceId::from(trace),
        SpanId::from(span),
        TraceFlags::new(flags),
        remote,
        TraceState::from_key_value(state.iter().map(|(key, value)| (key, value))).unwrap(),
    )
}

fn contexts() -> impl Strategy<Value = SpanContext> {
    let state = vec(("[a-z]{1,5}", "[a-z0-9:]{0,9}"), 0..3);
    (
        any::<u128>(),
        any::<u64>(),
        any::<bool>(),
        any::<u8>(),
        state,
    )
        .prop_map(|(trace, span, remote, flags, state)| context(trace, span, remote, flags, &state))
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        vec(any::<String>().prop_map(StringValue::from), 0..3)
            .prop_map(|texts| Value::Array(Array::String(texts))),
        vec(any::<i64>(), 0..3).prop_map(|numbers| Value::Array(Array::I64(numbers))),
        vec(any::<bool>(), 0..3).prop_map(|flags| Value::Array(Array::Bool(flags))),
        vec(-1e9..1e9, 0..3).prop_map(|numbers| Value::Array(Array::F64(numbers))),
    ]
}

/// With different keys: what happens to equal ones is a test of its own.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    proptest::collection::btree_map("[a-z.]{0,8}", values(), 0..6).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs
            .map(|(key, value)| KeyValue::new(key, value))
            .collect()
    })
}

fn times() -> impl Strategy<Value = SystemTime> {
    (0..u64::MAX).prop_map(|nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds))
}

fn events() -> impl Strategy<Value = SpanEvents> {
    let event = (any::<String>(), times(), attributes(), any::<u32>())
        .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped));
    (vec(event, 0..3), any::<u32>()).prop_map(|(list, dropped)| {
        let mut events = SpanEvents::default();
        (events.events, events.dropped_count) = (list, dropped);
        events
    })
}

fn links() -> impl Strategy<Value = SpanLinks> {
    let link = (contexts(), attributes(), any::<u32>())
        .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped));
    (vec(link, 0..3), any::<u32>()).prop_map(|(list, dropped)| {
        let mut links = SpanLinks::default();
        (links.links, links.dropped_count) = (list, dropped);
        links
    })
}

fn scopes() -> impl Strategy<Value = InstrumentationScope> {
    (0..3u8, attributes()).prop_map(|(which, attributes)| match which {
        0 => InstrumentationScope::default(),
        1 => InstrumentationScope::builder("telemetry").build(),
        _ => InstrumentationScope::builder("other")
            .with_version("1.2")
            .with_schema_url("https://schema")
            .with_attributes(attributes)
            .build(),
    })
}

fn spans() -> impl Strategy<Value = SpanData> {
    let kinds = prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ];
    let status = prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        any::<String>().prop_map(Status::error),
    ];
    let who = (contexts(), any::<u64>(), any::<bool>(), scopes());
    let what = (any::<String>(), kinds, status, times(), times());
    let carries = (attributes(), any::<u32>(), events(), links());
    (who, what, carries).prop_map(|(who, what, carries)| {
        let (span_context, parent, parent_span_is_remote, instrumentation_scope) = who;
        let (name, span_kind, status, start_time, end_time) = what;
        let (attributes, dropped_attributes_count, events, links) = carries;
        SpanData {
            span_context,
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote,
            span_kind,
            name: name.into(),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count,
            events,
            links,
            status,
            instrumentation_scope,
        }
    })
}

fn decoded(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).unwrap()
}

proptest! {
    #[test]
    fn a_request_is_what_the_generated_messages_say(
        batch in vec(spans(), 1..4),
        resource in attributes(),
        roots in any::<bool>(),
    ) {
        let mut batch = batch;
        // The generated side groups equal scopes, ours only neighbours.
        batch.sort_by_key(|span| format!("{:?}", span.instrumentation_scope));
        if roots {
            batch[0].parent_span_id = SpanId::INVALID;
        }
        let resource = Resource::builder_empty().with_attributes(resource).build();
        let resource = ResourceAttributesWithSchema::from(&resource);
        let (body, count) = Encoder::new(&resource).encode(&batch);
        prop_assert_eq!(count, batch.len());
        let expected = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &resource),
        };
        prop_assert_eq!(decoded(&body), expected);
    }
}

#[test]
fn an_attribute_that_was_set_twice_is_sent_once_with_its_last_value() {
    let mut span = sample();
    span.attributes = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)]
        .map(|(key, value)| KeyValue::new(key, value))
        .to_vec();
    let (body, _) = Encoder::new(&ResourceAttributesWithSchema::default()).encode(&[span]);
    let sent = &decoded(&body).resource_spans[0].scope_spans[0].spans[0];
    let keys: Vec<&str> = sent
        .attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    assert_eq!(keys, ["b", "c", "a"]);
    assert!(format!("{:?}", sent.attributes[2]).contains("IntValue(5)"));
}

#[test]
fn very_large_spans_go_into_requests_of_their_own() {
    let large = |bytes: usize| {
        let mut span = sample();
        span.attributes
            .push(KeyValue::new("text", "x".repeat(bytes)));
        span
    };
    let mut encoder = Encoder::new(&ResourceAttributesWithSchema::default());
    let batch = [
        large(REQUEST_BYTES_MAX),
        large(1),
        large(REQUEST_BYTES_MAX / 2),
        large(1),
    ];
    let mut left = &batch[..];
    let mut counts = Vec::new();
    while !left.is_empty() {
        let (body, count) = encoder.encode(left);
        let sent = decoded(&body).resource_spans[0].scope_spans[0].spans.len();
        assert_eq!(sent, count);
        counts.push(count);
        left = &left[count..];
    }
    assert_eq!(counts, [1, 3]);
}

#[test]
fn lengths_of_every_width_are_written_in_as_few_bytes_as_they_need() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        for guess in [Length::Short, Length::Medium, Length::Long] {
            let mut out = vec![7];
            message(&mut out, 1, guess, |out| {
                out.resize(out.len() + length, b'x')
            });
            let mut expected = vec![7, 0x0a];
            encode_varint(length as u64, &mut expected);
            expected.resize(expected.len() + length, b'x');
            assert!(out == expected, "{length}");
        }
    }
}
