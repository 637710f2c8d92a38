//! Jobs, from the transaction that writes one to the one that takes it away with its effect. The item is the job: while
//! it is there the effect is owed, when it is gone the effect is committed. Sending and giving up are in `outbox` and
//! `dead_letter`.

pub(crate) mod item;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use jiff::Timestamp;
use tasks_api::{Activity, JobId, JobKind, JobMessage, TaskId, WorkspaceId};
use telemetry::w3c::Carrier;

use crate::attributes::{Item, text};
use crate::comment::write_activity;
use crate::failure::{failure, throttled};
use crate::schema::{PK, SK};
use crate::transaction::{Action, Commit, Condition};
use crate::{Error, Store, keys};

/// Items that one step of a purge removes: as many as one batch takes.
const PURGE_STEP_ITEMS: i32 = 25;

/// A job as a change leaves it.
#[derive(Debug, Clone)]
pub struct NewJob {
    id: JobId,
    payload: Payload,
    carrier: Option<Carrier>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Write this entry of the task's history.
    Activity(Activity),
    /// Remove what belongs to the deleted task.
    Purge,
}

/// A job as it is stored. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub workspace: WorkspaceId,
    pub task_id: TaskId,
    pub payload: Payload,
    /// The place in the trace of the request that caused it.
    pub carrier: Option<Carrier>,
    pub created_at: Timestamp,
    /// When its message was last sent, or was about to be.
    pub sent_at: Timestamp,
    /// How often.
    pub sends: u32,
    pub state: JobState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    Pending {
        /// When the relay sends it again.
        due_at: Timestamp,
    },
    /// Given up after too many attempts, until it is revived.
    Dead {
        at: Timestamp,
        attempts: u32,
        /// The last attempt's failure in one word.
        error_type: String,
    },
}

/// What became of a job that was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Its effect was committed now.
    Done,
    /// It was done before; nothing was written.
    Duplicate,
    /// The task was deleted meanwhile: the job is done, without effect.
    TaskDeleted,
}

/// How far a purge got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgeStep {
    /// Some items were removed; there may be more.
    More,
    Finished(Completion),
}

impl NewJob {
    /// To write an entry of the task's history. The job's id is the entry's.
    pub fn activity(entry: Activity, carrier: Option<Carrier>) -> Self {
        Self {
            id: entry.id,
            payload: Payload::Activity(entry),
            carrier,
        }
    }

    /// To remove what belongs to a deleted task.
    pub fn purge(id: JobId, carrier: Option<Carrier>) -> Self {
        Self {
            id,
            payload: Payload::Purge,
            carrier,
        }
    }

    pub fn id(&self) -> JobId {
        self.id
    }

    /// What goes onto the queue.
    pub fn message(&self) -> JobMessage {
        JobMessage {
            job_id: self.id,
            kind: self.payload.kind(),
        }
    }

    pub fn carrier(&self) -> Option<&Carrier> {
        self.carrier.as_ref()
    }
}

impl Job {
    /// What goes onto the queue.
    pub fn message(&self) -> JobMessage {
        JobMessage {
            job_id: self.id,
            kind: self.payload.kind(),
        }
    }
}

impl Payload {
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Activity(_) => JobKind::Activity,
            Self::Purge => JobKind::Purge,
        }
    }
}

impl Store {
    /// The job, unless it is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, Error> {
        let item = self.get(keys::job(id)).await?;
        item.as_ref().map(item::read).transpose()
    }

    /// Writes the entry and removes the job, in one transaction. A dead job is completed as well: an attempt that was
    /// taken for lost may still succeed, and then nothing is owed any more.
    ///
    /// # Errors
    /// [`Error::Conflict`] or [`Error::Unavailable`]: try again later.
    pub async fn complete_activity(
        &self,
        job: &Job,
        entry: &Activity,
    ) -> Result<Completion, Error> {
        let actions = [
            Action::Delete(keys::job(job.id), Condition::present()),
            Action::Check(
                keys::task(&job.workspace, job.task_id),
                Condition::present(),
            ),
            Action::Put(write_activity(&job.workspace, entry), Condition::absent()),
        ];
        let refusal = match self.commit(&actions).await? {
            Commit::Done => return Ok(Completion::Done),
            Commit::Refused(refusal) => refusal,
        };
        if refusal.failed(0) {
            return Ok(Completion::Duplicate);
        }
        // Either nobody can see the entry any more, or it is there already, which takes a restored backup: the job can
        // go.
        let effect = if refusal.failed(1) {
            Completion::TaskDeleted
        } else {
            Completion::Duplicate
        };
        self.finish(job, effect).await
    }

    /// Removes a bounded number of the deleted task's items, and the job when there are no more. Repeat until it is
    /// finished; a purge that was interrupted goes on where it stopped.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again later.
    pub async fn purge_step(&self, job: &Job) -> Result<PurgeStep, Error> {
        let keys = self.remains(job).await?;
        if keys.is_empty() {
            return Ok(PurgeStep::Finished(
                self.finish(job, Completion::Done).await?,
            ));
        }
        self.delete_batch(keys).await?;
        Ok(PurgeStep::More)
    }

    async fn finish(&self, job: &Job, effect: Completion) -> Result<Completion, Error> {
        let was_there = self.delete_existing(keys::job(job.id)).await?;
        Ok(if was_there {
            effect
        } else {
            Completion::Duplicate
        })
    }

    /// Keys of what still hangs on the deleted task. Nothing is added any more: every write checks that the task exists.
    async fn remains(&self, job: &Job) -> Result<Vec<Item>, Error> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            // Everything but the task itself, which is behind.
            .key_condition_expression(format!("{PK} = :partition AND {SK} < :task"))
            .expression_attribute_values(
                ":partition",
                text(keys::task_partition(&job.workspace, job.task_id)),
            )
            .expression_attribute_values(":task", text(keys::TASK))
            .projection_expression(format!("{PK}, {SK}"))
            .limit(PURGE_STEP_ITEMS);
        let answer = request
            .send()
            .await
            .map_err(|error| failure("Query", error))?;
        Ok(answer.items.unwrap_or_default())
    }

    async fn delete_batch(&self, keys: Vec<Item>) -> Result<(), Error> {
        let count = keys.len();
        let delete = |key| {
            let request = DeleteRequest::builder()
                .set_key(Some(key))
                .build()
                .expect("the key is set");
            WriteRequest::builder().delete_request(request).build()
        };
        let deletes = keys.into_iter().map(delete).collect();
        let request = self
            .client
            .batch_write_item()
            .request_items(&self.table, deletes);
        let answer = request
            .send()
            .await
            .map_err(|error| failure("BatchWriteItem", error))?;
        let left = answer
            .unprocessed_items
            .unwrap_or_default()
            .into_values()
            .map(|left| left.len())
            .sum::<usize>();
        // What is left is found again by the next step, unless no step gets anywhere.
        if left == count {
            Err(throttled("BatchWriteItem"))
        } else {
            Ok(())
        }
    }
}
