//! Sends the jobs whose message was not sent, or is lost: due ones, and all when the queue turns out to be a new one.
//!
//! When a job is due is decided in [`schedule`]. Looking leaves no spans; a job that is sent belongs to the trace of the
//! request that caused it.

use std::time::Duration;

use conventions::{fields, spans};
use jiff::Timestamp;
use opentelemetry::{Context, context::FutureExt};
use store::{Error, Job, JobQueue, Shard, Store};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{metrics, provision::Provision};

pub(crate) mod schedule;

/// Jobs taken from a shard at once, and sent side by side.
const BATCH_JOBS: u32 = 25;
/// After a failure one job must get through first: no need to claim many that cannot be sent.
const PROBE_JOBS: u32 = 1;
/// How often the queue is looked at, and the outbox counted.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The loop and what it remembers between two passes.
pub(crate) struct Relay {
    store: Store,
    queue: JobQueue,
    provision: Provision,
    interval: Duration,
    /// Creation time of the queue that everything pending was sent to.
    queue_created_at: Option<Timestamp>,
    checked_at: Option<Instant>,
    /// Passes in a row that failed.
    failures: u32,
    /// Items that the last pass could not read.
    damaged: usize,
}

/// What became of some jobs.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    /// Items that could not be read.
    damaged: usize,
}

/// What a pass found.
#[derive(Debug, Default)]
struct Found {
    damaged: usize,
    /// Some shard may have more that is due.
    is_more: bool,
}

impl Relay {
    pub(crate) fn new(provision: Provision, queue: JobQueue, interval: Duration) -> Self {
        Self {
            store: provision.store.clone(),
            queue,
            provision,
            interval,
            queue_created_at: None,
            checked_at: None,
            failures: 0,
            damaged: 0,
        }
    }

    /// Runs until the process drains. A pass that has begun is finished.
    pub(crate) async fn run(mut self, drain: CancellationToken) {
        while !drain.is_cancelled() {
            let pause = match self.pass().await {
                Ok(found) if found.is_more => Duration::ZERO,
                Ok(_) => schedule::pause(self.interval, 0, rand::random()),
                Err(_) => schedule::pause(self.interval, self.failures, rand::random()),
            };
            drain.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// One look at everything, and its report: once when it begins to fail, once when it works again.
    async fn pass(&mut self) -> anyhow::Result<Found> {
        let outcome = self.try_pass().await.map_err(anyhow::Error::from);
        match &outcome {
            Ok(found) => {
                if self.failures > 0 {
                    tracing::info!("relay works again");
                }
                self.failures = 0;
                if found.damaged > self.damaged {
                    tracing::error!("{} jobs cannot be read: they are left out", found.damaged);
                }
                self.damaged = found.damaged;
            }
            Err(error) => {
                if self.failures == 0 {
                    let error = format!("{error:#}");
                    tracing::warn!({ fields::ERROR } = error, "relay fails: trying again");
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
        outcome
    }

    async fn try_pass(&mut self) -> Result<Found, Error> {
        if self
            .checked_at
            .is_none_or(|at| at.elapsed() >= CHECK_INTERVAL)
        {
            self.check().await?;
            self.checked_at = Some(Instant::now());
        }
        let limit = if self.failures == 0 {
            BATCH_JOBS
        } else {
            PROBE_JOBS
        };
        let mut found = Found::default();
        for shard in Shard::ALL {
            let due =
                telemetry::suppress(self.store.due_jobs(shard, Timestamp::now(), limit)).await?;
            let is_full = due.len() as u64 >= u64::from(limit);
            let tally = self.send_all(due).await?;
            // What cannot be sent stays due, and must not turn the loop into a hot one.
            found.is_more |= is_full && tally.sent > 0;
            found.damaged += tally.damaged;
        }
        Ok(found)
    }

    /// Counts the outbox, and sends everything again if the queue is not the one that it was sent to.
    async fn check(&mut self) -> Result<(), Error> {
        let backlog = telemetry::suppress(self.store.backlog()).await?;
        metrics::outbox_pending().set(backlog.pending as f64);
        let created_at = telemetry::suppress(self.created_at()).await?;
        if self.queue_created_at != Some(created_at) {
            self.send_lost(created_at).await?;
            self.queue_created_at = Some(created_at);
        }
        Ok(())
    }

    /// When the queue was created: now, if it is gone and may be made again.
    async fn created_at(&self) -> Result<Timestamp, Error> {
        match self.queue.created_at().await {
            Err(_) if self.provision.is_allowed => {
                self.provision.try_queue().await?;
                self.queue.created_at().await
            }
            created_at => created_at,
        }
    }

    /// Sends every job whose message went to an older queue. What was sent is not found again if this is interrupted.
    async fn send_lost(&self, created_at: Timestamp) -> Result<(), Error> {
        let now = Timestamp::now();
        let mut sent = 0;
        for shard in Shard::ALL {
            let mut from = None;
            loop {
                let page =
                    self.store
                        .jobs_sent_before(shard, created_at, now, from.as_ref(), BATCH_JOBS);
                let page = telemetry::suppress(page).await?;
                sent += self.send_all(page.jobs).await?.sent;
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        if sent > 0 {
            tracing::info!("the queue is new: {sent} jobs were sent again");
        }
        Ok(())
    }

    /// Sends jobs side by side.
    ///
    /// # Errors
    /// One of the failures; the others were tried all the same.
    async fn send_all(&self, jobs: Vec<Result<Job, Error>>) -> Result<Tally, Error> {
        let mut sends = JoinSet::new();
        let mut tally = Tally::default();
        for job in jobs {
            match job {
                Ok(job) => {
                    let origin = job
                        .carrier
                        .as_ref()
                        .map_or_else(Context::new, |carrier| carrier.context());
                    sends.spawn(
                        send(self.store.clone(), self.queue.clone(), job).with_context(origin),
                    );
                }
                Err(_) => tally.damaged += 1,
            }
        }
        let mut failure = None;
        while let Some(outcome) = sends.join_next().await {
            match outcome {
                Ok(Ok(was_sent)) => tally.sent += usize::from(was_sent),
                Ok(Err(error)) => failure = Some(error),
                // A panic has its own log line; the job is due again later.
                Err(_) => {}
            }
        }
        failure.map_or(Ok(tally), Err)
    }
}

/// Sends one job. False if another relay does, or it is done by now.
async fn send(store: Store, queue: JobQueue, job: Job) -> Result<bool, Error> {
    let now = Timestamp::now();
    if !store
        .claim_send(&job, now, schedule::next_due(now, job.sends))
        .await?
    {
        return Ok(false);
    }
    let sent = queue.send(&job.message(), job.carrier.as_ref()).await;
    if sent.is_ok() {
        tracing::info!({ spans::TRIPOD_JOB_ID } = %job.id, "job relayed");
    } else {
        // If that fails too, the claim has made it due later.
        let _ = store
            .make_due(job.id, schedule::retry_due(Timestamp::now()))
            .await;
    }
    sent.map(|()| true)
}
