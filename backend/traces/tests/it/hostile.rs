//! Bad ids, impossible times, too much of everything, and bytes that are no request.

use traces::{Error, Options, Store, TRACE_BYTES_MAX};

use super::otlp_requests::{
    Change as _, MS, NOW, SECOND, T0, pair, request, service, span, spans_of, string, trace_id,
};
use super::{around, asked, filled, found, number, open};

#[test]
fn bytes_that_are_no_request_are_refused_and_nothing_of_them_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let whole = request(vec![service(
        "s",
        vec![span(1, 1, 0, "a"), span(1, 2, 0, "b")],
    )]);
    for cut in 1..whole.len() {
        let result = store.ingest(&whole[..cut], NOW);
        assert!(
            matches!(result, Err(Error::Malformed(_))),
            "cut at {cut}: {result:?}"
        );
    }
    assert_eq!(store.stats().records, 0);
    assert_eq!(store.trace(trace_id(1)).unwrap(), None);
}

#[test]
fn spans_with_invalid_ids_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut spans = vec![span(1, 1, 0, "good"); 6];
    spans[1].trace_id = Vec::new();
    spans[2].trace_id = vec![0; 16];
    spans[3].span_id = Vec::new();
    spans[4].span_id = vec![0; 8];
    spans[5].span_id = vec![9; 8];
    let ingested = store
        .ingest(&request(vec![service("s", spans)]), NOW)
        .unwrap();
    assert_eq!((ingested.spans, ingested.rejected), (2, 4));
    assert_eq!(
        ingested.message,
        "trace ids must be 16 bytes and not all zero (2 spans); span ids must be 8 bytes and not all zero (2 spans)"
    );
    assert_eq!(store.trace(trace_id(1)).unwrap().unwrap().spans, 2);
    let mut bad = span(1, 1, 0, "x");
    bad.trace_id = vec![0; 16];
    let ingested = store
        .ingest(&request(vec![service("s", vec![bad])]), NOW)
        .unwrap();
    assert_eq!((ingested.spans, ingested.rejected), (0, 1));
}

#[test]
fn ten_thousand_attributes_are_kept_and_each_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut many = span(1, 1, 0, "many");
    for index in 0..10_000 {
        many = many.with(&format!("key.{index}"), string(&format!("value {index}")));
    }
    let sent = request(vec![service("s", vec![many])]);
    let few = request(vec![service(
        "s",
        vec![span(2, 1, 0, "few").with("key.1", string("x"))],
    )]);
    let store = filled(dir.path(), &[sent.clone(), few]);
    for _ in 0..2 {
        assert_eq!(store.trace(trace_id(1)).unwrap().unwrap().protobuf, sent);
        for index in [0, 1, 4_711, 9_999] {
            let query = format!(r#"{{ span."key.{index}" = "value {index}" }}"#);
            assert_eq!(found(&store, &query), [1], "{query}");
        }
        assert_eq!(found(&store, r#"{ span.key.1 = "x" }"#), [2]);
        store.seal().unwrap();
    }
}

#[test]
fn a_trace_grows_up_to_its_bound_and_the_rest_is_refused_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let part = |id| {
        let mut large = span(1, id, 0, "large");
        for index in 0..500 {
            large = large.with(&format!("key.{index}"), string(&"x".repeat(2_000)));
        }
        request(vec![service("s", vec![large, span(2, id, 0, "small")])])
    };
    for id in 1..=4 {
        assert_eq!(store.ingest(&part(id), NOW).unwrap().rejected, 0);
    }
    let ingested = store.ingest(&part(5), NOW).unwrap();
    assert_eq!(
        (ingested.spans, ingested.traces, ingested.rejected),
        (1, 1, 1)
    );
    assert_eq!(
        ingested.message,
        format!("trace exceeds {TRACE_BYTES_MAX} bytes (1 spans)")
    );
    assert_eq!(store.trace(trace_id(1)).unwrap().unwrap().spans, 4);
    assert_eq!(store.trace(trace_id(2)).unwrap().unwrap().spans, 5);
}

#[test]
fn what_has_no_time_or_one_that_cannot_be_is_found_when_it_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let year = 365 * 86_400 * SECOND;
    let spans = vec![
        span(1, 1, 0, "never").times(0, 0),
        span(2, 1, 0, "later").times(NOW + year, NOW + year + MS),
        span(3, 1, 0, "backwards").times(T0 + 5 * MS, T0),
        span(4, 1, 0, "no end").times(T0, 0),
        span(5, 1, 0, "largest").times(u64::MAX, u64::MAX),
    ];
    let store = filled(dir.path(), &[request(vec![service("s", spans.clone())])]);
    let in_range = |start_ns, end_ns| {
        let mut request = asked("{ }");
        request.range = around(start_ns, end_ns);
        let response = store.search(&request).unwrap();
        let numbers = response.traces.iter().map(|trace| number(trace.trace_id));
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        numbers
    };
    for _ in 0..2 {
        assert_eq!(in_range(NOW - MS, NOW + MS), [1, 2, 5]);
        assert_eq!(in_range(T0, T0 + 10 * MS), [3, 4]);
        assert_eq!(in_range(NOW + year, NOW + 2 * year), [0; 0]);
        assert_eq!(found(&store, "{ duration > 0ns }"), [2]);
        for sent in &spans {
            let id = otlp::TraceId::from_slice(&sent.trace_id).unwrap();
            let stored = store.trace(id).unwrap().unwrap();
            assert_eq!(spans_of(&stored), [("s".to_owned(), sent.clone())]);
        }
        store.seal().unwrap();
    }
}

#[test]
fn long_keys_and_values_are_cut_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let long = "é".repeat(2_000);
    let sent = span(1, 1, 0, "long").with(&long, string(&long));
    let ingested = store
        .ingest(&request(vec![service("s", vec![sent])]), NOW)
        .unwrap();
    assert_eq!(ingested.attributes_truncated, 2);
    let stored = spans_of(&store.trace(trace_id(1)).unwrap().unwrap());
    assert_eq!(stored[0].1.attributes[0].key, "é".repeat(1_024));
    let cut = "é".repeat(1_024);
    assert_eq!(found(&store, &format!("{{ span.{cut:?} = {cut:?} }}")), [1]);
}

#[test]
fn a_large_resource_over_many_traces_does_not_multiply() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    let mut around = service("s", (1..=100).map(|trace| span(trace, 1, 0, "a")).collect());
    let padding = (0..1_000).map(|index| pair(&format!("key.{index}"), string(&"x".repeat(1_000))));
    around.resource.as_mut().unwrap().attributes.extend(padding);
    let ingested = store.ingest(&request(vec![around.clone()]), NOW).unwrap();
    assert_eq!((ingested.spans, ingested.rejected), (65, 35));
    assert_eq!(
        ingested.message,
        "resources and scopes are too large to be stored with each of the traces (35 spans)"
    );
    assert_eq!(store.trace(trace_id(65)).unwrap().unwrap().spans, 1);
    assert_eq!(store.trace(trace_id(66)).unwrap(), None);
    let padding =
        (0..5_000).map(|index| pair(&format!("more.{index}"), string(&"x".repeat(1_000))));
    around.resource.as_mut().unwrap().attributes.extend(padding);
    let ingested = store.ingest(&request(vec![around]), NOW).unwrap();
    assert_eq!(
        (ingested.spans, ingested.rejected),
        (0, 100),
        "larger than a trace may be"
    );
}
