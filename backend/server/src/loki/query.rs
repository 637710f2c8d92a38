//! Queries: lines and numbers, over a range and at an instant, and their text put in order.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use logql::{Expr, Value};

use super::{Shared, answer, failure::Failure, params::Params};

pub(super) async fn range(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let expr = logql::parse(params.query())?;
    let range_ns = params.range_ns((loki.now_ns)())?;
    let span = params.span(&range_ns)?;
    let limit = params.limit(loki.engine.options().entries_max)?;
    let direction = params.direction()?;
    let at = Arc::clone(&loki);
    loki.queries
        .run(move || match &expr {
            Expr::Log(log) => {
                let found = at
                    .engine
                    .log_query(&*at.store, log, range_ns, direction, limit)?;
                Ok(answer::streams(&found.value, found.scanned))
            }
            Expr::Metric(_) => {
                let found = at.engine.range(&*at.store, &expr, span)?;
                Ok(answer::matrix(&found.value, found.scanned))
            }
        })
        .await
}

pub(super) async fn instant(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let expr = logql::parse(params.query())?;
    let t_ns = params.time("time")?.unwrap_or_else(loki.now_ns);
    params.limit(loki.engine.options().entries_max)?;
    let at = Arc::clone(&loki);
    loki.queries
        .run(move || {
            let found = at.engine.instant(&*at.store, &expr, t_ns)?;
            Ok(match &found.value {
                Value::Scalar(sample) => answer::scalar(sample, found.scanned),
                Value::Vector(samples) => answer::vector(samples, found.scanned),
            })
        })
        .await
}

/// Alone among the endpoints it says in JSON what is wrong.
pub(super) async fn format(params: Params) -> Response {
    match logql::parse(params.query()) {
        Ok(expr) => answer::formatted(StatusCode::OK, "success", "data", &logql::pretty(&expr)),
        Err(error) => answer::formatted(
            StatusCode::BAD_REQUEST,
            "invalid-query",
            "error",
            &error.to_string(),
        ),
    }
}
