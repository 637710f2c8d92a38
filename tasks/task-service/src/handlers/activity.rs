//! A task's history. It is read here and written by the worker.

use axum::extract::State;
use http::StatusCode;
use tasks_api::PageQuery;

use super::Outcome;
use crate::{
    answer,
    api::Api,
    caller::Caller,
    request::{Strict, TaskPath},
};

pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    TaskPath(task): TaskPath,
    Strict(page): Strict<PageQuery>,
) -> Outcome {
    let page = api.store.activity(&caller.workspace, task, &page).await?;
    Ok(answer::send(answer::json(StatusCode::OK, &page)))
}
