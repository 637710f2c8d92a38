//! A group: rules that are evaluated one after the other at the same instant.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tsdb::Labels;

use crate::file::GroupSpec;
use crate::rule::{Alert, Rule};
use crate::{Surroundings, own_metrics, restore, template};

/// An alert on its way to an Alertmanager. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at_ms: i64,
    /// When it was resolved, or until when it counts without being said again.
    pub ends_at_ms: i64,
    /// Where its expression can be looked at.
    pub generator_url: String,
}

/// Rules that are evaluated together.
#[derive(Debug)]
pub struct Group {
    name: String,
    file: PathBuf,
    interval_ms: i64,
    query_offset_ms: i64,
    limit: usize,
    rules: Vec<Rule>,
    /// Evaluations since the start: the state from before is looked for after the second one, when the recordings that alerts
    /// need are there.
    evaluations: u64,
    last_evaluation_ms: Option<i64>,
    last_seconds: f64,
}

/// After how many evaluations alerts are restored.
const EVALUATIONS_BEFORE_RESTORE: u64 = 2;

impl Group {
    pub(crate) fn new(file: &Path, spec: GroupSpec, interval_default_ms: i64) -> Self {
        let group = Self {
            name: spec.name,
            file: file.to_owned(),
            interval_ms: spec.interval_ms.unwrap_or(interval_default_ms),
            query_offset_ms: spec.query_offset_ms,
            limit: spec.limit,
            rules: spec.rules.into_iter().map(Rule::new).collect(),
            evaluations: 0,
            last_evaluation_ms: None,
            last_seconds: 0.0,
        };
        own_metrics::loaded(&group.id(), group.interval_ms, group.rules.len());
        group
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// Results of one rule, at most; 0 for any number.
    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn last_evaluation_ms(&self) -> Option<i64> {
        self.last_evaluation_ms
    }

    /// Length of the last evaluation.
    pub fn last_seconds(&self) -> f64 {
        self.last_seconds
    }

    /// File and name: what tells groups apart.
    pub(crate) fn id(&self) -> String {
        format!("{};{}", self.file.display(), self.name)
    }

    /// Where in the interval it is evaluated: groups are spread, each always at the same place.
    pub(crate) fn offset_ms(&self) -> i64 {
        // FNV-1a: the same in every run.
        let hash = self
            .id()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        (hash % self.interval_ms.unsigned_abs().max(1)) as i64
    }

    /// The last time at or before `now_ms` at which it is due.
    pub(crate) fn due_at_ms(&self, now_ms: i64) -> i64 {
        let offset_ms = self.offset_ms();
        (now_ms - offset_ms).div_euclid(self.interval_ms) * self.interval_ms + offset_ms
    }

    /// Evaluates every rule at `t_ms`, in order, each seeing what those before it stored. What is to be notified.
    pub fn evaluate(&mut self, t_ms: i64, with: &Surroundings<'_>) -> Vec<Notification> {
        let begun = Instant::now();
        let id = self.id();
        let mut notifications = Vec::new();
        for rule in &mut self.rules {
            let is_good = rule.evaluate(t_ms, self.query_offset_ms, self.limit, with);
            own_metrics::evaluated(&id, !is_good);
            if let Some(alerting) = &mut rule.alerting {
                let due = alerting.due(t_ms);
                let url = generator_url(with.external_url, &rule.spec.expr);
                notifications.extend(
                    due.iter()
                        .map(|alert| notification(alert, self.interval_ms, &url)),
                );
            }
        }
        self.evaluations += 1;
        if self.evaluations == EVALUATIONS_BEFORE_RESTORE {
            self.restore(t_ms, with);
        }
        let missed = self
            .last_evaluation_ms
            .map_or(0, |last_ms| (t_ms - last_ms) / self.interval_ms - 1);
        self.last_evaluation_ms = Some(t_ms);
        self.last_seconds = begun.elapsed().as_secs_f64();
        own_metrics::iterated(
            &id,
            missed.max(0).unsigned_abs(),
            t_ms,
            Duration::from_secs_f64(self.last_seconds),
        );
        notifications
    }

    fn restore(&mut self, t_ms: i64, with: &Surroundings<'_>) {
        for rule in &mut self.rules {
            restore::restore(rule, t_ms, with);
        }
    }

    /// Takes over the state of rules that an earlier group had as well.
    pub(crate) fn inherit(&mut self, earlier: Group) {
        self.evaluations = earlier.evaluations;
        self.last_evaluation_ms = earlier.last_evaluation_ms;
        self.last_seconds = earlier.last_seconds;
        let mut earlier: Vec<Option<Rule>> = earlier.rules.into_iter().map(Some).collect();
        for rule in &mut self.rules {
            let is_same =
                |slot: &Option<Rule>| slot.as_ref().is_some_and(|known| is_same(known, rule));
            if let Some(known) = earlier
                .iter()
                .position(is_same)
                .and_then(|at| earlier[at].take())
            {
                rule.inherit(known);
            } else if let Some(alerting) = &mut rule.alerting {
                // A new rule of a running system has no past to look for.
                alerting.is_restored = self.evaluations >= EVALUATIONS_BEFORE_RESTORE;
            }
        }
    }

    /// Every series that its rules have written and that is not marked as stale.
    pub(crate) fn series(&self) -> impl Iterator<Item = &Labels> {
        self.rules.iter().flat_map(|rule| &rule.series)
    }
}

fn is_same(one: &Rule, other: &Rule) -> bool {
    one.name() == other.name()
        && one.labels() == other.labels()
        && one.is_alerting() == other.is_alerting()
}

fn notification(alert: &Alert, interval_ms: i64, url: &str) -> Notification {
    Notification {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
        ends_at_ms: alert
            .resolved_at_ms
            .unwrap_or_else(|| alert.valid_until_ms(interval_ms)),
        generator_url: url.to_owned(),
    }
}

/// The page of Prometheus that shows an expression as a table.
fn generator_url(external_url: &str, expr: &promql::Expr) -> String {
    let expr = template::url_escape(&expr.to_string());
    format!("{external_url}/graph?g0.expr={expr}&g0.tab=1")
}
