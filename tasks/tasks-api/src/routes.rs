//! The routes of the HTTP API: one table, from which servers build their routers, metrics start their series at 0 and
//! tests compare the OpenAPI document.

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    pub template: &'static str,
    /// Status of the answer when all went well.
    pub success: u16,
}

pub const TASKS: &str = "/v1/tasks";
pub const TASK: &str = "/v1/tasks/{task_id}";
pub const TRANSITIONS: &str = "/v1/tasks/{task_id}/transitions";
pub const COMMENTS: &str = "/v1/tasks/{task_id}/comments";
pub const ACTIVITY: &str = "/v1/tasks/{task_id}/activity";

/// Every operation on tasks; gateway and task-service serve the same ones.
pub const ALL: &[Route] = &[
    route("POST", TASKS, 201),
    route("GET", TASKS, 200),
    route("GET", TASK, 200),
    route("PATCH", TASK, 200),
    route("DELETE", TASK, 204),
    route("POST", TRANSITIONS, 200),
    route("POST", COMMENTS, 201),
    route("GET", COMMENTS, 200),
    route("GET", ACTIVITY, 200),
];

const fn route(method: &'static str, template: &'static str, success: u16) -> Route {
    Route {
        method,
        template,
        success,
    }
}
