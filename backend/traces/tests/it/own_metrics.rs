//! Every metric of the store is emitted, under the name that the conventions give it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use conventions::metrics as names;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use traces::{TagValuesRequest, TagsRequest, TimeRange};

use super::otlp_requests::{NOW, request, service, span, trace_id};
use super::{open, search};

/// Notes which metrics are touched, with their labels.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<BTreeSet<String>>>);

impl Noting {
    fn note(&self, key: &Key) {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let text = format!("{}{}", key.name(), labels.collect::<String>());
        self.0.lock().unwrap().insert(text);
    }
}

impl Recorder for Noting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

#[test]
fn every_metric_of_the_store_is_emitted() {
    let noting = Noting::default();
    with_local_recorder(&noting, everything);
    let mut expected: BTreeSet<String> = [
        names::TRACE_STORE_FRAGMENTS,
        names::TRACE_STORE_RECEIVED_BYTES,
        names::TRACE_STORE_ATTRIBUTES_TRUNCATED,
        names::TRACE_STORE_INGEST_FAILURES,
        names::TRACE_STORE_INGEST_DURATION,
        names::TRACE_STORE_DISK_BYTES,
        names::TRACE_STORE_BLOCKS_RETIRED,
    ]
    .map(str::to_owned)
    .into();
    for outcome in [names::OUTCOME_STORED, names::OUTCOME_REFUSED] {
        expected.insert(format!(
            "{} {}={outcome}",
            names::TRACE_STORE_SPANS,
            names::OUTCOME
        ));
    }
    let asked = |query: &str, outcome: &str| {
        let (name, label) = (names::TRACE_STORE_QUERY_DURATION, names::TRACE_STORE_QUERY);
        format!("{name} {label}={query} {}={outcome}", names::OUTCOME)
    };
    expected.extend(names::TRACE_STORE_QUERIES.map(|query| asked(query, names::OUTCOME_SUCCESS)));
    expected.insert(asked("tag_values", names::OUTCOME_PARTIAL));
    expected.insert(asked("tag_values", names::OUTCOME_FAILED));
    assert_eq!(*noting.0.lock().unwrap(), expected);
}

fn everything() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let sent = request(vec![service("s", vec![span(1, 1, 0, "a")])]);
    store.ingest(&sent, NOW).unwrap();
    store.ingest(b"x", NOW).unwrap_err();
    store.trace(trace_id(1)).unwrap();
    search(&store, "{ }");
    let tags = TagsRequest {
        scope: None,
        query: None,
        range: TimeRange::default(),
        limit: 10,
    };
    store.tag_names(&tags).unwrap();
    for (tag, limit) in [("name", 10), ("name", 1), ("no tag", 1)] {
        let request = TagValuesRequest {
            tag: tag.to_owned(),
            query: None,
            range: TimeRange::default(),
            limit,
        };
        assert_eq!(store.tag_values(&request).is_ok(), tag == "name");
    }
    let query = traceql::parse("{ } | rate()").unwrap();
    let range = traceql::metrics::RangeQuery {
        start_ns: NOW,
        end_ns: NOW + 10,
        step_ns: 10,
    };
    store
        .query_range(&traces::MetricsRequest { query, range })
        .unwrap();
    store.retain(NOW).unwrap();
}
