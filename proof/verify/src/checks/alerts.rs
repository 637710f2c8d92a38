//! When an alert fires and when it no longer does, against arithmetic. Early is as wrong as late.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use slo::{
    Fault, PAIRS, Pair,
    burn::{self, Course},
};

use super::{after, or_not_run};
use crate::{
    apis::prometheus::Labels,
    clock::{Clock, INTERVAL},
    evidence::{Check, Evidence, Link, Verdict},
    http::HttpError,
    run::{Look, Observed, Stage},
    scenario::{CheckSpec, Scenario},
};

/// What Prometheus writes at each scrape and at each evaluation. The rule of the second always fires.
const SCRAPED: &str = "up";
const EVALUATED: &str = "ALERTS{alertname=\"Watchdog\"}";

impl Stage {
    pub(super) async fn alert_times(
        &self,
        scenario: &Scenario,
        spec: &CheckSpec,
        observed: &Observed,
        evidence: &mut Evidence,
    ) {
        let (_, fault) = scenario.fault();
        let played = observed.faulty();
        // On a real clock the end of a phase is late by what the machine needs.
        let lasted_ms = u64::try_from(played.end_ms - played.start_ms).unwrap_or(0);
        let fault = Fault {
            error_ratio: fault.ratio,
            duration: Duration::from_millis(lasted_ms) * self.clock.factor(),
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
                let seen = format!("{alert} {what} {}", after(look.at_ms, start_ms));
                evidence.chain.push(Link::new("alert", seen, &look.answer));
            }
            let id = format!("{alert}-{what}");
            let claim = format!("{alert} {what} when arithmetic says");
            let timed = self.timed((&id, &claim), look, observed, expected).await;
            evidence.checks.push(or_not_run(&id, &claim, timed));
        }
    }

    async fn timed(
        &self,
        (id, claim): (&str, &str),
        look: Option<&Look>,
        observed: &Observed,
        expected: Option<Range<Duration>>,
    ) -> Result<Check, HttpError> {
        let start_ms = observed.faulty().start_ms;
        let at = |time: Duration| start_ms + millis(self.clock.shortened(time));
        // What is true at some time is seen at the next scrape, and said at the next evaluation after it.
        let expected = expected.map(|times| at(times.start)..=at(times.end + 2 * INTERVAL));
        let is_held = match (look, &expected) {
            (Some(look), Some(expected)) => expected.contains(&look.at_ms),
            (None, None) => true,
            _ => false,
        };
        let mut check = Check::judged(id, claim, is_held)
            .expected(expected.as_ref().map_or("never".to_owned(), |times| {
                let (first, last) = (*times.start(), *times.end());
                format!("{} to {}", after(first, start_ms), after(last, start_ms))
            }))
            .observed(look.map_or("never".to_owned(), |look| after(look.at_ms, start_ms)))
            .asked(look.map(|look| &look.answer));
        if let (false, Some(look), Some(expected)) = (is_held, look, &expected)
            && let Some(reason) = self.excuse(look, expected, observed).await?
        {
            check.verdict = Verdict::CouldNotRun;
            check.observed.push_str(&reason);
        }
        Ok(check)
    }

    /// Why an alert that is late says nothing: on a real clock the machine itself was late by as much.
    async fn excuse(
        &self,
        look: &Look,
        expected: &RangeInclusive<i64>,
        observed: &Observed,
    ) -> Result<Option<String>, HttpError> {
        let Clock::Real { .. } = self.clock else {
            return Ok(None);
        };
        let start_ms = observed.faulty().start_ms;
        let over = Duration::from_millis(u64::try_from(look.at_ms - start_ms).unwrap_or(0));
        let interval = self.clock.shortened(INTERVAL);
        let mut late = [Duration::ZERO; 2];
        for (late, selector) in late.iter_mut().zip([SCRAPED, EVALUATED]) {
            let asked = self.prometheus.largest_gap(selector, over, look.at_ms);
            let gap = asked.await?.unwrap_or_default();
            *late = gap.saturating_sub(interval);
        }
        let before = observed.looks.iter().rev();
        let before = before
            .map(|own| own.at_ms)
            .find(|at_ms| *at_ms < look.at_ms);
        let unseen = before.map_or(Duration::ZERO, |at_ms| {
            Duration::from_millis(u64::try_from(look.at_ms - at_ms).unwrap_or(0))
        });
        let [scrape, evaluation] = late;
        let slack_ms = millis(scrape + evaluation + unseen);
        let late_ms = look.at_ms - expected.end();
        let is_excused = late_ms > 0 && late_ms <= slack_ms;
        Ok(is_excused.then(|| {
            format!(
                ", which says nothing: the machine was too slow for this clock (a scrape {scrape:.1?} and an evaluation {evaluation:.1?} late, {unseen:.1?} between two looks)"
            )
        }))
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
