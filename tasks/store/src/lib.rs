//! The task system's one table and one queue: every key, item, statement and message.
//!
//! What a task is and which change is allowed stands in `tasks-api`; what becomes of an error on the wire is the
//! callers'. Time comes from outside: nothing here asks a clock what time it is. The access patterns, with their keys
//! and costs, are in `docs/access-patterns.md`.

mod api_key;
mod attributes;
mod comment;
mod cursor;
mod dead_letter;
mod digest;
mod error;
mod failure;
mod idempotency;
mod job;
mod keys;
mod list;
mod outbox;
mod queue;
mod schema;
mod statement;
mod task;
mod transaction;
mod write;

#[cfg(test)]
mod tests;

pub use api_key::{ApiKey, InvalidKeyText, KeyText};
pub use error::Error;
pub use idempotency::{Answer, Fingerprint, Idempotency, StoredResponse};
pub use job::{Completion, Job, JobState, NewJob, Payload, PurgeStep};
pub use outbox::{BACKLOG_SHARD_JOBS_MAX, Backlog, OutboxPage, OutboxPosition, Shard};
pub use queue::{Depth, JobQueue, Received};
pub use write::{Write, Written};

/// The table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Store {
    /// On a table that [`Store::create_table`] or the operator has made.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }
}
