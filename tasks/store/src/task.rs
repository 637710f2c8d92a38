//! Tasks: every statement that reads or changes one.

pub(crate) mod item;

use tasks_api::{Page, Task, TaskFilter, TaskId, WorkspaceId};

use crate::attributes::{nanoseconds, text};
use crate::cursor::Scope;
use crate::list::{Filter, List};
use crate::schema::{GSI1, GSI2, GSI3};
use crate::transaction::{Action, Condition, Refusal};
use crate::write::{Write, Written};
use crate::{Error, Store, keys};

impl Store {
    /// Stores a new task.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`], [`Error::Conflict`], [`Error::Unavailable`].
    pub async fn create_task(&self, task: &Task, write: &Write) -> Result<Written, Error> {
        let item = item::write(&write.workspace, task);
        let actions = vec![Action::Put(item, Condition::absent())];
        self.write(task.id, actions, write, |_| Error::Conflict)
            .await
    }

    /// The task as of the last write.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn task(&self, workspace: &WorkspaceId, id: TaskId) -> Result<Option<Task>, Error> {
        let item = self.get(keys::task(workspace, id)).await?;
        item.as_ref().map(item::read).transpose()
    }

    /// Replaces a task that is at `before_version`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::IdempotencyKeyReused`], [`Error::Conflict`],
    /// [`Error::Unavailable`].
    pub async fn update_task(
        &self,
        before_version: u64,
        after: &Task,
        write: &Write,
    ) -> Result<Written, Error> {
        let item = item::write(&write.workspace, after);
        let actions = vec![Action::Put(item, Condition::at_version(before_version))];
        self.write(after.id, actions, write, not_at_version).await
    }

    /// Removes a task that is at `before_version`. The write's job should be a purge.
    ///
    /// # Errors
    /// As [`Store::update_task`].
    pub async fn delete_task(
        &self,
        before_version: u64,
        id: TaskId,
        write: &Write,
    ) -> Result<Written, Error> {
        let key = keys::task(&write.workspace, id);
        let actions = vec![Action::Delete(key, Condition::at_version(before_version))];
        self.write(id, actions, write, not_at_version).await
    }

    /// Tasks of a workspace, the newest first. The filter must be [valid](TaskFilter::validate).
    ///
    /// # Errors
    /// [`Error::InvalidCursor`], [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn list_tasks(
        &self,
        workspace: &WorkspaceId,
        filter: &TaskFilter,
    ) -> Result<Page<Task>, Error> {
        let list = list(workspace, filter);
        let key_of = |position: &str| Some(keys::task(workspace, position.parse().ok()?));
        self.page(&list, &filter.page(), key_of, item::read).await
    }
}

/// Why a task that should be at a certain version was not written.
fn not_at_version(refusal: &Refusal) -> Error {
    if !refusal.failed(0) {
        // Somebody took the id of the job or the idempotency key: the next attempt sees what they did.
        return Error::Conflict;
    }
    match refusal.item(0).map(item::read_version) {
        None => Error::NotFound,
        Some(Ok(current)) => Error::VersionMismatch { current },
        Some(Err(error)) => error,
    }
}

/// The list with the fewest other tasks in it, and a filter for the rest.
fn list(workspace: &WorkspaceId, filter: &TaskFilter) -> List {
    let (index, partition) = match (&filter.assignee, filter.status) {
        (Some(assignee), _) => (GSI3, keys::tasks_with(workspace, assignee)),
        (None, Some(status)) => (GSI2, keys::tasks_in(workspace, status)),
        (None, None) => (GSI1, keys::tasks_of(workspace)),
    };
    List {
        shape: item::SHAPE,
        index: Some(index),
        partition,
        prefix: "",
        filter: rest(filter),
        scope: Scope::new([&"tasks", workspace, &same_list(filter)]),
    }
}

/// What the index does not select.
fn rest(filter: &TaskFilter) -> Option<Filter> {
    let mut rest = Filter::default();
    if let (Some(status), Some(_)) = (filter.status, &filter.assignee) {
        rest.and(
            &format!("{} = :status", item::STATUS),
            "status",
            text(status.as_str()),
        );
    }
    if let Some(priority) = filter.priority {
        rest.and(
            &format!("{} = :priority", item::PRIORITY),
            "priority",
            text(priority.as_str()),
        );
    }
    if let Some(label) = &filter.label {
        rest.and(
            &format!("contains({}, :label)", item::LABELS),
            "label",
            text(label),
        );
    }
    if let Some(due_before) = filter.due_before {
        rest.and(
            &format!("{} < :due", item::DUE),
            "due",
            nanoseconds(due_before),
        );
    }
    (!rest.expression.is_empty()).then_some(rest)
}

/// The filter without what may change from page to page.
fn same_list(filter: &TaskFilter) -> String {
    let filter = TaskFilter {
        limit: None,
        cursor: None,
        ..filter.clone()
    };
    serde_json::to_string(&filter).expect("a filter has string keys only")
}
