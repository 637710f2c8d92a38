//! Expressions: `query`, `query_range`, `format_query`, and the exemplars of the series that one names.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use promql::{Annotations, Engine, Expr, STEPS_MAX, Span, Value};
use tsdb::{Labels, Sample, Series};

use super::{
    Api, Shared,
    answer::{Answer, cut},
    failure::Failure,
    form::Form,
    json, params,
};

const NS_PER_MS: i64 = 1_000_000;
/// Where a query is until there is room for it.
const QUEUE: &str = "query queue";

/// `GET, POST /query`: the value at one moment.
pub(super) async fn instant(State(api): Shared, form: Form) -> Result<Response, Failure> {
    let limit = params::limit(&form)?;
    let t_ms = params::time(&form, "time")?.unwrap_or_else(|| api.prometheus.now_ms());
    let limits = Limits::read(&api, &form)?;
    let expr = expression(&form)?;
    let store = Arc::clone(api.prometheus.store());
    let job = move |engine: &Engine| {
        let mut found = engine.instant(&*store, &expr, t_ms)?;
        let is_truncated = match &mut found.value {
            Value::Vector(vector) => cut(vector, limit),
            Value::Matrix(matrix) => cut(matrix, limit),
            Value::Scalar(_) | Value::String { .. } => false,
        };
        Ok(answer(&found.value, found.annotations, is_truncated))
    };
    limits.run(&api, job).await
}

/// `GET, POST /query_range`: the values at the steps of a range.
pub(super) async fn range(State(api): Shared, form: Form) -> Result<Response, Failure> {
    let limit = params::limit(&form)?;
    let span = span(&form)?;
    let limits = Limits::read(&api, &form)?;
    let expr = expression(&form)?;
    let store = Arc::clone(api.prometheus.store());
    let job = move |engine: &Engine| {
        let mut found = engine.range(&*store, &expr, span)?;
        let is_truncated = cut(&mut found.value, limit);
        let value = Value::Matrix(found.value);
        Ok(answer(&value, found.annotations, is_truncated))
    };
    limits.run(&api, job).await
}

/// `GET, POST /format_query`.
pub(super) async fn format(form: Form) -> Result<Answer, Failure> {
    let expr = expression(&form)?;
    Ok(Answer::new(|out| json::string(out, &expr.pretty())))
}

/// `GET, POST /query_exemplars`: those of the series of each selector in an expression.
pub(super) async fn exemplars(State(api): Shared, form: Form) -> Result<Response, Failure> {
    let range_ms = params::times(&form)?;
    if range_ms.is_empty() {
        return Err(Failure::bad_data(
            "end timestamp must not be before start timestamp",
        ));
    }
    let text = form.get("query").unwrap_or_default();
    let selectors = promql::parse(text).map_err(Failure::bad_data)?.selectors();
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let store = Arc::clone(api.prometheus.store());
    let job = move || {
        let mut found: Vec<_> = selectors
            .iter()
            .flat_map(|matchers| store.exemplars(matchers, range_ms.clone()))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.dedup_by(|(a, _), (b, _)| a == b);
        let answer = Answer::new(|out| {
            json::array(out, &found, |out, (labels, exemplars)| {
                out.push_str("{\"seriesLabels\":");
                json::labels(out, labels);
                out.push_str(",\"exemplars\":");
                json::array(out, exemplars, json::exemplar);
                out.push('}');
            });
        });
        Ok(answer.into_response())
    };
    api.queries.run(job).await
}

/// What one query may do: the engine's limits, narrowed by the request.
struct Limits {
    options: promql::Options,
    begun: Instant,
}

impl Limits {
    fn read(api: &Api, form: &Form) -> Result<Self, Failure> {
        let mut options = api.prometheus.engine().options().clone();
        if let Some(text) = form.get("timeout") {
            let ns = params::parse_duration(text);
            let ns = ns.map_err(|reason| Failure::parameter("timeout", reason))?;
            let asked = Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
            options.timeout = options.timeout.min(asked);
        }
        if let Some(text) = form.get("lookback_delta") {
            let ns = params::parse_duration(text).map_err(|reason| {
                Failure::bad_data(format_args!(
                    "error parsing lookback delta duration: {reason}"
                ))
            })?;
            if ns > 0 {
                options.lookback_ms = ns / NS_PER_MS;
            }
        }
        Ok(Self {
            options,
            begun: Instant::now(),
        })
    }

    /// Waits for room and runs, both within the timeout. Who gives up while waiting has not cost anything.
    async fn run(
        mut self,
        api: &Api,
        job: impl FnOnce(&Engine) -> Result<Answer, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        if self.options.timeout.is_zero() {
            return Err(Failure::timeout(QUEUE));
        }
        let place = tokio::time::timeout(self.options.timeout, api.queries.enter()).await;
        let place = place.map_err(|_| Failure::timeout(QUEUE))?;
        let run = move || {
            let left = self.options.timeout.saturating_sub(self.begun.elapsed());
            self.options.timeout = left;
            job(&Engine::new(self.options)).map(IntoResponse::into_response)
        };
        place.run(run).await
    }
}

fn span(form: &Form) -> Result<Span, Failure> {
    let start_ms = params::required_time(form, "start")?;
    let end_ms = params::required_time(form, "end")?;
    if end_ms < start_ms {
        let reason = "end timestamp must not be before start time";
        return Err(Failure::parameter("end", reason));
    }
    let step = params::parse_duration(form.get("step").unwrap_or_default());
    let step_ns = step.map_err(|reason| Failure::parameter("step", reason))?;
    let step_ms = step_ns / NS_PER_MS;
    if step_ms <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", reason));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > STEPS_MAX as i64 {
        return Err(Failure::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(Span {
        start_ms,
        end_ms,
        step_ms,
    })
}

fn expression(form: &Form) -> Result<Expr, Failure> {
    let text = form.get("query").unwrap_or_default();
    promql::parse(text).map_err(|error| Failure::parameter("query", error))
}

fn answer(value: &Value, remarks: Annotations, is_truncated: bool) -> Answer {
    let answer = Answer::new(|out| match value {
        Value::Scalar(sample) => result(out, "scalar", |out| scalar(out, sample)),
        Value::String { t_ms, text } => result(out, "string", |out| {
            out.push('[');
            json::seconds(out, *t_ms);
            out.push(',');
            json::string(out, text);
            out.push(']');
        }),
        Value::Vector(vector) => {
            result(out, "vector", |out| json::array(out, vector, element));
        }
        Value::Matrix(matrix) => {
            result(out, "matrix", |out| json::array(out, matrix, series));
        }
    });
    answer.remarks(remarks).truncated(is_truncated)
}

fn result(out: &mut String, kind: &str, write: impl FnOnce(&mut String)) {
    out.push_str("{\"resultType\":\"");
    out.push_str(kind);
    out.push_str("\",\"result\":");
    write(out);
    out.push('}');
}

/// Unlike the values of series, it never has an exponent.
fn scalar(out: &mut String, sample: &Sample) {
    out.push('[');
    json::seconds(out, sample.t_ms);
    out.push_str(",\"");
    out.push_str(&promql::format_value(sample.value));
    out.push_str("\"]");
}

fn element(out: &mut String, (labels, sample): &(Labels, Sample)) {
    out.push_str("{\"metric\":");
    json::labels(out, labels);
    out.push_str(",\"value\":");
    json::point(out, sample);
    out.push('}');
}

fn series(out: &mut String, series: &Series) {
    out.push_str("{\"metric\":");
    json::labels(out, &series.labels);
    out.push_str(",\"values\":");
    json::array(out, &series.samples, json::point);
    out.push('}');
}
