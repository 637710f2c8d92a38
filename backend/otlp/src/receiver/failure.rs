//! Why a request was not taken, and how that is said over both transports: a `google.rpc.Status`, encoded here.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tonic::{Code, Status};

use super::counts::Outcome;
use crate::{Refusal, wire::put};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Failure {
    #[error("{0}")]
    Malformed(String),
    /// The text is that of Go's HTTP server.
    #[error("http: request body too large")]
    TooLarge,
    #[error("{message}")]
    Overloaded {
        retry_after: Duration,
        message: String,
    },
    #[error("unsupported Content-Encoding: {0}")]
    Encoding(String),
    #[error("request was not received in time")]
    Timeout,
    #[error("request ended before its body did")]
    BrokenOff,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(reason) => Self::Malformed(reason),
            Refusal::Overloaded {
                retry_after,
                message,
            } => Self::Overloaded {
                retry_after,
                message,
            },
        }
    }
}

impl Failure {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Malformed(_) => Outcome::Malformed,
            Self::TooLarge => Outcome::TooLarge,
            Self::Overloaded { .. } => Outcome::Overloaded,
            Self::Encoding(_) => Outcome::Unsupported,
            Self::Timeout => Outcome::Timeout,
            Self::BrokenOff => Outcome::BrokenOff,
        }
    }

    /// 400 also for a body that is too large: so does the Collector.
    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whole seconds, for the header `Retry-After`: rounded up, so that nobody comes too early.
    pub(super) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after()
            .map(|delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
    }

    pub(super) fn grpc_status(&self) -> Status {
        Status::with_details(self.code(), self.to_string(), self.protobuf().into())
    }

    /// `google.rpc.Status`: code, message, details. A detail is an `Any`: its type and its content.
    pub(super) fn protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put::number_field(&mut out, 1, self.code() as u64);
        put::bytes_field(&mut out, 2, self.to_string().as_bytes());
        if let Some(delay) = self.retry_after() {
            put::message_field(&mut out, 3, |any| {
                put::bytes_field(any, 1, RETRY_INFO.as_bytes());
                put::message_field(any, 2, |retry_info| {
                    put::message_field(retry_info, 1, |duration| {
                        put::number_field(duration, 1, delay.as_secs());
                        put::number_field(duration, 2, delay.subsec_nanos().into());
                    });
                });
            });
        }
        out
    }

    /// The same as protobuf's JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let details: Vec<_> = self
            .retry_after()
            .map(|delay| json!({ "@type": RETRY_INFO, "retryDelay": format!("{}s", delay.as_secs_f64()) }))
            .into_iter()
            .collect();
        let mut status = json!({ "code": self.code() as i32, "message": self.to_string() });
        if !details.is_empty() {
            status["details"] = details.into();
        }
        status.to_string().into_bytes()
    }

    fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::TooLarge | Self::Encoding(_) | Self::BrokenOff => {
                Code::InvalidArgument
            }
            Self::Overloaded { .. } => Code::Unavailable,
            Self::Timeout => Code::DeadlineExceeded,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
