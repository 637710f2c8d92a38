//! Refusals: a JSON text from the handlers, an object with a code from what checks requests before them.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::answer;

/// A required part is missing.
const REQUIRED: u16 = 602;
/// A part has another type.
const TYPE: u16 = 601;
/// A list is too short.
const MIN_ITEMS: u16 = 612;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Empty,
    Text(String),
    Coded { code: u16, message: String },
}

#[derive(Serialize)]
struct Coded<'a> {
    code: u16,
    message: &'a str,
}

impl Failure {
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            body: Body::Text(text.into()),
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            body: Body::Empty,
        }
    }

    pub(super) fn coded(status: StatusCode, code: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            body: Body::Coded {
                code,
                message: message.into(),
            },
        }
    }

    /// `place` is missing in the body.
    pub(super) fn required(place: &str) -> Self {
        let message = format!("{place} in body is required");
        Self::coded(StatusCode::UNPROCESSABLE_ENTITY, REQUIRED, message)
    }

    pub(super) fn too_short(place: &str) -> Self {
        let message = format!("{place} in body should have at least 1 items");
        Self::coded(StatusCode::UNPROCESSABLE_ENTITY, MIN_ITEMS, message)
    }

    pub(super) fn no_uuid(text: &str) -> Self {
        let message = format!("silenceID in path must be of type uuid: {text:?}");
        Self::coded(StatusCode::UNPROCESSABLE_ENTITY, TYPE, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match &self.body {
            Body::Empty => self.status.into_response(),
            Body::Text(text) => answer::json(self.status, text, answer::End::Line),
            Body::Coded { code, message } => {
                let coded = Coded {
                    code: *code,
                    message,
                };
                answer::json(self.status, &coded, answer::End::None)
            }
        }
    }
}
