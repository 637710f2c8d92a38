//! The checks: each asks, compares with what must be, and keeps what it was answered.

mod alerts;
mod budget;
mod chain;
mod join;
mod lines;
mod loss;
pub(crate) mod propagation;
mod sampling;
mod spike;
pub(crate) mod traces;

use crate::{
    apis::prometheus::shown,
    evidence::{Check, Evidence},
    http::HttpError,
    run::{Observed, Stage},
    scenario::{CheckSpec, Scenario},
};

impl Stage {
    /// Every check of a scenario on what happened in it.
    pub(crate) async fn judge(
        &self,
        scenario: &Scenario,
        observed: &Observed,
        evidence: &mut Evidence,
    ) {
        for spec in &scenario.checks {
            let before = evidence.checks.len();
            match spec {
                CheckSpec::ThresholdAlert { .. } | CheckSpec::BurnAlert { .. } => {
                    self.alert_times(scenario, spec, observed, evidence).await;
                }
                CheckSpec::BudgetSpent {
                    service,
                    budget,
                    share,
                } => {
                    let spent = self.budget_spent(service, *budget, *share, observed).await;
                    evidence
                        .checks
                        .push(or_not_run(budget::ID, budget::CLAIM, spent));
                }
                CheckSpec::Chain { .. } => self.chain(spec, observed, evidence).await,
                CheckSpec::Spike { expr, factor } => {
                    let spike = self
                        .spike(scenario, (expr, *factor), observed, evidence)
                        .await;
                    evidence
                        .checks
                        .push(or_not_run(spike::ID, spike::CLAIM, spike));
                }
                CheckSpec::Propagation { .. }
                | CheckSpec::Sampling { .. }
                | CheckSpec::Join
                | CheckSpec::Loss { .. } => {}
            }
            self.judge_traces(scenario, spec, observed, evidence).await;
            for check in &mut evidence.checks[before..] {
                check.at_ms = self.clock.now_ms();
            }
        }
    }
}

impl Stage {
    /// The checks that look at every request's trace.
    async fn judge_traces(
        &self,
        scenario: &Scenario,
        spec: &CheckSpec,
        observed: &Observed,
        evidence: &mut Evidence,
    ) {
        let (id, claim, judged) = match spec {
            CheckSpec::Propagation {
                phase,
                services,
                attempts,
                resent,
            } => {
                let wanted = propagation::Wanted {
                    services,
                    attempts: *attempts,
                    resent: *resent,
                };
                let phase = (phase.as_str(), scenario.phase(phase));
                let judged = self.propagation(phase, &wanted, observed, evidence).await;
                (propagation::id(phase.0), propagation::CLAIM, judged)
            }
            CheckSpec::Sampling { failing } => (
                "sampling".to_owned(),
                sampling::CLAIM,
                self.sampled(scenario, failing, observed, evidence).await,
            ),
            CheckSpec::Join => (
                join::ID.to_owned(),
                join::CLAIM,
                self.join(observed, evidence).await,
            ),
            CheckSpec::Loss {
                phase,
                control,
                busy,
                service,
            } => {
                let number = |name: &str| scenario.phase(name);
                let of = loss::Phases {
                    outage: number(phase),
                    control: number(control),
                    busy: number(busy),
                    count: scenario.phases.len(),
                };
                let judged = self.loss(of, service, observed, evidence).await;
                (loss::ID.to_owned(), loss::CLAIM, judged)
            }
            _ => return,
        };
        if let Err(error) = judged {
            evidence.checks.push(Check::not_run(&id, claim, &error));
        }
    }
}

fn or_not_run(id: &str, claim: &str, check: Result<Check, HttpError>) -> Check {
    check.unwrap_or_else(|error| Check::not_run(id, claim, &error))
}

/// A time as minutes and seconds after the start of the fault, and as it stands on the clock.
fn after(t_ms: i64, start_ms: i64) -> String {
    let seconds = (t_ms - start_ms) as f64 / 1_000.0;
    format!(
        "{}:{:04.1} ({})",
        (seconds / 60.0).trunc(),
        seconds % 60.0,
        shown(t_ms)
    )
}
