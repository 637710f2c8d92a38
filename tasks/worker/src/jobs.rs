//! What each kind of job does. Each is idempotent by the job's id, and commits its effect together with the job's end.

use std::time::Duration;

use conventions::spans;
use opentelemetry::{Context, KeyValue, trace::TraceContextExt};
use runtime::faults::Faults;
use store::{Completion, Payload, PurgeStep, Store};
use tasks_api::JobMessage;

use crate::attempt::Failure;

/// Longest time one attempt may take; a purge goes on where the last one stopped.
const TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// What jobs work with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
}

impl Jobs {
    /// Does the job that a message names. One that is not there is done already.
    pub(crate) async fn run(self, message: JobMessage) -> Result<Completion, Failure> {
        match tokio::time::timeout(TIME_MAX, self.try_run(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::TimedOut(TIME_MAX)),
        }
    }

    async fn try_run(self, message: JobMessage) -> Result<Completion, Failure> {
        self.faults
            .job(message.kind.as_str())
            .await
            .map_err(Failure::Injected)?;
        let Some(job) = self.store.job(message.job_id).await? else {
            return Ok(Completion::Duplicate);
        };
        describe_span(spans::TRIPOD_WORKSPACE, job.workspace.to_string());
        describe_span(spans::TRIPOD_TASK_ID, job.task_id.to_string());
        match &job.payload {
            Payload::Activity(entry) => Ok(self.store.complete_activity(&job, entry).await?),
            Payload::Purge => loop {
                if let PurgeStep::Finished(completion) = self.store.purge_step(&job).await? {
                    return Ok(completion);
                }
            },
        }
    }
}

/// Adds an attribute to the span of the message, by which it can be searched for.
pub(crate) fn describe_span(name: &'static str, value: String) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(name, value)));
}
