//! Comments on a task.

use axum::extract::State;
use http::StatusCode;
use tasks_api::{Comment, CommentId, Event, NewComment, PageQuery};

use super::Outcome;
use crate::{
    answer,
    api::{Api, Change},
    caller::Caller,
    idempotency::{IdempotencyKey, once},
    request::{Body, NoQuery, Strict, TaskPath},
};

pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(task_id): TaskPath,
    _: Strict<NoQuery>,
    key: IdempotencyKey,
    body: Body<NewComment>,
) -> Outcome {
    let request = key.with_body(&body.bytes);
    let effect = async {
        let change = Change::new(&caller, request.as_ref());
        let comment = Comment {
            id: CommentId::new(),
            task_id,
            author: caller.actor.clone(),
            text: body.value.text,
            created_at: change.now,
        };
        let answer = answer::json(StatusCode::CREATED, &comment);
        let write = change.recorded(
            task_id,
            Event::Commented {
                comment_id: comment.id,
            },
            &answer,
        );
        let written = api.store.add_comment(&comment, &write).await?;
        Ok(api.finish(task_id, written, write, answer, || "comment added"))
    };
    once(&api.store, &caller.workspace, request.as_ref(), effect).await
}

pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(task): TaskPath,
    Strict(page): Strict<PageQuery>,
) -> Outcome {
    let page = api.store.comments(&caller.workspace, task, &page).await?;
    Ok(answer::send(answer::json(StatusCode::OK, &page)))
}
