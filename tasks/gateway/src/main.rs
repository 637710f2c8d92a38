//! The gateway as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::main::<gateway::Gateway>(std::env::args_os().skip(1))
}
