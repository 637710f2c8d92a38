//! Why a request was not done: a problem for the caller, and for the log what caused it.
//!
//! The one place where an error of the storage becomes a status.

use axum::response::{IntoResponse, Response};
use conventions::fields;
use http::{HeaderValue, StatusCode, header};
use tasks_api::{Kind, Problem};
use tracing::{error, info};

use crate::preconditions;

/// `Retry-After` of what another request is in the way of: by then that one is done.
const CONFLICT_RETRY_SECONDS: u32 = 1;

/// A problem and its cause.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    /// Never told to the caller.
    cause: Option<anyhow::Error>,
}

impl Refusal {
    /// Whether the request is to blame, not this process or its storage.
    pub(crate) fn is_callers_fault(&self) -> bool {
        self.problem.kind.status().is_client_error()
    }

    fn caused(kind: Kind, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            problem: Problem::new(kind),
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

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        use store::Error;
        match error {
            Error::NotFound => Problem::new(Kind::NotFound).into(),
            Error::VersionMismatch { current } => preconditions::mismatch(current).into(),
            Error::IdempotencyKeyReused => Problem::new(Kind::IdempotencyKeyReused).into(),
            Error::Conflict => Problem::new(Kind::Conflict)
                .retry_after(CONFLICT_RETRY_SECONDS)
                .into(),
            Error::InvalidCursor => Problem::new(Kind::InvalidCursor).into(),
            Error::Unavailable { retry_after, .. } => {
                let seconds = u32::try_from(retry_after.as_secs())
                    .unwrap_or(u32::MAX)
                    .max(1);
                let mut refusal = Self::caused(Kind::Unavailable, error);
                refusal.problem = refusal.problem.retry_after(seconds);
                refusal
            }
            // `Refused` and `Corrupt` need an operator; so does what is yet to be invented.
            _ => Self::caused(Kind::Internal, error),
        }
    }
}

impl IntoResponse for Refusal {
    /// Where a refusal ends, so here it is logged.
    fn into_response(self) -> Response {
        let kind = self.problem.kind.name();
        match self.cause {
            Some(cause) => error!(
                { fields::PROBLEM } = kind,
                { fields::ERROR } = format!("{cause:#}"),
                "request failed"
            ),
            None => info!({ fields::PROBLEM } = kind, "request refused"),
        }
        let mut response = self.problem.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use store::Error;

    use super::*;

    fn check(error: Error, kind: Kind, retry_after: Option<u32>) {
        let text = error.to_string();
        let refusal = Refusal::from(error);
        assert_eq!(refusal.problem.kind, kind, "{text}");
        assert_eq!(refusal.problem.retry_after_seconds, retry_after, "{text}");
        assert_eq!(
            refusal.cause.is_some(),
            kind.status().is_server_error(),
            "{text}"
        );
    }

    #[test]
    fn each_storage_error_has_one_problem() {
        let unavailable = |retry_after| Error::Unavailable {
            operation: "GetItem",
            retry_after,
            source: "away".into(),
        };
        check(Error::NotFound, Kind::NotFound, None);
        check(
            Error::VersionMismatch { current: 2 },
            Kind::VersionMismatch,
            None,
        );
        check(
            Error::IdempotencyKeyReused,
            Kind::IdempotencyKeyReused,
            None,
        );
        check(Error::Conflict, Kind::Conflict, Some(1));
        check(Error::InvalidCursor, Kind::InvalidCursor, None);
        check(unavailable(Duration::ZERO), Kind::Unavailable, Some(1));
        check(
            unavailable(Duration::from_secs(7)),
            Kind::Unavailable,
            Some(7),
        );
        check(
            Error::Refused {
                operation: "GetItem",
                source: "wrong key".into(),
            },
            Kind::Internal,
            None,
        );
        check(
            Error::Corrupt {
                shape: "task",
                reason: "r".into(),
            },
            Kind::Internal,
            None,
        );
    }

    #[test]
    fn internals_are_logged_and_not_told() {
        let captured = telemetry::testing::capture(|| {
            let error = Error::Refused {
                operation: "GetItem",
                source: "bad credentials".into(),
            };
            let refusal = Refusal::from(error);
            let told = refusal.problem.clone();
            let _ = refusal.into_response();
            told
        });
        assert_eq!(captured.result, Problem::new(Kind::Internal));
        assert_eq!(captured.logs[0]["level"], "ERROR");
        assert_eq!(
            captured.logs[0]["fields"]["error"],
            "GetItem was refused: bad credentials"
        );
    }
}
