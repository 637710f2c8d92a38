//! A change with everything that belongs to it: its job and the answer to its request are written in the same
//! transaction, or nothing is.

use jiff::Timestamp;
use tasks_api::{TaskId, WorkspaceId};

use crate::idempotency::{self, Answer, StoredResponse};
use crate::job::{self, NewJob};
use crate::transaction::{Action, Commit, Condition, Refusal};
use crate::{Error, Store};

/// What every change carries beside itself.
#[derive(Debug, Clone)]
pub struct Write {
    pub workspace: WorkspaceId,
    pub now: Timestamp,
    /// What the change leaves to the worker. The caller is expected to send its message right after the commit.
    pub job: NewJob,
    /// When the relay sends the job, unless it is done by then: some seconds from now, to leave the caller time to
    /// send it itself.
    pub due_at: Timestamp,
    /// For a request with an `Idempotency-Key`.
    pub idempotency: Option<Answer>,
}

/// Whether a change was made now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Written {
    Now,
    /// The same request was answered before, with this; nothing was written.
    Before(StoredResponse),
}

impl Store {
    /// Commits `changes` with their job and answer. `explain` says what it means that the condition of a change failed.
    pub(crate) async fn write(
        &self,
        task: TaskId,
        changes: Vec<Action>,
        write: &Write,
        explain: impl FnOnce(&Refusal) -> Error,
    ) -> Result<Written, Error> {
        let mut actions = changes;
        actions.push(Action::Put(
            job::item::write_new(task, write),
            Condition::absent(),
        ));
        if let Some(answer) = &write.idempotency {
            let record = idempotency::write(&write.workspace, answer, write.now);
            actions.push(Action::Put(record, Condition::absent_or_expired(write.now)));
        }
        let refusal = match self.commit(&actions).await? {
            Commit::Done => return Ok(Written::Now),
            Commit::Refused(refusal) => refusal,
        };
        // First of all: a repeated request fails on what its first sending changed.
        if let Some(answer) = &write.idempotency
            && let Some(response) = self.replay(&write.workspace, &answer.to, write.now).await?
        {
            return Ok(Written::Before(response));
        }
        Err(explain(&refusal))
    }
}
