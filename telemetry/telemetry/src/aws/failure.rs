//! How an SDK call failed, as one word.
//!
//! Of what the service answers only the error code is read: its message may quote keys, items or message bodies.

use std::borrow::Cow;
use std::error::Error as _;

use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use conventions::spans;
use serde::Deserialize;

/// Longest error code believed to be one.
const CODE_BYTES_MAX: usize = 64;
/// Causes of a failure that are followed.
const CAUSES_MAX: usize = 8;
const ERROR_TYPE_HEADER: &str = "x-amzn-errortype";
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";
const TRANSACTION_CANCELED: &str = "TransactionCanceledException";
/// Reason of a transaction's item whose condition did not hold.
const REASON_CONDITION: &str = "ConditionalCheckFailed";
/// Reason of a transaction's item that had no part in the cancellation.
const REASON_NONE: &str = "None";

/// A failed call.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error_type: Cow<'static, str>,
    /// The service's own code, when it answered.
    pub(super) code: Option<String>,
    /// A condition did not hold: an answer, which the caller asked for.
    pub(super) expected: bool,
    /// Without an answer: what went wrong on the way, from the outside in.
    pub(super) detail: Option<String>,
}

/// An error response of the JSON protocols.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "__type")]
    shape: Option<String>,
    code: Option<String>,
    #[serde(default, rename = "CancellationReasons")]
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(rename = "Code")]
    code: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &OrchestratorError<Error>, response: Option<&HttpResponse>) -> Self {
        match (error.as_operation_error(), response) {
            (Some(_), Some(response)) => Self::answered(response),
            _ => Self::unanswered(error),
        }
    }

    /// Of a batch entry that was refused while the call succeeded.
    pub(super) fn of_entry(code: &str) -> Self {
        let code = plain_code(code).map(str::to_owned);
        let error_type = code.clone().map_or(spans::ERROR_OTHER.into(), Cow::Owned);
        Self {
            error_type,
            code,
            expected: false,
            detail: None,
        }
    }

    fn answered(response: &HttpResponse) -> Self {
        let body = response.body().bytes().unwrap_or_default();
        // A body that is no JSON object comes from something in between, such as a proxy; the status has to do.
        let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        let header = response.headers().get(ERROR_TYPE_HEADER);
        let said = header.or(body.shape.as_deref()).or(body.code.as_deref());
        let code = said.and_then(plain_code).map(str::to_owned);
        let expected = match code.as_deref() {
            Some(CONDITION_FAILED) => true,
            Some(TRANSACTION_CANCELED) => is_condition(&body.reasons),
            _ => false,
        };
        let error_type = code
            .clone()
            .unwrap_or_else(|| response.status().as_u16().to_string());
        Self {
            error_type: error_type.into(),
            code,
            expected,
            detail: None,
        }
    }

    fn unanswered(error: &OrchestratorError<Error>) -> Self {
        let connector = error.as_connector_error();
        let timed_out =
            error.is_timeout_error() || connector.is_some_and(|error| error.is_timeout());
        let error_type = match connector {
            _ if timed_out => spans::ERROR_TIMEOUT,
            Some(error) if !error.is_user() => spans::ERROR_CONNECT,
            _ => spans::ERROR_OTHER,
        };
        Self {
            error_type: error_type.into(),
            code: None,
            expected: false,
            // What an operation error says comes from the service.
            detail: error.as_operation_error().is_none().then(|| causes(error)),
        }
    }
}

/// `com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException:http://…` → `ConditionalCheckFailedException`.
/// `None` for what is no identifier: it would become a label.
fn plain_code(said: &str) -> Option<&str> {
    let shape = said.rsplit_once('#').map_or(said, |(_, shape)| shape);
    let code = shape.split(':').next().unwrap_or(shape);
    let identifier = code
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    (identifier && (1..=CODE_BYTES_MAX).contains(&code.len())).then_some(code)
}

fn is_condition(reasons: &[Reason]) -> bool {
    let is = |reason: &Reason, code| reason.code.as_deref() == Some(code);
    let known = |reason: &Reason| is(reason, REASON_CONDITION) || is(reason, REASON_NONE);
    reasons.iter().all(known) && reasons.iter().any(|reason| is(reason, REASON_CONDITION))
}

fn causes(error: &OrchestratorError<Error>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answered(status: u16, header: Option<&str>, body: &str) -> (String, Option<String>, bool) {
        let mut response = http::Response::builder().status(status);
        if let Some(header) = header {
            response = response.header(ERROR_TYPE_HEADER, header);
        }
        let response = response.body(SdkBody::from(body)).unwrap();
        let failure = Failure::answered(&HttpResponse::try_from(response).unwrap());
        assert_eq!(
            failure.detail, None,
            "nothing of the service's message is kept"
        );
        (
            failure.error_type.into_owned(),
            failure.code,
            failure.expected,
        )
    }

    #[test]
    fn the_code_is_read_from_header_or_body() {
        let code = |code: &str| (code.to_owned(), Some(code.to_owned()), false);
        let namespaced = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"secret"}"#;
        assert_eq!(
            answered(400, None, namespaced),
            code("ResourceNotFoundException")
        );
        assert_eq!(
            answered(400, None, r#"{"code":"Throttled"}"#),
            code("Throttled")
        );
        let header = Some("InternalFailure:http://internal.amazon.com/");
        assert_eq!(answered(500, header, "{}"), code("InternalFailure"));
    }

    #[test]
    fn without_a_code_the_status_has_to_do() {
        for body in [
            "",
            "<html>",
            "[]",
            "null",
            "{}",
            r#"{"__type":7}"#,
            r#"{"__type":"a b\u0000"}"#,
        ] {
            assert_eq!(
                answered(503, None, body),
                ("503".to_owned(), None, false),
                "{body}"
            );
        }
        let endless = format!(r#"{{"__type":"{}"}}"#, "x".repeat(CODE_BYTES_MAX + 1));
        assert_eq!(
            answered(503, None, &endless),
            ("503".to_owned(), None, false)
        );
    }

    #[test]
    fn what_the_service_says_is_no_detail_even_without_its_response() {
        let said = Error::erase(std::io::Error::other("personal"));
        let failure = Failure::of(&OrchestratorError::operation(said), None);
        assert_eq!(
            (failure.error_type, failure.detail),
            (spans::ERROR_OTHER.into(), None)
        );

        let interceptor = OrchestratorError::other("a bug");
        let failure = Failure::of(&interceptor, None);
        assert_eq!(
            failure.detail.as_deref(),
            Some("an unknown error occurred: a bug")
        );
    }

    #[test]
    fn only_failed_conditions_are_expected() {
        let cancelled = |reasons: &str| {
            let body = format!(
                r#"{{"__type":"x#{TRANSACTION_CANCELED}","CancellationReasons":{reasons}}}"#
            );
            answered(400, None, &body).2
        };
        assert!(
            answered(
                400,
                None,
                &format!(r#"{{"__type":"x#{CONDITION_FAILED}"}}"#)
            )
            .2
        );
        assert!(cancelled(
            r#"[{"Code":"ConditionalCheckFailed","Message":"m"},{"Code":"None"}]"#
        ));
        assert!(!cancelled(
            r#"[{"Code":"ConditionalCheckFailed"},{"Code":"TransactionConflict"}]"#
        ));
        assert!(!cancelled(r#"[{"Code":"None"}]"#));
        assert!(!cancelled("[]"));
        assert!(!cancelled("[{}]"));
    }
}
