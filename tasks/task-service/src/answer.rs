//! Answers: one form that is sent, and stored under an `Idempotency-Key` to be sent again.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use conventions::headers::IDEMPOTENCY_REPLAYED;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use store::StoredResponse;
use tasks_api::{Task, routes};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

static REPLAYED: HeaderName = HeaderName::from_static(IDEMPOTENCY_REPLAYED);

/// A task as it is now, with its version as entity tag.
pub(crate) fn task(task: &Task) -> StoredResponse {
    StoredResponse {
        etag: Some(task.etag()),
        ..json(StatusCode::OK, task)
    }
}

/// A task that was made, and where it is.
pub(crate) fn created_task(created: &Task) -> StoredResponse {
    let location = routes::TASK.replacen("{task_id}", &created.id.to_string(), 1);
    StoredResponse {
        status: StatusCode::CREATED.as_u16(),
        location: Some(location),
        ..task(created)
    }
}

/// Nothing is left to show.
pub(crate) fn gone() -> StoredResponse {
    let status = StatusCode::NO_CONTENT.as_u16();
    StoredResponse {
        status,
        etag: None,
        location: None,
        body: Vec::new(),
    }
}

/// Anything else.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> StoredResponse {
    let body = serde_json::to_vec(value).expect("types of the API have string keys only");
    StoredResponse {
        status: status.as_u16(),
        etag: None,
        location: None,
        body,
    }
}

/// An answer that was given before.
pub(crate) fn replay(stored: StoredResponse) -> Response {
    let mut response = send(stored);
    response
        .headers_mut()
        .insert(&REPLAYED, HeaderValue::from_static("true"));
    response
}

/// An answer as it goes out.
pub(crate) fn send(answer: StoredResponse) -> Response {
    let mut headers = HeaderMap::new();
    if !answer.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    for (name, value) in [
        (header::ETAG, answer.etag),
        (header::LOCATION, answer.location),
    ] {
        // Both were made by this service: digits, or a path of identifiers.
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, Body::from(answer.body)).into_response()
}
