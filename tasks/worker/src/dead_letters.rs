//! What was given up: listed, and sent on its way again.
//!
//! Two things: jobs that failed too often, which are items of the table, and messages that name no job, which are only on
//! the dead-letter queue. That queue also holds copies of the dead jobs' messages; they are worth nothing once the job
//! is not dead any more, and a redrive removes them.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use conventions::fields;
use jiff::Timestamp;
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use store::{Error, Job, JobQueue, JobState, Store};
use tasks_api::{JobId, JobKind, Page, PageQuery, TaskId, WorkspaceId, limits::PAGE_ITEMS_MAX};
use tokio::{sync::Mutex, time::Instant};

use crate::process::decode;

mod routes;

pub(crate) use routes::router;

/// Jobs that one redrive of all revives, and messages of the dead-letter queue that it looks at. What is over it needs
/// another redrive, and the answer says so.
const REDRIVE_MAX: usize = 1_000;
/// Messages of the dead-letter queue that a list looks at.
const LIST_MESSAGES_MAX: usize = 100;
/// Messages one receive can bring (SQS).
const RECEIVE_MAX: u32 = 10;
/// A message that is looked at is hidden for this long, from other workers as well: longer than the longest redrive.
const HIDDEN: Duration = Duration::from_secs(30);
/// Characters shown of a message that names no job.
const BODY_CHARS_MAX: usize = 200;

/// The dead letters. One look at a time: what one look hides, the next one knows from it.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    store: Store,
    queue: JobQueue,
    seen: Mutex<Vec<Seen>>,
}

/// A message of the dead-letter queue that is hidden because this process looked at it.
#[derive(Debug)]
struct Seen {
    message: Message,
    until: Instant,
}

/// What became of a message of the dead-letter queue.
enum Fate {
    Stays,
    Removed,
    Redriven,
}

/// A page of what was given up.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    items: Vec<DeadJob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Messages that name no job; on the first page only.
    messages: Vec<DeadMessage>,
}

/// A job that failed too often.
#[derive(Debug, Serialize)]
struct DeadJob {
    job_id: JobId,
    kind: JobKind,
    workspace: WorkspaceId,
    task_id: TaskId,
    /// Of the request that caused it.
    trace_id: Option<String>,
    died_at: Option<Timestamp>,
    attempts: u32,
    error_type: String,
}

/// A message that names no job.
#[derive(Debug, Serialize)]
struct DeadMessage {
    message_id: String,
    error_type: String,
    body_bytes: usize,
    /// Its beginning.
    body: String,
}

/// What a redrive did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Redriven {
    jobs: usize,
    messages: usize,
    /// Whether there may be more.
    more: bool,
}

impl DeadLetters {
    pub(crate) fn new(store: Store, queue: JobQueue) -> Self {
        Self {
            store,
            queue,
            seen: Mutex::default(),
        }
    }

    pub(crate) async fn list(&self, page: &PageQuery) -> Result<Listed, Error> {
        let jobs = self.store.dead_jobs(page).await?;
        let messages = match page.cursor {
            None => self.messages().await?,
            Some(_) => Vec::new(),
        };
        let items = jobs.items.into_iter().map(DeadJob::of).collect();
        Ok(Listed {
            items,
            next_cursor: jobs.next_cursor,
            messages,
        })
    }

    /// Makes one job pending again; the relay sends it. Nothing if it is not dead.
    pub(crate) async fn redrive_job(&self, id: JobId) -> Result<Redriven, Error> {
        let revived = self.store.revive(id, Timestamp::now()).await?;
        if let Err(error) = self.sweep(|_| false).await {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(
                { fields::ERROR } = error,
                "copies of redriven jobs stay on the dead-letter queue"
            );
        }
        Ok(Redriven {
            jobs: usize::from(revived),
            ..Redriven::default()
        })
    }

    /// Puts one message that names no job back onto the queue. Nothing if it is not there.
    pub(crate) async fn redrive_message(&self, id: &str) -> Result<Redriven, Error> {
        self.sweep(|message| message.message_id() == Some(id)).await
    }

    /// Both, for all.
    pub(crate) async fn redrive_all(&self) -> Result<Redriven, Error> {
        let (jobs, more) = self.revive_all().await?;
        let swept = self.sweep(|_| true).await?;
        Ok(Redriven {
            jobs,
            more: more || swept.more,
            ..swept
        })
    }

    /// Walks from the last dead to the first, so it ends even if what it revives dies again.
    async fn revive_all(&self) -> Result<(usize, bool), Error> {
        let mut page = PageQuery {
            limit: Some(PAGE_ITEMS_MAX),
            cursor: None,
        };
        let mut revived = 0;
        loop {
            let Page { items, next_cursor } = self.store.dead_jobs(&page).await?;
            for job in items {
                revived += usize::from(self.store.revive(job.id, Timestamp::now()).await?);
            }
            page.cursor = next_cursor;
            if page.cursor.is_none() || revived >= REDRIVE_MAX {
                return Ok((revived, page.cursor.is_some()));
            }
        }
    }

    /// Goes through the dead-letter queue: removes copies of jobs that are not dead, and puts the messages that name no
    /// job back if they are wanted.
    async fn sweep(&self, is_wanted: impl Fn(&Message) -> bool) -> Result<Redriven, Error> {
        let mut seen = self.seen.lock().await;
        let more = self.look(&mut seen, REDRIVE_MAX).await?;
        let mut swept = Redriven {
            more,
            ..Redriven::default()
        };
        let mut rest = std::mem::take(&mut *seen).into_iter();
        let mut outcome = Ok(());
        for hidden in rest.by_ref() {
            match self.sweep_one(&hidden.message, &is_wanted).await {
                Ok(Fate::Stays) => seen.push(hidden),
                Ok(Fate::Removed) => {}
                Ok(Fate::Redriven) => swept.messages += 1,
                Err(error) => {
                    seen.push(hidden);
                    outcome = Err(error);
                    break;
                }
            }
        }
        seen.extend(rest);
        outcome.map(|()| swept)
    }

    async fn sweep_one(
        &self,
        message: &Message,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> Result<Fate, Error> {
        match decode(message) {
            Ok(job) if self.is_dead(job.job_id).await? => Ok(Fate::Stays),
            Ok(_) => self
                .queue
                .settle_dead(message)
                .await
                .map(|()| Fate::Removed),
            Err(_) if is_wanted(message) => {
                self.queue.redrive(message).await.map(|()| Fate::Redriven)
            }
            Err(_) => Ok(Fate::Stays),
        }
    }

    async fn is_dead(&self, id: JobId) -> Result<bool, Error> {
        let job = self.store.job(id).await?;
        Ok(job.is_some_and(|job| matches!(job.state, JobState::Dead { .. })))
    }

    async fn messages(&self) -> Result<Vec<DeadMessage>, Error> {
        let mut seen = self.seen.lock().await;
        self.look(&mut seen, LIST_MESSAGES_MAX).await?;
        Ok(seen
            .iter()
            .filter_map(|hidden| DeadMessage::of(&hidden.message))
            .collect())
    }

    /// Adds what is on the dead-letter queue and not hidden, until there is no more or enough. True for enough.
    async fn look(&self, seen: &mut Vec<Seen>, max: usize) -> Result<bool, Error> {
        let now = Instant::now();
        // The others can be received again.
        seen.retain(|hidden| hidden.until > now);
        while seen.len() < max {
            let until = Instant::now() + HIDDEN;
            let received = self.queue.receive_dead(RECEIVE_MAX, HIDDEN).await?;
            if received.is_empty() {
                return Ok(false);
            }
            for message in received {
                // SQS may hand a message out twice.
                seen.retain(|hidden| hidden.message.message_id() != message.message_id());
                seen.push(Seen { message, until });
            }
        }
        Ok(true)
    }
}

impl DeadJob {
    fn of(job: Job) -> Self {
        let (died_at, attempts, error_type) = match job.state {
            JobState::Dead {
                at,
                attempts,
                error_type,
            } => (Some(at), attempts, error_type),
            // Revived between the index and now.
            JobState::Pending { .. } => (None, 0, String::new()),
        };
        let trace_id = job.carrier.map(|carrier| {
            carrier
                .context()
                .span()
                .span_context()
                .trace_id()
                .to_string()
        });
        Self {
            job_id: job.id,
            kind: job.payload.kind(),
            workspace: job.workspace,
            task_id: job.task_id,
            trace_id,
            died_at,
            attempts,
            error_type,
        }
    }
}

impl DeadMessage {
    /// Nothing for a message that names a job.
    fn of(message: &Message) -> Option<Self> {
        let failure = decode(message).err()?;
        let body = message.body().unwrap_or_default();
        Some(Self {
            message_id: message.message_id().unwrap_or_default().to_owned(),
            error_type: failure.error_type().to_owned(),
            body_bytes: body.len(),
            body: body.chars().take(BODY_CHARS_MAX).collect(),
        })
    }
}
