//! What happened to a task, as the worker records it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{ActorId, CommentId, JobId, TaskId},
    task::Status,
};

/// One entry of a task's history. Its id is the job's that wrote it, so it exists once however often the job runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    pub id: JobId,
    pub task_id: TaskId,
    pub actor: ActorId,
    /// When the change was made, not when the entry was written.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The request that made the change.
    pub trace_id: String,
    pub event: Event,
}

/// What changed. Never the contents: names of fields, not their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    Created,
    Updated { fields: Vec<String> },
    Transitioned { from: Status, to: Status },
    Commented { comment_id: CommentId },
}
