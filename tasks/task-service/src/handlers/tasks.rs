//! Tasks: create, list, read, change, delete.

use axum::extract::State;
use http::StatusCode;
use tasks_api::{Event, Kind, NewTask, Problem, Task, TaskFilter, TaskId, TaskPatch};

use super::{ANY_VERSION_ATTEMPTS_MAX, Outcome, Target, overtaken};
use crate::{
    answer,
    api::{Api, Change},
    caller::Caller,
    idempotency::{IdempotencyKey, once},
    metrics,
    preconditions::IfMatch,
    request::{Body, NoQuery, Strict, TaskPath},
};

pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    _: Strict<NoQuery>,
    key: IdempotencyKey,
    body: Body<NewTask>,
) -> Outcome {
    let request = key.with_body(&body.bytes);
    let effect = async {
        let change = Change::new(&caller, request.as_ref());
        let task = Task::new(TaskId::new(), body.value, change.now);
        let answer = answer::created_task(&task);
        let write = change.recorded(task.id, Event::Created, &answer);
        let written = api.store.create_task(&task, &write).await?;
        let committed = || {
            metrics::task_created(task.priority);
            "task created"
        };
        Ok(api.finish(task.id, written, write, answer, committed))
    };
    once(&api.store, &caller.workspace, request.as_ref(), effect).await
}

pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Strict(filter): Strict<TaskFilter>,
) -> Outcome {
    let page = api.store.list_tasks(&caller.workspace, &filter).await?;
    Ok(answer::send(answer::json(StatusCode::OK, &page)))
}

pub(crate) async fn read(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(id): TaskPath,
    _: Strict<NoQuery>,
) -> Outcome {
    let task = api.store.task(&caller.workspace, id).await?;
    let task = task.ok_or_else(|| Problem::new(Kind::NotFound))?;
    Ok(answer::send(answer::task(&task)))
}

pub(crate) async fn update(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(id): TaskPath,
    _: Strict<NoQuery>,
    if_match: IfMatch,
    body: Body<TaskPatch>,
) -> Outcome {
    let target = Target {
        api: &api,
        caller: &caller,
        id,
        if_match: &if_match,
        request: None,
    };
    let patch = body.value;
    let step = |before: &Task, now| {
        let (after, fields) = before.patched(patch.clone(), now);
        let fields: Vec<_> = fields.into_iter().map(str::to_owned).collect();
        Ok((!fields.is_empty()).then_some((after, Event::Updated { fields })))
    };
    target.step(step).await
}

pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(id): TaskPath,
    _: Strict<NoQuery>,
    if_match: IfMatch,
) -> Outcome {
    let target = Target {
        api: &api,
        caller: &caller,
        id,
        if_match: &if_match,
        request: None,
    };
    for _ in 0..ANY_VERSION_ATTEMPTS_MAX {
        let before = target.current().await?;
        let answer = answer::gone();
        let write = Change::new(&caller, None).purged(&answer);
        match api.store.delete_task(before.version, id, &write).await {
            Err(store::Error::VersionMismatch { .. }) if if_match == IfMatch::Any => {}
            Err(error) => return Err(error.into()),
            Ok(written) => return Ok(api.finish(id, written, write, answer, || "task deleted")),
        }
    }
    Err(overtaken())
}
