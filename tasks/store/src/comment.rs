//! What hangs on a task: its comments and its history. Both stand beside it in its partition, and are read only while
//! it is there.

use tasks_api::{Activity, Comment, Page, PageQuery, TaskId, WorkspaceId};

use crate::attributes::{Item, Reader, text};
use crate::cursor::Scope;
use crate::list::List;
use crate::transaction::{Action, Condition, Refusal};
use crate::write::{Write, Written};
use crate::{Error, Store, keys};

const COMMENT_SHAPE: &str = "a comment's item";
const ACTIVITY_SHAPE: &str = "a history entry's item";

/// The whole comment or entry, in the form clients see.
pub(crate) const DOCUMENT: &str = "document";

impl Store {
    /// Adds a comment to a task that exists. The task itself, and its version, stay as they are: a comment is no reason
    /// for somebody else's edit to fail.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the task, [`Error::IdempotencyKeyReused`], [`Error::Conflict`],
    /// [`Error::Unavailable`].
    pub async fn add_comment(&self, comment: &Comment, write: &Write) -> Result<Written, Error> {
        let task = keys::task(&write.workspace, comment.task_id);
        let actions = vec![
            Action::Check(task, Condition::present()),
            Action::Put(
                write_comment(&write.workspace, comment),
                Condition::absent(),
            ),
        ];
        let explain = |refusal: &Refusal| {
            if refusal.failed(0) {
                Error::NotFound
            } else {
                Error::Conflict
            }
        };
        self.write(comment.task_id, actions, write, explain).await
    }

    /// A task's comments, the newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the task, [`Error::InvalidCursor`], [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn comments(
        &self,
        workspace: &WorkspaceId,
        task: TaskId,
        page: &PageQuery,
    ) -> Result<Page<Comment>, Error> {
        let list = part_of_task(workspace, task, keys::COMMENT_PREFIX, COMMENT_SHAPE);
        let key_of = |position: &str| keys::comment_at(workspace, task, position);
        let page = self.page(&list, page, key_of, read_comment);
        self.while_task_exists(workspace, task, page).await
    }

    /// A task's history, the newest entry first.
    ///
    /// # Errors
    /// As [`Store::comments`].
    pub async fn activity(
        &self,
        workspace: &WorkspaceId,
        task: TaskId,
        page: &PageQuery,
    ) -> Result<Page<Activity>, Error> {
        let list = part_of_task(workspace, task, keys::ACTIVITY_PREFIX, ACTIVITY_SHAPE);
        let key_of = |position: &str| keys::activity_at(workspace, task, position);
        let page = self.page(&list, page, key_of, read_activity);
        self.while_task_exists(workspace, task, page).await
    }

    /// What belongs to a deleted task is there until the purge, and must not be seen.
    async fn while_task_exists<T>(
        &self,
        workspace: &WorkspaceId,
        task: TaskId,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let task = self.get(keys::task(workspace, task));
        let (task, found) = tokio::try_join!(task, read)?;
        task.map(|_| found).ok_or(Error::NotFound)
    }
}

pub(crate) fn write_comment(workspace: &WorkspaceId, comment: &Comment) -> Item {
    let mut item = keys::comment(workspace, comment.task_id, comment.id);
    let document = serde_json::to_string(comment).expect("a comment has string keys only");
    item.insert(DOCUMENT.to_owned(), text(document));
    item
}

/// The item of a history entry.
pub(crate) fn write_activity(workspace: &WorkspaceId, entry: &Activity) -> Item {
    let mut item = keys::activity(workspace, entry.task_id, entry.id);
    item.insert(DOCUMENT.to_owned(), text(activity_document(entry)));
    item
}

pub(crate) fn activity_document(entry: &Activity) -> String {
    serde_json::to_string(entry).expect("an entry has string keys only")
}

fn part_of_task(
    workspace: &WorkspaceId,
    task: TaskId,
    prefix: &'static str,
    shape: &'static str,
) -> List {
    List {
        shape,
        index: None,
        partition: keys::task_partition(workspace, task),
        prefix,
        filter: None,
        scope: Scope::new([&prefix, workspace, &task]),
    }
}

pub(crate) fn read_comment(item: &Item) -> Result<Comment, Error> {
    let item = Reader::new(COMMENT_SHAPE, item);
    item.interpreted(DOCUMENT, |document| serde_json::from_str(document).ok())
}

pub(crate) fn read_activity(item: &Item) -> Result<Activity, Error> {
    let item = Reader::new(ACTIVITY_SHAPE, item);
    item.interpreted(DOCUMENT, |document| serde_json::from_str(document).ok())
}
