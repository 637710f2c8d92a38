//! Responses in the shape of AWS' JSON protocol. Owns error bodies and request ids; knows no
//! service and no operation.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use uuid::Uuid;

/// Every answer is complete in memory: engines answer with buffers, and errors are short.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The protocol of both services.
const AWS_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// Names the error for SQS clients: they read this header rather than the body's `__type`.
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// A request that is refused: the error code AWS uses for it and what the caller can do about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// The caller's fault, status 400.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal::with_status(StatusCode::BAD_REQUEST, code, message)
    }

    /// A body that is no request at all.
    pub(crate) fn unreadable(message: impl Into<String>) -> Refusal {
        Refusal::new("com.amazon.coral.service#SerializationException", message)
    }

    pub(crate) fn with_status(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Refusal {
        Refusal {
            status,
            code,
            message: message.into(),
        }
    }

    /// Our fault. What happened is logged, not told.
    pub(crate) fn internal() -> Refusal {
        Refusal::with_status(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "internal error; the log of this process says more",
        )
    }

    pub(crate) fn into_answer(self) -> Answer {
        let body = serde_json::json!({ "__type": self.code, "message": self.message }).to_string();
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(CONTENT_TYPE, AWS_JSON);
        let fault = if self.status.is_server_error() {
            "Receiver"
        } else {
            "Sender"
        };
        if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", self.code)) {
            answer.headers_mut().insert(QUERY_ERROR, value);
        }
        answer
    }
}

/// Gives an answer a request id unless its engine gave one.
pub(crate) fn identified(mut answer: Answer) -> Answer {
    answer.headers_mut().entry(REQUEST_ID).or_insert_with(|| {
        HeaderValue::try_from(request_id()).expect("a UUID is a valid header value")
    });
    answer
}

/// A new request id.
pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code_for_both_services() {
        let answer = Refusal::new("Odd", "say \"even\"").into_answer();
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.headers()["x-amzn-query-error"], "Odd;Sender");
        assert_eq!(
            Refusal::internal().into_answer().headers()["x-amzn-query-error"],
            "InternalServerError;Receiver"
        );
    }

    #[test]
    fn an_engines_request_id_is_kept_and_a_missing_one_is_made() {
        let mut given = Answer::default();
        given
            .headers_mut()
            .insert(REQUEST_ID, HeaderValue::from_static("engine"));
        assert_eq!(identified(given).headers()["x-amzn-requestid"], "engine");
        assert_eq!(
            identified(Answer::default()).headers()["x-amzn-requestid"].len(),
            36
        );
    }
}
