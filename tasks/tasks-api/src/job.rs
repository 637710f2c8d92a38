//! Jobs: what a write leaves to the worker.
//!
//! A job is an item in the table, written in one transaction with the change that caused it. The queue carries only
//! its name, so a message is small, holds no task data, and is worth nothing once the job is done.

use serde::{Deserialize, Serialize};

use crate::id::JobId;

/// What the worker has to do. The payload is in the job's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Write an entry of the task's history.
    Activity,
    /// Remove comments and history of a deleted task.
    Purge,
}

/// Body of a queue message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobMessage {
    pub job_id: JobId,
    pub kind: JobKind,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Activity, Self::Purge];

    /// The name on the wire and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Purge => "purge",
        }
    }
}
