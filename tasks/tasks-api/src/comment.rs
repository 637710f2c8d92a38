//! Comments on a task.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{ActorId, CommentId, TaskId},
    limits::COMMENT_CHARS_MAX,
    problem::{FieldError, Problem},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    pub id: CommentId,
    pub task_id: TaskId,
    pub author: ActorId,
    pub text: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Body of `POST /v1/tasks/{task_id}/comments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    pub text: String,
}

impl NewComment {
    /// # Errors
    /// [`crate::Kind::ValidationFailed`] for a blank or over-long text.
    pub fn validate(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        if self.text.trim().is_empty() {
            errors.push(FieldError::new("text", "must not be blank"));
        }
        FieldError::check_text("text", &self.text, COMMENT_CHARS_MAX, &mut errors);
        Problem::unless_empty(errors)
    }
}
