//! The task-service as a program of its own, for images that hold nothing else. See `task_service`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::main::<task_service::TaskService>(std::env::args_os().skip(1))
}
