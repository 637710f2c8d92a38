//! Faults for scenarios: latency and errors injected where they would really happen, switched on the admin listener.
//!
//! What is hit is decided here, by counting, so that a ratio of 0.1 hits exactly every tenth time. Where it is felt is in
//! `http` (inside the server span), `sdk` (inside the AWS SDK's call) and [`Faults::job`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

mod admin;
mod http;
mod sdk;
mod target;

pub(crate) use admin::routes;
pub(crate) use http::inject;
pub(crate) use sdk::FaultyClient;
pub use target::{InvalidTarget, Target};

/// Faults at a time.
const FAULTS_MAX: usize = 32;
/// Longest injected delay.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Longest life of a fault: a forgotten one ends by itself.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The faults of one process. Clones share them.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    allowed: bool,
    /// How many there are: requests look no further while there are none.
    count: AtomicUsize,
    faults: Mutex<Vec<Fault>>,
}

/// One fault.
#[derive(Debug, Clone)]
struct Fault {
    name: String,
    target: Target,
    effect: Effect,
    /// Share of calls that are hit, above 0 and up to 1.
    ratio: f64,
    ends_at: Instant,
    calls: u64,
    hits: u64,
}

/// What a hit does: the delay first, then the error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) latency: Duration,
    pub(crate) error: Option<String>,
}

/// A job failed because a fault says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("injected fault: {error}")]
pub struct Injected {
    /// The word given with the fault.
    pub error: String,
}

impl Faults {
    /// No faults; new ones are taken only if they are allowed.
    pub fn new(allowed: bool) -> Self {
        Self(Arc::new(Shared {
            allowed,
            count: AtomicUsize::new(0),
            faults: Mutex::default(),
        }))
    }

    /// Feels the faults on a kind of job.
    ///
    /// # Errors
    /// When one of them is an error.
    pub async fn job(&self, kind: &str) -> Result<(), Injected> {
        let Some(effect) = self.hit(|target| target.is_job(kind)) else {
            return Ok(());
        };
        effect.wait().await;
        effect.error.map_or(Ok(()), |error| Err(Injected { error }))
    }

    /// Why spans cannot be exported now, if a fault says so. A delay alone holds nothing up: the exporter is not waited for.
    pub fn export(&self) -> Option<String> {
        let effect = self.hit(|target| *target == Target::Export)?;
        effect.error.map(|error| format!("injected fault: {error}"))
    }

    /// What happens to a call now: the effects of all faults that hit it.
    pub(crate) fn hit(&self, is_target: impl Fn(&Target) -> bool) -> Option<Effect> {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut faults = self.locked();
        let mut sum: Option<Effect> = None;
        for fault in faults.iter_mut().filter(|fault| is_target(&fault.target)) {
            if fault.is_hit() {
                let sum = sum.get_or_insert_default();
                sum.latency += fault.effect.latency;
                sum.error = sum.error.take().or_else(|| fault.effect.error.clone());
            }
        }
        sum
    }

    /// Adds a fault, or replaces the one of this name. False if there are too many.
    fn put(&self, fault: Fault) -> bool {
        let mut faults = self.locked();
        faults.retain(|other| other.name != fault.name);
        let has_room = faults.len() < FAULTS_MAX;
        if has_room {
            faults.push(fault);
        }
        self.0.count.store(faults.len(), Ordering::Relaxed);
        has_room
    }

    /// False if there is none of this name.
    fn remove(&self, name: &str) -> bool {
        let mut faults = self.locked();
        let before = faults.len();
        faults.retain(|fault| fault.name != name);
        self.0.count.store(faults.len(), Ordering::Relaxed);
        faults.len() < before
    }

    fn list(&self) -> Vec<Fault> {
        self.locked().clone()
    }

    /// The faults that have not ended.
    fn locked(&self) -> MutexGuard<'_, Vec<Fault>> {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        faults.retain(|fault| fault.ends_at > now);
        self.0.count.store(faults.len(), Ordering::Relaxed);
        faults
    }
}

impl Fault {
    /// Of `n` calls exactly the whole part of `n · ratio` is hit, evenly spread.
    fn is_hit(&mut self) -> bool {
        // A ratio such as 0.1 is no binary fraction: its multiples may fall short of a whole number by a rounding error.
        let due = |calls: u64| (calls as f64 * self.ratio * (1.0 + f64::EPSILON)).floor();
        let is_hit = due(self.calls + 1) > due(self.calls);
        self.calls += 1;
        self.hits += u64::from(is_hit);
        is_hit
    }
}

impl Effect {
    pub(crate) async fn wait(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }
}

#[cfg(test)]
mod tests;
