//! Arbitrary bytes as a stored record of a trace: every read gives an answer or an error.
#![no_main]

use otlp::TraceId;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    // The key is that of the trace id that the record claims to be of, so that a look-up by id meets it as well.
    let id = payload
        .get(1..17)
        .and_then(TraceId::from_slice)
        .unwrap_or(TraceId([1; 16]));
    let dir = fuzz::log_of(&fuzz::frame_record(blocks::hash(&id.0), payload));
    let (store, _) = traces::Store::open(dir.path(), traces::Options::default())
        .expect("whatever is in a log, the store opens");
    let _ = store.trace(id);
    for query in [
        "{ }",
        "{ .a = 1 || event:name = `x` || link:spanID != `0` } >> { span:childCount = 0 } | select(status, resource.b)",
    ] {
        let query = traceql::parse(query).expect("the query is one");
        let _ = store.search(&traces::SearchRequest::new(query));
    }
    let _ = store.tag_names(&traces::TagsRequest {
        scope: None,
        query: None,
        range: traces::TimeRange::default(),
        limit: 100,
    });
});
