//! One scenario: its phases are played, what happens is observed, and its checks judge it.
//!
//! Whatever happens, the fault that was set is gone at the end.

use std::{sync::Arc, time::Duration};

use reqwest::StatusCode;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    apis::{loki::Loki, prometheus::Alert, prometheus::Prometheus, tempo::Tempo},
    checks::{propagation, traces::Found},
    clock::{Clock, INTERVAL, system_ms},
    contract::Contract,
    evidence::Evidence,
    http::{Answer, Http, HttpError},
    sampling::TraceId,
    scenario::{Fault, Phase, Scenario},
    target::Target,
    traffic::{Kind, Made, Traffic},
};

/// A fault that outlives its verifier ends by itself: so long after its phase on a real clock, and on a virtual one, whose
/// phases last as long as the machine needs for them.
const FAULT_MARGIN: Duration = Duration::from_secs(5 * 60);
const FAULT_ON_VIRTUAL_CLOCK: Duration = Duration::from_secs(30 * 60);
/// Looks at the alerts, within one interval of a real clock.
const LOOKS_PER_INTERVAL: u32 = 15;
/// An interval of which less is left is looked at as if it were so long.
const LOOK_PAUSE: Duration = Duration::from_millis(15);

/// Everything a scenario runs on.
pub struct Stage {
    pub target: Target,
    pub contract: Arc<Contract>,
    pub http: Http,
    pub clock: Clock,
    pub prometheus: Prometheus,
    pub tempo: Tempo,
    pub loki: Option<Loki>,
    /// Told how far a scenario is, many times a second on a virtual clock.
    pub progress: Box<dyn Fn(&Progress<'_>) + Send + Sync>,
    /// Cancelled by Ctrl-C: nothing further is done, but faults are removed.
    pub stopping: CancellationToken,
}

/// How far a phase is.
#[derive(Debug)]
pub struct Progress<'s> {
    pub scenario: &'s str,
    pub phase: &'s Phase,
    /// Of its length.
    pub passed: Duration,
    /// Requests that the scenario has made.
    pub requests: usize,
    /// Alerts that fire.
    pub firing: usize,
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
    pub prepared: Vec<TraceId>,
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
    #[error("the fault at {url} may still be there, for {seconds} s at most")]
    FaultStays {
        url: String,
        seconds: u64,
        source: HttpError,
    },
    #[error("stopped")]
    Stopped,
}

/// A fault that is set.
struct SetFault {
    url: String,
    /// It ends by itself.
    seconds: u64,
}

impl Stage {
    /// # Errors
    /// The clock of the target does not answer, or there is no HTTP client.
    pub async fn new(
        target: Target,
        contract: Arc<Contract>,
        stopping: CancellationToken,
    ) -> Result<Self, HttpError> {
        let http = Http::new()?;
        let clock = match &target.clock {
            Some(control) => Clock::take(control, &http).await?,
            None => Clock::Real {
                factor: target.factor,
            },
        };
        Ok(Self {
            prometheus: Prometheus::new(&http, &target.prometheus),
            tempo: Tempo::new(&http, &target.tempo),
            loki: target.loki.as_ref().map(|url| Loki::new(&http, url)),
            progress: Box::new(|_| {}),
            target,
            contract,
            http,
            clock,
            stopping,
        })
    }

    /// Plays the phases and judges what happened. What a scenario that was not played to its end has shown is its phases.
    pub async fn play(&mut self, scenario: &Scenario) -> (Evidence, Result<(), RunError>) {
        let mut observed = Observed {
            begun_ms: system_ms(),
            ..Observed::default()
        };
        let played = self.play_phases(scenario, &mut observed).await;
        let mut evidence = Evidence::default();
        for (phase, played) in scenario.phases.iter().zip(&observed.phases) {
            evidence
                .instants
                .push((phase.name.clone(), played.start_ms));
        }
        if played.is_ok() {
            self.judge(scenario, &observed, &mut evidence).await;
        }
        (evidence, played)
    }

    async fn play_phases(
        &mut self,
        scenario: &Scenario,
        observed: &mut Observed,
    ) -> Result<(), RunError> {
        let (traffic, prepared) =
            Traffic::prepare(&self.target, &self.contract, &self.http).await?;
        observed.prepared = prepared;
        for number in 0..scenario.phases.len() {
            let fault = match &scenario.phases[number].fault {
                Some(fault) => Some(self.set(scenario, number, fault).await?),
                None => None,
            };
            let played = self.phase(scenario, number, &traffic, observed).await;
            if let Some(fault) = fault {
                self.remove(fault).await?;
            }
            played?;
        }
        Ok(())
    }

    /// Sets the fault of a phase.
    async fn set(
        &self,
        scenario: &Scenario,
        number: usize,
        fault: &Fault,
    ) -> Result<SetFault, RunError> {
        let Some(admin) = self.target.admin.get(&fault.service) else {
            return Err(RunError::NoAdmin(fault.service.clone()));
        };
        let lasts = match self.clock {
            Clock::Virtual { .. } => FAULT_ON_VIRTUAL_CLOCK,
            Clock::Real { .. } => {
                let phase = &scenario.phases[number];
                self.clock.shortened(phase.length)
                    + phase.linger
                    + self.target.patience
                    + FAULT_MARGIN
            }
        };
        let set = SetFault {
            url: format!("{admin}/faults/verify-{}", scenario.name),
            seconds: lasts.as_secs(),
        };
        let mut body = json!({
            "target": fault.target,
            "ratio": fault.ratio,
            "for_seconds": set.seconds,
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
        match self.http.put(&set.url, &body).await {
            Ok(_) => Ok(set),
            // Perhaps it was taken and only the answer is lost.
            Err(error @ HttpError::NoAnswer { .. }) => {
                self.remove(set).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn remove(&self, fault: SetFault) -> Result<(), RunError> {
        let SetFault { url, seconds } = fault;
        match self.http.delete(&url).await {
            // One that has ended by itself is gone as well.
            Ok(_)
            | Err(HttpError::Status {
                status: StatusCode::NOT_FOUND,
                ..
            }) => Ok(()),
            Err(source) => Err(RunError::FaultStays {
                url,
                seconds,
                source,
            }),
        }
    }

    async fn phase(
        &mut self,
        scenario: &Scenario,
        number: usize,
        traffic: &Traffic,
        observed: &mut Observed,
    ) -> Result<(), RunError> {
        let phase = &scenario.phases[number];
        let kind = Kind {
            phase: number,
            operation: phase.operation.as_ref().unwrap_or(&scenario.operation),
            traces: phase.traces,
        };
        let (start_ms, machine_start_ms) = (self.clock.now_ms(), system_ms());
        let begun = Instant::now();
        let intervals = u32::try_from(phase.length.as_secs() / INTERVAL.as_secs());
        for passed in 0..intervals.unwrap_or(u32::MAX) {
            if self.stopping.is_cancelled() {
                return Err(RunError::Stopped);
            }
            (self.progress)(&Progress {
                scenario: &scenario.name,
                phase,
                passed: passed * INTERVAL,
                requests: observed.made.len(),
                firing: observed.looks.last().map_or(0, Look::firing),
            });
            let number = phase.requests;
            match self.clock {
                Clock::Virtual { now_ms, .. } => {
                    let made = traffic.burst(kind, number, now_ms).await;
                    observed.made.extend(made);
                    self.clock.step(&self.http).await?;
                    observed.looks.push(self.look().await?);
                }
                Clock::Real { factor } => {
                    // From the start of the phase, so that what one interval is late the next one makes up for.
                    let over = begun + (passed + 1) * INTERVAL / factor;
                    let paced = traffic.paced(kind, number, over);
                    let (made, looks) = tokio::join!(paced, self.look_on(over));
                    observed.made.extend(made);
                    observed.looks.extend(looks?);
                }
            }
        }
        if let Some(attempts) = phase.until_attempts {
            let made = observed.made_in(kind.phase);
            let ids: Vec<TraceId> = made.map(|made| made.trace_id).collect();
            let delivered = |found: &Found| propagation::attempts(found) >= attempts;
            self.traces_when(&ids, self.target.patience, delivered)
                .await?;
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

    /// Looks at the alerts again and again until the interval is over, once at least.
    async fn look_on(&self, over: Instant) -> Result<Vec<Look>, HttpError> {
        let mut looks = vec![self.look().await?];
        let left = over.saturating_duration_since(Instant::now());
        let mut ticks = tokio::time::interval(left.max(LOOK_PAUSE) / LOOKS_PER_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while ticks.tick().await < over {
            looks.push(self.look().await?);
        }
        Ok(looks)
    }
}

impl Look {
    fn firing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.is_firing()).count()
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
