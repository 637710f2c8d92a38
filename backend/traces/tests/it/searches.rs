//! What a search answers: which traces, in which order, and what it says of them.

use traces::{AttributeValue, Options, Partial, ServiceStats, Store};

use super::otlp_requests::{
    CLIENT, Change as _, MS, NOW, SECOND, T0, int, request, service, span, string, trace_id,
};
use super::{around, asked, filled, found, number, open, search};

#[test]
fn a_summary_says_what_the_query_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = span(1, 2, 1, "call").with("n", int(7)).failed();
    client.kind = CLIENT;
    let sent = request(vec![
        service("front", vec![span(1, 1, 0, "GET /").times(T0, T0 + 5 * MS)]),
        service("back", vec![client.clone(), span(1, 3, 2, "work")]),
    ]);
    let store = filled(dir.path(), &[sent]);
    let response = search(
        &store,
        "{ span.n > 5 && status = error && name = \"call\" }",
    );
    let trace = &response.traces[0];
    assert_eq!(trace.trace_id, trace_id(1));
    assert_eq!(trace.root_service_name, "front");
    assert_eq!(trace.root_trace_name, "GET /");
    assert_eq!((trace.start_ns, trace.duration_ns), (T0, 10 * MS));
    let stats = |spans, errors| ServiceStats { spans, errors };
    let expected = [
        ("back".to_owned(), stats(2, 1)),
        ("front".to_owned(), stats(1, 0)),
    ];
    assert_eq!(trace.service_stats, expected.into());
    let [set] = &trace.span_sets[..] else {
        panic!("{:?}", trace.span_sets);
    };
    assert_eq!((set.matched, set.attributes.len()), (1, 0));
    let shown = &set.spans[0];
    assert_eq!(shown.span_id.0, 2_u64.to_be_bytes());
    assert_eq!(
        (shown.name.as_str(), shown.start_ns, shown.duration_ns),
        ("call", T0, 10 * MS)
    );
    let expected = [
        ("n".to_owned(), AttributeValue::Int(7)),
        (
            "status".to_owned(),
            AttributeValue::String("error".to_owned()),
        ),
    ];
    assert_eq!(shown.attributes, expected);
    assert_eq!(response.metrics.inspected_traces, 1);
    assert_eq!(response.metrics.inspected_spans, 3);
}

#[test]
fn a_name_is_shown_only_when_it_is_asked_for_and_durations_never() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(
        dir.path(),
        &[request(vec![service("s", vec![span(1, 1, 0, "a")])])],
    );
    let query = "{ duration > 1ms && traceDuration > 1ms && rootName = \"a\" }";
    let response = search(&store, query);
    let shown = &response.traces[0].span_sets[0].spans[0];
    assert_eq!((shown.name.as_str(), shown.attributes.len()), ("", 0));
}

#[test]
fn groups_are_sets_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let spans = vec![span(1, 1, 0, "a"), span(1, 2, 1, "b"), span(1, 3, 1, "b")];
    let spans = spans.into_iter().map(|span| span.with("n", int(1)));
    let store = filled(dir.path(), &[request(vec![service("s", spans.collect())])]);
    let response = search(&store, "{ } | by(span.n) | count() > 2");
    let [set] = &response.traces[0].span_sets[..] else {
        panic!("{:?}", response.traces);
    };
    let expected = [
        ("by(span.n)".to_owned(), AttributeValue::Int(1)),
        ("count()".to_owned(), AttributeValue::Int(3)),
    ];
    assert_eq!((set.matched, &set.attributes[..]), (3, &expected[..]));
    let of_span = [("n".to_owned(), AttributeValue::Int(1))];
    assert_eq!(set.spans[0].attributes, of_span);
    let by_name = search(&store, "{ } | by(name)");
    assert_eq!(by_name.traces[0].span_sets.len(), 2);
}

#[test]
fn the_newest_traces_come_first_and_as_many_as_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    // Numbers are scattered over time, so that blocks overlap.
    let at = |trace: u64| T0 + (trace * 7 % 100) * SECOND;
    let requests: Vec<Vec<u8>> = (0..100)
        .map(|trace| {
            let span = span(trace, 1, 0, "a").times(at(trace), at(trace) + MS);
            request(vec![service("s", vec![span])])
        })
        .collect();
    let (store, _) = open(dir.path());
    for requests in requests.chunks(30) {
        for request in requests {
            store.ingest(request, NOW).unwrap();
        }
        store.seal().unwrap();
    }
    let mut expected: Vec<u64> = (0..100).collect();
    expected.sort_by_key(|trace| std::cmp::Reverse(at(*trace)));
    assert_eq!(found(&store, "{ }"), expected);
    assert_eq!(store.stats().blocks, 4);
    for limit in [1, 3, 20] {
        let mut request = asked("{ }");
        request.limit = limit;
        let response = store.search(&request).unwrap();
        let numbers: Vec<u64> = response
            .traces
            .iter()
            .map(|trace| number(trace.trace_id))
            .collect();
        assert_eq!(numbers, expected[..limit]);
        assert_eq!(response.partial, None);
    }
    let mut none = asked("{ }");
    none.limit = 0;
    assert_eq!(store.search(&none).unwrap().traces, []);
}

#[test]
fn a_search_reads_no_more_than_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let requests: Vec<Vec<u8>> = (0..500)
        .map(|trace| {
            let times = (T0 + trace * SECOND, T0 + trace * SECOND + MS);
            let padding = string(&format!("{trace}").repeat(300));
            let span = span(trace, 1, 0, "a").times(times.0, times.1);
            let span = span.with("n", int(trace as i64)).with("padding", padding);
            request(vec![service("s", vec![span])])
        })
        .collect();
    // One block of several pages.
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    for request in &requests {
        store.ingest(request, NOW).unwrap();
    }
    store.seal().unwrap();
    let mut newest = asked("{ }");
    newest.limit = 2;
    let response = store.search(&newest).unwrap();
    assert_eq!(response.traces.len(), 2);
    assert!(
        response.metrics.inspected_traces < 150,
        "{:?}",
        response.metrics
    );
    let response = search(&store, "{ span.n = 250 }");
    assert_eq!(response.traces.len(), 1);
    assert!(
        response.metrics.inspected_traces < 150,
        "{:?}",
        response.metrics
    );
    let response = search(&store, "{ span.n = 1000 }");
    assert!(
        response.metrics.inspected_traces < 150,
        "{:?}",
        response.metrics
    );
    let response = search(&store, "{ span.nowhere = 1 }");
    assert!(
        response.metrics.inspected_traces < 150,
        "{:?}",
        response.metrics
    );
}

#[test]
fn a_trace_is_in_every_range_that_it_overlaps() {
    let dir = tempfile::tempdir().unwrap();
    let long = span(1, 1, 0, "a").times(T0 + 10 * SECOND, T0 + 20 * SECOND);
    let store = filled(dir.path(), &[request(vec![service("s", vec![long])])]);
    for (start, end, expected) in [
        (0, 10, 0),
        (0, 11, 1),
        (12, 13, 1),
        (20, 30, 1),
        (21, 30, 0),
    ] {
        let mut request = asked("{ }");
        request.range = around(T0 + start * SECOND, T0 + end * SECOND);
        let response = store.search(&request).unwrap();
        assert_eq!(response.traces.len(), expected, "{start} to {end}");
    }
}

#[test]
fn a_match_is_found_whichever_fragment_it_came_in() {
    let dir = tempfile::tempdir().unwrap();
    let at = |seconds| (T0 + seconds * SECOND, T0 + (seconds + 1) * SECOND);
    let (start, end) = at(0);
    let early = span(1, 1, 0, "root")
        .times(start, end)
        .with("a", string("x"));
    let (start, end) = at(50);
    let late = span(1, 2, 1, "late")
        .times(start, end)
        .with("b", string("y"));
    let store = filled(
        dir.path(),
        &[
            request(vec![service("s", vec![late])]),
            request(vec![service("s", vec![early])]),
        ],
    );
    for _ in 0..2 {
        for query in [
            r#"{ span.a = "x" }"#,
            r#"{ span.b = "y" }"#,
            r#"{ span.a = "x" } > { span.b = "y" }"#,
            r#"{ rootName = "root" && name = "late" }"#,
            "{ } | count() = 2",
        ] {
            for range in [(0, 2), (50, 52)] {
                let mut request = asked(query);
                request.range = around(at(range.0).0, at(range.1).0);
                assert_eq!(
                    store.search(&request).unwrap().traces.len(),
                    1,
                    "{query} {range:?}"
                );
            }
        }
        store.seal().unwrap();
    }
}

#[test]
fn a_metrics_query_is_searched_for_its_spans() {
    let dir = tempfile::tempdir().unwrap();
    let spans = vec![span(1, 1, 0, "a"), span(2, 1, 0, "b")];
    let store = filled(dir.path(), &[request(vec![service("s", spans)])]);
    assert_eq!(found(&store, r#"{ name = "b" } | rate() by (name)"#), [2]);
}

#[test]
fn more_than_an_answer_can_hold_is_cut_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    let spans = (0..10_010).map(|trace| span(trace, 1, 0, "a"));
    let sent = request(vec![service("s", spans.collect())]);
    store.ingest(&sent, NOW).unwrap();
    let mut request = asked("{ }");
    request.limit = 20_000;
    let response = store.search(&request).unwrap();
    assert_eq!(response.traces.len(), 10_000);
    assert_eq!(response.partial, Some(Partial::Traces { max: 10_000 }));
}
