//! What can go wrong, as far as a caller can act on it.

use std::time::Duration;

/// A source that is only printed.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task is not there: never was, deleted, or of another workspace.
    #[error("there is no such item")]
    NotFound,
    /// The task was changed since the caller read it.
    #[error("the task is at version {current} by now")]
    VersionMismatch { current: u64 },
    /// The key was used for a request with another fingerprint.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// Others are changing the same items, still after several attempts; or the id to create is taken.
    #[error("the items are being changed by another request")]
    Conflict,
    /// Not a cursor, or of another list.
    #[error("the cursor is not one of this list")]
    InvalidCursor,
    /// DynamoDB or SQS is away, slow or throttling, or table or queue do not exist yet. Whether a write was done is
    /// unknown.
    #[error("{operation} cannot be answered now")]
    Unavailable {
        operation: &'static str,
        /// When it is worth another try.
        retry_after: Duration,
        source: Source,
    },
    /// The request was refused for good: wrong credentials or permissions, another shape of table, a defect here.
    #[error("{operation} was refused")]
    Refused {
        operation: &'static str,
        source: Source,
    },
    /// An item or message does not have the form that this crate writes. Names the kind of item, never what is in it.
    #[error("{shape} is damaged: {reason}")]
    Corrupt { shape: &'static str, reason: String },
}
