//! A value that rises while there is a fault.

use crate::{
    clock::INTERVAL,
    evidence::{Check, Evidence, Link, Verdict},
    http::HttpError,
    run::{Observed, Stage},
    scenario::Scenario,
};

pub(super) const ID: &str = "spike";
pub(super) const CLAIM: &str = "the metric rises with the fault";

impl Stage {
    pub(super) async fn spike(
        &self,
        scenario: &Scenario,
        (expr, factor): (&str, f64),
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<Check, HttpError> {
        let played = observed.faulty();
        let (before, clean) = self.prometheus.value(expr, played.start_ms).await?;
        let before = before.unwrap_or(f64::NAN);
        let step_ms = self.clock.shortened(INTERVAL).as_millis() as i64;
        let mut highest = (f64::NEG_INFINITY, clean.clone());
        for at_ms in (played.start_ms..=played.end_ms).step_by(step_ms.max(1) as usize) {
            let (value, answer) = self.prometheus.value(expr, at_ms).await?;
            if let Some(value) = value.filter(|value| *value > highest.0) {
                highest = (value, answer);
            }
        }
        let seen = format!("{before:.4} before, {:.4} at most", highest.0);
        evidence
            .chain
            .push(Link::new("metric", seen.clone(), &highest.1));
        let is_held = highest.0 >= factor * before;
        let mut check = Check::judged(ID, CLAIM, is_held)
            .expected(format!("{factor} times as much as before"))
            .observed(seen)
            .asked([&clean, &highest.1]);
        let (_, fault) = scenario.fault();
        let injected = fault.latency_ms.map(|latency_ms| latency_ms as f64 / 1e3);
        if !is_held && injected.is_some_and(|seconds| factor * before > seconds) {
            check.verdict = Verdict::CouldNotRun;
            check
                .observed
                .push_str(": the machine was too slow without the fault to see it");
        }
        Ok(check)
    }
}
