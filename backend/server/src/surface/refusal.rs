//! What a surface answers when it does not let a request through. Each API has its own status and words for it.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// Why a request got no answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many requests as allowed are in progress.
    Overloaded,
    /// The handler took too long.
    Timeout,
    /// The handler panicked.
    Panic,
}

/// Renders a refusal.
pub(super) type Refuse = fn(Refusal) -> Response;

/// The plain rendering.
pub(super) fn plain(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Overloaded => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "1")],
            "too many requests in progress",
        )
            .into_response(),
        Refusal::Timeout => (StatusCode::GATEWAY_TIMEOUT, "request timed out").into_response(),
        Refusal::Panic => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal server error").into_response()
        }
    }
}
