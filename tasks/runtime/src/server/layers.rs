//! The layers around a service's routes, each a middleware; `server::Stack` has their order.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::header::CONTENT_LENGTH,
    middleware::Next,
    response::{IntoResponse, Response},
};
use conventions::spans;
use opentelemetry::{Context, trace::TraceContextExt};
use tasks_api::{Kind, Problem};
use telemetry::http::ErrorType;
use tokio::sync::Semaphore;

/// What a refused client is told to wait. Load comes in bursts: a second later there is room again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Fills the trace id into problems and leaves one log line for every request.
pub(super) async fn describe(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = next.run(request).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.trace_id = problem.trace_id.or_else(trace_id);
        response = with_body(response, problem);
    }
    let status = response.status().as_u16();
    if response.status().is_server_error() {
        tracing::error!(
            { spans::HTTP_REQUEST_METHOD } = method.as_str(),
            { spans::HTTP_RESPONSE_STATUS_CODE } = status,
            "request failed"
        );
    } else {
        tracing::info!(
            { spans::HTTP_REQUEST_METHOD } = method.as_str(),
            { spans::HTTP_RESPONSE_STATUS_CODE } = status,
            "request served"
        );
    }
    response
}

/// Refuses a request at once when as many as allowed are in progress.
pub(super) async fn shed(
    State(room): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    match room.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::new(Kind::Overloaded)
            .retry_after(RETRY_AFTER_SECONDS)
            .into_response(),
    }
}

/// Gives up on a handler that takes too long.
pub(super) async fn deadline(
    State(timeout): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let mut response = Problem::new(Kind::Timeout)
                .retry_after(RETRY_AFTER_SECONDS)
                .into_response();
            response
                .extensions_mut()
                .insert(ErrorType(spans::ERROR_TIMEOUT));
            response
        }
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}

/// The answer for a handler that panicked; the panic hook has logged it.
pub(super) fn panicked() -> Response {
    let problem = Problem::new(Kind::Internal);
    match trace_id() {
        Some(trace_id) => problem.trace_id(trace_id).into_response(),
        None => problem.into_response(),
    }
}

/// The response with the problem as its body; status and headers that others set stay.
fn with_body(response: Response, problem: Problem) -> Response {
    let (parts, _) = response.into_parts();
    let mut response = problem.into_response();
    *response.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if !response.headers().contains_key(name) && name != CONTENT_LENGTH {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.extensions_mut().extend(parts.extensions);
    response
}

fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.trace_id().to_string())
    })
}
