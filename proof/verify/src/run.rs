//! One scenario: its phases are played, what happens is observed, and its checks judge it.
//!
//! Whatever happens, the fault that was set is gone at the end.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    apis::{loki::Loki, prometheus::Alert, prometheus::Prometheus, tempo::Tempo},
    clock::{Clock, INTERVAL, system_ms},
    evidence::Evidence,
    http::{Answer, Http, HttpError},
    scenario::{Fault, Phase, Scenario},
    target::Target,
    traffic::{Made, Traffic},
};

/// A fault that outlives its verifier ends by itself.
const FAULT_SECONDS_MAX: u64 = 2 * 3_600;
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
        let traffic = Traffic::prepare(&self.target, &self.http).await?;
        for phase in &scenario.phases {
            let url = match &phase.fault {
                Some(fault) => Some(self.set(&scenario.name, fault).await?),
                None => None,
            };
            let played = self.phase(scenario, phase, &traffic, &mut observed).await;
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
        if let Some(latency_ms) = fault.latency_ms {
            body["latency_ms"] = json!(latency_ms);
        }
        self.http.put(&url, &body).await?;
        Ok(url)
    }

    async fn phase(
        &mut self,
        scenario: &Scenario,
        phase: &Phase,
        traffic: &Traffic,
        observed: &mut Observed,
    ) -> Result<(), RunError> {
        let (start_ms, machine_start_ms) = (self.clock.now_ms(), system_ms());
        let intervals = phase.length.as_secs() / INTERVAL.as_secs();
        for _ in 0..intervals {
            if self.stopping.is_cancelled() {
                return Err(RunError::Stopped);
            }
            let (operation, number) = (scenario.operation, phase.requests);
            match self.clock {
                Clock::Virtual { now_ms, .. } => {
                    let made = traffic.burst(operation, number, now_ms).await;
                    observed.made.extend(made);
                    self.clock.step(&self.http).await?;
                    observed.looks.push(self.look().await?);
                }
                Clock::Real { factor } => {
                    let paced = traffic.paced(operation, number, INTERVAL / factor);
                    let (made, looks) = tokio::join!(paced, self.look_on(INTERVAL / factor));
                    observed.made.extend(made);
                    observed.looks.extend(looks?);
                }
            }
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
        faulty.next().expect("every scenario has one")
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
