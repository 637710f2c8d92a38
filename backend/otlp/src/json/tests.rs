//! What JSON becomes, read back with prost.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;

use super::*;

fn span_of(json: &str) -> Result<Span, Malformed> {
    let request = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{json}]}}]}}]}}"#);
    let request = traces(request.as_bytes())?;
    let mut request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
    Ok(request
        .resource_spans
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0))
}

fn value_of(json: &str) -> Result<Option<Value>, Malformed> {
    let span = span_of(&format!(
        r#"{{"attributes":[{{"key":"k","value":{json}}}]}}"#
    ))?;
    Ok(span.attributes[0]
        .value
        .clone()
        .and_then(|value| value.value))
}

#[test]
fn a_span_is_transcoded_with_all_its_fields() {
    let span = span_of(
        r#"{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "parent_span_id": "EEE19B7EC3C1B173",
            "traceState": "a=b", "name": "I'm a \"span\" \u00e9", "kind": 2, "flags": 257,
            "startTimeUnixNano": "1544712660000000000", "end_time_unix_nano": 1544712661000000000,
            "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
            "droppedAttributesCount": 1,
            "events": [{"timeUnixNano": "7", "name": "e", "attributes": [], "droppedAttributesCount": "2"}],
            "droppedEventsCount": 3,
            "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "", "traceState": "c=d", "flags": 1}],
            "droppedLinksCount": 4,
            "status": {"code": "STATUS_CODE_ERROR", "message": "bad"},
            "unheardOf": {"of": [1, {"two": null}]}, "another": null, "names": 7, "_name": 7, "Name": 7, "na_me": 7
        }"#,
    )
    .unwrap();
    assert_eq!(
        span.trace_id,
        0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes()
    );
    assert_eq!(span.span_id, 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes());
    assert_eq!(span.parent_span_id, 0xeee1_9b7e_c3c1_b173_u64.to_be_bytes());
    assert_eq!(
        (span.trace_state.as_str(), span.name.as_str()),
        ("a=b", "I'm a \"span\" é")
    );
    assert_eq!((span.kind, span.flags), (2, 257));
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    assert_eq!(span.attributes[0].key, "my.span.attr");
    let dropped = (
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    );
    assert_eq!(dropped, (1, 3, 4));
    assert_eq!(
        (
            span.events[0].time_unix_nano,
            span.events[0].dropped_attributes_count
        ),
        (7, 2)
    );
    assert_eq!(span.links[0].trace_id, span.trace_id);
    assert_eq!((span.links[0].span_id.len(), span.links[0].flags), (0, 1));
    assert_eq!(
        span.status,
        Some(Status {
            code: 2,
            message: "bad".to_owned()
        })
    );
}

#[test]
fn values_of_all_types_are_transcoded() {
    for (json, expected) in [
        (
            r#"{"stringValue":""}"#,
            Some(Value::StringValue(String::new())),
        ),
        (r#"{"boolValue":false}"#, Some(Value::BoolValue(false))),
        (
            r#"{"intValue":"-9223372036854775808"}"#,
            Some(Value::IntValue(i64::MIN)),
        ),
        (
            r#"{"intValue":9223372036854775807}"#,
            Some(Value::IntValue(i64::MAX)),
        ),
        (r#"{"doubleValue":-1}"#, Some(Value::DoubleValue(-1.0))),
        (
            r#"{"doubleValue":"-Infinity"}"#,
            Some(Value::DoubleValue(f64::NEG_INFINITY)),
        ),
        (r#"{"double_value":0.25}"#, Some(Value::DoubleValue(0.25))),
        (
            r#"{"bytesValue":"+/8="}"#,
            Some(Value::BytesValue(vec![0xfb, 0xff])),
        ),
        (
            r#"{"bytesValue":"-_8"}"#,
            Some(Value::BytesValue(vec![0xfb, 0xff])),
        ),
        (r#"{"stringValue":null}"#, None),
        (r#"{}"#, None),
        ("null", None),
    ] {
        assert_eq!(value_of(json), Ok(expected), "{json}");
    }
    let Ok(Some(Value::ArrayValue(array))) =
        value_of(r#"{"arrayValue":{"values":[{"intValue":1},{}]}}"#)
    else {
        panic!("an array is expected");
    };
    let one = AnyValue {
        value: Some(Value::IntValue(1)),
    };
    assert_eq!(array.values, [one.clone(), AnyValue::default()]);
    let Ok(Some(Value::KvlistValue(list))) =
        value_of(r#"{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}"#)
    else {
        panic!("a list is expected");
    };
    assert_eq!(list.values[0].value, Some(one));
}

#[test]
fn resources_scopes_and_logs_are_transcoded() {
    let json = br#"{"resourceLogs":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}],
                    "entityRefs":[{"type":"service","idKeys":["service.name","x"]}]},
        "scopeLogs":[{"scope":{"name":"n","version":"v"},"schemaUrl":"u","logRecords":[{
            "timeUnixNano":"5","observedTimeUnixNano":6,"severityNumber":"SEVERITY_NUMBER_WARN2","severityText":"W",
            "body":{"stringValue":"hello"},"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
            "flags":1,"eventName":"e","droppedAttributesCount":9,"attributes":[]}]}]}]}"#;
    let request = ExportLogsServiceRequest::decode(&logs(json).unwrap()[..]).unwrap();
    let resource = &request.resource_logs[0];
    let entity = &resource.resource.as_ref().unwrap().entity_refs[0];
    assert_eq!(
        (entity.r#type.as_str(), entity.id_keys.len()),
        ("service", 2)
    );
    let scope = &resource.scope_logs[0];
    assert_eq!(scope.schema_url, "u");
    assert_eq!(scope.scope.as_ref().unwrap().version, "v");
    let record = &scope.log_records[0];
    assert_eq!(
        (record.time_unix_nano, record.observed_time_unix_nano),
        (5, 6)
    );
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (14, "W")
    );
    assert_eq!((record.flags, record.event_name.as_str()), (1, "e"));
    assert_eq!(record.trace_id.len() + record.span_id.len(), 24);
    assert_eq!(
        record.body.clone().unwrap().value,
        Some(Value::StringValue("hello".to_owned()))
    );
}

#[test]
fn what_a_field_cannot_hold_is_an_error() {
    for json in [
        r#"{"traceId":"5b8e"}"#,
        r#"{"traceId":"zb8efff798038103d269b633813fc60c"}"#,
        r#"{"spanId":7}"#,
        r#"{"name":7}"#,
        r#"{"name":["a"]}"#,
        r#"{"name":{"a":1}}"#,
        r#"{"kind":"SPAN_KIND_OTHER"}"#,
        r#"{"kind":2147483648}"#,
        r#"{"startTimeUnixNano":-1}"#,
        r#"{"startTimeUnixNano":1.5}"#,
        r#"{"startTimeUnixNano":"18446744073709551616"}"#,
        r#"{"flags":4294967296}"#,
        r#"{"droppedEventsCount":true}"#,
        r#"{"attributes":{}}"#,
        r#"{"attributes":"a"}"#,
        r#"{"attributes":[1]}"#,
        r#"{"status":[]}"#,
        r#"{"status":"ok"}"#,
        r#"{"name":"a""#,
    ] {
        span_of(json).expect_err(json);
    }
    for json in [
        r#"{"boolValue":"true"}"#,
        r#"{"intValue":9223372036854775808}"#,
        r#"{"intValue":1.0}"#,
        r#"{"doubleValue":"x"}"#,
        r#"{"bytesValue":"%"}"#,
        r#"{"arrayValue":[1]}"#,
    ] {
        value_of(json).expect_err(json);
    }
    for json in [
        "",
        "[]",
        "7",
        "{",
        "{}{}",
        "{\"resourceSpans\":[\"\\ud800\"]}",
        "\u{feff}{}",
    ] {
        traces(json.as_bytes()).expect_err(json);
    }
    traces(b"{\"resourceSpans\":\"\xff\"}").unwrap_err();
}

#[test]
fn an_error_says_where_and_quotes_little() {
    let long = "x".repeat(10_000);
    let error = span_of(&format!("\n{{\"traceId\":\"{long}\"}}")).unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.to_string().len() < 300, "{error}");
    let error = span_of(r#"{"flags":-1}"#).unwrap_err();
    assert_eq!(
        error.reason,
        "invalid value: integer, expected an integer in its range for flags"
    );
}

#[test]
fn nesting_without_end_is_an_error_before_the_stack_ends() {
    let deep = |open: &str| open.repeat(1_000_000);
    value_of(&deep(r#"{"arrayValue":{"values":["#)).unwrap_err();
    traces(deep("[").as_bytes()).unwrap_err();
    traces(format!("{{\"unknown\":{}", deep("[")).as_bytes()).unwrap_err();
}
