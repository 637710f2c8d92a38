//! The set of traces that are found is the set that the policies keep: every error, and of the rest what the predicate says.

use std::time::Duration;

use conventions::spans::TRIPOD_LATE;

use super::traces::Found;
use crate::{
    binomial,
    evidence::{Check, Evidence},
    http::HttpError,
    run::{Observed, Stage},
    sampling::TraceId,
    scenario::Scenario,
};

/// How often chance alone may leave the interval: once in a million runs.
const ALPHA: f64 = 1e-6;
/// A trace that is dropped is looked for once more when every kept one has been there for so long: what is late may bring it.
const LATE: Duration = Duration::from_secs(3);
const TOLD_MAX: usize = 3;
const ANSWERS_MAX: usize = 2;
pub(super) const CLAIM: &str = "the traces that are found are those that the policies keep";

/// A request and what must become of its trace.
#[derive(Clone, Copy, Debug)]
struct Judged {
    id: TraceId,
    /// Something in it failed.
    is_error: bool,
    /// By the predicate, or because something failed.
    is_kept: bool,
}

impl Stage {
    /// A check for each phase, and one for the share of the successes.
    pub(super) async fn sampled(
        &self,
        scenario: &Scenario,
        failing: &[String],
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let sampler = &self.contract.sampling;
        let mut successes = (0_u64, 0_u64);
        let mut judged_by_phase = Vec::new();
        for (number, phase) in scenario.phases.iter().enumerate() {
            let judged: Vec<Judged> = observed
                .made_in(number)
                .map(|made| {
                    let is_error = made.status >= 500 || failing.contains(&phase.name);
                    Judged {
                        id: made.trace_id,
                        is_error,
                        is_kept: is_error || sampler.is_kept(made.trace_id),
                    }
                })
                .collect();
            let kept: Vec<TraceId> = judged
                .iter()
                .filter(|of| of.is_kept)
                .map(|of| of.id)
                .collect();
            self.traces_when(&kept, self.target.patience, |found| found.spans.is_some())
                .await?;
            judged_by_phase.push((phase, judged));
        }
        tokio::time::sleep(LATE).await;
        for (phase, judged) in judged_by_phase {
            let ids: Vec<TraceId> = judged.iter().map(|of| of.id).collect();
            let found = self.traces(&ids).await?;
            for (of, found) in judged.iter().zip(&found) {
                if !of.is_error {
                    successes.0 += 1;
                    successes.1 += u64::from(found.spans.is_some());
                }
            }
            evidence.checks.push(set(&phase.name, &judged, &found));
            // Of a few successes perhaps none is kept, and then there is nothing to look at.
            if phase.is_late() && found.iter().any(|found| found.spans.is_some()) {
                evidence.checks.push(late(&phase.name, &found));
            }
        }
        let (made, kept) = successes;
        if made == 0 {
            // Every request was one that fails.
            return Ok(());
        }
        let interval = binomial::interval(made, sampler.share, ALPHA);
        evidence.checks.push(
            Check::judged(
                "success-share",
                "of the traces without an error the share is found that is to be kept",
                interval.contains(&kept),
            )
            .expected(format!(
                "{} to {} of {made}, the exact binomial interval at {} (once in a million runs chance leaves it)",
                interval.start(),
                interval.end(),
                sampler.share
            ))
            .observed(format!("{kept}")),
        );
        Ok(())
    }
}

/// Compares what must be there with what is.
fn set(phase: &str, judged: &[Judged], found: &[Found]) -> Check {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for (of, found) in judged.iter().zip(found) {
        match (of.is_kept, found.spans.is_some()) {
            (true, false) => missing.push(found),
            (false, true) => extra.push(found),
            _ => {}
        }
    }
    let errors = judged.iter().filter(|of| of.is_error).count();
    let kept = judged.iter().filter(|of| of.is_kept).count();
    let told = |name: &str, found: &[&Found]| {
        let ids: Vec<String> = found
            .iter()
            .take(TOLD_MAX)
            .map(|found| found.id.to_string())
            .collect();
        format!("{} {name} ({})", found.len(), ids.join(", "))
    };
    let is_held = !judged.is_empty() && missing.is_empty() && extra.is_empty();
    let shown = missing.iter().chain(&extra).copied().chain(found);
    Check::judged(&format!("kept-{phase}"), CLAIM, is_held)
        .expected(format!(
            "exactly {kept} of {} traces: {errors} with an error, {} by the predicate",
            judged.len(),
            kept - errors
        ))
        .observed(match is_held {
            true => "exactly these".to_owned(),
            false => format!(
                "{}, {}",
                told("missing", &missing),
                told("too many", &extra)
            ),
        })
        .asked(shown.map(|found| &found.answer).take(ANSWERS_MAX))
}

/// Spans that end after the decision say so: a collector judges them by themselves only then.
fn late(phase: &str, found: &[Found]) -> Check {
    let there: Vec<&Found> = found.iter().filter(|found| found.spans.is_some()).collect();
    let is_marked = |found: &Found| {
        let mut spans = found.spans.iter().flatten();
        spans.any(|span| span.attribute(TRIPOD_LATE) == Some("true"))
    };
    let unmarked: Vec<&&Found> = there.iter().filter(|found| !is_marked(found)).collect();
    Check::judged(
        &format!("marked-{phase}"),
        "spans that end after the decision on their trace say that they are late",
        !there.is_empty() && unmarked.is_empty(),
    )
    .expected(format!("a late span in each of {} traces", there.len()))
    .observed(match unmarked.len() {
        0 => "in each".to_owned(),
        count => format!("in all but {count}"),
    })
    .asked(unmarked.iter().map(|found| &found.answer).take(ANSWERS_MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{evidence::Verdict, http::Answer, sampling::Sampler};

    fn sampler() -> Sampler {
        Sampler::new(5.0, "salt").unwrap()
    }

    fn dropped() -> TraceId {
        loop {
            let id = TraceId::random();
            if !sampler().is_kept(id) {
                return id;
            }
        }
    }

    fn verdict(cases: &[(TraceId, bool, bool)]) -> Verdict {
        let judged: Vec<Judged> = cases
            .iter()
            .map(|(id, is_error, _)| Judged {
                id: *id,
                is_error: *is_error,
                is_kept: *is_error || sampler().is_kept(*id),
            })
            .collect();
        let found: Vec<Found> = cases
            .iter()
            .map(|(id, _, is_there)| Found {
                id: *id,
                spans: is_there.then(Vec::new),
                answer: Answer::empty(),
            })
            .collect();
        set("x", &judged, &found).verdict
    }

    #[test]
    fn the_set_must_be_equal_and_not_only_as_large() {
        let (kept, gone) = (sampler().kept(), dropped());
        let good = [
            (kept, false, true),
            (gone, false, false),
            (dropped(), true, true),
        ];
        assert_eq!(verdict(&good), Verdict::Held);
        for (index, there) in [(0, false), (1, true), (2, false)] {
            let mut cases = good;
            cases[index].2 = there;
            assert_eq!(verdict(&cases), Verdict::Failed, "{index}");
        }
        let swapped = [(kept, false, false), (gone, false, true)];
        assert_eq!(verdict(&swapped), Verdict::Failed);
        assert_eq!(verdict(&[]), Verdict::Failed);
    }
}
