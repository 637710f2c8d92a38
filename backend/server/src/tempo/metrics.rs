//! TraceQL metrics: `/api/metrics/query_range` and `/api/metrics/query`. Both answer with JSON, whatever is accepted, as Tempo
//! does.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use traceql::{
    ParseError,
    metrics::{RangeQuery, Series},
    model::AttributeValue,
};
use traces::{MetricsRequest, MetricsResponse};

use super::{
    Shared,
    answer::{self, Format},
    failure::Failure,
    params::{Params, SECOND_NS, cannot_parse},
    proto::Message,
    schema, search,
};
use crate::go;

const MILLISECOND_NS: u64 = 1_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// What a query without a start looks back from its end.
const SINCE_NS: u64 = HOUR_NS;
/// Longest range. Tempo's default (`query_frontend.metrics.max_duration`).
const RANGE_NS_MAX: u64 = 24 * HOUR_NS;
/// Most steps of a range. Tempo's default (`query_frontend.metrics.max_intervals`).
const STEPS_MAX: u64 = 10_000;
/// Exemplars of an answer, at most and by default. Tempo's default (`query_frontend.metrics.max_exemplars`).
const EXEMPLARS_MAX: u64 = 100;
/// About as many steps has a range that names no step: 15 s in an hour.
const STEPS_DEFAULT: u64 = 240;
/// What a step that nobody named is a multiple of, the largest first that is smaller than it.
const STEP_UNITS_NS: [u64; 6] = [
    HOUR_NS,
    5 * MINUTE_NS,
    MINUTE_NS,
    15 * SECOND_NS,
    5 * SECOND_NS,
    SECOND_NS,
];
/// The same for ranges of less than a minute.
const STEP_UNIT_SHORT_NS: u64 = 50 * MILLISECOND_NS;

/// Where Tempo looks at a query first, which its refusal shows.
#[derive(Clone, Copy)]
enum When {
    /// Read for its syntax, then compiled.
    Twice,
    Compiled,
}

/// A range in steps.
pub(super) async fn range(State(tempo): Shared, params: Params) -> Result<Response, Failure> {
    let (start_ns, end_ns) = bounds(&params, (tempo.now_ns)()).map_err(grpc)?;
    let step_ns = step(&params, start_ns, end_ns).map_err(grpc)?;
    check_steps(start_ns, end_ns, step_ns)?;
    let query = parse(&params, When::Twice)?;
    check_range(start_ns, end_ns)?;
    let request = MetricsRequest {
        query,
        range: aligned(start_ns, end_ns, step_ns),
    };
    let exemplars_max = exemplars_max(&params);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let response = store.query_range(&request)?;
        let message = range_message(&response, exemplars_max);
        answer::render(Format::Json, &schema::QUERY_RANGE, message)
    };
    tempo.work.scan(job).await
}

/// One step as long as the range.
pub(super) async fn instant(State(tempo): Shared, params: Params) -> Result<Response, Failure> {
    let (start_ns, end_ns) = bounds(&params, (tempo.now_ns)()).map_err(grpc)?;
    let query = parse(&params, When::Compiled)?;
    if start_ns >= end_ns {
        return Err(Failure::bad_request("end must be greater than start"));
    }
    check_range(start_ns, end_ns)?;
    let step_ns = end_ns - start_ns;
    let request = MetricsRequest {
        query,
        range: RangeQuery {
            start_ns,
            end_ns,
            step_ns,
        },
    };
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let response = store.query_range(&request)?;
        let message = instant_message(&response);
        answer::render(Format::Json, &schema::QUERY_INSTANT, message)
    };
    tempo.work.scan(job).await
}

/// `query` is Prometheus' name of it; `q` wins.
fn parse(params: &Params, when: When) -> Result<traceql::Query, Failure> {
    let text = params
        .get("q")
        .or_else(|| params.get("query"))
        .unwrap_or_default();
    let query = traceql::parse(text).map_err(|error| match (when, &error) {
        (When::Twice, ParseError::Empty | ParseError::Syntax { .. }) => {
            Failure::bad_request(error.to_string())
        }
        _ => Failure::bad_request(format!("compiling query: {error}")),
    })?;
    match query.is_metrics() {
        true => Ok(query),
        false => Err(traces::Error::NotMetrics.into()),
    }
}

fn bounds(params: &Params, now_ns: u64) -> Result<(u64, u64), String> {
    let since_ns = match params.get("since") {
        Some(text) => go::parse_prometheus_duration(text).map_err(cannot_parse("since"))?,
        None => SINCE_NS,
    };
    let moment = |name, default| match params.get(name).map(go::parse_timestamp).transpose() {
        Ok(Some(moment)) => Ok(u64::try_from(moment).unwrap_or(0)),
        Ok(None) => Ok(default),
        Err(error) => Err(cannot_parse(name)(error)),
    };
    let end_ns = moment("end", now_ns)?;
    let start_ns = moment("start", end_ns.min(now_ns).saturating_sub(since_ns))?;
    Ok((start_ns, end_ns))
}

fn step(params: &Params, start_ns: u64, end_ns: u64) -> Result<u64, String> {
    let Some(text) = params.get("step") else {
        return Ok(default_step(end_ns.saturating_sub(start_ns)));
    };
    let nanoseconds = match text
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite())
    {
        Some(seconds) if (seconds * SECOND_NS as f64).abs() > i64::MAX as f64 => {
            return Err(format!(
                "cannot parse {} to a valid duration. It overflows int64",
                go::quote(text)
            ));
        }
        Some(seconds) => (seconds * SECOND_NS as f64) as i64,
        None => go::parse_duration(text)
            .map_err(|_| format!("cannot parse {} to a valid duration", go::quote(text)))?,
    };
    Ok(u64::try_from(nanoseconds).unwrap_or(0))
}

fn default_step(range_ns: u64) -> u64 {
    let step_ns = range_ns / STEPS_DEFAULT;
    let round = |unit_ns| step_ns / unit_ns * unit_ns;
    if range_ns < MINUTE_NS {
        return round(STEP_UNIT_SHORT_NS).max(STEP_UNIT_SHORT_NS);
    }
    let unit = STEP_UNITS_NS.into_iter().find(|unit_ns| step_ns > *unit_ns);
    unit.map_or(SECOND_NS, round)
}

fn check_steps(start_ns: u64, end_ns: u64, step_ns: u64) -> Result<(), Failure> {
    if start_ns > end_ns {
        return Err(Failure::bad_request("end must be greater than start"));
    }
    if step_ns == 0 || (end_ns - start_ns) / step_ns > STEPS_MAX {
        return Err(Failure::bad_request(format!(
            "step of {} is too small, minimum step for given range is {}",
            go::duration(step_ns),
            go::duration((end_ns - start_ns) / STEPS_MAX)
        )));
    }
    Ok(())
}

fn check_range(start_ns: u64, end_ns: u64) -> Result<(), Failure> {
    if end_ns - start_ns > RANGE_NS_MAX {
        return Err(Failure::bad_request(format!(
            "metrics query time range exceeds the maximum allowed duration of {}",
            go::duration(RANGE_NS_MAX)
        )));
    }
    Ok(())
}

/// Widened to whole steps, so that "the last hour" gives the same points from one refresh to the next, and by one more step
/// in front: a point stands at the end of its step.
fn aligned(start_ns: u64, end_ns: u64, step_ns: u64) -> RangeQuery {
    let start_ns = start_ns - start_ns % step_ns;
    RangeQuery {
        start_ns: if start_ns > step_ns {
            start_ns - step_ns
        } else {
            start_ns
        },
        end_ns: end_ns.div_ceil(step_ns).saturating_mul(step_ns),
        step_ns,
    }
}

fn exemplars_max(params: &Params) -> usize {
    let asked = params
        .uint("exemplars")
        .ok()
        .flatten()
        .filter(|asked| *asked != 0);
    asked.map_or(EXEMPLARS_MAX, |asked| asked.min(EXEMPLARS_MAX)) as usize
}

/// Tempo's parser of these parameters answers with an error of gRPC, whose text comes through.
fn grpc(error: String) -> Failure {
    Failure::bad_request(format!("rpc error: code = Code(400) desc = {error}"))
}

/// `QueryRangeResponse`.
fn range_message(response: &MetricsResponse, exemplars_max: usize) -> Message {
    let mut message = Message::default();
    let mut exemplars_left = exemplars_max;
    for series in &response.series {
        let mut out = labels(series);
        for sample in &series.samples {
            let mut point = Message::default();
            point.double(1, sample.value);
            point.number(2, sample.timestamp_ms as u64);
            out.message(2, &point);
        }
        for exemplar in series.exemplars.iter().take(exemplars_left) {
            exemplars_left -= 1;
            let mut point = Message::default();
            let id = AttributeValue::String(search::short_id(exemplar.trace_id));
            point.message(1, &schema::key_value("trace:id", &id));
            let of_span = series.labels.iter().filter(|(key, _)| is_of_spans(key));
            for (key, value) in of_span.chain(&exemplar.labels) {
                point.message(1, &schema::key_value(key, value));
            }
            point.double(2, exemplar.value);
            point.number(3, exemplar.timestamp_ms as u64);
            out.message(4, &point);
        }
        message.message(1, &out);
    }
    finish(message, response)
}

/// `QueryInstantResponse`: the one value of each series.
fn instant_message(response: &MetricsResponse) -> Message {
    let mut message = Message::default();
    for series in &response.series {
        let Some(sample) = series.samples.first() else {
            continue;
        };
        let mut out = labels(series);
        out.double(2, sample.value);
        message.message(1, &out);
    }
    finish(message, response)
}

/// Whether a label tells what the spans were grouped by. Such names have a scope or are those of intrinsics.
fn is_of_spans(label: &str) -> bool {
    !["__name__", "__bucket", "p"].contains(&label)
}

fn labels(series: &Series) -> Message {
    let mut message = Message::default();
    for (key, value) in &series.labels {
        message.message(1, &schema::key_value(key, value));
    }
    message
}

fn finish(mut message: Message, response: &MetricsResponse) -> Message {
    let metrics = search::search_metrics(&response.metrics, response.partial.is_some());
    message.message(2, &metrics);
    if let Some(partial) = &response.partial {
        message.number(3, schema::PARTIAL);
        message.text(4, &partial.to_string());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn a_range_without_a_step_has_about_240_points() {
        for (range, expected) in [
            (HOUR_NS, 15 * SECOND_NS),
            (24 * HOUR_NS, 5 * MINUTE_NS),
            (MINUTE_NS, SECOND_NS),
            (30 * SECOND_NS, 100 * MILLISECOND_NS),
            (SECOND_NS, STEP_UNIT_SHORT_NS),
        ] {
            assert_eq!(default_step(range), expected, "{range}");
        }
    }

    #[test]
    fn ranges_are_widened_to_whole_steps() {
        let range = aligned(2_139, 2_739, 300);
        assert_eq!((range.start_ns, range.end_ns), (1_800, 3_000));
        let range = aligned(100, 300, 300);
        assert_eq!((range.start_ns, range.end_ns), (0, 300));
    }

    #[test]
    fn an_answer_that_is_not_whole_says_so() {
        let response = MetricsResponse {
            series: Vec::new(),
            metrics: traces::SearchMetrics::default(),
            partial: Some(traces::Partial::Series { max: 7 }),
        };
        let expected = r#""metrics":{"completedJobs":1,"totalJobs":2},"status":"PARTIAL","message":"stopped at 7 series"}"#;
        assert_eq!(
            json::printed(&schema::QUERY_RANGE, range_message(&response, 1)),
            format!(r#"{{"series":[],{expected}"#)
        );
        assert_eq!(
            json::printed(&schema::QUERY_INSTANT, instant_message(&response)),
            format!("{{{expected}")
        );
    }
}
