//! The cases of the W3C's own test suite (`w3c/trace-context`, `test/test.py`) as tables, and what it leaves open.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// What a process sends on after these headers, with the same span for simplicity.
fn passed_on(pairs: &[(&str, &str)]) -> Option<Carrier> {
    Carrier::of(&extract(&headers(pairs)))
}

/// `tracestate` as passed on beside a valid parent; empty if there is none.
fn state_after(lists: &[&str]) -> String {
    let mut pairs = vec![("traceparent", PARENT)];
    pairs.extend(lists.iter().map(|list| ("tracestate", *list)));
    let carrier = passed_on(&pairs).expect("an invalid tracestate does not harm its traceparent");
    assert!(carrier.traceparent.contains(TRACE));
    carrier.tracestate.unwrap_or_default()
}

fn members(range: std::ops::RangeInclusive<usize>) -> String {
    range
        .map(|n| format!("bar{n:02}={n:02}"))
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn valid_parents_continue_the_trace() {
    let cases = [
        (
            "00-12345678901234567890123456789012-1234567890123456-00",
            "00",
        ),
        (
            "00-12345678901234567890123456789012-1234567890123456-01",
            "01",
        ),
        // The random flag is kept, what version 00 does not define is cleared.
        (
            "00-12345678901234567890123456789012-1234567890123456-02",
            "02",
        ),
        (
            "00-12345678901234567890123456789012-1234567890123456-03",
            "03",
        ),
        (
            "00-12345678901234567890123456789012-1234567890123456-ff",
            "03",
        ),
        (
            "00-12345678901234567890123456789012-1234567890123456-fc",
            "00",
        ),
        // Later versions: only `sampled` is known, what follows a dash is not read.
        (
            "01-12345678901234567890123456789012-1234567890123456-01",
            "01",
        ),
        (
            "cc-12345678901234567890123456789012-1234567890123456-01",
            "01",
        ),
        (
            "cc-12345678901234567890123456789012-1234567890123456-ff",
            "01",
        ),
        (
            "cc-12345678901234567890123456789012-1234567890123456-00-",
            "00",
        ),
        (
            "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
            "01",
        ),
        (
            "fe-12345678901234567890123456789012-1234567890123456-01-\u{e9}",
            "01",
        ),
        // Optional whitespace around the value.
        (
            " 00-12345678901234567890123456789012-1234567890123456-01",
            "01",
        ),
        (
            "\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
            "01",
        ),
    ];
    for (value, flags) in cases {
        let carrier = passed_on(&[("traceparent", value)]);
        let expected = format!("00-{TRACE}-{SPAN}-{flags}");
        assert_eq!(
            carrier.map(|carrier| carrier.traceparent),
            Some(expected),
            "{value:?}"
        );
    }
}

#[test]
fn unknown_flags_are_not_even_seen_inside() {
    let context = extract(&headers(&[("traceparent", &PARENT.replace("-00", "-ff"))]));
    assert_eq!(context.span().span_context().trace_flags().to_u8(), 0x03);
}

#[test]
fn invalid_parents_restart_the_trace() {
    let cases = [
        "",
        " ",
        "-",
        "00",
        // version
        "ff-12345678901234567890123456789012-1234567890123456-01",
        "FF-12345678901234567890123456789012-1234567890123456-01",
        ".0-12345678901234567890123456789012-1234567890123456-01",
        "0.-12345678901234567890123456789012-1234567890123456-01",
        "000-12345678901234567890123456789012-1234567890123456-01",
        "0000-12345678901234567890123456789012-1234567890123456-01",
        "0-12345678901234567890123456789012-1234567890123456-01",
        "Cc-12345678901234567890123456789012-1234567890123456-01",
        // version 00 has an exact length
        "00-12345678901234567890123456789012-1234567890123456-01.",
        "00-12345678901234567890123456789012-1234567890123456-01-",
        "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        // a later version needs a dash before what it adds
        "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
        "cc-12345678901234567890123456789012-1234567890123456-0",
        // trace id
        "00-00000000000000000000000000000000-1234567890123456-01",
        "00-.2345678901234567890123456789012-1234567890123456-01",
        "00-1234567890123456789012345678901.-1234567890123456-01",
        "00-123456789012345678901234567890123-1234567890123456-01",
        "00-1234567890123456789012345678901-1234567890123456-01",
        "00-1234567890123456789012345678901A-1234567890123456-01",
        "cc-00000000000000000000000000000000-1234567890123456-01",
        // parent id
        "00-12345678901234567890123456789012-0000000000000000-01",
        "00-12345678901234567890123456789012-.234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345.-01",
        "00-12345678901234567890123456789012-12345678901234567-01",
        "00-12345678901234567890123456789012-123456789012345-01",
        "00-12345678901234567890123456789012-123456789012345F-01",
        // flags
        "00-12345678901234567890123456789012-1234567890123456-.0",
        "00-12345678901234567890123456789012-1234567890123456-0.",
        "00-12345678901234567890123456789012-1234567890123456-001",
        "00-12345678901234567890123456789012-1234567890123456-1",
        "00-12345678901234567890123456789012-1234567890123456-0A",
        // delimiters
        "00_12345678901234567890123456789012-1234567890123456-01",
        "00-12345678901234567890123456789012_1234567890123456-01",
        "00-12345678901234567890123456789012-1234567890123456_01",
        // not ASCII where digits belong
        "00-1234567890123456789012345678901\u{e9}-123456789012345-01",
    ];
    for value in cases {
        assert_eq!(
            passed_on(&[("traceparent", value), ("tracestate", "foo=1")]),
            None,
            "{value:?}"
        );
    }
}

#[test]
fn two_parents_are_none() {
    assert_eq!(
        passed_on(&[("traceparent", PARENT), ("traceparent", PARENT)]),
        None
    );
    assert_eq!(
        passed_on(&[("traceparent", PARENT), ("traceparent", "")]),
        None
    );
}

#[test]
fn header_names_are_matched_in_any_case_and_only_these() {
    for name in ["traceparent", "TraceParent", "TRACEPARENT"] {
        assert!(passed_on(&[(name, PARENT)]).is_some(), "{name}");
    }
    for name in ["trace-parent", "trace.parent"] {
        assert!(passed_on(&[(name, PARENT)]).is_none(), "{name}");
    }
}

#[test]
fn a_state_without_a_valid_parent_is_dropped() {
    assert_eq!(passed_on(&[("tracestate", "foo=1")]), None);
}

#[test]
fn valid_lists_are_passed_on_in_order() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    let all_characters = format!("{key}={value}");
    let with_vendor = format!("{key}@a-z0-9_-*/={value}");
    let long_key = format!("{}=1", "z".repeat(256));
    let long_value = format!("foo={}", "v".repeat(256));
    let level_1_tenant = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
    let level_2_tenant = format!("{}@v=1", "t".repeat(242));
    let level_2_vendor = format!("t@{}=1", "v".repeat(15));
    let (first, second) = (members(1..=20), members(21..=32));
    let cases: &[(&[&str], &str)] = &[
        (&["foo=1,bar=2"], "foo=1,bar=2"),
        (&["1foo=1"], "1foo=1"),
        (
            &["foo=1", "rojo=1,congo=2", "baz=3"],
            "foo=1,rojo=1,congo=2,baz=3",
        ),
        // optional whitespace, empty members, empty headers
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["\t foo=1 \t"], "foo=1"),
        (&["foo=1,,bar=2, ,\t,"], "foo=1,bar=2"),
        (&["", "foo=1", " "], "foo=1"),
        (&[""], ""),
        // leading spaces belong to the value, trailing ones do not
        (&["foo=  1  ,bar=2"], "foo=  1,bar=2"),
        // of a repeated key the most recent member stays
        (&["foo=1,foo=1"], "foo=1"),
        (&["foo=1,bar=2", "foo=3"], "foo=1,bar=2"),
        // limits, reached but not passed
        (&[&all_characters], &all_characters),
        (&[&with_vendor], &with_vendor),
        (&[&long_key], &long_key),
        (&[&long_value], &long_value),
        (&[&first, &second], &members(1..=32)),
        // keys of level 2 that OpenTelemetry's own type refuses
        (&["foo@=1,bar=2"], "foo@=1,bar=2"),
        (&["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2"),
        (
            &["bar=2,foo@bar@baz=1,rojo=3"],
            "bar=2,foo@bar@baz=1,rojo=3",
        ),
        (&[&level_1_tenant], &level_1_tenant),
        (&[&level_2_tenant], &level_2_tenant),
        (&[&level_2_vendor], &level_2_vendor),
    ];
    for (lists, expected) in cases {
        assert_eq!(state_after(lists), *expected, "{lists:?}");
    }
}

#[test]
fn invalid_lists_are_dropped_as_a_whole() {
    let long_key = format!("{}=1", "z".repeat(257));
    let long_value = format!("rojo={}", "v".repeat(257));
    let many = members(1..=33);
    let repeated = ["foo=1"; 33].join(",");
    let cases: &[&[&str]] = &[
        &["foo"],
        &["=1"],
        &["="],
        &["foo =1"],
        &["FOO=1"],
        &["foo.bar=1"],
        &["@foo=1,bar=2"],
        &["_foo=1"],
        &["foo=bar=baz"],
        &["foo=,bar=3"],
        &["foo=1\t2"],
        &["foo=\u{e9}"],
        &["foo=1;bar=2=3"],
        &["foo=1", "bar"],
        &["foo=1", &long_key],
        &["foo=1", &long_value],
        &[&many],
        &[&repeated],
    ];
    for lists in cases {
        assert_eq!(state_after(lists), "", "{lists:?}");
    }
}

#[test]
fn at_least_512_characters_are_passed_on_whole() {
    let list: Vec<String> = (0..32)
        .map(|n| format!("m{n:02}={}", "x".repeat(27)))
        .collect();
    let list = list.join(",");
    assert!((512..1_024).contains(&list.len()));
    assert_eq!(state_after(&[&list]), list);
}

#[test]
fn a_list_that_is_too_long_loses_long_members_first_and_then_the_last() {
    let long = |name: &str| format!("{name}={}", "x".repeat(200));
    let short: Vec<String> = (0..20)
        .map(|n| format!("m{n:02}={}", "x".repeat(40)))
        .collect();
    let list = [long("a"), short.join(","), long("b")].join(",");
    assert_eq!(
        state_after(&[&list]),
        short.join(","),
        "901 characters are left"
    );

    let short: Vec<String> = (0..30)
        .map(|n| format!("m{n:02}={}", "x".repeat(40)))
        .collect();
    assert_eq!(state_after(&[&short.join(",")]), short[..22].join(","));
}

#[test]
fn the_edge_replaces_the_start_that_comes_from_outside() {
    let started = UNIX_EPOCH + Duration::from_millis(0x19a_0b1c_2d3e);
    let after = |list: &str| {
        let headers = headers(&[("traceparent", PARENT), ("tracestate", list)]);
        Carrier::of(&extract_at_edge(&headers, started))
            .unwrap()
            .tracestate
            .unwrap()
    };
    assert_eq!(after(""), "tripod=t:19a0b1c2d3e");
    assert_eq!(
        after("foo=1,tripod=t:1,bar=2"),
        "tripod=t:19a0b1c2d3e,foo=1,bar=2"
    );
    assert_eq!(after("tripod=t:1,tripod=t:2"), "tripod=t:19a0b1c2d3e");
    assert_eq!(after("invalid"), "tripod=t:19a0b1c2d3e");
    let full = after(&members(1..=32));
    assert_eq!(full, format!("tripod=t:19a0b1c2d3e,{}", members(1..=31)));
    // Also beside members OpenTelemetry's own type refuses.
    assert_eq!(after("a@b@c=1,tripod=t:1"), "tripod=t:19a0b1c2d3e,a@b@c=1");

    let without_parent = headers(&[("tracestate", "tripod=t:1")]);
    assert!(
        !extract_at_edge(&without_parent, started)
            .span()
            .span_context()
            .is_valid()
    );
}

#[test]
fn a_full_list_loses_its_last_member_to_a_new_one() {
    let mut list = Tracestate::parse([members(1..=32).as_bytes()]).unwrap();
    list.put("bar07", "new".to_owned());
    assert_eq!(
        list.format().split(',').count(),
        32,
        "a changed member takes no more room"
    );
    list.put("new", "1".to_owned());
    assert!(list.format().starts_with("new=1,bar07=new,bar01=01,"));
    assert!(list.format().ends_with(",bar31=31"));
}

#[test]
fn inside_the_start_is_passed_on() {
    assert_eq!(state_after(&["foo=1,tripod=t:1"]), "foo=1,tripod=t:1");
}

#[test]
fn a_changed_member_goes_to_the_front_and_refused_members_keep_their_place() {
    let context = extract(&headers(&[
        ("traceparent", PARENT),
        ("tracestate", "a=1,x@y@z=2,b=3,c=4"),
    ]));
    let span = context.span().span_context().clone();
    let state = span
        .trace_state()
        .insert("b", "new")
        .unwrap()
        .delete("c")
        .unwrap();
    let changed = SpanContext::new(
        span.trace_id(),
        span.span_id(),
        span.trace_flags(),
        false,
        state,
    );
    let carrier = Carrier::of(&context.with_remote_span_context(changed)).unwrap();
    assert_eq!(carrier.tracestate.unwrap(), "b=new,a=1,x@y@z=2");
}

#[test]
fn refused_members_do_not_follow_into_another_trace() {
    let context = extract(&headers(&[
        ("traceparent", PARENT),
        ("tracestate", "x@y@z=2"),
    ]));
    let other = SpanContext::new(
        TraceId::from(7),
        context.span().span_context().span_id(),
        context.span().span_context().trace_flags(),
        false,
        TraceState::NONE,
    );
    let carrier = Carrier::of(&context.with_remote_span_context(other)).unwrap();
    assert_eq!(carrier.tracestate, None);
}

#[test]
fn injecting_replaces_both_headers() {
    let mut target = headers(&[
        ("traceparent", "x"),
        ("traceparent", "y"),
        ("tracestate", "old=1"),
    ]);
    inject(&extract(&headers(&[("traceparent", PARENT)])), &mut target);
    assert_eq!(
        target.get_all("traceparent").iter().collect::<Vec<_>>(),
        [PARENT]
    );
    assert!(target.get("tracestate").is_none());

    let untouched = headers(&[("traceparent", "x")]);
    let mut target = untouched.clone();
    inject(&Context::new(), &mut target);
    assert_eq!(target, untouched);
}

#[test]
fn traceresponse_names_the_span_in_the_form_of_traceparent() {
    let context = extract(&headers(&[("traceparent", PARENT)]));
    assert_eq!(
        traceresponse(context.span().span_context()).unwrap(),
        PARENT
    );
    assert_eq!(traceresponse(&SpanContext::NONE), None);
}

#[test]
fn a_carrier_survives_its_text() {
    let carrier = Carrier {
        traceparent: PARENT.to_owned(),
        tracestate: Some("foo@bar@baz=1,tripod=t:1".to_owned()),
    };
    let text = serde_json::to_string(&carrier).unwrap();
    let read: Carrier = serde_json::from_str(&text).unwrap();
    assert_eq!(Carrier::of(&read.context()), Some(carrier));

    let without: Carrier =
        serde_json::from_str(&format!(r#"{{"traceparent":"{PARENT}"}}"#)).unwrap();
    assert_eq!(
        serde_json::to_string(&without).unwrap(),
        format!(r#"{{"traceparent":"{PARENT}"}}"#)
    );

    let malformed = Carrier {
        traceparent: "00-x".to_owned(),
        tracestate: None,
    };
    assert!(!malformed.context().span().span_context().is_valid());
}

#[test]
fn the_propagator_reads_and_writes_as_the_functions_do() {
    let carrier = HashMap::from([
        ("traceparent".to_owned(), PARENT.to_owned()),
        ("tracestate".to_owned(), "foo=1,x@y@z=2".to_owned()),
    ]);
    let propagator = Propagator::default();
    let mut copied = HashMap::new();
    propagator.inject_context(&propagator.extract(&carrier), &mut copied);
    assert_eq!(copied, carrier);
    assert_eq!(
        propagator.fields().collect::<Vec<_>>(),
        ["traceparent", "tracestate"]
    );

    // Without a parent the context stays as it is.
    let base = extract(&headers(&[("traceparent", PARENT)]));
    let same = propagator.extract_with_context(&base, &HashMap::new());
    assert_eq!(same.span().span_context(), base.span().span_context());
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_can_be_written(
        parents in prop::collection::vec(header_bytes("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"), 0..3),
        lists in prop::collection::vec(header_bytes("([a-z@]{1,4}=[ -~]{0,4}[, \t]{0,2}){0,40}"), 0..4),
    ) {
        let mut headers = HeaderMap::new();
        for (name, values) in [("traceparent", parents), ("tracestate", lists)] {
            for value in values {
                headers.append(name, value);
            }
        }
        let context = extract_at_edge(&headers, UNIX_EPOCH);
        let context = if context.span().span_context().is_valid() { context } else { extract(&headers) };
        if let Some(carrier) = Carrier::of(&context) {
            prop_assert_eq!(carrier.traceparent.len(), 55);
            prop_assert_eq!(Carrier::of(&carrier.context()), Some(carrier.clone()));
            let mut sent = HeaderMap::new();
            inject(&context, &mut sent);
            prop_assert_eq!(sent.get("traceparent").unwrap(), &carrier.traceparent);
        }
    }

    #[test]
    fn no_text_panics(traceparent in ".*", tracestate in ".*") {
        let carrier = Carrier { traceparent, tracestate: Some(tracestate) };
        let _ = carrier.context();
    }
}

/// Bytes a header may have: anything, or something close to what is meant.
fn header_bytes(close: &'static str) -> impl Strategy<Value = HeaderValue> {
    let anything = prop::collection::vec(any::<u8>(), 0..80);
    let bytes = prop_oneof![anything, close.prop_map(String::into_bytes)];
    bytes.prop_filter_map("not a header value", |bytes| {
        HeaderValue::from_bytes(&bytes).ok()
    })
}
