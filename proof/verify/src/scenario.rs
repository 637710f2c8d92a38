//! Scenario files: what is done to a system, phase by phase, and what must be seen. Data; what a check does is code.
//!
//! The schema is documented in `docs/verify.md`. Times are those of the objective; a shortened clock divides them.

use std::time::Duration;

use serde::Deserialize;

use crate::{apis::prometheus::Labels, traffic::Operation};

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// On the command line, in reports, in mutations.
    pub name: String,
    pub title: String,
    /// What requests do.
    pub operation: Operation,
    /// One after the other.
    pub phases: Vec<Phase>,
    pub checks: Vec<CheckSpec>,
}

/// A time in which the same happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    #[serde(rename = "for", deserialize_with = "duration")]
    pub length: Duration,
    /// In each scrape interval.
    pub requests: usize,
    /// Set at the start of the phase, gone at its end.
    pub fault: Option<Fault>,
}

/// See `docs/faults.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub service: String,
    pub target: String,
    pub error: Option<String>,
    pub latency_ms: Option<u64>,
    #[serde(default = "all")]
    pub ratio: f64,
}

/// A check and what it needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CheckSpec {
    /// An alert on one window fires and resolves when arithmetic says.
    ThresholdAlert {
        alert: String,
        labels: Labels,
        ratio: f64,
        #[serde(deserialize_with = "duration")]
        window: Duration,
        #[serde(deserialize_with = "duration")]
        hold: Duration,
    },
    /// A burn-rate alert fires and resolves when arithmetic says.
    BurnAlert {
        alert: String,
        labels: Labels,
        /// The burn rate above which both windows must be.
        factor: f64,
        /// Share of the requests that may fail.
        budget: f64,
    },
    /// The counters say that this share of the period's budget was spent.
    BudgetSpent {
        service: String,
        budget: f64,
        share: f64,
    },
    /// Metric, exemplar, trace, log lines: each leads to the next.
    Chain {
        service: String,
        /// Of the exemplars.
        selector: String,
        /// Exemplars below it are of no interest, in the unit of the metric.
        #[serde(default)]
        value_min: f64,
        /// The span that the trace must show.
        span: SpanSpec,
        /// The level of a log line of the trace.
        level: Option<String>,
    },
    /// A quantile rises by this factor in the faulty phase.
    Spike { expr: String, factor: f64 },
}

/// A span to look for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanSpec {
    pub name: String,
    #[serde(default)]
    pub error: bool,
    #[serde(default)]
    pub longer_than_ms: f64,
}

/// A scenario file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("scenario {name}: {text}")]
pub struct ScenarioError {
    name: String,
    text: String,
}

/// The scenarios that are built in, in the order in which they run.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("slow-query", include_str!("scenarios/slow-query.yml")),
    ("errors", include_str!("scenarios/errors.yml")),
    ("budget-burn", include_str!("scenarios/budget-burn.yml")),
];

impl Scenario {
    /// # Errors
    /// It is no scenario; the text says where.
    pub fn parse(name: &str, yaml: &str) -> Result<Self, ScenarioError> {
        let invalid = |text: String| ScenarioError {
            name: name.to_owned(),
            text,
        };
        let scenario: Self =
            serde_saphyr::from_str(yaml).map_err(|error| invalid(error.to_string()))?;
        let faults = scenario.phases.iter().filter(|phase| phase.fault.is_some());
        if faults.count() != 1 {
            return Err(invalid("exactly one phase must have a fault".to_owned()));
        }
        Ok(scenario)
    }

    /// The phase with the fault.
    pub fn fault(&self) -> (&Phase, &Fault) {
        let mut faulty = self.phases.iter();
        faulty
            .find_map(|phase| Some((phase, phase.fault.as_ref()?)))
            .expect("a scenario has one, it was checked")
    }

    /// How long the system ran without the fault before it.
    pub fn history(&self) -> Duration {
        let before = self.phases.iter().take_while(|phase| phase.fault.is_none());
        before.map(|phase| phase.length).sum()
    }
}

fn all() -> f64 {
    1.0
}

/// `90s`, `6m`, `1h`.
fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text
        .char_indices()
        .last()
        .and_then(|(at, unit)| Some((text[..at].parse::<u64>().ok()?, unit)))
        .and_then(|(number, unit)| {
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                _ => return None,
            };
            Some(Duration::from_secs(number.checked_mul(seconds)?))
        });
    parsed
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no time like 90s, 6m or 1h")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_built_in_is_good_and_has_its_own_name() {
        for (name, yaml) in BUILT_IN {
            assert_eq!(Scenario::parse(name, yaml).unwrap().name, name);
        }
    }

    #[test]
    fn what_is_no_scenario_is_refused_with_the_place() {
        let good = BUILT_IN[1].1;
        for (from, to, words) in [
            ("for: 6m", "for: 6 minutes", "6 minutes"),
            ("operation: read", "operation: write", "write"),
            ("fault:", "falt:", "falt"),
        ] {
            assert!(good.contains(from));
            let error = Scenario::parse("x", &good.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
