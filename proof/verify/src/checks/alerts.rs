//! When an alert fires and when it no longer does, against arithmetic. Early is as wrong as late.

use std::{ops::Range, time::Duration};

use slo::{
    Fault, PAIRS, Pair,
    burn::{self, Course},
};

use super::after;
use crate::{
    apis::prometheus::Labels,
    clock::INTERVAL,
    evidence::{Check, Evidence},
    run::{Look, Observed, Stage},
    scenario::{CheckSpec, Scenario},
};

impl Stage {
    pub(super) fn alert_times(
        &self,
        scenario: &Scenario,
        spec: &CheckSpec,
        observed: &Observed,
        evidence: &mut Evidence,
    ) {
        let (phase, fault) = scenario.fault();
        let fault = Fault {
            error_ratio: fault.ratio,
            duration: phase.length,
            history: scenario.history(),
        };
        let (alert, labels) = match spec {
            CheckSpec::ThresholdAlert { alert, labels, .. }
            | CheckSpec::BurnAlert { alert, labels, .. } => (alert, labels),
            _ => return,
        };
        // A window that is open on the left, over samples one interval apart, sees the increase of one interval less.
        let (shortest, longest) = (
            course(spec, &fault, INTERVAL),
            course(spec, &fault, Duration::ZERO),
        );
        let start_ms = observed.faulty().start_ms;
        let fires = |look: &&Look| is_firing(look, alert, labels);
        let first = observed.looks.iter().find(fires);
        let last = observed.looks.iter().rev().find(fires);
        let resolved = last.and_then(|last| {
            let mut later = observed.looks.iter();
            later.find(|look| look.at_ms > last.at_ms)
        });
        let times =
            |time: fn(&Course) -> Duration| Some(time(shortest.as_ref()?)..time(longest.as_ref()?));
        for (what, look, expected) in [
            ("fires", first, times(|course| course.fires)),
            ("resolves", resolved, times(|course| course.resolves)),
        ] {
            if let Some(look) = look {
                evidence
                    .instants
                    .push((format!("{alert} {what}"), look.at_ms));
            }
            evidence.checks.push(self.timed(
                &format!("{alert}-{what}"),
                &format!("{alert} {what} when arithmetic says"),
                look,
                start_ms,
                expected,
            ));
        }
    }

    fn timed(
        &self,
        id: &str,
        claim: &str,
        look: Option<&Look>,
        start_ms: i64,
        expected: Option<Range<Duration>>,
    ) -> Check {
        let at = |time: Duration| start_ms + millis(self.clock.shortened(time));
        // What is true at some time is seen at the next scrape, and said at the next evaluation after it.
        let expected = expected.map(|times| at(times.start)..=at(times.end + 2 * INTERVAL));
        let is_held = match (look, &expected) {
            (Some(look), Some(expected)) => expected.contains(&look.at_ms),
            (None, None) => true,
            _ => false,
        };
        Check::judged(id, claim, is_held)
            .expected(expected.map_or("never".to_owned(), |times| {
                let (first, last) = times.into_inner();
                format!("{} to {}", after(first, start_ms), after(last, start_ms))
            }))
            .observed(look.map_or("never".to_owned(), |look| after(look.at_ms, start_ms)))
            .asked(look.map(|look| &look.answer))
    }
}

/// What arithmetic says when each window is `shorter` by so much; `None` if the alert never fires.
fn course(spec: &CheckSpec, fault: &Fault, shorter: Duration) -> Option<Course> {
    match spec {
        CheckSpec::ThresholdAlert {
            ratio,
            window,
            hold,
            ..
        } => {
            let threshold = burn::Threshold {
                ratio: *ratio,
                window: window.saturating_sub(shorter),
                hold: *hold,
            };
            threshold.course(fault)
        }
        CheckSpec::BurnAlert { factor, budget, .. } => {
            let pair = PAIRS.iter().find(|pair| pair.factor == *factor)?;
            let pair = Pair {
                long: pair.long.saturating_sub(shorter),
                short: pair.short.saturating_sub(shorter),
                ..*pair
            };
            pair.course(*budget, fault)
        }
        _ => None,
    }
}

fn is_firing(look: &Look, alert: &str, labels: &Labels) -> bool {
    look.alerts
        .iter()
        .any(|own| own.is_firing() && own.is(alert, labels))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
