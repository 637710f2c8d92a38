//! The one binary: `tripod up` runs the whole system, `tripod gateway|task-service|worker` one process of it.
//!
//! Thin: it reads the command line and hands over. Each process's own flags are read by `runtime`.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

mod supervised;
mod up;

#[derive(Parser)]
#[command(
    name = "tripod",
    version,
    about = "A task management system whose traces, metrics and logs are one"
)]
enum Command {
    /// Runs the whole system on this machine and prints where everything is
    Up(up::Options),
    /// Runs the API gateway; `--help` after it lists its settings
    Gateway(Forwarded),
    /// Runs the task service; `--help` after it lists its settings
    TaskService(Forwarded),
    /// Runs the worker; `--help` after it lists its settings
    Worker(Forwarded),
}

/// Arguments that the process reads itself.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Up(options) => up::main(options),
        Command::Gateway(forwarded) => process::<gateway::Gateway>(forwarded),
        Command::TaskService(forwarded) => process::<task_service::TaskService>(forwarded),
        Command::Worker(forwarded) => process::<worker::Worker>(forwarded),
    }
}

fn process<S: runtime::Service>(forwarded: Forwarded) -> ExitCode {
    supervised::end_with_supervisor();
    runtime::main::<S>(forwarded.arguments)
}
