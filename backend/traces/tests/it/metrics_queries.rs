//! Series out of what is stored: joined, of the range, each span once.

use traceql::metrics::RangeQuery;
use traces::{AttributeValue, Error, MetricsRequest, Store};

use super::filled;
use super::otlp_requests::{Change as _, MS, NOW, SECOND, T0, request, service, span};

fn asked(query: &str, start_s: u64, end_s: u64, step_s: u64) -> MetricsRequest {
    MetricsRequest {
        query: traceql::parse(query).unwrap(),
        range: RangeQuery {
            start_ns: T0 + start_s * SECOND,
            end_ns: T0 + end_s * SECOND,
            step_ns: step_s * SECOND,
        },
    }
}

/// Services and the sums of their samples.
fn totals(store: &Store, request: &MetricsRequest) -> Vec<(String, f64)> {
    let response = store.query_range(request).unwrap();
    assert_eq!(response.partial, None);
    let mut totals: Vec<(String, f64)> = response
        .series
        .iter()
        .map(|series| {
            let name = series.labels.iter().find_map(|(_, value)| match value {
                AttributeValue::String(text) => Some(text.clone()),
                _ => None,
            });
            let values = series.samples.iter().map(|sample| sample.value);
            (name.unwrap(), values.sum())
        })
        .collect();
    totals.sort_by(|a, b| a.0.cmp(&b.0));
    totals
}

fn store(dir: &std::path::Path) -> Store {
    let mut requests = Vec::new();
    for trace in 0..60 {
        let at = T0 + trace * SECOND + MS;
        let root = span(trace, 1, 0, "root").times(at, at + MS);
        let child = span(trace, 2, 1, "child").times(at, at + MS);
        requests.push(request(vec![service("a", vec![root.clone()])]));
        requests.push(request(vec![service("b", vec![child])]));
        // Sent twice.
        requests.push(request(vec![service("a", vec![root])]));
    }
    filled(dir, &requests)
}

#[test]
fn each_span_counts_once_in_the_step_in_which_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let by_service = "{ } | count_over_time() by (resource.service.name)";
    for _ in 0..2 {
        let all = totals(&store, &asked(by_service, 0, 60, 10));
        assert_eq!(all, [("a".to_owned(), 60.0), ("b".to_owned(), 60.0)]);
        let some = totals(&store, &asked(by_service, 10, 30, 10));
        assert_eq!(some, [("a".to_owned(), 20.0), ("b".to_owned(), 20.0)]);
        let query = r#"{ name = "child" } | count_over_time() by (resource.service.name)"#;
        let children = totals(&store, &asked(query, 0, 60, 60));
        assert_eq!(children, [("b".to_owned(), 60.0)]);
        store.seal().unwrap();
    }
}

#[test]
fn what_is_no_metrics_query_or_no_range_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let error = |request: &MetricsRequest| store.query_range(request).unwrap_err();
    assert!(matches!(error(&asked("{ }", 0, 60, 10)), Error::NotMetrics));
    let rate = "{ } | rate()";
    assert!(matches!(error(&asked(rate, 60, 0, 10)), Error::Query(_)));
    assert!(matches!(error(&asked(rate, 0, 60, 0)), Error::Query(_)));
    assert!(matches!(error(&asked(rate, 0, 20_000, 1)), Error::Query(_)));
    store.ingest(b"", NOW).unwrap();
}

#[test]
fn more_series_than_are_told_apart_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let spans = (0..1_500)
        .map(|id| span(id / 10, 1 + id, 0, &format!("name {id}")).times(T0 + MS, T0 + MS));
    let (store, _) = Store::open(dir.path(), traces::Options::default()).unwrap();
    store
        .ingest(&request(vec![service("a", spans.collect())]), NOW)
        .unwrap();
    let response = store
        .query_range(&asked("{ } | rate() by (name)", 0, 60, 60))
        .unwrap();
    assert_eq!(
        response.partial,
        Some(traces::Partial::Series { max: 1_000 })
    );
    assert_eq!(response.series.len(), 1_000);
}
