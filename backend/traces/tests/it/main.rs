//! The trace store as its users see it: what is ingested is found by id, by search, by tag and as metrics, whatever happens
//! in between.
#![allow(clippy::unwrap_used)]

mod by_id;
mod concurrent;
mod damage;
mod equals_naive;
mod hostile;
mod killed;
mod metrics_queries;
mod otlp_requests;
mod own_metrics;
mod plain;
mod reopening;
mod searches;
mod tags;

use std::path::Path;

use otlp_requests::{NOW, T0};
use traces::{
    Options, Recovery, SearchRequest, SearchResponse, Store, TagScope, TagValuesRequest,
    TagsRequest, TimeRange,
};

/// Blocks of a few records, so that there are several.
fn options() -> Options {
    Options {
        block_bytes: 8 << 10,
        ..Options::default()
    }
}

fn open(dir: &Path) -> (Store, Recovery) {
    Store::open(dir, options()).unwrap()
}

/// A store with one ingest per request.
fn filled(dir: &Path, requests: &[Vec<u8>]) -> Store {
    let (store, _) = open(dir);
    for request in requests {
        let ingested = store.ingest(request, NOW).unwrap();
        assert_eq!(ingested.rejected, 0, "{}", ingested.message);
    }
    store
}

fn asked(query: &str) -> SearchRequest {
    SearchRequest {
        limit: 1_000,
        spans_per_spanset: 100,
        ..SearchRequest::new(traceql::parse(query).unwrap())
    }
}

fn search(store: &Store, query: &str) -> SearchResponse {
    store.search(&asked(query)).unwrap()
}

/// Numbers of the traces that a query finds, in the order of the answer.
fn found(store: &Store, query: &str) -> Vec<u64> {
    let response = search(store, query);
    assert_eq!(response.partial, None);
    response
        .traces
        .iter()
        .map(|trace| number(trace.trace_id))
        .collect()
}

/// What [`otlp_requests::trace_id`] made an id of.
fn number(id: otlp::TraceId) -> u64 {
    u64::from_be_bytes(id.0[8..].try_into().unwrap())
}

fn around(start_ns: u64, end_ns: u64) -> TimeRange {
    assert!(start_ns >= T0);
    TimeRange { start_ns, end_ns }
}

fn names(store: &Store, scope: Option<TagScope>, query: Option<&str>) -> Vec<String> {
    let request = TagsRequest {
        scope,
        query: query.map(|query| traceql::parse(query).unwrap()),
        range: TimeRange::default(),
        limit: 1_000,
    };
    let found = store.tag_names(&request).unwrap();
    assert_eq!(found.partial, None);
    let shown = |tag: traces::TagName| match tag.scope {
        TagScope::Attribute(scope) => format!("{scope:?} {}", tag.name),
        TagScope::Intrinsic => format!("Intrinsic {}", tag.name),
    };
    found.names.into_iter().map(shown).collect()
}

fn values(store: &Store, tag: &str, query: Option<&str>) -> Vec<String> {
    let request = TagValuesRequest {
        tag: tag.to_owned(),
        query: query.map(|query| traceql::parse(query).unwrap()),
        range: TimeRange::default(),
        limit: 1_000,
    };
    let found = store.tag_values(&request).unwrap();
    assert_eq!(found.partial, None);
    let shown = found
        .values
        .into_iter()
        .map(|value| format!("{} {}", value.kind, value.value));
    shown.collect()
}
