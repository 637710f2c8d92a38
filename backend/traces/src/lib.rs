//! The trace store.
//!
//! [`Store`] keeps spans in the block files of `blocks`, joins the fragments of a trace when it reads, and answers by id, by
//! TraceQL, by tag and as metrics. The language itself is the crate `traceql`; nothing here speaks HTTP. The record format is
//! described in `docs/formats/traces.md`.

mod any_value;
mod joined;
mod own_metrics;
mod record;
mod request;
mod store;
mod terms;

pub use request::{
    Ingested, MetricsRequest, MetricsResponse, Partial, SearchMetrics, SearchRequest,
    SearchResponse, ServiceStats, SpanSetSummary, SpanSummary, TagName, TagNames, TagScope,
    TagSearch, TagValue, TagValues, TagValuesRequest, TagsRequest, TimeRange, TraceData,
    TraceSummary,
};
pub use store::{Damaged, Error, Options, Recovery, Retired, Stats, Store, TRACE_BYTES_MAX};
pub use traceql::model::AttributeValue;
