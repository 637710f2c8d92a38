//! What the store is asked and what it answers. Plain data: no encoding, no defaults of a wire format.

use std::collections::BTreeMap;

use otlp::{SpanId, TraceId};

use traceql::model::{AttributeValue, Scope};
use traceql::{Query, metrics};

/// Unix nanoseconds, `start_ns <= t < end_ns`. The default is all of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    pub start_ns: u64,
    pub end_ns: u64,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self {
            start_ns: 0,
            end_ns: u64::MAX,
        }
    }
}

/// What became of one ingest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Spans stored.
    pub spans: u64,
    /// Traces that got at least one of them.
    pub traces: u64,
    /// Spans refused; `message` says why.
    pub rejected: u64,
    /// Empty when nothing was refused.
    pub message: String,
    /// Attribute keys and values cut to their bound.
    pub attributes_truncated: u64,
}

/// Why an answer is not the whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Partial {
    #[error("trace exceeds maximum size of {max} bytes, a partial trace is returned")]
    TraceBytes { max: usize },
    #[error("stored data is damaged, some traces are missing")]
    Damaged,
    #[error("stopped after reading {max} bytes")]
    ReadBytes { max: u64 },
    #[error("stopped after {max_ms} ms")]
    Time { max_ms: u64 },
    #[error("stopped at {max} traces")]
    Traces { max: usize },
    #[error("stopped at {max} distinct values")]
    Values { max: usize },
    #[error("stopped at {max} series")]
    Series { max: usize },
}

/// One trace, each span once.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceData {
    /// OTLP `TracesData` (the same bytes are an `ExportTraceServiceRequest`), protobuf.
    pub protobuf: Vec<u8>,
    pub spans: usize,
    /// Set when spans are missing.
    pub partial: Option<Partial>,
}

/// A search by TraceQL. For the form by tags see [`TagSearch`].
#[derive(Clone, Debug)]
pub struct SearchRequest {
    pub query: Query,
    pub range: TimeRange,
    /// Traces returned at most.
    pub limit: usize,
    /// Spans returned at most in each span set; `matched` counts all.
    pub spans_per_spanset: usize,
}

impl SearchRequest {
    /// Over all of time, with the bounds that Tempo has when a request names none.
    pub fn new(query: Query) -> Self {
        Self {
            query,
            range: TimeRange::default(),
            limit: 20,
            spans_per_spanset: 3,
        }
    }
}

/// The older search: every tag is found somewhere in the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagSearch {
    pub tags: Vec<(String, String)>,
    pub duration_ns_min: Option<u64>,
    pub duration_ns_max: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchResponse {
    /// Most recent first.
    pub traces: Vec<TraceSummary>,
    pub metrics: SearchMetrics,
    pub partial: Option<Partial>,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchMetrics {
    pub inspected_traces: u64,
    pub inspected_spans: u64,
    /// Bytes of records that were looked at, uncompressed.
    pub inspected_bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceSummary {
    pub trace_id: TraceId,
    /// Empty when the root span was not stored.
    pub root_service_name: String,
    /// See `root_service_name`.
    pub root_trace_name: String,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub span_sets: Vec<SpanSetSummary>,
    pub service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceStats {
    pub spans: u32,
    pub errors: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpanSetSummary {
    /// The first of the matched spans.
    pub spans: Vec<SpanSummary>,
    /// How many matched.
    pub matched: usize,
    /// Of `by()` and of aggregates.
    pub attributes: Vec<(String, AttributeValue)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpanSummary {
    pub span_id: SpanId,
    pub name: String,
    pub start_ns: u64,
    pub duration_ns: u64,
    /// What the query compares or selects.
    pub attributes: Vec<(String, AttributeValue)>,
}

/// Scopes of tag names, in the order in which Tempo answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagScope {
    Attribute(Scope),
    Intrinsic,
}

#[derive(Clone, Debug)]
pub struct TagsRequest {
    /// `None`: every scope.
    pub scope: Option<TagScope>,
    /// Only spans that match.
    pub query: Option<Query>,
    pub range: TimeRange,
    /// Names at most, over all scopes. Intrinsics are always all there.
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagName {
    pub scope: TagScope,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagNames {
    /// Sorted by scope, then name.
    pub names: Vec<TagName>,
    pub metrics: SearchMetrics,
    pub partial: Option<Partial>,
}

#[derive(Clone, Debug)]
pub struct TagValuesRequest {
    /// As TraceQL writes it: `span.http.route`, `.http.route`, `resource.service.name`, `name`, `status`, `event:name`.
    pub tag: String,
    /// Only spans that match.
    pub query: Option<Query>,
    pub range: TimeRange,
    /// Values at most.
    pub limit: usize,
}

/// One value with its TraceQL type: `string`, `int`, `float`, `bool` or `keyword` (status and kind).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagValue {
    pub kind: &'static str,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagValues {
    /// Sorted.
    pub values: Vec<TagValue>,
    pub metrics: SearchMetrics,
    pub partial: Option<Partial>,
}

/// A metrics query over a range. The instant form is a range of one step.
#[derive(Clone, Debug)]
pub struct MetricsRequest {
    pub query: Query,
    pub range: metrics::RangeQuery,
}

#[derive(Clone, Debug)]
pub struct MetricsResponse {
    pub series: Vec<metrics::Series>,
    pub metrics: SearchMetrics,
    pub partial: Option<Partial>,
}
