//! `GET /api/search`: traces by TraceQL, or by tags as before there was TraceQL.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use otlp::TraceId;
use traces::{
    SearchMetrics, SearchRequest, SearchResponse, SpanSetSummary, SpanSummary, TagSearch,
    TraceSummary,
};

use super::{
    Shared,
    answer::{self, Format},
    failure::Failure,
    logfmt,
    params::Params,
    proto::Message,
    schema,
};
use crate::go;

/// Traces returned when the request names no number. Tempo's default.
const LIMIT_DEFAULT: u64 = 20;
/// Most traces that may be asked for. Tempo's default (`query_frontend.search.max_result_limit`).
const LIMIT_MAX: u64 = 262_144;
/// Spans of each span set when the request names no number. Tempo's default.
const SPANS_DEFAULT: u64 = 3;
/// Most spans of each span set that may be asked for; 0 asks for as many. Tempo's default.
const SPANS_MAX: u64 = 100;
const MILLISECOND_NS: u64 = 1_000_000;
/// What stands for the service of a root that is not there.
const ROOT_MISSING: &str = "<root span not yet received>";

/// What is looked for.
enum Search {
    Query(String),
    Tags(TagSearch),
}

pub(super) async fn search(
    State(tempo): Shared,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (search, request) = parse(&params, (tempo.now_ns)())?;
    let is_by_tags = matches!(search, Search::Tags(_));
    let format = Format::accepted(&headers);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let mut response = store.search(&request)?;
        if is_by_tags {
            // The older answer names traces alone.
            for trace in &mut response.traces {
                trace.span_sets.clear();
                trace.service_stats.clear();
            }
        }
        answer::render(format, &schema::SEARCH, message(&response))
    };
    tempo.work.scan(job).await
}

/// In Tempo's order, since the first thing that is wrong is what is told.
fn parse(params: &Params, now_ns: u64) -> Result<(Search, SearchRequest), Failure> {
    let start = params.uint("start")?.unwrap_or(0);
    let end = params.uint("end")?.unwrap_or(0);
    let search = match (params.get("q"), params.get("tags")) {
        (Some(_), Some(_)) => {
            let text = "invalid request: can't specify tags and q in the same query";
            return Err(Failure::bad_request(text));
        }
        (Some(query), None) => Search::Query(query.to_owned()),
        (None, tags) => Search::Tags(tag_search(params, tags.unwrap_or_default())?),
    };
    let limit = params.uint("limit")?;
    if limit == Some(0) {
        return Err(Failure::bad_request(
            "invalid limit: must be a positive number",
        ));
    }
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let spans = params.uint("spss")?.unwrap_or(SPANS_DEFAULT);
    if (start, end) != (0, 0) && end <= start {
        return Err(Failure::bad_request(format!(
            "http parameter start must be before end. received start={start} end={end}"
        )));
    }
    if limit > LIMIT_MAX {
        let text = format!("limit {limit} exceeds max limit {LIMIT_MAX}");
        return Err(Failure::bad_request(text));
    }
    let query = match &search {
        Search::Query(text) => query(text)?,
        Search::Tags(tags) => tags.query()?,
    };
    let range = params.search_range(now_ns)?;
    if spans > SPANS_MAX {
        let text = format!("spans per span set exceeds {SPANS_MAX}. received {spans}");
        return Err(Failure::bad_request(text));
    }
    let request = SearchRequest {
        query,
        range,
        limit: limit as usize,
        spans_per_spanset: if spans == 0 { SPANS_MAX } else { spans } as usize,
    };
    Ok((search, request))
}

fn query(text: &str) -> Result<traceql::Query, Failure> {
    traceql::parse(text)
        .map_err(|error| Failure::bad_request(format!("invalid TraceQL query: {error}")))
}

fn tag_search(params: &Params, tags: &str) -> Result<TagSearch, Failure> {
    let invalid = |error: String| Failure::bad_request(format!("invalid tags: {error}"));
    let tags = logfmt::parse(tags).map_err(invalid)?;
    for (index, (key, _)) in tags.iter().enumerate() {
        if tags[..index].iter().any(|(before, _)| before == key) {
            return Err(invalid(format!("tag {key} has been set twice")));
        }
    }
    // In whole milliseconds, as on Tempo's wire.
    let bound = |name| match params.get(name).map(go::parse_duration).transpose() {
        Ok(bound) => Ok(bound.map(|bound| u64::try_from(bound).unwrap_or(0) / MILLISECOND_NS)),
        Err(error) => Err(Failure::bad_request(format!("invalid {name}: {error}"))),
    };
    let (min, max) = (bound("minDuration")?, bound("maxDuration")?);
    if let (Some(min), Some(max)) = (min, max)
        && min != 0
        && min > max
    {
        let text = "invalid maxDuration: must be greater than minDuration";
        return Err(Failure::bad_request(text));
    }
    let nanoseconds = |bound: Option<u64>| {
        let bound = bound.filter(|milliseconds| *milliseconds != 0);
        bound.map(|milliseconds| milliseconds * MILLISECOND_NS)
    };
    Ok(TagSearch {
        tags,
        duration_ns_min: nanoseconds(min),
        duration_ns_max: nanoseconds(max),
    })
}

/// `SearchResponse`.
fn message(response: &SearchResponse) -> Message {
    let mut message = Message::default();
    for trace in &response.traces {
        message.message(1, &trace_summary(trace));
    }
    message.message(
        2,
        &search_metrics(&response.metrics, response.partial.is_some()),
    );
    message
}

/// `SearchMetrics`. The answer is one job; when a bound was met, another one is left undone, which is all that Tempo's
/// message can say of it.
pub(super) fn search_metrics(metrics: &SearchMetrics, is_partial: bool) -> Message {
    let mut message = Message::default();
    message.number(1, metrics.inspected_traces.min(u32::MAX.into()));
    message.number(2, metrics.inspected_bytes);
    message.number(4, 1);
    message.number(5, 1 + u64::from(is_partial));
    message.number(7, metrics.inspected_spans);
    message
}

fn trace_summary(trace: &TraceSummary) -> Message {
    let is_rootless = trace.root_service_name.is_empty() && trace.root_trace_name.is_empty();
    let root_service = match is_rootless {
        true => ROOT_MISSING,
        false => &trace.root_service_name,
    };
    let mut message = Message::default();
    message.text(1, &short_id(trace.trace_id));
    message.text(2, root_service);
    message.text(3, &trace.root_trace_name);
    message.number(4, trace.start_ns);
    message.number(5, (trace.duration_ns / MILLISECOND_NS).min(u32::MAX.into()));
    let sets: Vec<Message> = trace.span_sets.iter().map(span_set).collect();
    if let Some(first) = sets.first() {
        message.message(6, first);
    }
    for set in &sets {
        message.message(7, set);
    }
    for (service, stats) in &trace.service_stats {
        let mut value = Message::default();
        value.number(1, stats.spans.into());
        value.number(2, stats.errors.into());
        let mut entry = Message::default();
        entry.text(1, service);
        entry.message(2, &value);
        message.message(8, &entry);
    }
    message
}

/// Tempo's search leaves the zeros in front of a trace id out.
pub(super) fn short_id(id: TraceId) -> String {
    id.to_string().trim_start_matches('0').to_owned()
}

fn span_set(set: &SpanSetSummary) -> Message {
    let mut message = Message::default();
    for span in &set.spans {
        message.message(1, &span_summary(span));
    }
    message.number(2, set.matched as u64);
    for (key, value) in &set.attributes {
        message.message(3, &schema::key_value(key, value));
    }
    message
}

fn span_summary(span: &SpanSummary) -> Message {
    let mut message = Message::default();
    message.text(1, &span.span_id.to_string());
    message.text(2, &span.name);
    message.number(3, span.start_ns);
    message.number(4, span.duration_ns);
    for (key, value) in &span.attributes {
        message.message(5, &schema::key_value(key, value));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn a_search_that_met_a_bound_has_a_job_left_undone() {
        let response = SearchResponse {
            partial: Some(traces::Partial::Time { max_ms: 1 }),
            ..SearchResponse::default()
        };
        assert_eq!(
            json::printed(&schema::SEARCH, message(&response)),
            r#"{"traces":[],"metrics":{"completedJobs":1,"totalJobs":2}}"#
        );
    }
}
