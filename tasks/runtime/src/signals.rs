//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was interrupted twice (128 + SIGINT).
const EXIT_INTERRUPTED: i32 = 130;

/// Cancels the token at the first signal, exits at the second.
///
/// # Errors
/// When the operating system takes no handler.
pub(crate) fn drain_on_signal(drain: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                std::process::exit(EXIT_INTERRUPTED);
            }
            drain.cancel();
        }
    });
    Ok(())
}
