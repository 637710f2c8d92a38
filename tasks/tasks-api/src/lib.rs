//! The language the processes of the task system share: tasks, comments, activity, jobs, routes and errors.
//!
//! Pure data and rules: what is valid, which transition is allowed, what an error looks like on the wire. No IO, no
//! storage layout (`store`), no HTTP server (`gateway`, `task-service`).

pub mod activity;
pub mod comment;
pub mod id;
pub mod job;
pub mod json;
pub mod limits;
pub mod page;
pub mod problem;
pub mod routes;
pub mod task;

pub use activity::{Activity, Event};
pub use comment::{Comment, NewComment};
pub use id::{ActorId, CommentId, JobId, TaskId, WorkspaceId};
pub use job::{JobKind, JobMessage};
pub use page::{Page, PageQuery, TaskFilter};
pub use problem::{FieldError, Kind, Problem};
pub use task::{NewTask, Priority, Status, Task, TaskPatch, Transition};
