//! Faults on routes: felt inside the server span, in place of the handler.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tasks_api::{Kind, Problem};

use super::Faults;

/// `Retry-After` of an answer that says the service is away or slow.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Middleware inside the telemetry layer.
pub(crate) async fn inject(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let effect = faults.hit(|target| target.is_http(request.method().as_str(), route));
    let Some(effect) = effect else {
        return next.run(request).await;
    };
    effect.wait().await;
    match effect.error {
        Some(status) => answer(&status),
        None => next.run(request).await,
    }
}

/// The kinds of problem that a route can be made to answer, one for each status.
pub(super) const KINDS: [Kind; 8] = [
    Kind::MalformedRequest,
    Kind::NotFound,
    Kind::RequestTimeout,
    Kind::Conflict,
    Kind::VersionMismatch,
    Kind::Internal,
    Kind::Unavailable,
    Kind::Timeout,
];

/// The kind with this status.
pub(super) fn kind(status: &str) -> Option<Kind> {
    KINDS
        .into_iter()
        .find(|kind| kind.status().as_str() == status)
}

fn answer(status: &str) -> Response {
    let kind = kind(status).expect("a fault of another status is refused");
    let mut problem = Problem::new(kind).detail("an injected fault");
    if matches!(kind, Kind::Unavailable | Kind::Timeout) {
        problem = problem.retry_after(RETRY_AFTER_SECONDS);
    }
    let status = kind.status();
    if status.is_server_error() {
        tracing::error!(
            { conventions::spans::HTTP_RESPONSE_STATUS_CODE } = status.as_u16(),
            "injected fault"
        );
    }
    problem.into_response()
}
