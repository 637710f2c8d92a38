//! Lists: filters, page size, opaque cursors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    limits::{
        ASSIGNEE_CHARS_MAX, CURSOR_CHARS_MAX, LABEL_CHARS_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX,
    },
    problem::{FieldError, Problem},
    task::{Priority, Status},
};

/// One page of a list. A page can be shorter than asked for, even empty, while `next_cursor` is set: filters are
/// applied to a bounded number of items per request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give this back as `cursor`, with the same filters, for the next page. Absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Query of every list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items per page, 1 to 100; 25 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Query of `GET /v1/tasks`. Filters are combined with "and"; newest tasks come first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TaskFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only tasks due before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub due_before: Option<Timestamp>,
    /// Items per page, 1 to 100; 25 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The page size to use.
    pub fn items(&self) -> u32 {
        self.limit.unwrap_or(PAGE_ITEMS_DEFAULT)
    }

    /// # Errors
    /// [`crate::Kind::ValidationFailed`] for a page size or cursor out of bounds.
    pub fn validate(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        if !(1..=PAGE_ITEMS_MAX).contains(&self.items()) {
            errors.push(FieldError::new(
                "limit",
                format!("must be 1 to {PAGE_ITEMS_MAX}"),
            ));
        }
        FieldError::check_text(
            "cursor",
            self.cursor.as_deref().unwrap_or_default(),
            CURSOR_CHARS_MAX,
            &mut errors,
        );
        Problem::unless_empty(errors)
    }
}

impl TaskFilter {
    /// The part that every list has.
    pub fn page(&self) -> PageQuery {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
    }

    /// # Errors
    /// [`crate::Kind::ValidationFailed`] for a value out of bounds.
    pub fn validate(&self) -> Result<(), Problem> {
        self.page().validate()?;
        let mut errors = Vec::new();
        FieldError::check_text(
            "assignee",
            self.assignee.as_deref().unwrap_or_default(),
            ASSIGNEE_CHARS_MAX,
            &mut errors,
        );
        FieldError::check_text(
            "label",
            self.label.as_deref().unwrap_or_default(),
            LABEL_CHARS_MAX,
            &mut errors,
        );
        Problem::unless_empty(errors)
    }
}
