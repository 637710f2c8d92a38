//! The operations of the API, one function each: what it takes, what it answers, and that it is passed on.
//!
//! The annotations are the source of the OpenAPI document. They name successes only; what an operation can be refused
//! for follows from what it takes (`openapi::problems`).

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::Method;
use tasks_api::{
    Activity, Comment, NewComment, NewTask, Page, PageQuery, Task, TaskFilter, TaskPatch,
    Transition, routes,
};

use crate::Api;
use crate::auth::Caller;
use crate::forward::Call;
use crate::refusal::Refusal;
use crate::request::{Body, IdempotencyKey, IfMatch, JSON, MERGE_PATCH, NoQuery, Strict, TaskPath};

type Answer = Result<Response, Refusal>;

/// Every operation at its place.
pub(crate) fn router() -> axum::Router<Api> {
    axum::Router::new()
        .route(routes::TASKS, post(create_task).get(list_tasks))
        .route(
            routes::TASK,
            get(get_task).patch(update_task).delete(delete_task),
        )
        .route(routes::TRANSITIONS, post(transition_task))
        .route(routes::COMMENTS, post(create_comment).get(list_comments))
        .route(routes::ACTIVITY, get(list_activity))
}

/// Create a task
///
/// It begins its life in status `todo`.
#[utoipa::path(
    post,
    path = routes::TASKS,
    tag = "tasks",
    params(IdempotencyKey),
    request_body(
        content = NewTask,
        example = json!({"title": "Write the report", "priority": "high", "labels": ["q4"]}),
    ),
    responses((
        status = 201,
        description = "The task.",
        body = Task,
        headers(
            ("ETag" = String, description = "The version, for `If-Match`."),
            ("Location" = String, description = "Path of the task."),
        ),
    )),
)]
pub(crate) async fn create_task(
    State(api): State<Api>,
    caller: Caller,
    _: Strict<NoQuery>,
    key: IdempotencyKey,
    body: Body<NewTask>,
) -> Answer {
    let call = Call::new(Method::POST, routes::TASKS)
        .idempotency_key(key)
        .body(body);
    api.tasks.send(&caller, call).await
}

/// List tasks
///
/// Newest first. Filters are combined with "and".
#[utoipa::path(
    get,
    path = routes::TASKS,
    tag = "tasks",
    params(TaskFilter),
    responses((status = 200, description = "One page.", body = Page<Task>)),
)]
pub(crate) async fn list_tasks(
    State(api): State<Api>,
    caller: Caller,
    query: Strict<TaskFilter>,
) -> Answer {
    let call = Call::new(Method::GET, routes::TASKS).query(query);
    api.tasks.send(&caller, call).await
}

/// Read a task
#[utoipa::path(
    get,
    path = routes::TASK,
    tag = "tasks",
    params(TaskPath),
    responses((
        status = 200,
        description = "The task.",
        body = Task,
        headers(("ETag" = String, description = "The version, for `If-Match`.")),
    )),
)]
pub(crate) async fn get_task(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    _: Strict<NoQuery>,
) -> Answer {
    let call = Call::new(Method::GET, task.within(routes::TASK));
    api.tasks.send(&caller, call).await
}

/// Change fields of a task
///
/// A JSON merge patch (RFC 7396): a field left out stays, `null` clears an optional one. A patch without effect leaves
/// the version as it is. The status changes by a transition only.
#[utoipa::path(
    patch,
    path = routes::TASK,
    tag = "tasks",
    params(TaskPath, IfMatch),
    request_body(
        content(
            (TaskPatch = MERGE_PATCH, example = json!({"priority": "urgent", "assignee": null})),
            (TaskPatch = JSON, example = json!({"priority": "urgent", "assignee": null})),
        ),
    ),
    responses((
        status = 200,
        description = "The task as it is now.",
        body = Task,
        headers(("ETag" = String, description = "The new version.")),
    )),
)]
pub(crate) async fn update_task(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    _: Strict<NoQuery>,
    version: IfMatch,
    body: Body<TaskPatch>,
) -> Answer {
    let call = Call::new(Method::PATCH, task.within(routes::TASK))
        .if_match(version)
        .body(body);
    api.tasks.send(&caller, call).await
}

/// Delete a task
///
/// With its comments and its activity.
#[utoipa::path(
    delete,
    path = routes::TASK,
    tag = "tasks",
    params(TaskPath, IfMatch),
    responses((status = 204, description = "The task is gone.")),
)]
pub(crate) async fn delete_task(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    _: Strict<NoQuery>,
    version: IfMatch,
) -> Answer {
    let call = Call::new(Method::DELETE, task.within(routes::TASK)).if_match(version);
    api.tasks.send(&caller, call).await
}

/// Change the status of a task
///
/// The status may change as the transition table at the top says.
#[utoipa::path(
    post,
    path = routes::TRANSITIONS,
    tag = "tasks",
    params(TaskPath, IfMatch, IdempotencyKey),
    request_body(content = Transition, example = json!({"to": "in_progress"})),
    responses((
        status = 200,
        description = "The task as it is now.",
        body = Task,
        headers(("ETag" = String, description = "The new version.")),
    )),
)]
pub(crate) async fn transition_task(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    _: Strict<NoQuery>,
    version: IfMatch,
    key: IdempotencyKey,
    body: Body<Transition>,
) -> Answer {
    let path = task.within(routes::TRANSITIONS);
    let call = Call::new(Method::POST, path)
        .if_match(version)
        .idempotency_key(key)
        .body(body);
    api.tasks.send(&caller, call).await
}

/// Comment on a task
///
/// A comment does not change the task's version.
#[utoipa::path(
    post,
    path = routes::COMMENTS,
    tag = "comments",
    params(TaskPath, IdempotencyKey),
    request_body(content = NewComment, example = json!({"text": "Waiting for the figures."})),
    responses((status = 201, description = "The comment.", body = Comment)),
)]
pub(crate) async fn create_comment(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    _: Strict<NoQuery>,
    key: IdempotencyKey,
    body: Body<NewComment>,
) -> Answer {
    let path = task.within(routes::COMMENTS);
    let call = Call::new(Method::POST, path)
        .idempotency_key(key)
        .body(body);
    api.tasks.send(&caller, call).await
}

/// List the comments on a task
#[utoipa::path(
    get,
    path = routes::COMMENTS,
    tag = "comments",
    params(TaskPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<Comment>)),
)]
pub(crate) async fn list_comments(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    query: Strict<PageQuery>,
) -> Answer {
    let call = Call::new(Method::GET, task.within(routes::COMMENTS)).query(query);
    api.tasks.send(&caller, call).await
}

/// List what happened to a task
///
/// Written shortly after the change itself.
#[utoipa::path(
    get,
    path = routes::ACTIVITY,
    tag = "activity",
    params(TaskPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<Activity>)),
)]
pub(crate) async fn list_activity(
    State(api): State<Api>,
    caller: Caller,
    task: TaskPath,
    query: Strict<PageQuery>,
) -> Answer {
    let call = Call::new(Method::GET, task.within(routes::ACTIVITY)).query(query);
    api.tasks.send(&caller, call).await
}
