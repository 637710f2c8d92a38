//! What a request gets that is not served: a status and a line of text, as Loki writes them.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use conventions::fields;
use logql::{ParseError, QueryError, SourceError};

use crate::{chain::Chain, work::Ending};

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    text: String,
}

impl Failure {
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn overloaded() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many outstanding requests",
        )
    }

    pub(super) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed.",
        )
    }

    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Timeout => Self::timeout(),
            QueryError::Source(source) => source.into(),
            error => Self::bad_request(error.to_string()),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        tracing::error!({ fields::ERROR } = %Chain(&error), "the log store cannot be read");
        Self::internal("the log store cannot be read")
    }
}

impl From<logs::Error> for Failure {
    fn from(error: logs::Error) -> Self {
        tracing::error!({ fields::ERROR } = %Chain(&error), "the log store cannot be read");
        Self::internal("the log store cannot be read")
    }
}

impl From<Ending> for Failure {
    fn from(Ending: Ending) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the process is ending")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (self.status, headers, format!("{}\n", self.text)).into_response()
    }
}
