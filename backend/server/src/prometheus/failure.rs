//! What a request gets that is not served: a status, a kind and a reason, as Prometheus writes them.

use std::fmt;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use conventions::fields;
use promql::QueryError;
use tsdb::SourceError;

use super::json;
use crate::{chain::Chain, go, work::Ending};

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    kind: Kind,
    text: String,
}

/// What clients tell failures apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    BadData,
    Execution,
    Timeout,
    Unavailable,
    Overloaded,
    Internal,
}

impl Kind {
    /// What is served nowhere else has the status 500 in Prometheus.
    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unavailable | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Unavailable | Self::Overloaded => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl Failure {
    /// The request makes no sense.
    pub(super) fn bad_data(reason: impl fmt::Display) -> Self {
        Self::new(Kind::BadData, reason)
    }

    /// One of its parameters makes no sense.
    pub(super) fn parameter(name: &str, reason: impl fmt::Display) -> Self {
        let name = go::quote(name);
        Self::bad_data(format_args!("invalid parameter {name}: {reason}"))
    }

    /// It took longer than it may, in the part that is named.
    pub(super) fn timeout(part: &str) -> Self {
        Self::new(Kind::Timeout, format_args!("query timed out in {part}"))
    }

    /// This is not enabled.
    pub(super) fn unavailable(reason: &str) -> Self {
        Self::new(Kind::Unavailable, reason)
    }

    pub(super) fn overloaded() -> Self {
        Self::new(Kind::Overloaded, "too many requests in progress")
    }

    /// It is not the client's fault; why is in the log.
    pub(super) fn internal(reason: &str) -> Self {
        Self::new(Kind::Internal, reason)
    }

    fn new(kind: Kind, reason: impl fmt::Display) -> Self {
        Self {
            kind,
            text: reason.to_string(),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Timeout => Self::new(Kind::Timeout, error),
            QueryError::RangeType(_) => Self::parameter("query", error),
            QueryError::BadSpan(reason) => Self::bad_data(reason),
            QueryError::TooManySamples | QueryError::Execution(_) => {
                Self::new(Kind::Execution, error)
            }
            QueryError::Source(source) => source.into(),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::TooManySamples { .. } => Self::new(Kind::Execution, error),
            SourceError::Storage(source) => {
                tracing::error!({ fields::ERROR } = %Chain(&**source), "the sample store cannot be read");
                Self::internal("the sample store cannot be read")
            }
        }
    }
}

impl From<Ending> for Failure {
    fn from(Ending: Ending) -> Self {
        Self::internal("the process is ending")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = format!(
            "{{\"status\":\"error\",\"errorType\":\"{}\",\"error\":",
            self.kind.name()
        );
        json::string(&mut body, &self.text);
        body.push('}');
        let headers = [(header::CONTENT_TYPE, "application/json")];
        (self.kind.status(), headers, body).into_response()
    }
}
