//! SDK errors as ours: what may pass by itself is [`Error::Unavailable`], the rest [`Error::Refused`].
//!
//! Of what the service answered only code and status are kept. Its message can quote keys, items and message bodies.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::Error;

/// After throttling: capacity is counted by the second.
const RETRY_AFTER_THROTTLED: Duration = Duration::from_secs(1);
/// After anything else that may pass: a restart takes some seconds.
const RETRY_AFTER_AWAY: Duration = Duration::from_secs(2);
/// Codes that mean "slower".
const THROTTLED: &[&str] = &[
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ThrottlingException",
    "TransactionInProgressException",
];
/// Codes, beside every 5xx, that mean "not now". Table and queue are missing while somebody still makes them.
const AWAY: &[&str] = &[
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceInUseException",
    "ResourceNotFoundException",
];
const STATUS_TOO_MANY_REQUESTS: u16 = 429;
const STATUS_SERVER_ERRORS: std::ops::RangeInclusive<u16> = 500..=599;

/// What a service answered.
#[derive(Debug)]
struct Answered {
    code: Option<String>,
    status: u16,
}

/// A call that did not end well, as an error of ours.
pub(crate) fn failure<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(answer) => {
            let answered = Answered {
                code: answer.err().code().map(str::to_owned),
                status: answer.raw().status().as_u16(),
            };
            answered.into_error(operation)
        }
        SdkError::ConstructionFailure(_) => Error::Refused {
            operation,
            source: error.into(),
        },
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => Error::Refused {
            operation,
            source: error.into(),
        },
        _ => Error::Unavailable {
            operation,
            retry_after: RETRY_AFTER_AWAY,
            source: error.into(),
        },
    }
}

/// An answer that says "slower" inside a success or a cancelled transaction.
pub(crate) fn throttled(operation: &'static str) -> Error {
    Error::Unavailable {
        operation,
        retry_after: RETRY_AFTER_THROTTLED,
        source: "throttled".into(),
    }
}

/// It may still come, but not in time.
pub(crate) fn gave_up(operation: &'static str, reason: &'static str) -> Error {
    Error::Unavailable {
        operation,
        retry_after: RETRY_AFTER_AWAY,
        source: reason.into(),
    }
}

/// An answer that will not get better.
pub(crate) fn refused(operation: &'static str, reason: &'static str) -> Error {
    Error::Refused {
        operation,
        source: reason.into(),
    }
}

impl Answered {
    fn into_error(self, operation: &'static str) -> Error {
        let is = |codes: &[&str]| {
            self.code
                .as_deref()
                .is_some_and(|code| codes.contains(&code))
        };
        let retry_after = if is(THROTTLED) || self.status == STATUS_TOO_MANY_REQUESTS {
            RETRY_AFTER_THROTTLED
        } else if is(AWAY) || STATUS_SERVER_ERRORS.contains(&self.status) {
            RETRY_AFTER_AWAY
        } else {
            return Error::Refused {
                operation,
                source: self.into(),
            };
        };
        Error::Unavailable {
            operation,
            retry_after,
            source: self.into(),
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (status {})",
            self.code.as_deref().unwrap_or("no error code"),
            self.status
        )
    }
}

impl std::error::Error for Answered {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Option<&str>, status: u16, expected: Option<Duration>) {
        let answered = Answered {
            code: code.map(str::to_owned),
            status,
        };
        let waits = match answered.into_error("PutItem") {
            Error::Unavailable { retry_after, .. } => Some(retry_after),
            _ => None,
        };
        assert_eq!(waits, expected, "{code:?} {status}");
    }

    #[test]
    fn what_may_pass_says_when_to_come_back() {
        check(
            Some("ThrottlingException"),
            400,
            Some(RETRY_AFTER_THROTTLED),
        );
        check(None, 429, Some(RETRY_AFTER_THROTTLED));
        check(
            Some("ResourceNotFoundException"),
            400,
            Some(RETRY_AFTER_AWAY),
        );
        check(Some("InternalServerError"), 500, Some(RETRY_AFTER_AWAY));
        check(None, 503, Some(RETRY_AFTER_AWAY));
        check(Some("ValidationException"), 400, None);
        check(Some("AccessDeniedException"), 400, None);
        check(None, 404, None);
    }
}
