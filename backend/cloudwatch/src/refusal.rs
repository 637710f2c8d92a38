//! What a request gets that is not served: the service's own names of errors, and its own words where they are known.

use http::StatusCode;

use crate::{catalogue::ChangeError, events::AppendError, pattern::PatternError};

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// What clients tell errors apart by.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// A value outside of what the API's model allows.
    pub(crate) fn constraint(member: &str, constraint: &str) -> Self {
        Self::invalid(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must {constraint}"
        ))
    }

    pub(crate) fn unreadable(reason: impl std::fmt::Display) -> Self {
        Self::new("SerializationException", reason.to_string())
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "The operation is not known")
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("UnsupportedOperationException", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            "ResourceNotFoundException",
            format!("The specified {what} does not exist."),
        )
    }

    pub(crate) fn busy() -> Self {
        Self::new("ThrottlingException", "Rate exceeded")
    }

    pub(crate) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..Self::new("RequestEntityTooLargeException", "The request is too large")
        }
    }

    /// Ours: logged where it happens, and the client learns no more than that.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(
            { conventions::fields::ERROR } = chain,
            "a request of CloudWatch Logs failed"
        );
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Self::new(
                "ServiceUnavailableException",
                "The service cannot complete the request.",
            )
        }
    }

    /// From a change of the catalogue, of `what`: a log group or a log stream.
    pub(crate) fn change(error: &ChangeError, what: &str) -> Self {
        match error {
            ChangeError::Exists => Self::new(
                "ResourceAlreadyExistsException",
                format!("The specified {what} already exists"),
            ),
            ChangeError::Missing => Self::not_found(what),
            ChangeError::Full => Self::new("LimitExceededException", "Resource limit exceeded."),
            ChangeError::Write { .. } => Self::internal(error),
        }
    }
}

impl From<PatternError> for Refusal {
    fn from(error: PatternError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        Self::internal(&error)
    }
}

impl From<logql::SourceError> for Refusal {
    fn from(error: logql::SourceError) -> Self {
        Self::internal(&error)
    }
}
