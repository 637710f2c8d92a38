//! The worker as a program of its own, for images that hold nothing else. See `worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::main::<worker::Worker>(std::env::args_os().skip(1))
}
