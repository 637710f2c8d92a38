//! The walk against prost: random requests must come out as they went in, damaged ones must not panic.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::common::v1::{
    self as common, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1::{self as trace, ResourceSpans, ScopeSpans, Status};
use proptest::{collection::vec, option, prelude::*};
use prost::Message as _;

use super::*;

/// Builds prost's messages out of what the walk tells.
#[derive(Default)]
struct Rebuild(Request);

impl<'a> Visit<'a> for Rebuild {
    fn resource(&mut self, resource: Resource<'a>) {
        self.0.resource_spans.push(ResourceSpans {
            resource: Some(ResourceMessage {
                attributes: attributes(resource.attributes()),
                dropped_attributes_count: resource.attributes_dropped(),
                ..Default::default()
            }),
            scope_spans: Vec::new(),
            schema_url: text(resource.schema_url),
        });
    }

    fn scope(&mut self, scope: Scope<'a>) {
        let spans = ScopeSpans {
            scope: Some(InstrumentationScope {
                name: text(scope.name()),
                version: text(scope.version()),
                attributes: attributes(scope.attributes()),
                dropped_attributes_count: scope.attributes_dropped(),
            }),
            spans: Vec::new(),
            schema_url: text(scope.schema_url),
        };
        self.0
            .resource_spans
            .last_mut()
            .unwrap()
            .scope_spans
            .push(spans);
    }

    fn span(&mut self, span: Span<'a>) {
        let scopes = &mut self.0.resource_spans.last_mut().unwrap().scope_spans;
        scopes.last_mut().unwrap().spans.push(rebuild(&span));
    }
}

fn rebuild(span: &Span<'_>) -> trace::Span {
    trace::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        trace_state: text(span.trace_state),
        parent_span_id: span.parent_span_id.to_vec(),
        flags: span.flags,
        name: text(span.name),
        kind: span.kind,
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: attributes(span.attributes()),
        dropped_attributes_count: span.attributes_dropped,
        events: span
            .events()
            .map(|event| trace::span::Event {
                time_unix_nano: event.time_ns,
                name: text(event.name),
                attributes: attributes(event.attributes()),
                dropped_attributes_count: event.attributes_dropped,
            })
            .collect(),
        dropped_events_count: span.events_dropped,
        links: span
            .links()
            .map(|link| trace::span::Link {
                trace_id: link.trace_id.to_vec(),
                span_id: link.span_id.to_vec(),
                trace_state: text(link.trace_state),
                attributes: attributes(link.attributes()),
                dropped_attributes_count: link.attributes_dropped,
                flags: link.flags,
            })
            .collect(),
        dropped_links_count: span.links_dropped,
        status: Some(Status {
            message: text(span.status_message),
            code: span.status_code,
        }),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn attributes(attributes: Attributes<'_>) -> Vec<KeyValue> {
    attributes
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(message(value)),
            ..Default::default()
        })
        .collect()
}

fn message(value: AnyValue<'_>) -> common::AnyValue {
    use any_value::Value;
    let value = match value {
        AnyValue::Empty => None,
        AnyValue::String(text) => Some(Value::StringValue(text.to_owned())),
        AnyValue::Bool(flag) => Some(Value::BoolValue(flag)),
        AnyValue::Int(number) => Some(Value::IntValue(number)),
        AnyValue::Double(number) => Some(Value::DoubleValue(number)),
        AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        AnyValue::Array(values) => Some(Value::ArrayValue(ArrayValue {
            values: values.map(message).collect(),
        })),
        AnyValue::KeyValues(values) => Some(Value::KvlistValue(KeyValueList {
            values: attributes(values),
        })),
    };
    common::AnyValue { value }
}

fn walked(request: &[u8]) -> Result<Request, Malformed> {
    let mut rebuilt = Rebuild::default();
    walk(request, &mut rebuilt)?;
    Ok(rebuilt.0)
}

fn any_value() -> impl Strategy<Value = common::AnyValue> {
    use any_value::Value;
    let scalar = prop_oneof![
        Just(None),
        ".{0,8}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        (-1e300..1e300_f64).prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..200).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    scalar
        .prop_map(|value| common::AnyValue { value })
        .prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(|values| common::AnyValue {
                    value: Some(Value::ArrayValue(ArrayValue { values })),
                }),
                vec(("[a-z.]{0,5}", inner), 0..3).prop_map(|pairs| common::AnyValue {
                    value: Some(Value::KvlistValue(KeyValueList {
                        values: pairs.into_iter().map(key_value).collect(),
                    })),
                }),
            ]
        })
}

fn key_value((key, value): (String, common::AnyValue)) -> KeyValue {
    KeyValue {
        key,
        value: Some(value),
        ..Default::default()
    }
}

fn some_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("[a-z.]{0,12}", any_value()), 0..4)
        .prop_map(|pairs| pairs.into_iter().map(key_value).collect())
}

fn id(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(vec![0; bytes]),
        vec(any::<u8>(), bytes)
    ]
}

prop_compose! {
    fn event()(
        time_unix_nano in any::<u64>(),
        name in ".{0,8}",
        attributes in some_attributes(),
        dropped_attributes_count in any::<u32>(),
    ) -> trace::span::Event {
        trace::span::Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn link()(
        trace_id in id(16),
        span_id in id(8),
        trace_state in ".{0,4}",
        attributes in some_attributes(),
        dropped_attributes_count in any::<u32>(),
        flags in any::<u32>(),
    ) -> trace::span::Link {
        trace::span::Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    fn span()(
        ids in (id(16), id(8), id(8)),
        texts in (".{0,4}", ".{0,200}", ".{0,8}"),
        (flags, kind, code) in (any::<u32>(), any::<i32>(), any::<i32>()),
        times in (any::<u64>(), any::<u64>()),
        attributes in some_attributes(),
        events in vec(event(), 0..3),
        links in vec(link(), 0..3),
        dropped in (any::<u32>(), any::<u32>(), any::<u32>()),
    ) -> trace::Span {
        trace::Span {
            trace_id: ids.0,
            span_id: ids.1,
            trace_state: texts.0,
            parent_span_id: ids.2,
            flags,
            name: texts.1,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes,
            dropped_attributes_count: dropped.0,
            events,
            dropped_events_count: dropped.1,
            links,
            dropped_links_count: dropped.2,
            status: Some(Status { message: texts.2, code }),
        }
    }
}

prop_compose! {
    fn scope_spans()(
        name in ".{0,8}",
        version in ".{0,8}",
        attributes in some_attributes(),
        dropped_attributes_count in any::<u32>(),
        spans in vec(span(), 0..3),
        schema_url in ".{0,8}",
    ) -> ScopeSpans {
        let scope = InstrumentationScope { name, version, attributes, dropped_attributes_count };
        ScopeSpans { scope: Some(scope), spans, schema_url }
    }
}

prop_compose! {
    fn resource_spans()(
        attributes in some_attributes(),
        dropped_attributes_count in any::<u32>(),
        scope_spans in vec(scope_spans(), 0..3),
        schema_url in option::of(".{0,8}"),
    ) -> ResourceSpans {
        let resource = ResourceMessage { attributes, dropped_attributes_count, ..Default::default() };
        ResourceSpans { resource: Some(resource), scope_spans, schema_url: schema_url.unwrap_or_default() }
    }
}

fn request() -> impl Strategy<Value = Request> {
    vec(resource_spans(), 0..3).prop_map(|resource_spans| Request { resource_spans })
}

/// The request again, with the fields of each message down to the span in reverse order.
fn reversed(request: &[u8], depth: usize) -> Vec<u8> {
    const NESTED: [&[u32]; 4] = [&[1], &[2], &[2], &[]];
    let mut fields = Vec::new();
    let mut rest = Cursor::new(request);
    while let Some(found) = rest.tag().unwrap() {
        let mut field = Vec::new();
        if found & 7 == LEN && NESTED[depth].contains(&(found >> 3)) {
            put::bytes_field(
                &mut field,
                found >> 3,
                &reversed(rest.bytes().unwrap(), depth + 1),
            );
        } else {
            let before = rest.rest();
            rest.skip(found, 0).unwrap();
            put::varint(&mut field, found.into());
            field.extend_from_slice(&before[..before.len() - rest.rest().len()]);
        }
        fields.push(field);
    }
    fields.reverse();
    fields.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_request_is_walked_as_prost_reads_it(request in request()) {
        let bytes = request.encode_to_vec();
        let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        prop_assert_eq!(count(&bytes), Ok(spans.map(|scope| scope.spans.len() as u64).sum()));
        prop_assert_eq!(walked(&bytes), Ok(request));
    }

    #[test]
    fn fields_may_come_in_any_order(request in request()) {
        let bytes = reversed(&request.encode_to_vec(), 0);
        prop_assert_eq!(walked(&bytes).unwrap(), Request::decode(&bytes[..]).unwrap());
    }

    #[test]
    fn a_request_cut_off_anywhere_is_an_error_or_what_prost_reads(request in request()) {
        let bytes = request.encode_to_vec();
        for end in 0..bytes.len() {
            let cut = &bytes[..end];
            prop_assert_eq!(walked(cut).ok(), Request::decode(cut).ok());
        }
    }

    #[test]
    fn damaged_bytes_never_panic(request in request(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = request.encode_to_vec();
        for (index, byte) in damage {
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        let mut spans = Spans::default();
        if walk(&bytes, &mut spans).is_ok() {
            prop_assert_eq!(count(&bytes), Ok(spans.0.len() as u64));
        }
    }

    #[test]
    fn what_is_written_decodes_to_the_spans_that_were_walked(request in request()) {
        let bytes = request.encode_to_vec();
        let mut spans = Spans::default();
        walk(&bytes, &mut spans).unwrap();
        let mut writer = Writer::new();
        spans.0.iter().for_each(|(resource, scope, span)| writer.span(resource, scope, span));
        let written = Request::decode(&writer.finish()[..]).unwrap();
        prop_assert_eq!(flat(&written), flat(&request));
        let groups = |spans: &ResourceSpans| spans.scope_spans.len();
        prop_assert!(written.resource_spans.iter().map(groups).sum::<usize>() <= spans.0.len());
    }
}

/// All spans with what they came with.
#[derive(Default)]
struct Spans<'a>(
    Vec<(Resource<'a>, Scope<'a>, &'a [u8])>,
    Resource<'a>,
    Scope<'a>,
);

impl<'a> Visit<'a> for Spans<'a> {
    fn resource(&mut self, resource: Resource<'a>) {
        self.1 = resource;
    }

    fn scope(&mut self, scope: Scope<'a>) {
        self.2 = scope;
    }

    fn span(&mut self, span: Span<'a>) {
        self.0.push((self.1, self.2, span.bytes));
    }
}

type Flat = (
    Option<ResourceMessage>,
    String,
    Option<InstrumentationScope>,
    String,
    trace::Span,
);

fn flat(request: &Request) -> Vec<Flat> {
    let mut all = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            all.extend(scope.spans.iter().map(|span| {
                (
                    resource.resource.clone(),
                    resource.schema_url.clone(),
                    scope.scope.clone(),
                    scope.schema_url.clone(),
                    span.clone(),
                )
            }));
        }
    }
    all
}

/// `content` as the field `number` of a message.
fn wrap(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put::bytes_field(&mut out, number, content);
    out
}

/// A request with this span.
fn with_span(span: &[u8]) -> Vec<u8> {
    wrap(1, &wrap(2, &wrap(2, span)))
}

/// An attribute of a span whose value nests `depth` arrays.
fn nested(depth: usize) -> Vec<u8> {
    let value = (0..depth).fold(Vec::new(), |value, _| wrap(5, &wrap(1, &value)));
    with_span(&wrap(9, &wrap(2, &value)))
}

#[test]
fn values_nest_to_a_bound_that_prost_reads_as_well() {
    assert_eq!(
        walked(&nested(VALUE_DEPTH_MAX)),
        Ok(Request::decode(&nested(VALUE_DEPTH_MAX)[..]).unwrap()).map(|mut request| {
            // What was not given is told as empty.
            let resource = &mut request.resource_spans[0];
            resource.resource = Some(ResourceMessage::default());
            resource.scope_spans[0].scope = Some(InstrumentationScope::default());
            resource.scope_spans[0].spans[0].status = Some(Status::default());
            request
        })
    );
    assert_eq!(
        walked(&nested(VALUE_DEPTH_MAX + 1)).unwrap_err().reason,
        "values nest too deep"
    );
    walked(&nested(100_000)).unwrap_err();
}

#[test]
fn what_protobuf_does_not_allow_is_an_error_with_its_position() {
    // Six bytes of tags and lengths stand before the span.
    for (span, offset, reason) in [
        (&b"\x0b\x0c"[..], 7, "known field of another wire type"),
        (b"\xfb\x01", 8, "group or invalid wire type"),
        (b"\xfe\x01", 8, "group or invalid wire type"),
        (b"\x08\x01", 7, "known field of another wire type"),
        (b"\x00\x01", 6, "invalid field number"),
        (b"\x80\x80\x80\x80\x10", 6, "invalid field number"),
        (
            b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            7,
            "number exceeds 64 bits",
        ),
        (b"\x30\xff\xff", 7, "ends inside a field"),
        (b"\x39\x01\x02", 7, "ends inside a field"),
        (b"\x2a\x05abc", 7, "length exceeds what is left"),
        (
            b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            7,
            "length exceeds what is left",
        ),
        (b"\x0a\x0f123456789012345", 7, "trace id is not 16 bytes"),
        (b"\x12\x01x", 7, "span id is not 8 bytes"),
        (b"\x22\x091234567890", 7, "span id is not 8 bytes"),
        (b"\x6a\x03\x0a\x01x", 9, "trace id is not 16 bytes"),
        (
            b"\x4a\x04\x12\x02\x0a\x05",
            11,
            "length exceeds what is left",
        ),
        (b"\x4a\x02\x08\x01", 9, "known field of another wire type"),
        (
            b"\x4a\x06\x12\x04\x2a\x02\x08\x01",
            13,
            "known field of another wire type",
        ),
        (
            b"\x4a\x06\x12\x04\x32\x02\x0a\x05",
            13,
            "length exceeds what is left",
        ),
        (b"\x5a\x02\x08\x01", 9, "known field of another wire type"),
        (
            b"\x5a\x04\x1a\x02\x0a\x05",
            11,
            "length exceeds what is left",
        ),
        (
            b"\x6a\x04\x22\x02\x0a\x05",
            11,
            "length exceeds what is left",
        ),
        (b"\x7a\x02\x1a\x00", 9, "known field of another wire type"),
    ] {
        let malformed = Malformed { offset, reason };
        assert_eq!(walked(&with_span(span)), Err(malformed), "{span:?}");
    }
}

#[test]
fn a_damaged_resource_or_scope_is_an_error() {
    let damaged = b"\x0a\x02\x12\x05";
    for request in [
        wrap(1, &wrap(1, damaged)),
        wrap(1, &wrap(2, &wrap(1, b"\x1a\x02\x12\x05"))),
        wrap(1, &wrap(2, &wrap(1, b"\x20"))),
        wrap(1, b"\x1a\x05"),
        wrap(1, b"\x10\x05"),
        wrap(1, &wrap(2, b"\x10\x05")),
    ] {
        walked(&request).unwrap_err();
    }
}

#[test]
fn unknown_fields_are_skipped_and_the_last_scalar_counts() {
    let span = b"\xf8\x3f\x05\xf9\x3f12345678\xfa\x3f\x02hi\xfd\x3f1234\x2a\x01a\x2a\x01b\x7a\x02\x18\x02\x7a\x03\x12\x01m";
    let request = walked(&with_span(span)).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "b");
    assert_eq!(
        span.status,
        Some(Status {
            code: 2,
            message: "m".to_owned()
        })
    );
}

#[test]
fn an_attribute_is_read_in_whatever_order_it_is_written() {
    let (key, value) = (wrap(1, b"key"), wrap(2, &wrap(1, b"value")));
    let long = wrap(2, &wrap(1, &[b'x'; 200]));
    for (pair, expected) in [
        ([&key[..], &value].concat(), Some("value".to_owned())),
        ([&value[..], &key].concat(), Some("value".to_owned())),
        (
            [&key[..], &value, &wrap(2, b"")].concat(),
            Some("value".to_owned()),
        ),
        (
            [&wrap(1, b"old")[..], &key, &long, &value].concat(),
            Some("value".to_owned()),
        ),
        ([&key[..], &long].concat(), Some("x".repeat(200))),
        (
            [&key[..], b"\x18\x07", &value].concat(),
            Some("value".to_owned()),
        ),
        (key.clone(), None),
    ] {
        let request = walked(&with_span(&wrap(9, &pair))).unwrap();
        let attribute = &request.resource_spans[0].scope_spans[0].spans[0].attributes[0];
        let expected = expected.map(any_value::Value::StringValue);
        assert_eq!(
            (
                attribute.key.as_str(),
                &attribute.value.as_ref().unwrap().value
            ),
            ("key", &expected)
        );
    }
}

#[test]
fn a_string_that_is_no_utf_8_reads_as_bytes_and_such_a_key_is_left_out() {
    let mut span = wrap(9, &[wrap(1, b"\xff"), wrap(2, &wrap(1, b"x"))].concat());
    span.extend(wrap(
        9,
        &[wrap(1, b"key"), wrap(2, &wrap(1, b"\xff"))].concat(),
    ));
    let request = with_span(&span);
    let mut spans = Spans::default();
    walk(&request, &mut spans).unwrap();
    let attributes = Span {
        bytes: spans.0[0].2,
        ..Span::default()
    }
    .attributes();
    let found: Vec<_> = attributes
        .map(|(key, value)| (key, message(value)))
        .collect();
    let bytes = any_value::Value::BytesValue(vec![0xff]);
    assert_eq!(found, [("key", common::AnyValue { value: Some(bytes) })]);
}

#[test]
fn spans_of_the_same_resource_and_scope_are_written_as_one_group() {
    let mut writer = Writer::new();
    assert!(writer.is_empty());
    for (service, library, schema_url) in [
        ("a", "x", ""),
        ("a", "x", ""),
        ("a", "y", ""),
        ("a", "y", "schema"),
        ("b", "y", "schema"),
        ("a", "y", "schema"),
    ] {
        let (service, library) = (wrap(9, service.as_bytes()), wrap(1, library.as_bytes()));
        let resource = Resource {
            bytes: &service,
            schema_url: b"schema",
        };
        let scope = Scope {
            bytes: &library,
            schema_url: schema_url.as_bytes(),
        };
        writer.span(&resource, &scope, b"\x2a\x01n");
    }
    let before = writer.len();
    let bytes = writer.finish();
    assert_eq!(bytes.len(), before);
    let request = Request::decode(&bytes[..]).unwrap();
    let groups: Vec<Vec<usize>> = request
        .resource_spans
        .iter()
        .map(|resource| {
            resource
                .scope_spans
                .iter()
                .map(|scope| scope.spans.len())
                .collect()
        })
        .collect();
    assert_eq!(groups, [vec![2, 1, 1], vec![1], vec![1]]);
    assert!(
        request
            .resource_spans
            .iter()
            .all(|resource| resource.schema_url == "schema")
    );
}
