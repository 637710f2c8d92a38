//! One received message, from its span to its end: settled, hidden until the next attempt, or given up.
//!
//! What the end is decides `attempt`, what the job does `jobs`. A message that is not ended, because this process dies,
//! comes back by itself when its visibility runs out.

use std::{pin::pin, sync::Arc, time::Duration};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use conventions::{fields, spans};
use jiff::{SignedDuration, Timestamp};
use store::{Completion, Error, JobQueue, Store};
use tasks_api::{JobId, JobMessage};
use telemetry::aws::{ReceiveSpan, process_span};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, Span};

use crate::{
    attempt::{Backoff, Failure, Step},
    jobs::{Jobs, describe_span},
    metrics,
    receive::Storage,
};

/// The message of a job has about 80 bytes.
const MESSAGE_BYTES_MAX: usize = 1024;
/// A heartbeat hides the message for so many intervals: two may fail before anybody else gets it.
const HEARTBEATS_HIDDEN: u32 = 3;
/// How much later than the message comes back the relay may send the job again: time for the next attempt to begin.
const LEASE_MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// What every message is processed with.
#[derive(Debug)]
pub(crate) struct Processor {
    pub(crate) store: Store,
    pub(crate) queue: JobQueue,
    pub(crate) jobs: Jobs,
    pub(crate) backoff: Backoff,
    pub(crate) heartbeat: Duration,
    /// Cancelled when jobs that still run must give way.
    pub(crate) cut_off: CancellationToken,
    pub(crate) storage: Arc<Storage>,
}

/// An attempt on a message.
#[derive(Debug)]
struct Attempt<'a> {
    message: &'a Message,
    /// What the message names.
    job: Option<JobMessage>,
    /// How often it was received, this time included.
    receives: u32,
}

impl Processor {
    pub(crate) async fn process(&self, message: Message, receive: ReceiveSpan) {
        let span = process_span(&message, self.queue.name(), receive.get());
        self.attempt(&message).instrument(span).await;
    }

    async fn attempt(&self, message: &Message) {
        let started = Instant::now();
        let decoded = decode(message);
        let job = decoded.as_ref().ok().cloned();
        let attempt = Attempt {
            message,
            job,
            receives: receives(message),
        };
        attempt.describe();
        let outcome = match decoded {
            Ok(job) => self.run(message, job).await,
            Err(failure) => Err(failure),
        };
        let step = Step::after(&outcome, attempt.receives, self.backoff, rand::random());
        attempt.report(step, &outcome);
        self.end(&attempt, step, &outcome).await;
        metrics::processed(
            attempt.kind(),
            step.outcome(&outcome),
            started.elapsed(),
            outcome.is_err(),
        );
    }

    /// Does the job while the message is kept hidden.
    async fn run(&self, message: &Message, job: JobMessage) -> Result<Completion, Failure> {
        let id = job.job_id;
        let mut work = pin!(apart(self.jobs.clone().run(job)));
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = self.cut_off.cancelled() => break Err(Failure::CutOff),
                () = tokio::time::sleep(self.heartbeat) => {}
            }
            // Not a branch of its own, so that a beat is never broken off half-way; the work goes on meanwhile.
            self.beat(message, id).await;
        };
        if outcome.as_ref().is_err_and(Failure::is_outage) {
            self.storage.suspect();
        }
        outcome
    }

    /// Keeps the message hidden from other workers, and the job from the relay.
    async fn beat(&self, message: &Message, job: JobId) {
        let hidden = self.heartbeat * HEARTBEATS_HIDDEN;
        if let Err(error) = self.queue.defer(message, hidden).await {
            warn(
                job,
                error,
                "heartbeat failed: another worker may get the job as well",
            );
        }
        self.lease(job, hidden).await;
    }

    /// Puts off the relay until the message has come back and had its time. Without it the job is only sent twice.
    async fn lease(&self, job: JobId, hidden: Duration) {
        let hidden = SignedDuration::try_from(hidden).unwrap_or(SignedDuration::MAX);
        let due = Timestamp::now().saturating_add(hidden.saturating_add(LEASE_MARGIN));
        let _ = self
            .store
            .make_due(job, due.expect("seconds are no calendar unit"))
            .await;
    }

    /// Does the step. What fails here is mended by the message's coming back, or by the relay.
    async fn end(&self, attempt: &Attempt<'_>, step: Step, outcome: &Result<Completion, Failure>) {
        let message = attempt.message;
        let job = attempt.job.as_ref().map(|job| job.job_id);
        let ended = match (step, job) {
            (Step::Settle, _) => self.queue.settle(message).await,
            (Step::Retry(delay), job) => {
                let deferred = self.queue.defer(message, delay).await;
                if let Some(job) = job {
                    self.lease(job, delay).await;
                }
                deferred
            }
            (Step::Bury, job) => {
                let error_type = outcome
                    .as_ref()
                    .err()
                    .map_or(spans::ERROR_OTHER, Failure::error_type);
                if let Some(job) = job {
                    self.bury(job, attempt.receives, error_type).await;
                }
                // The next receive, whoever's, finds that it was received too often.
                self.queue.defer(message, Duration::ZERO).await
            }
        };
        if let Err(error) = ended {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(
                { fields::ERROR } = error,
                "the message stays hidden until its visibility runs out"
            );
        }
    }

    async fn bury(&self, job: JobId, attempts: u32, error_type: &str) {
        if let Err(error) = self
            .store
            .bury(job, Timestamp::now(), attempts, error_type)
            .await
        {
            warn(job, error, "job was not buried: the relay sends it again");
        }
    }
}

impl Attempt<'_> {
    fn kind(&self) -> &'static str {
        self.job
            .as_ref()
            .map_or(conventions::metrics::JOB_UNKNOWN, |job| job.kind.as_str())
    }

    fn describe(&self) {
        if let Some(job) = &self.job {
            describe_span(spans::TRIPOD_JOB_ID, job.job_id.to_string());
            describe_span(spans::TRIPOD_JOB_KIND, job.kind.as_str().to_owned());
        }
        // A redelivery has waited for its backoff, not for a worker.
        if let (1, Some(waited)) = (self.receives, waited(self.message)) {
            metrics::waited(self.kind(), waited);
        }
    }

    fn report(&self, step: Step, outcome: &Result<Completion, Failure>) {
        let job = self
            .job
            .as_ref()
            .map(|job| tracing::field::display(job.job_id));
        let (kind, attempt) = (self.kind(), self.receives);
        let Err(failure) = outcome else {
            let outcome = step.outcome(outcome);
            tracing::info!(
                { spans::TRIPOD_JOB_ID } = job,
                { spans::TRIPOD_JOB_KIND } = kind,
                { spans::TRIPOD_JOB_ATTEMPT } = attempt,
                { conventions::metrics::OUTCOME } = outcome,
                "job done"
            );
            return;
        };
        telemetry::mark_error(&Span::current(), failure.error_type());
        let error = chain(failure);
        let what = match step {
            Step::Bury => "job failed too often: given up",
            Step::Settle | Step::Retry(_) => "job failed: tried again later",
        };
        tracing::error!(
            { spans::TRIPOD_JOB_ID } = job,
            { spans::TRIPOD_JOB_KIND } = kind,
            { spans::TRIPOD_JOB_ATTEMPT } = attempt,
            { fields::ERROR } = error,
            "{what}"
        );
    }
}

/// Does the work in a task of its own, so that a panic ends this attempt and nothing else. The task ends with the caller.
async fn apart<F>(work: F) -> Result<Completion, Failure>
where
    F: Future<Output = Result<Completion, Failure>> + Send + 'static,
{
    let task = tokio::spawn(work.instrument(Span::current()));
    AbortOnDropHandle::new(task)
        .await
        .unwrap_or(Err(Failure::Panicked))
}

pub(crate) fn decode(message: &Message) -> Result<JobMessage, Failure> {
    let bytes = message.body().map_or(0, str::len);
    if bytes > MESSAGE_BYTES_MAX {
        return Err(Failure::Oversized { bytes });
    }
    JobQueue::decode(message).map_err(Failure::Malformed)
}

/// SQS counts; a server that does not is believed to have delivered it once.
fn receives(message: &Message) -> u32 {
    attribute(message, MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1)
}

/// How long the message was on the queue. Clocks may disagree: never less than nothing.
fn waited(message: &Message) -> Option<Duration> {
    let sent = attribute(message, MessageSystemAttributeName::SentTimestamp)?;
    let waited = Timestamp::now().duration_since(Timestamp::from_millisecond(sent).ok()?);
    Some(Duration::try_from(waited).unwrap_or_default())
}

fn attribute<T: std::str::FromStr>(
    message: &Message,
    name: MessageSystemAttributeName,
) -> Option<T> {
    message.attributes()?.get(&name)?.parse().ok()
}

fn warn(job: JobId, error: Error, what: &str) {
    let error = format!("{:#}", anyhow::Error::from(error));
    tracing::warn!({ spans::TRIPOD_JOB_ID } = %job, { fields::ERROR } = error, "{what}");
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let outcome = apart(async { panic!("on purpose") }).await;
        assert!(matches!(outcome, Err(Failure::Panicked)), "{outcome:?}");
        let outcome = apart(async { Ok(Completion::Done) }).await;
        assert!(matches!(outcome, Ok(Completion::Done)), "{outcome:?}");
    }

    #[test]
    fn a_message_without_counts_is_the_first_of_its_kind() {
        let message = Message::builder().body("{}").build();
        assert_eq!(receives(&message), 1);
        assert_eq!(waited(&message), None);
    }

    #[test]
    fn a_clock_that_is_ahead_is_no_negative_wait() {
        let sent = (Timestamp::now().as_millisecond() + 60_000).to_string();
        let message =
            Message::builder().attributes(MessageSystemAttributeName::SentTimestamp, sent);
        assert_eq!(waited(&message.build()), Some(Duration::ZERO));
    }
}
