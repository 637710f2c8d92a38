//! A trace by its id: whole, each span once.

use super::otlp_requests::{
    CLIENT, Change as _, MS, NOW, T0, request, service, span, spans_of, string, trace_id,
};
use super::{filled, open};

#[test]
fn what_goes_in_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let spans = vec![
        span(1, 1, 0, "root").with("a", string("b")),
        span(1, 2, 1, "child").failed(),
    ];
    let sent = vec![service("shop", spans.clone())];
    let other = vec![service("shop", vec![span(2, 3, 0, "other")])];
    let store = filled(dir.path(), &[request(sent.clone()), request(other)]);
    for _ in 0..2 {
        let found = store.trace(trace_id(1)).unwrap().unwrap();
        assert_eq!((found.spans, found.partial), (2, None));
        assert_eq!(found.protobuf, request(sent.clone()));
        assert_eq!(store.trace(trace_id(3)).unwrap(), None);
        store.seal().unwrap();
    }
}

#[test]
fn fragments_are_joined_in_any_order_and_a_copy_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let early = span(1, 2, 1, "child").times(T0, T0 + MS);
    let late = early.clone().times(T0, T0 + 2 * MS);
    let more = late.clone().with("a", string("b"));
    let mut server = span(1, 3, 2, "call");
    let mut client = server.clone();
    (client.kind, server.kind) = (CLIENT, 2);
    let store = filled(
        dir.path(),
        &[
            request(vec![service("b", vec![early.clone(), server.clone()])]),
            request(vec![service("a", vec![span(1, 1, 0, "root")])]),
            request(vec![service("b", vec![more.clone(), client.clone()])]),
        ],
    );
    store.seal().unwrap();
    for copy in [&late, &early, &more, &server] {
        store
            .ingest(&request(vec![service("c", vec![copy.clone()])]), NOW)
            .unwrap();
    }
    let found = store.trace(trace_id(1)).unwrap().unwrap();
    let mut spans = spans_of(&found);
    spans.sort_by_key(|(_, span)| (span.span_id.clone(), span.kind));
    let owned = |service: &str, span| (service.to_owned(), span);
    let expected = [
        owned("a", span(1, 1, 0, "root")),
        owned("b", more),
        owned("b", server),
        owned("b", client),
    ];
    assert_eq!(spans, expected);
    assert_eq!(found.spans, 4);
}

#[test]
fn ingest_says_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let spans = vec![span(1, 1, 0, "a"), span(2, 2, 0, "b"), span(1, 3, 1, "c")];
    let ingested = store
        .ingest(&request(vec![service("s", spans)]), NOW)
        .unwrap();
    assert_eq!(
        (ingested.spans, ingested.traces, ingested.rejected),
        (3, 2, 0)
    );
    assert_eq!(ingested.message, "");
    let nothing = store.ingest(b"", NOW).unwrap();
    assert_eq!((nothing.spans, nothing.traces), (0, 0));
}
