//! Names and values of tags.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use traceql::model::Scope;
use traces::{Partial, Store, TagScope, TagValuesRequest, TagsRequest, TimeRange};

use super::otlp_requests::{
    CLIENT, Change as _, MS, T0, int, pair, request, service, span, string,
};
use super::{filled, names, values};

fn store(dir: &std::path::Path) -> Store {
    let element = |value| AnyValue { value: Some(value) };
    let list = Value::ArrayValue(ArrayValue {
        values: vec![element(string("x")), element(int(3))],
    });
    let mut rich = span(1, 1, 0, "root")
        .with("text", string("b"))
        .with("list", list)
        .with("bytes", Value::BytesValue(vec![1]))
        .with("half", Value::DoubleValue(0.5))
        .with("flag", Value::BoolValue(true))
        .failed();
    rich.events = vec![Event {
        name: "exception".to_owned(),
        time_unix_nano: T0 + 3 * MS,
        attributes: vec![pair("exception.type", string("E"))],
        ..Event::default()
    }];
    rich.links = vec![Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        attributes: vec![pair("link.kind", string("retry"))],
        ..Link::default()
    }];
    let mut plain = span(1, 2, 1, "child")
        .with("text", string("a"))
        .with("number", int(-4));
    plain.kind = CLIENT;
    let orphan = span(2, 1, 9, "orphan").with("text", int(1));
    let store = filled(
        dir,
        &[
            request(vec![
                service("one", vec![rich]),
                service("two", vec![plain]),
            ]),
            request(vec![service("three", vec![orphan])]),
        ],
    );
    store.seal().unwrap();
    store
}

#[test]
fn names_are_listed_by_scope_whatever_their_type() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let all = names(&store, None, None);
    let expected = [
        "Span bytes",
        "Span flag",
        "Span half",
        "Span list",
        "Span number",
        "Span text",
        "Resource service.name",
        "Event exception.type",
        "Link link.kind",
    ];
    assert_eq!(all[..9], expected);
    assert_eq!((all.len(), all[9].as_str()), (9 + 25, "Intrinsic duration"));
    let of_links = names(&store, Some(TagScope::Attribute(Scope::Link)), None);
    assert_eq!(of_links, ["Link link.kind"]);
    assert_eq!(names(&store, Some(TagScope::Intrinsic), None).len(), 25);
}

#[test]
fn a_query_narrows_to_the_spans_that_match_and_not_to_their_traces() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let span_names = Some(TagScope::Attribute(Scope::Span));
    let narrowed = names(&store, span_names, Some("{ kind = client }"));
    assert_eq!(narrowed, ["Span number", "Span text"]);
    let values_of = |tag, query| values(&store, tag, Some(query));
    assert_eq!(values_of("span.text", "{ kind = client }"), ["string a"]);
    assert_eq!(
        values_of("resource.service.name", "{ status = error }"),
        ["string one"]
    );
    assert_eq!(values_of("span.text", "{ kind = producer }"), [""; 0]);
}

#[test]
fn values_have_the_types_with_which_they_came() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let check = |tag: &str, expected: &[&str]| {
        assert_eq!(values(&store, tag, None), expected, "{tag}");
    };
    check("span.text", &["int 1", "string a", "string b"]);
    check(".text", &["int 1", "string a", "string b"]);
    check("span.list", &["int 3", "string x"]);
    check("span.half", &["float 0.5"]);
    check("span.flag", &["bool true"]);
    check("span.number", &["int -4"]);
    check("span.bytes", &[]);
    check("span.nowhere", &[]);
    check("resource.text", &[]);
    check("event.exception.type", &["string E"]);
    check("link.link.kind", &["string retry"]);
    check(
        ".service.name",
        &["string one", "string three", "string two"],
    );
}

#[test]
fn intrinsics_have_values_as_far_as_they_are_not_each_spans_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let check = |tag: &str, expected: &[&str]| {
        assert_eq!(values(&store, tag, None), expected, "{tag}");
    };
    check("status", &["keyword error", "keyword ok", "keyword unset"]);
    assert_eq!(values(&store, "kind", None).len(), 6);
    check("name", &["string child", "string orphan", "string root"]);
    check("rootName", &["string ", "string root"]);
    check("rootServiceName", &["string ", "string one"]);
    check("statusMessage", &["string ", "string it broke"]);
    check("event:name", &["string exception"]);
    check("event:timeSinceStart", &["int 3000000"]);
    check("instrumentation:name", &["string tests"]);
    check("instrumentation:version", &["string 1"]);
    check("link:spanID", &["string 0202020202020202"]);
    for tag in [
        "duration",
        "traceDuration",
        "trace:id",
        "span:id",
        "span:parentID",
        "link:traceID",
    ] {
        check(tag, &[]);
    }
}

#[test]
fn a_bound_that_is_met_is_said_and_a_tag_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut request = TagValuesRequest {
        tag: "span.text".to_owned(),
        query: None,
        range: TimeRange::default(),
        limit: 1,
    };
    let found = store.tag_values(&request).unwrap();
    assert_eq!(found.values.len(), 1);
    assert_eq!(found.partial, Some(Partial::Values { max: 1 }));
    request.tag = "no tag".to_owned();
    assert!(matches!(
        store.tag_values(&request),
        Err(traces::Error::Tag { .. })
    ));
    let request = TagsRequest {
        scope: Some(TagScope::Attribute(Scope::Span)),
        query: None,
        range: TimeRange::default(),
        limit: 2,
    };
    let found = store.tag_names(&request).unwrap();
    assert_eq!(found.names.len(), 2);
    assert_eq!(found.partial, Some(Partial::Values { max: 2 }));
}
