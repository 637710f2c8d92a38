//! What every handler works with, and what every change has in common: its job, its answer, and what follows its commit.

use axum::{
    Router,
    extract::FromRef,
    response::Response,
    routing::{get, post},
};
use conventions::spans;
use jiff::Timestamp;
use opentelemetry::{Context, trace::TraceContextExt};
use store::{Answer, Idempotency, NewJob, Store, StoredResponse, Write, Written};
use tasks_api::{Activity, Event, JobId, TaskId, routes};
use telemetry::w3c::Carrier;

use crate::{
    answer,
    caller::{Caller, InternalToken},
    dispatch::Dispatcher,
    handlers::{activity, comments, tasks, transitions},
    relay::schedule,
};

/// State of the handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) token: InternalToken,
}

/// A change on its way: who makes it, when, and which repetitions are the same request.
pub(crate) struct Change<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    pub(crate) request: Option<&'a Idempotency>,
}

/// Every operation of [`routes::ALL`] at its place.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route(routes::TASKS, get(tasks::list).post(tasks::create))
        .route(
            routes::TASK,
            get(tasks::read).patch(tasks::update).delete(tasks::delete),
        )
        .route(routes::TRANSITIONS, post(transitions::create))
        .route(routes::COMMENTS, get(comments::list).post(comments::create))
        .route(routes::ACTIVITY, get(activity::list))
        .with_state(api)
}

impl<'a> Change<'a> {
    pub(crate) fn new(caller: &'a Caller, request: Option<&'a Idempotency>) -> Self {
        Self {
            caller,
            now: Timestamp::now(),
            request,
        }
    }

    /// The change's part of the transaction, with a job that writes this entry of the task's history.
    pub(crate) fn recorded(&self, task: TaskId, event: Event, answer: &StoredResponse) -> Write {
        let entry = Activity {
            id: JobId::new(),
            task_id: task,
            actor: self.caller.actor.clone(),
            at: self.now,
            trace_id: trace_id(),
            event,
        };
        self.write(NewJob::activity(entry, Carrier::current()), answer)
    }

    /// The change's part of the transaction, with a job that removes what belonged to the task.
    pub(crate) fn purged(&self, answer: &StoredResponse) -> Write {
        self.write(NewJob::purge(JobId::new(), Carrier::current()), answer)
    }

    fn write(&self, job: NewJob, answer: &StoredResponse) -> Write {
        let to_request = |to: &Idempotency| Answer {
            to: to.clone(),
            response: answer.clone(),
        };
        Write {
            workspace: self.caller.workspace.clone(),
            now: self.now,
            job,
            due_at: schedule::first_due(self.now),
            idempotency: self.request.map(to_request),
        }
    }
}

impl Api {
    /// What follows a commit: the job's message is sent behind the answer's back. `committed` is what to count and to
    /// call the change in its log line; nothing of it happens for a change that was made before.
    pub(crate) fn finish(
        &self,
        task: TaskId,
        written: Written,
        write: Write,
        answer: StoredResponse,
        committed: impl FnOnce() -> &'static str,
    ) -> Response {
        if let Written::Before(stored) = written {
            return answer::replay(stored);
        }
        let what = committed();
        let job = write.job.id();
        tracing::info!({ spans::TRIPOD_TASK_ID } = %task, { spans::TRIPOD_JOB_ID } = %job, "{what}");
        self.dispatcher.dispatch(write.job);
        answer::send(answer)
    }
}

impl FromRef<Api> for InternalToken {
    fn from_ref(api: &Api) -> Self {
        api.token.clone()
    }
}

fn trace_id() -> String {
    Context::map_current(|context| context.span().span_context().trace_id().to_string())
}
