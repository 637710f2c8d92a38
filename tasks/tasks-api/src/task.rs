//! A task, what may be asked of it, and which status may follow which.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{
    id::TaskId,
    limits::{
        ASSIGNEE_CHARS_MAX, DESCRIPTION_CHARS_MAX, LABEL_CHARS_MAX, LABELS_MAX, TITLE_CHARS_MAX,
    },
    problem::{FieldError, Kind, Problem},
};

/// A task as every process and every client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub id: TaskId,
    pub title: String,
    pub description: Option<String>,
    pub status: Status,
    pub priority: Priority,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    pub labels: Vec<String>,
    pub assignee: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Counts the writes; the `ETag` is this number in quotes.
    pub version: u64,
}

/// Where a task stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Todo,
    InProgress,
    Blocked,
    Done,
    Cancelled,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

/// Body of `POST /v1/tasks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    #[serde(default)]
    pub labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
}

/// Body of `PATCH /v1/tasks/{task_id}`: a JSON merge patch (RFC 7396). A field left out stays, `null` clears an
/// optional one; what every task has cannot be cleared. The status changes by a transition only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPatch {
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub title: Option<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub priority: Option<Priority>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Option<Timestamp>>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub labels: Option<Vec<String>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub assignee: Option<Option<String>>,
}

/// Body of `POST /v1/tasks/{task_id}/transitions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    pub to: Status,
}

impl Status {
    /// Every status, in the order of a task's life.
    pub const ALL: [Self; 5] = [
        Self::Todo,
        Self::InProgress,
        Self::Blocked,
        Self::Done,
        Self::Cancelled,
    ];

    /// The statuses that may follow this one. Finished tasks can be reopened.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Todo => &[Self::InProgress, Self::Cancelled],
            Self::InProgress => &[Self::Todo, Self::Blocked, Self::Done, Self::Cancelled],
            Self::Blocked => &[Self::InProgress, Self::Cancelled],
            Self::Done => &[Self::InProgress],
            Self::Cancelled => &[Self::Todo],
        }
    }

    /// The name on the wire, in keys and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// The name on the wire and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

impl Task {
    /// A task that begins its life at `now`. The input must be [valid](NewTask::validate).
    pub fn new(id: TaskId, new: NewTask, now: Timestamp) -> Self {
        Self {
            id,
            title: new.title,
            description: new.description,
            status: Status::Todo,
            priority: new.priority,
            due_at: new.due_at,
            labels: new.labels,
            assignee: new.assignee,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// The strong entity tag of this version, quotes included.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// The task after a patch, and the names of the fields that really changed; none means nothing is to be written.
    /// The patch must be [valid](TaskPatch::validate).
    pub fn patched(&self, patch: TaskPatch, now: Timestamp) -> (Self, Vec<&'static str>) {
        let mut after = self.clone();
        replace(&mut after.title, patch.title);
        replace(&mut after.description, patch.description);
        replace(&mut after.priority, patch.priority);
        replace(&mut after.due_at, patch.due_at);
        replace(&mut after.labels, patch.labels);
        replace(&mut after.assignee, patch.assignee);

        let changes = [
            ("title", self.title != after.title),
            ("description", self.description != after.description),
            ("priority", self.priority != after.priority),
            ("due_at", self.due_at != after.due_at),
            ("labels", self.labels != after.labels),
            ("assignee", self.assignee != after.assignee),
        ];
        let changed: Vec<_> = changes
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect();
        if !changed.is_empty() {
            after.touch(now);
        }
        (after, changed)
    }

    /// The task after a transition.
    ///
    /// # Errors
    /// [`Kind::TransitionNotAllowed`] when the table has no such step.
    pub fn transitioned(&self, to: Status, now: Timestamp) -> Result<Self, Problem> {
        if !self.status.next().contains(&to) {
            let allowed: Vec<_> = self
                .status
                .next()
                .iter()
                .map(|status| status.as_str())
                .collect();
            return Err(Problem::new(Kind::TransitionNotAllowed).detail(format!(
                "a task in status {} can become {}, not {}",
                self.status.as_str(),
                allowed.join(" or "),
                to.as_str()
            )));
        }
        let mut after = self.clone();
        after.status = to;
        after.touch(now);
        Ok(after)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now.max(self.updated_at);
        self.version += 1;
    }
}

impl NewTask {
    /// # Errors
    /// [`Kind::ValidationFailed`], naming every field at fault.
    pub fn validate(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        check_title(&self.title, &mut errors);
        check_description(self.description.as_deref(), &mut errors);
        check_labels(&self.labels, &mut errors);
        check_assignee(self.assignee.as_deref(), &mut errors);
        Problem::unless_empty(errors)
    }
}

impl TaskPatch {
    /// # Errors
    /// [`Kind::ValidationFailed`], naming every field at fault.
    pub fn validate(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        if let Some(title) = &self.title {
            check_title(title, &mut errors);
        }
        check_description(
            self.description.iter().flatten().next().map(String::as_str),
            &mut errors,
        );
        check_labels(self.labels.as_deref().unwrap_or_default(), &mut errors);
        check_assignee(
            self.assignee.iter().flatten().next().map(String::as_str),
            &mut errors,
        );
        Problem::unless_empty(errors)
    }
}

/// Refuses `null` for a field that every task has; serde alone would read it as absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Tells `null` (clear) from absent (keep): without this, serde reads both as `None`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn replace<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn check_title(title: &str, errors: &mut Vec<FieldError>) {
    if title.trim().is_empty() {
        errors.push(FieldError::new("title", "must not be blank"));
    }
    FieldError::check_text("title", title, TITLE_CHARS_MAX, errors);
    if title.chars().any(char::is_control) {
        errors.push(FieldError::new(
            "title",
            "must not contain control characters",
        ));
    }
}

fn check_description(description: Option<&str>, errors: &mut Vec<FieldError>) {
    FieldError::check_text(
        "description",
        description.unwrap_or_default(),
        DESCRIPTION_CHARS_MAX,
        errors,
    );
}

fn check_labels(labels: &[String], errors: &mut Vec<FieldError>) {
    if labels.len() > LABELS_MAX {
        errors.push(FieldError::new(
            "labels",
            format!("must be at most {LABELS_MAX}"),
        ));
        return;
    }
    for (index, label) in labels.iter().enumerate() {
        if label.trim().is_empty() || label.chars().any(char::is_control) {
            errors.push(FieldError::new("labels", "must be printable and not blank"));
        }
        FieldError::check_text("labels", label, LABEL_CHARS_MAX, errors);
        if labels[..index].contains(label) {
            errors.push(FieldError::new("labels", "must not repeat"));
        }
    }
}

fn check_assignee(assignee: Option<&str>, errors: &mut Vec<FieldError>) {
    let Some(assignee) = assignee else { return };
    if assignee.trim().is_empty() || assignee.chars().any(char::is_control) {
        errors.push(FieldError::new(
            "assignee",
            "must be printable and not blank",
        ));
    }
    FieldError::check_text("assignee", assignee, ASSIGNEE_CHARS_MAX, errors);
}

#[cfg(test)]
mod tests;
