//! Where received requests go, and what can become of them.

use std::time::Duration;

use bytes::Bytes;

/// Takes the traces that a [`Receiver`](crate::Receiver) accepts.
///
/// Nothing has been decoded yet: the sink walks the bytes ([`wire::walk`](crate::wire::walk)), and refuses what is no such
/// request. It is called on a thread of the runtime, so it must not block for long.
pub trait TraceSink: Send + Sync + 'static {
    /// Takes an `ExportTraceServiceRequest`; always protobuf, JSON has been transcoded.
    ///
    /// # Errors
    /// Nothing of the request was taken, for the reason in the refusal.
    fn accept(&self, request: Bytes) -> Result<Accepted, Refusal>;
}

/// Takes log records; otherwise as [`TraceSink`].
pub trait LogSink: Send + Sync + 'static {
    /// Takes an `ExportLogsServiceRequest`; always protobuf, JSON has been transcoded.
    ///
    /// # Errors
    /// Nothing of the request was taken, for the reason in the refusal.
    fn accept(&self, request: Bytes) -> Result<Accepted, Refusal>;
}

/// The request was taken, maybe not all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans or log records that were not taken and must not be sent again.
    pub rejected: u64,
    /// Why, or a warning although nothing was rejected. Shown to the sender.
    pub message: String,
}

/// The request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It can never be taken: HTTP 400, gRPC `INVALID_ARGUMENT`.
    #[error("{0}")]
    Malformed(String),
    /// It may be sent again, after a while: HTTP 503 with `Retry-After`, gRPC `UNAVAILABLE` with `RetryInfo`.
    #[error("{message}")]
    Overloaded {
        /// For how long the sender should wait.
        retry_after: Duration,
        /// Why. Shown to the sender.
        message: String,
    },
}
