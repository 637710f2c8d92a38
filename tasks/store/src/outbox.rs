//! Jobs that are not done: which are due to be sent, and how many there are.
//!
//! Whoever sends a job takes the right to do so first ([`Store::claim_send`]). So two relays do not send the same job,
//! and the time of the last send is never later than the send itself: a job whose message went to a queue that is gone
//! is always found by [`Store::jobs_sent_before`].

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use tasks_api::JobId;

use crate::attributes::{Item, Reader, milliseconds, number, text};
use crate::failure::failure;
use crate::job::{Job, JobState, item};
use crate::schema::{GSI1, INDEX_SORT};
use crate::statement::Update;
use crate::transaction::Condition;
use crate::{Error, Store, keys};

const SHARDS: u8 = 4;
/// Jobs of one shard that [`Store::backlog`] counts.
pub const BACKLOG_SHARD_JOBS_MAX: u64 = 2_500;

/// One of the parts that pending jobs are spread over, so that no index partition has to take them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard(u8);

/// Where a walk through a shard goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPosition(String);

/// A part of a shard.
#[derive(Debug)]
pub struct OutboxPage {
    /// Each job by itself, so that a damaged item does not hide the others.
    pub jobs: Vec<Result<Job, Error>>,
    /// There may be more.
    pub next: Option<OutboxPosition>,
}

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    pub pending: u64,
    /// When the oldest of them was created.
    pub oldest_at: Option<Timestamp>,
}

impl Shard {
    /// Every shard.
    pub const ALL: [Self; SHARDS as usize] = [Self(0), Self(1), Self(2), Self(3)];

    /// By the last digit of the id, which is random.
    pub(crate) fn of(id: JobId) -> Self {
        let digit = id
            .to_string()
            .chars()
            .last()
            .and_then(|digit| digit.to_digit(16));
        let digit = digit.expect("an id ends in a hexadecimal digit");
        Self::ALL[digit as usize % Self::ALL.len()]
    }
}

impl Store {
    /// Jobs of a shard that are due, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn due_jobs(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Result<Job, Error>>, Error> {
        let after = now
            .saturating_add(SignedDuration::from_millis(1))
            .expect("milliseconds are no calendar unit");
        let query = self
            .outbox_query(shard, limit)
            .key_condition_expression(format!(
                "{} = :shard AND {INDEX_SORT} < :after",
                GSI1.partition
            ))
            .expression_attribute_values(":after", text(keys::position_time(after)));
        let answer = query
            .send()
            .await
            .map_err(|error| failure("Query", error))?;
        Ok(answer.items().iter().map(item::read).collect())
    }

    /// Pending jobs of a shard that were last sent before the queue was created, whose messages are therefore lost.
    /// `limit` is how many items are looked at; start with `from` none and go on until there is no next position.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn jobs_sent_before(
        &self,
        shard: Shard,
        queue_created_at: Timestamp,
        now: Timestamp,
        from: Option<&OutboxPosition>,
        limit: u32,
    ) -> Result<OutboxPage, Error> {
        let query = self
            .outbox_query(shard, limit)
            .key_condition_expression(format!("{} = :shard", GSI1.partition))
            .filter_expression(format!("{} < :before", item::SENT))
            .expression_attribute_values(
                ":before",
                milliseconds(lost_before(queue_created_at, now)),
            )
            .set_exclusive_start_key(from.and_then(|from| from.start_in(shard)));
        let answer = query
            .send()
            .await
            .map_err(|error| failure("Query", error))?;
        let jobs = answer.items().iter().map(item::read).collect();
        let end = answer.last_evaluated_key().filter(|key| !key.is_empty());
        let next = end
            .map(|key| Reader::new(item::SHAPE, key).text(INDEX_SORT))
            .transpose()?;
        Ok(OutboxPage {
            jobs,
            next: next.map(|position| OutboxPosition(position.to_owned())),
        })
    }

    /// Takes the right to send a pending job: call it right before the send, and send only if it says true. From then
    /// on the job is due again at `next_due`. False when another relay was faster, or the job is done or dead.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn claim_send(
        &self,
        job: &Job,
        now: Timestamp,
        next_due: Timestamp,
    ) -> Result<bool, Error> {
        let JobState::Pending { due_at } = job.state else {
            return Ok(false);
        };
        self.update_if(Update {
            key: keys::job(job.id),
            expression: format!(
                "SET {} = :now, {} = :next, {INDEX_SORT} = :position ADD {} :one",
                item::SENT,
                item::DUE,
                item::SENDS
            ),
            condition: Condition::of(
                format!("{} = :due", item::DUE),
                [
                    (":now", milliseconds(now)),
                    (":next", milliseconds(next_due)),
                    (":position", text(keys::position(next_due, job.id))),
                    (":one", number(1)),
                    (":due", milliseconds(due_at)),
                ],
            ),
        })
        .await
    }

    /// Makes a pending job due at another time, say because its send failed. False when it is done or dead.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn make_due(&self, id: JobId, due_at: Timestamp) -> Result<bool, Error> {
        self.update_if(Update {
            key: keys::job(id),
            expression: format!("SET {} = :due, {INDEX_SORT} = :position", item::DUE),
            condition: Condition::of(
                pending(),
                [
                    (":due", milliseconds(due_at)),
                    (":position", text(keys::position(due_at, id))),
                ],
            ),
        })
        .await
    }

    /// How many jobs are pending, and since when. Counts up to [`BACKLOG_SHARD_JOBS_MAX`] jobs of each shard, then
    /// means "this or more".
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        let mut backlog = Backlog::default();
        for shard in Shard::ALL {
            self.add_shard(shard, &mut backlog).await?;
        }
        Ok(backlog)
    }

    async fn add_shard(&self, shard: Shard, backlog: &mut Backlog) -> Result<(), Error> {
        let mut counted = 0;
        let mut start = None;
        loop {
            let limit = u32::try_from(BACKLOG_SHARD_JOBS_MAX - counted).unwrap_or(u32::MAX);
            let query = self
                .outbox_query(shard, limit)
                .key_condition_expression(format!("{} = :shard", GSI1.partition))
                .projection_expression(item::CREATED)
                .set_exclusive_start_key(start);
            let answer = query
                .send()
                .await
                .map_err(|error| failure("Query", error))?;
            counted += answer.items().len() as u64;
            // A damaged item counts, and has no age.
            let oldest = answer
                .items()
                .iter()
                .filter_map(|item| item::read_created(item).ok())
                .min();
            backlog.oldest_at = [backlog.oldest_at, oldest].into_iter().flatten().min();
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || counted >= BACKLOG_SHARD_JOBS_MAX {
                backlog.pending += counted;
                return Ok(());
            }
        }
    }

    fn outbox_query(
        &self,
        shard: Shard,
        limit: u32,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(GSI1.name)
            .expression_attribute_values(":shard", text(keys::outbox(shard)))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
    }
}

impl OutboxPosition {
    fn start_in(&self, shard: Shard) -> Option<Item> {
        let mut key = keys::job(keys::job_at(&self.0)?);
        key.insert(GSI1.partition.to_owned(), text(keys::outbox(shard)));
        key.insert(INDEX_SORT.to_owned(), text(&self.0));
        Some(key)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The condition under which a job is pending.
pub(crate) fn pending() -> String {
    format!("attribute_exists({})", item::DUE)
}

/// SQS tells the creation in whole seconds, rounded down, so what was sent in that second may be lost too. What is sent
/// from now on is not: the queue is there. Without that second bound, a walk would find the jobs it has sent itself.
fn lost_before(queue_created_at: Timestamp, now: Timestamp) -> Timestamp {
    let second = SignedDuration::from_secs(1);
    let created = queue_created_at
        .saturating_add(second)
        .expect("seconds are no calendar unit");
    created.min(now)
}
