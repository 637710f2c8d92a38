//! An alert rule: one state machine for each label set that its expression gives. Times are those of evaluations.

use std::collections::{BTreeMap, BTreeSet};

use tsdb::Labels;

use super::{EvaluationError, named};
use crate::Surroundings;
use crate::file::{Kind, RuleSpec};
use crate::labels::{self, ALERTNAME, ALERTSTATE};
use crate::template::{Scope, Template};

/// A resolved alert is sent for at least this long, so that a lost notification is made up for.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;
/// Least time between two notifications of an alert that did not change. Prometheus' default.
pub(crate) const RESEND_DELAY_MS: i64 = 60_000;
/// A notification counts for as many of the longer of resend delay and interval: two of them may get lost.
const VALIDITY: i64 = 4;
/// A series for each alert, 1 while it is in the state that a label says.
const ALERTS: &str = "ALERTS";
/// A series for each alert: when it became active, Unix seconds. Restores the state after a restart.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// In the order in which one rule shows the state of several alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Resolved; kept for a while to be sent.
    Inactive,
    Pending,
    Firing,
}

/// One alert of a rule. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub labels: Labels,
    pub annotations: Labels,
    pub state: State,
    pub value: f64,
    /// The first evaluation that gave it.
    pub active_at_ms: i64,
    pub fired_at_ms: Option<i64>,
    pub resolved_at_ms: Option<i64>,
    /// Since when it would be resolved, were it not kept firing.
    pub keep_firing_since_ms: Option<i64>,
    pub(crate) last_sent_ms: Option<i64>,
}

/// The alerts of a rule.
#[derive(Debug, Default)]
pub(crate) struct Alerting {
    alerts: BTreeMap<Labels, Alert>,
    /// Whether the state from before a restart was looked for. Until then no series are written, which would hide it.
    pub(crate) is_restored: bool,
}

impl State {
    /// As series and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

impl Alerting {
    /// Those that are pending or firing.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts
            .values()
            .filter(|alert| alert.state != State::Inactive)
    }

    pub(crate) fn active_mut(&mut self) -> impl Iterator<Item = &mut Alert> {
        self.alerts
            .values_mut()
            .filter(|alert| alert.state != State::Inactive)
    }

    /// One evaluation; the series that show the state after it.
    pub(super) fn evaluate(
        &mut self,
        spec: &RuleSpec,
        vector: Vec<(Labels, f64)>,
        t_ms: i64,
        limit: usize,
        with: &Surroundings<'_>,
    ) -> Result<Vec<(Labels, f64)>, EvaluationError> {
        let Kind::Alerting {
            hold_ms,
            keep_firing_ms,
            annotations,
        } = &spec.kind
        else {
            return Ok(Vec::new());
        };
        let found = instances(spec, annotations, vector, t_ms, with)?;
        let holding: BTreeSet<Labels> = found.iter().map(|alert| alert.labels.clone()).collect();
        found.into_iter().for_each(|alert| self.meet(alert));
        self.alerts.retain(|labels, alert| {
            let holds = holding.contains(labels);
            alert.advance(holds, t_ms, *hold_ms, *keep_firing_ms)
        });
        let active = self.active().count();
        if limit > 0 && active > limit {
            self.alerts.clear();
            return Err(EvaluationError::Limit {
                limit,
                found: active,
                what: "alerts",
            });
        }
        match self.is_restored {
            true => Ok(self.active().flat_map(series).collect()),
            false => Ok(Vec::new()),
        }
    }

    /// An alert that the expression gives now.
    fn meet(&mut self, found: Alert) {
        match self.alerts.get_mut(&found.labels) {
            Some(known) if known.state != State::Inactive => {
                known.value = found.value;
                known.annotations = found.annotations;
            }
            _ => {
                self.alerts.insert(found.labels.clone(), found);
            }
        }
    }

    /// The alerts that a notification is due for, marked as sent.
    pub(crate) fn due(&mut self, t_ms: i64) -> Vec<Alert> {
        let due = self.alerts.values_mut().filter(|alert| alert.is_due(t_ms));
        due.map(|alert| {
            alert.last_sent_ms = Some(t_ms);
            alert.clone()
        })
        .collect()
    }
}

impl Alert {
    /// Moves the state on. False when the alert can be forgotten.
    fn advance(&mut self, holds: bool, t_ms: i64, hold_ms: i64, keep_firing_ms: i64) -> bool {
        if holds {
            self.keep_firing_since_ms = None;
        } else if !self.is_kept_firing(t_ms, keep_firing_ms) {
            return self.resolve(t_ms);
        }
        if self.state == State::Pending && t_ms - self.active_at_ms >= hold_ms {
            self.state = State::Firing;
            self.fired_at_ms = Some(t_ms);
        }
        true
    }

    fn is_kept_firing(&mut self, t_ms: i64, keep_firing_ms: i64) -> bool {
        if self.state != State::Firing || keep_firing_ms == 0 {
            return false;
        }
        let since_ms = *self.keep_firing_since_ms.get_or_insert(t_ms);
        t_ms - since_ms < keep_firing_ms
    }

    fn resolve(&mut self, t_ms: i64) -> bool {
        let is_old = self
            .resolved_at_ms
            .is_some_and(|resolved_ms| t_ms - resolved_ms > RESOLVED_RETENTION_MS);
        if self.state == State::Pending || is_old {
            return false;
        }
        if self.state != State::Inactive {
            self.state = State::Inactive;
            self.resolved_at_ms = Some(t_ms);
        }
        true
    }

    fn is_due(&self, t_ms: i64) -> bool {
        if self.state == State::Pending {
            return false;
        }
        let Some(sent_ms) = self.last_sent_ms else {
            return true;
        };
        self.resolved_at_ms
            .is_some_and(|resolved_ms| resolved_ms > sent_ms)
            || sent_ms + RESEND_DELAY_MS < t_ms
    }

    /// When the receiver may take it for resolved, if it hears nothing more.
    pub(crate) fn valid_until_ms(&self, interval_ms: i64) -> i64 {
        let sent_ms = self.last_sent_ms.unwrap_or(self.active_at_ms);
        sent_ms + VALIDITY * interval_ms.max(RESEND_DELAY_MS)
    }
}

/// An alert for each element, as it would begin now.
fn instances(
    spec: &RuleSpec,
    annotations: &[(String, Template)],
    vector: Vec<(Labels, f64)>,
    t_ms: i64,
    with: &Surroundings<'_>,
) -> Result<Vec<Alert>, EvaluationError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(vector.len());
    for (element, value) in vector {
        let scope = Scope {
            labels: &element,
            value,
            t_ms,
            with,
        };
        let own: Vec<(&str, String)> = spec
            .labels
            .iter()
            .map(|(name, text)| (name.as_str(), text.expand(&scope)))
            .collect();
        let own = own.iter().map(|(name, text)| (*name, text.as_str()));
        let labels = labels::over(&element, own.chain([(ALERTNAME, spec.name.as_str())]));
        if !seen.insert(labels.clone()) {
            return Err(EvaluationError::SameLabels("alert"));
        }
        found.push(Alert {
            labels,
            annotations: Labels::new(
                annotations
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.expand(&scope))),
            ),
            state: State::Pending,
            value,
            active_at_ms: t_ms,
            fired_at_ms: None,
            resolved_at_ms: None,
            keep_firing_since_ms: None,
            last_sent_ms: None,
        });
    }
    Ok(found)
}

fn series(alert: &Alert) -> [(Labels, f64); 2] {
    let state = [(ALERTSTATE, alert.state.as_str())];
    let active_at_s = alert.active_at_ms.div_euclid(1_000) as f64;
    [
        (named(ALERTS, &alert.labels, &state), 1.0),
        (named(ALERTS_FOR_STATE, &alert.labels, &[]), active_at_s),
    ]
}
