//! Whether a process may get work: started, not draining, and every check of its dependencies passes.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// An answer is used again for this long, so that probes cannot load a dependency.
const FRESH: Duration = Duration::from_secs(1);
/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

type Check =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Readiness of one process. Clones share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    phase: Phase,
    checks: Vec<(&'static str, Check)>,
    last: Option<(Instant, Result<(), String>)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Draining,
}

impl Readiness {
    /// Adds a check of a dependency, run when somebody asks. Nothing inside makes spans.
    pub fn register<F>(&self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.locked()
            .checks
            .push((name, Arc::new(move || Box::pin(check()))));
    }

    /// The process serves from now on.
    pub fn serve(&self) {
        let mut state = self.locked();
        if state.phase == Phase::Starting {
            state.phase = Phase::Serving;
        }
    }

    /// The process takes no new work from now on.
    pub fn drain(&self) {
        self.locked().phase = Phase::Draining;
    }

    /// Whether work may be sent here now.
    ///
    /// # Errors
    /// Why not: the phase, or the first check that failed.
    pub async fn check(&self) -> Result<(), String> {
        let checks = {
            let state = self.locked();
            match (state.phase, &state.last) {
                (Phase::Starting, _) => return Err("starting".to_owned()),
                (Phase::Draining, _) => return Err("draining".to_owned()),
                (Phase::Serving, Some((at, outcome))) if at.elapsed() < FRESH => {
                    return outcome.clone();
                }
                (Phase::Serving, _) => state.checks.clone(),
            }
        };
        let outcome = telemetry::suppress(run(checks)).await;
        self.locked().last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness")
            .field(&self.locked().phase)
            .finish()
    }
}

async fn run(checks: Vec<(&'static str, Check)>) -> Result<(), String> {
    for (name, check) in checks {
        match tokio::time::timeout(CHECK_TIMEOUT, check()).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(format!("{name}: {reason}")),
            Err(_) => return Err(format!("{name}: no answer within {CHECK_TIMEOUT:?}")),
        }
    }
    Ok(())
}
