//! Faults on routes: felt inside the server span, in place of the handler.

use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tasks_api::{Kind, Problem};

use super::Faults;

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

fn answer(status: &str) -> Response {
    let status = status.parse().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|kind| kind.status() == status)
        .unwrap_or(Kind::Internal);
    let mut response = Problem::new(kind)
        .detail("an injected fault")
        .into_response();
    *response.status_mut() = status;
    if status.is_server_error() {
        tracing::error!(
            { conventions::spans::HTTP_RESPONSE_STATUS_CODE } = status.as_u16(),
            "injected fault"
        );
    }
    response
}
