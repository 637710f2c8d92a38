//! Transitions: the status of a task, by the table in `tasks-api`.

use axum::extract::State;
use tasks_api::{Event, Task, Transition};

use super::{Outcome, Target};
use crate::{
    api::Api,
    caller::Caller,
    idempotency::{IdempotencyKey, once},
    preconditions::IfMatch,
    request::{Body, NoQuery, Strict, TaskPath},
};

pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(id): TaskPath,
    _: Strict<NoQuery>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<Transition>,
) -> Outcome {
    let request = key.with_body(&body.bytes);
    let request = request.as_ref();
    let target = Target {
        api: &api,
        caller: &caller,
        id,
        if_match: &if_match,
        request,
    };
    let to = body.value.to;
    let step = |before: &Task, now| {
        let after = before.transitioned(to, now)?;
        Ok(Some((
            after,
            Event::Transitioned {
                from: before.status,
                to,
            },
        )))
    };
    once(&api.store, &caller.workspace, request, target.step(step)).await
}
