//! The one error of this crate: a problem for the client, and for the log what caused it.

use axum::response::{IntoResponse, Response};
use conventions::fields;
use http::{HeaderValue, header};
use tasks_api::{Kind, Problem};
use tracing::{error, info};

/// Why a request was not passed on, or its answer not back.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    /// Never told to the client.
    cause: Option<anyhow::Error>,
}

impl Refusal {
    pub(crate) fn new(problem: Problem, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            problem,
            cause: Some(cause.into()),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            cause: None,
        }
    }
}

impl IntoResponse for Refusal {
    /// Where a refusal ends, so here it is logged.
    fn into_response(self) -> Response {
        let kind = self.problem.kind;
        match self.cause {
            Some(cause) => error!(
                { fields::PROBLEM } = kind.name(),
                { fields::ERROR } = format!("{cause:#}"),
                "request failed"
            ),
            None => info!({ fields::PROBLEM } = kind.name(), "request refused"),
        }
        let mut response = self.problem.into_response();
        if kind == Kind::Unauthenticated {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
