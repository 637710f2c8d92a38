//! One scenario: its phases are played, what happens is observed, and its checks judge it.
//!
//! Whatever happens, the fault that was set is gone at the end.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    apis::{loki::Loki, prometheus::Alert, prometheus::Prometheus, tempo::Tempo},
    checks::{propagation, traces::Found},
    clock::{Clock, INTERVAL, system_ms},
    evidence::Evidence,
    http::{Answer, Http, HttpError},
    sampling::TraceId,
    scenario::{Fault, Phase, Scenario},
    target::Target,
    traffic::{Kind, Made, Traffic},
};

/// A fault that outlives its verifier ends by itself.
const FAULT_SECONDS_MAX: u64 = 2 * 3_600;
/// See [`Stage::patience`].
const PATIENCE: Duration = Duration::from_secs(90);
/// Looks at the alerts, within one interval of a real clock.
const LOOKS_PER_INTERVAL: u32 = 15;

/// Everything a scenario runs on.
pub struct Stage {
    pub target: Target,
    pub http: Http,
    pub clock: Clock,
    pub prometheus: Prometheus,
    pub tempo: Tempo,
    pub loki: Option<Loki>,
    /// How long what must be there may take to appear after the last request: jobs are retried, traces decided and stored,
    /// lines shipped meanwhile.
    pub patience: Duration,
    /// Cancelled by Ctrl-C: nothing further is done, but faults are removed.
    pub stopping: CancellationToken,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Observed {
    pub made: Vec<Made>,
    /// What was played, in order.
    pub phases: Vec<Played>,
    /// The alerts at each look, each with when it was.
    pub looks: Vec<Look>,
    /// Unix milliseconds of this machine: traces, exemplars and log lines have them on every clock.
    pub begun_ms: i64,
    /// What was asked of the system before the first phase.
    pub prepared: Option<TraceId>,
}

#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// On the clock of the scenario.
    pub start_ms: i64,
    pub end_ms: i64,
    /// Of this machine.
    pub machine_ms: (i64, i64),
    pub has_fault: bool,
}

/// The alerts at one time.
#[derive(Debug)]
pub struct Look {
    pub at_ms: i64,
    pub alerts: Vec<Alert>,
    pub answer: Answer,
}

/// A scenario could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the target names no admin listener of {0}, where its fault is to be set")]
    NoAdmin(String),
    #[error("stopped")]
    Stopped,
}

impl Stage {
    /// # Errors
    /// The clock of the target does not answer, or there is no HTTP client.
    pub async fn new(
        target: Target,
        factor: u32,
        stopping: CancellationToken,
    ) -> Result<Self, HttpError> {
        let http = Http::new()?;
        let clock = match &target.clock {
            Some(control) => Clock::take(control, &http).await?,
            None => Clock::Real { factor },
        };
        Ok(Self {
            prometheus: Prometheus::new(&http, &target.prometheus),
            tempo: Tempo::new(&http, &target.tempo),
            loki: target.loki.as_ref().map(|url| Loki::new(&http, url)),
            patience: PATIENCE,
            target,
            http,
            clock,
            stopping,
        })
    }

    /// Plays the phases and judges what happened.
    ///
    /// # Errors
    /// The system could not be asked or told what the scenario needs.
    pub async fn play(&mut self, scenario: &Scenario) -> Result<Evidence, RunError> {
        let mut observed = Observed {
            begun_ms: system_ms(),
            ..Observed::default()
        };
        let (traffic, prepared) = Traffic::prepare(&self.target, &self.http).await?;
        observed.prepared = Some(prepared);
        for (number, phase) in scenario.phases.iter().enumerate() {
            let url = match &phase.fault {
                Some(fault) => Some(self.set(&scenario.name, fault).await?),
                None => None,
            };
            let kind = Kind {
                phase: number,
                operation: phase.operation.unwrap_or(scenario.operation),
                traces: phase.traces,
            };
            let played = self.phase(phase, kind, &traffic, &mut observed).await;
            if let Some(url) = url {
                self.http.delete(&url).await?;
            }
            played?;
        }
        Ok(self.judge(scenario, &observed).await)
    }

    /// Sets a fault; where it is to be removed.
    async fn set(&self, scenario: &str, fault: &Fault) -> Result<String, RunError> {
        let Some(admin) = self.target.admin.get(&fault.service) else {
            return Err(RunError::NoAdmin(fault.service.clone()));
        };
        let url = format!("{admin}/faults/verify-{scenario}");
        let mut body = json!({
            "target": fault.target,
            "ratio": fault.ratio,
            "for_seconds": FAULT_SECONDS_MAX,
        });
        if let Some(error) = &fault.error {
            body["error"] = json!(error);
        }
        let decided = |after: Duration| self.target.decision_wait + after;
        let after_decision = fault
            .after_decision
            .map(|after| decided(after).as_millis() as u64);
        if let Some(latency_ms) = fault.latency_ms.or(after_decision) {
            body["latency_ms"] = json!(latency_ms);
        }
        self.http.put(&url, &body).await?;
        Ok(url)
    }

    async fn phase(
        &mut self,
        phase: &Phase,
        kind: Kind,
        traffic: &Traffic,
        observed: &mut Observed,
    ) -> Result<(), RunError> {
        let (start_ms, machine_start_ms) = (self.clock.now_ms(), system_ms());
        let intervals = phase.length.as_secs() / INTERVAL.as_secs();
        for _ in 0..intervals {
            if self.stopping.is_cancelled() {
                return Err(RunError::Stopped);
            }
            let number = phase.requests;
            match self.clock {
                Clock::Virtual { now_ms, .. } => {
                    let made = traffic.burst(kind, number, now_ms).await;
                    observed.made.extend(made);
                    self.clock.step(&self.http).await?;
                    observed.looks.push(self.look().await?);
                }
                Clock::Real { factor } => {
                    let paced = traffic.paced(kind, number, INTERVAL / factor);
                    let (made, looks) = tokio::join!(paced, self.look_on(INTERVAL / factor));
                    observed.made.extend(made);
                    observed.looks.extend(looks?);
                }
            }
        }
        if let Some(attempts) = phase.until_attempts {
            let made = observed.made_in(kind.phase);
            let ids: Vec<TraceId> = made.map(|made| made.trace_id).collect();
            let delivered = |found: &Found| propagation::attempts(found) >= attempts;
            self.traces_when(&ids, self.patience, delivered).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(phase.linger) => {}
            () = self.stopping.cancelled() => return Err(RunError::Stopped),
        }
        observed.phases.push(Played {
            start_ms,
            end_ms: self.clock.now_ms(),
            machine_ms: (machine_start_ms, system_ms()),
            has_fault: phase.fault.is_some(),
        });
        Ok(())
    }

    async fn look(&self) -> Result<Look, HttpError> {
        let (alerts, answer) = self.prometheus.alerts().await?;
        Ok(Look {
            at_ms: self.clock.now_ms(),
            alerts,
            answer,
        })
    }

    /// Looks at the alerts again and again for one interval.
    async fn look_on(&self, interval: Duration) -> Result<Vec<Look>, HttpError> {
        let mut looks = Vec::new();
        let mut ticks = tokio::time::interval(interval / LOOKS_PER_INTERVAL);
        for _ in 0..LOOKS_PER_INTERVAL {
            ticks.tick().await;
            looks.push(self.look().await?);
        }
        Ok(looks)
    }
}

impl Observed {
    /// The phase with the fault.
    pub fn faulty(&self) -> &Played {
        let mut faulty = self.phases.iter().filter(|phase| phase.has_fault);
        faulty.next().expect("scenarios whose checks ask have one")
    }

    /// The requests of a phase, which has this number.
    pub fn made_in(&self, phase: usize) -> impl Iterator<Item = &Made> {
        self.made.iter().filter(move |made| made.phase == phase)
    }

    /// The requests of the faulty phase.
    pub fn made_in_fault(&self) -> impl Iterator<Item = &Made> {
        let played = self.faulty();
        let span = played.start_ms..played.end_ms;
        self.made
            .iter()
            .filter(move |made| span.contains(&made.at_ms))
    }
}
