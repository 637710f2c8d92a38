//! Answers as JSON, and for whom: nobody who accepts no JSON.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::failure::Failure;

const JSON: &str = "application/json";

/// What stands behind the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    None,
    Line,
}

/// A good answer.
pub(super) fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value, End::Line)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize, end: End) -> Response {
    let mut body =
        serde_json::to_vec(value).expect("texts, numbers, lists and maps of text are JSON");
    if end == End::Line {
        body.push(b'\n');
    }
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// Refuses who accepts something else only.
pub(super) async fn only_json(request: Request, next: Next) -> Response {
    if takes_json(request.headers()) {
        return next.run(request).await;
    }
    let text = "unsupported media type requested, only [application/json] are available";
    Failure::coded(StatusCode::NOT_ACCEPTABLE, 406, text).into_response()
}

fn takes_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut ranges = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| ["*/*", "application/*", JSON, ""].contains(&range))
}
