//! A task as an item: attributes for what lists filter by, and a place in each list it belongs to.

use tasks_api::{Priority, Status, Task, WorkspaceId};

use crate::attributes::{Item, Reader, nanoseconds, number, text, texts};
use crate::schema::{GSI1, GSI2, GSI3, INDEX_SORT};
use crate::{Error, keys};

pub(crate) const SHAPE: &str = "a task's item";

pub(crate) const ASSIGNEE: &str = "assignee";
pub(crate) const CREATED: &str = "created_ns";
pub(crate) const DESCRIPTION: &str = "description";
pub(crate) const DUE: &str = "due_ns";
pub(crate) const LABELS: &str = "labels";
pub(crate) const PRIORITY: &str = "priority";
/// Not `status`, which is a word of DynamoDB's expressions.
pub(crate) const STATUS: &str = "task_status";
pub(crate) const TITLE: &str = "title";
pub(crate) const UPDATED: &str = "updated_ns";
pub(crate) const VERSION: &str = "version";

pub(crate) fn write(workspace: &WorkspaceId, task: &Task) -> Item {
    let mut item = keys::task(workspace, task.id);
    let attributes = [
        (INDEX_SORT, text(task.id.to_string())),
        (GSI1.partition, text(keys::tasks_of(workspace))),
        (GSI2.partition, text(keys::tasks_in(workspace, task.status))),
        (TITLE, text(&task.title)),
        (STATUS, text(task.status.as_str())),
        (PRIORITY, text(task.priority.as_str())),
        (LABELS, texts(&task.labels)),
        (CREATED, nanoseconds(task.created_at)),
        (UPDATED, nanoseconds(task.updated_at)),
        (VERSION, number(task.version)),
    ];
    let assignee = task.assignee.as_ref();
    let optional = [
        (
            GSI3.partition,
            assignee.map(|assignee| text(keys::tasks_with(workspace, assignee))),
        ),
        (ASSIGNEE, assignee.map(text)),
        (DESCRIPTION, task.description.as_ref().map(text)),
        (DUE, task.due_at.map(nanoseconds)),
    ];
    let optional = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let all = attributes.into_iter().chain(optional);
    item.extend(all.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn read(item: &Item) -> Result<Task, Error> {
    let item = Reader::new(SHAPE, item);
    Ok(Task {
        id: item.parsed(INDEX_SORT)?,
        title: item.text(TITLE)?.to_owned(),
        description: item.optional_text(DESCRIPTION)?,
        status: item.interpreted(STATUS, |name| {
            Status::ALL
                .into_iter()
                .find(|status| status.as_str() == name)
        })?,
        priority: item.interpreted(PRIORITY, |name| {
            Priority::ALL
                .into_iter()
                .find(|priority| priority.as_str() == name)
        })?,
        due_at: item.optional(DUE, Reader::nanoseconds)?,
        labels: item.texts(LABELS)?,
        assignee: item.optional_text(ASSIGNEE)?,
        created_at: item.nanoseconds(CREATED)?,
        updated_at: item.nanoseconds(UPDATED)?,
        version: item.number(VERSION)?,
    })
}

pub(crate) fn read_version(item: &Item) -> Result<u64, Error> {
    Reader::new(SHAPE, item).number(VERSION)
}
