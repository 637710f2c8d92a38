//! The checks: each asks, compares with what must be, and keeps what it was answered.

mod alerts;
mod budget;
mod chain;
mod spike;

use crate::{
    apis::prometheus::shown,
    evidence::{Check, Evidence},
    http::HttpError,
    run::{Observed, Stage},
    scenario::{CheckSpec, Scenario},
};

impl Stage {
    /// Every check of a scenario on what happened in it.
    pub(crate) async fn judge(&self, scenario: &Scenario, observed: &Observed) -> Evidence {
        let mut evidence = Evidence::default();
        for (number, phase) in observed.phases.iter().enumerate() {
            let name = scenario.phases[number].name.clone();
            evidence.instants.push((name, phase.start_ms));
        }
        for spec in &scenario.checks {
            let before = evidence.checks.len();
            match spec {
                CheckSpec::ThresholdAlert { .. } | CheckSpec::BurnAlert { .. } => {
                    self.alert_times(scenario, spec, observed, &mut evidence);
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
                CheckSpec::Chain { .. } => self.chain(spec, observed, &mut evidence).await,
                CheckSpec::Spike { expr, factor } => {
                    let spike = self.spike(expr, *factor, observed).await;
                    evidence
                        .checks
                        .push(or_not_run(spike::ID, spike::CLAIM, spike));
                }
            }
            for check in &mut evidence.checks[before..] {
                check.at_ms = self.clock.now_ms();
            }
        }
        evidence
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
