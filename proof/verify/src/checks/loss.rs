//! An outage of telemetry: requests do not feel it, and each span is stored or counted as lost.

use std::time::{Duration, Instant};

use conventions::metrics::{OUTCOME, OUTCOME_DROPPED, OUTCOME_FAILED, TELEMETRY_SPANS};

use super::traces::Found;
use crate::{
    evidence::{Check, Evidence},
    http::HttpError,
    run::{Observed, Stage},
    sampling::TraceId,
};

pub(super) const ID: &str = "spans-accounted";
pub(super) const CLAIM: &str = "each span of the outage is stored or counted as lost";
/// A request may take so much longer than without the outage, in the middle.
const SLOWER_MAX: f64 = 3.0;
/// What chance may add on a busy machine.
const SLOWER_MARGIN: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(500);

/// Numbers of phases, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phases {
    pub(super) outage: usize,
    pub(super) control: usize,
    pub(super) busy: usize,
    pub(super) count: usize,
}

impl Stage {
    pub(super) async fn loss(
        &self,
        phases: Phases,
        service: &str,
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let number = phases.outage;
        evidence
            .checks
            .push(unaffected(observed, number, phases.busy));
        // The queue is still full for a while when the outage is over: what comes after belongs to it.
        let ids: Vec<TraceId> = (number..phases.count)
            .flat_map(|phase| observed.made_in(phase))
            .map(|made| made.trace_id)
            .collect();
        let usual = observed.made_in(phases.control).map(|made| made.trace_id);
        let usual: Vec<TraceId> = usual.collect();
        let usual = self
            .traces_when(&usual, self.target.patience, |found| {
                spans_of(found, service) > 0
            })
            .await?;
        let each = || usual.iter().map(|found| spans_of(found, service));
        let least = each().min().unwrap_or(0) * ids.len();
        let most = each().max().unwrap_or(0) * ids.len();
        let deadline = Instant::now() + self.target.patience;
        loop {
            let (lost, answer) = self.lost(service, observed.phases[number].start_ms).await?;
            let found = self.traces(&ids).await?;
            let stored: usize = found.iter().map(|found| spans_of(found, service)).sum();
            let is_held = least > 0 && (least..=most).contains(&(stored + lost));
            if !is_held && Instant::now() < deadline && !self.stopping.is_cancelled() {
                tokio::time::sleep(POLL).await;
                continue;
            }
            let made = match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            evidence.checks.push(
                Check::judged(ID, CLAIM, is_held)
                    .expected(format!(
                        "{made} spans of {service}, as many for each of {} requests as without the outage",
                        ids.len()
                    ))
                    .observed(format!("{stored} stored and {lost} counted as lost"))
                    .asked([&answer]),
            );
            return Ok(());
        }
    }

    /// Spans of a service that were lost since then, as it counts them itself.
    async fn lost(
        &self,
        service: &str,
        since_ms: i64,
    ) -> Result<(usize, crate::http::Answer), HttpError> {
        let label = &self.target.names.service;
        let expr = format!(
            "sum({TELEMETRY_SPANS}{{{label}=\"{service}\",{OUTCOME}=~\"{OUTCOME_DROPPED}|{OUTCOME_FAILED}\"}})"
        );
        let (before, _) = self.prometheus.value(&expr, since_ms).await?;
        let (after, answer) = self.prometheus.value(&expr, self.clock.now_ms()).await?;
        let lost = after.unwrap_or(0.0) - before.unwrap_or(0.0);
        Ok((lost as usize, answer))
    }
}

fn spans_of(found: &Found, service: &str) -> usize {
    let spans = found.spans.iter().flatten();
    spans.filter(|span| span.service == service).count()
}

/// Every request was answered well, and not much later than without the outage.
fn unaffected(observed: &Observed, phase: usize, busy: usize) -> Check {
    let refused = observed
        .made_in(phase)
        .filter(|made| !(200..300).contains(&made.status))
        .count();
    let made = observed.made_in(phase).count();
    let (during, before) = (median(observed, phase), median(observed, busy));
    let bound = before.mul_f64(SLOWER_MAX) + SLOWER_MARGIN;
    let is_held = made > 0 && refused == 0 && during <= bound;
    Check::judged(
        "requests-unaffected",
        "requests do not feel that telemetry is away",
        is_held,
    )
    .expected(format!(
        "{made} good answers, the median within {bound:.1?} ({before:.1?} without the outage)"
    ))
    .observed(format!("{} good ones, median {during:.1?}", made - refused))
}

fn median(observed: &Observed, phase: usize) -> Duration {
    let mut took: Vec<Duration> = observed.made_in(phase).map(|made| made.took).collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::Verdict, traffic::Made};

    fn observed(outage: &[(u16, u64)]) -> Observed {
        let made = |phase: usize, (status, ms): (u16, u64)| Made {
            phase,
            trace_id: TraceId::random(),
            status,
            took: Duration::from_millis(ms),
            at_ms: 0,
        };
        let control = [(200, 10); 3].into_iter().map(|of| made(0, of));
        Observed {
            made: control
                .chain(outage.iter().map(|of| made(1, *of)))
                .collect(),
            ..Observed::default()
        }
    }

    #[test]
    fn a_refused_or_slow_request_is_noticed() {
        let verdict = |outage: &[(u16, u64)]| unaffected(&observed(outage), 1, 0).verdict;
        assert_eq!(verdict(&[(200, 10), (201, 12)]), Verdict::Held);
        assert_eq!(verdict(&[(200, 10), (503, 1)]), Verdict::Failed);
        assert_eq!(verdict(&[(200, 500), (200, 500)]), Verdict::Failed);
        assert_eq!(verdict(&[]), Verdict::Failed);
    }
}
