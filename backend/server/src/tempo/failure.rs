//! What a request gets that is not served: a status and a line of text, as Tempo writes them.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use conventions::fields;

use crate::chain::Chain;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    text: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many outstanding requests",
        )
    }

    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "context deadline exceeded")
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}

/// What the store does not do is the client's to mend, or ours: then it is logged, and the client learns no more than that.
impl From<traces::Error> for Failure {
    fn from(error: traces::Error) -> Self {
        match &error {
            traces::Error::NotMetrics => Self::bad_request("not a metrics query"),
            traces::Error::Query(_) | traces::Error::Tag { .. } => {
                Self::bad_request(error.to_string())
            }
            _ => {
                tracing::error!({ fields::ERROR } = %Chain(&error), "the trace store cannot be read");
                Self::internal()
            }
        }
    }
}
