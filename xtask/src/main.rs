//! Development commands: `cargo run -p xtask -- tidy` checks the rules of STYLE.md that a program can check.

use std::{env, path::Path, process::ExitCode};

use anyhow::Context;

mod tidy;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace's folder");
    let outcome = match env::args().nth(1).as_deref() {
        Some("tidy") => tidy::run(root).context("tidy could not run"),
        _ => Err(anyhow::anyhow!("usage: cargo run -p xtask -- tidy")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

#[allow(
    clippy::print_stderr,
    reason = "a command's findings go to the terminal"
)]
fn report(line: &str) {
    eprintln!("{line}");
}
