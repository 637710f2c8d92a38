//! Scenario files: what is done to a system, phase by phase, and what must be seen. Data; what a check does is code.
//!
//! The schema is documented in `docs/verify.md`. Times are those of the objective; a shortened clock divides them.

use std::{fmt, time::Duration};

use serde::Deserialize;

use crate::apis::prometheus::Labels;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// On the command line, in reports, in mutations.
    pub name: String,
    pub title: String,
    /// What requests do, as the contract calls it.
    pub operation: String,
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
    /// Another one than the scenario's.
    pub operation: Option<String>,
    /// Which traces requests belong to.
    #[serde(default)]
    pub traces: Traces,
    /// Time of this machine, on any clock, between the last request and the end of the fault: what is asynchronous is to feel it.
    #[serde(default, deserialize_with = "duration")]
    pub linger: Duration,
    /// The fault lasts until the jobs of all requests were delivered so often; all of their traces must be kept.
    pub until_attempts: Option<u64>,
    /// Set at the start of the phase, gone at its end.
    pub fault: Option<Fault>,
}

/// Which trace ids are drawn for requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traces {
    #[default]
    Random,
    /// Only such that are kept whatever happens: each can be looked at.
    Kept,
}

/// See `docs/faults.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub service: String,
    pub target: String,
    pub error: Option<String>,
    pub latency_ms: Option<u64>,
    /// Instead of a latency: so long after the decision on a trace that the request began.
    #[serde(default, deserialize_with = "optional_duration")]
    pub after_decision: Option<Duration>,
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
    /// Each request of a phase is one tree of spans through all these services.
    Propagation {
        phase: String,
        /// Each calls the next one, over HTTP or the queue.
        services: Vec<String>,
        /// How often the job is delivered, at least; 0 for a request without a job.
        #[serde(default)]
        attempts: u64,
        /// Some call was sent again.
        #[serde(default)]
        resent: bool,
    },
    /// The traces that are found are those that the policies keep, no more and no less.
    Sampling {
        /// Phases in which something fails that the client does not see.
        #[serde(default)]
        failing: Vec<String>,
    },
    /// Every signal names trace and service, and each finds the others.
    Join,
    /// An outage of telemetry costs no request, and every span is stored or counted as lost.
    Loss {
        phase: String,
        /// A phase without the outage, whose requests make as many spans each and are all kept.
        control: String,
        /// One with as many requests as the outage and none: how long they take.
        busy: String,
        service: String,
    },
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

impl fmt::Display for SpanSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a span {}", self.name)?;
        if self.error {
            write!(f, " with an error")?;
        }
        if self.longer_than_ms > 0.0 {
            write!(f, " of {} ms or more", self.longer_than_ms)?;
        }
        Ok(())
    }
}

/// A scenario file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("scenario {name}: {text}")]
pub struct ScenarioError {
    name: String,
    text: String,
}

/// The scenarios that are built in, in the order in which they run.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("slow-query", include_str!("scenarios/slow-query.yml")),
    ("errors", include_str!("scenarios/errors.yml")),
    ("budget-burn", include_str!("scenarios/budget-burn.yml")),
    ("propagation", include_str!("scenarios/propagation.yml")),
    ("sampling", include_str!("scenarios/sampling.yml")),
    ("join", include_str!("scenarios/join.yml")),
    ("loss", include_str!("scenarios/loss.yml")),
];

impl Scenario {
    /// # Errors
    /// It is no scenario; the text says where.
    pub fn parse(name: &str, yaml: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_saphyr::from_str(yaml).map_err(|error| ScenarioError {
            name: name.to_owned(),
            text: error.to_string(),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// # Errors
    /// Its checks ask for what its phases do not have.
    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        let invalid = |text: String| ScenarioError {
            name: self.name.clone(),
            text,
        };
        let faults = self.phases.iter().filter(|phase| phase.fault.is_some());
        let is_one = faults.count() == 1;
        for check in &self.checks {
            if check.is_about_the_fault() && !is_one {
                return Err(invalid(
                    "exactly one phase must have a fault for these checks".to_owned(),
                ));
            }
            let has = |phase: &&String| self.phases.iter().any(|own| own.name == **phase);
            if let Some(unknown) = check.phases().iter().find(|phase| !has(phase)) {
                return Err(invalid(format!("there is no phase {unknown}")));
            }
        }
        Ok(())
    }

    /// Every operation that it names.
    pub fn operations(&self) -> impl Iterator<Item = &String> {
        let own = self
            .phases
            .iter()
            .filter_map(|phase| phase.operation.as_ref());
        own.chain([&self.operation])
    }

    /// The phase with the fault, where there is exactly one.
    pub fn fault(&self) -> (&Phase, &Fault) {
        let mut faulty = self.phases.iter();
        faulty
            .find_map(|phase| Some((phase, phase.fault.as_ref()?)))
            .expect("scenarios whose checks ask have one")
    }

    /// The number of the phase with this name.
    pub fn phase(&self, name: &str) -> usize {
        let number = self.phases.iter().position(|phase| phase.name == name);
        number.expect("checks name phases that are there")
    }

    /// How long the system ran without the fault before it.
    pub fn history(&self) -> Duration {
        let before = self.phases.iter().take_while(|phase| phase.fault.is_none());
        before.map(|phase| phase.length).sum()
    }
}

impl Phase {
    /// Whether its requests end after the decision on their traces.
    pub fn is_late(&self) -> bool {
        let fault = self.fault.as_ref();
        fault.is_some_and(|fault| fault.after_decision.is_some())
    }
}

impl CheckSpec {
    /// Whether it compares the one phase with a fault with the others.
    fn is_about_the_fault(&self) -> bool {
        match self {
            Self::ThresholdAlert { .. }
            | Self::BurnAlert { .. }
            | Self::BudgetSpent { .. }
            | Self::Chain { .. }
            | Self::Spike { .. } => true,
            Self::Propagation { .. } | Self::Sampling { .. } | Self::Join | Self::Loss { .. } => {
                false
            }
        }
    }

    /// The phases that it names.
    fn phases(&self) -> Vec<&String> {
        match self {
            Self::Propagation { phase, .. } => vec![phase],
            Self::Loss {
                phase,
                control,
                busy,
                ..
            } => vec![phase, control, busy],
            Self::Sampling { failing } => failing.iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn all() -> f64 {
    1.0
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
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
            ("requests: 8", "requests: many", "many"),
            ("fault:", "falt:", "falt"),
        ] {
            assert!(good.contains(from));
            let error = Scenario::parse("x", &good.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
