//! The operations of the API, by resource: what each takes, which rule of `tasks-api` it applies, what it stores.

use axum::response::Response;
use jiff::Timestamp;
use store::Idempotency;
use tasks_api::{Event, Kind, Problem, Task, TaskId};

use crate::{
    answer,
    api::{Api, Change},
    caller::Caller,
    metrics,
    preconditions::IfMatch,
    refusal::Refusal,
};

pub(crate) mod activity;
pub(crate) mod comments;
pub(crate) mod tasks;
pub(crate) mod transitions;

/// How often a change with `If-Match: *` starts again because another one came in between.
const ANY_VERSION_ATTEMPTS_MAX: u32 = 5;

/// What a handler gives back.
pub(crate) type Outcome = Result<Response, Refusal>;

/// A change of a task that exists: its id, the versions it may start from, and the request's repetitions.
struct Target<'a> {
    api: &'a Api,
    caller: &'a Caller,
    id: TaskId,
    if_match: &'a IfMatch,
    request: Option<&'a Idempotency>,
}

impl Target<'_> {
    /// Reads the task, takes one step from it, and stores where that leads; no step, no change.
    async fn step(
        &self,
        step: impl Fn(&Task, Timestamp) -> Result<Option<(Task, Event)>, Problem>,
    ) -> Outcome {
        for _ in 0..ANY_VERSION_ATTEMPTS_MAX {
            let before = self.current().await?;
            let change = Change::new(self.caller, self.request);
            let Some((after, event)) = step(&before, change.now)? else {
                return Ok(answer::send(answer::task(&before)));
            };
            let answer = answer::task(&after);
            let write = change.recorded(self.id, event.clone(), &answer);
            match self
                .api
                .store
                .update_task(before.version, &after, &write)
                .await
            {
                Err(store::Error::VersionMismatch { .. }) if *self.if_match == IfMatch::Any => {}
                Err(error) => return Err(error.into()),
                Ok(written) => {
                    let committed = || count(&event);
                    return Ok(self.api.finish(self.id, written, write, answer, committed));
                }
            }
        }
        Err(overtaken())
    }

    /// The task as it is, if the change may start from it.
    async fn current(&self) -> Result<Task, Refusal> {
        let task = self.api.store.task(&self.caller.workspace, self.id).await?;
        let task = task.ok_or_else(|| Problem::new(Kind::NotFound))?;
        self.if_match.check(&task)?;
        Ok(task)
    }
}

/// Counts a committed step, and names it.
fn count(event: &Event) -> &'static str {
    if let Event::Transitioned { from, to } = event {
        metrics::task_transitioned(*from, *to);
        return "task transitioned";
    }
    "task updated"
}

/// Others were faster each time.
fn overtaken() -> Refusal {
    store::Error::Conflict.into()
}
