//! The one binary: `tripod up` runs the whole system, `tripod stack` the same on the real components,
//! `tripod gateway|task-service|worker` one process of it, `tripod aws` what these need of AWS, `tripod show` prints one
//! trace, `tripod verify` proves the system, `tripod slo` makes rules of objectives.
//!
//! Thin: it reads the command line and hands over. Each process's own flags are read by `runtime`.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::Parser;

mod aws;
mod show;
mod slo;
mod stack;
mod supervised;
mod up;
mod verify;

#[derive(Parser)]
#[command(
    name = "tripod",
    version,
    about = "A task management system whose traces, metrics and logs are one"
)]
enum Command {
    /// Runs the whole system on this machine and prints where everything is
    Up(up::Options),
    /// Runs the same services on the real components that are at hand
    #[command(subcommand)]
    Stack(stack::Command),
    /// Serves DynamoDB, SQS and CloudWatch Logs alone, for services that run elsewhere
    Aws(aws::Options),
    /// Prints one trace of a running system as a waterfall
    Show(show::Options),
    /// Plays the scenarios on a system and proves what it claims
    Verify(verify::Options),
    /// Objective files: check them, make their rules, explain their alerts
    #[command(subcommand)]
    Slo(slo::Command),
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
        Command::Stack(command) => stack::main(command),
        Command::Aws(options) => aws::main(&options),
        Command::Show(options) => show::main(options),
        Command::Verify(options) => verify::main(options),
        Command::Slo(command) => slo::main(command),
        Command::Gateway(forwarded) => process::<gateway::Gateway>(forwarded),
        Command::TaskService(forwarded) => process::<task_service::TaskService>(forwarded),
        Command::Worker(forwarded) => process::<worker::Worker>(forwarded),
    }
}

fn process<S: runtime::Service>(forwarded: Forwarded) -> ExitCode {
    supervised::end_with_supervisor();
    runtime::main::<S>(forwarded.arguments)
}

/// TLS of the HTTP clients of this process. Fails only when a provider was chosen before, which serves as well.
fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What goes to the terminal. A closed one is no reason to stop.
fn print(terminal: &mut impl Write, text: &str) {
    let _ = terminal
        .write_all(text.as_bytes())
        .and_then(|()| terminal.flush());
}
