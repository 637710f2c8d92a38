//! One rule: its expression, its state, what an evaluation makes of it.

mod alerting;
mod recording;

use std::collections::HashSet;

use promql::{QueryError, Value};
use tsdb::{Labels, STALE_NAN_BITS, Sample};

use crate::Surroundings;
use crate::file::{Kind, RuleSpec};
use crate::labels::NAME;
pub(crate) use alerting::{ALERTS_FOR_STATE, Alerting};
pub use alerting::{Alert, State};

/// What the last evaluation of a rule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Unknown,
    Good,
    /// With the error.
    Bad(String),
}

/// A rule and its state.
#[derive(Debug)]
pub struct Rule {
    pub(crate) spec: RuleSpec,
    pub(crate) alerting: Option<Alerting>,
    health: Health,
    last_evaluation_ms: Option<i64>,
    last_seconds: f64,
    /// Series of the last evaluation that succeeded: those that are missing in the next one are marked as stale.
    pub(crate) series: HashSet<Labels>,
}

/// Why an evaluation gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvaluationError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("rule result is not a vector or scalar")]
    NotAVector,
    #[error("vector contains metrics with the same labelset after applying {0} labels")]
    SameLabels(&'static str),
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit {
        limit: usize,
        found: usize,
        what: &'static str,
    },
    #[error(transparent)]
    Append(#[from] crate::AppendError),
}

impl Rule {
    pub(crate) fn new(spec: RuleSpec) -> Self {
        let alerting = matches!(spec.kind, Kind::Alerting { .. }).then(Alerting::default);
        Self {
            spec,
            alerting,
            health: Health::Unknown,
            last_evaluation_ms: None,
            last_seconds: 0.0,
            series: HashSet::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The expression as it is written.
    pub fn expr(&self) -> &promql::Expr {
        &self.spec.expr
    }

    /// Labels and templates of labels, as they are written.
    pub fn labels(&self) -> Labels {
        self.spec.written_labels()
    }

    /// Annotations as they are written; none of a recording.
    pub fn annotations(&self) -> Labels {
        match &self.spec.kind {
            Kind::Recording => Labels::default(),
            Kind::Alerting { annotations, .. } => Labels::new(
                annotations
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.source())),
            ),
        }
    }

    pub fn is_alerting(&self) -> bool {
        self.alerting.is_some()
    }

    /// `for` and `keep_firing_for`, milliseconds; 0 of a recording.
    pub fn holds_ms(&self) -> (i64, i64) {
        match self.spec.kind {
            Kind::Recording => (0, 0),
            Kind::Alerting {
                hold_ms,
                keep_firing_ms,
                ..
            } => (hold_ms, keep_firing_ms),
        }
    }

    /// The alerts that are pending or firing.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerting.iter().flat_map(Alerting::active)
    }

    /// The worst state of its alerts.
    pub fn state(&self) -> State {
        self.alerts()
            .map(|alert| alert.state)
            .max()
            .unwrap_or(State::Inactive)
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    pub fn last_evaluation_ms(&self) -> Option<i64> {
        self.last_evaluation_ms
    }

    /// Length of the last evaluation.
    pub fn last_seconds(&self) -> f64 {
        self.last_seconds
    }

    /// Evaluates at `t_ms` and stores what comes of it. Whether it went well.
    pub(crate) fn evaluate(
        &mut self,
        t_ms: i64,
        offset_ms: i64,
        limit: usize,
        with: &Surroundings<'_>,
    ) -> bool {
        let begun = std::time::Instant::now();
        let result = self.results(t_ms, offset_ms, limit, with);
        let stored = result.and_then(|samples| self.store(samples, t_ms - offset_ms, with));
        self.last_evaluation_ms = Some(t_ms);
        self.last_seconds = begun.elapsed().as_secs_f64();
        self.health = match &stored {
            Ok(()) => Health::Good,
            Err(error) => Health::Bad(chain(error)),
        };
        stored.is_ok()
    }

    fn results(
        &mut self,
        t_ms: i64,
        offset_ms: i64,
        limit: usize,
        with: &Surroundings<'_>,
    ) -> Result<Vec<(Labels, f64)>, EvaluationError> {
        let vector = vector(with, &self.spec.expr, t_ms - offset_ms)?;
        match &mut self.alerting {
            None => recording::results(&self.spec, vector, limit),
            Some(alerting) => alerting.evaluate(&self.spec, vector, t_ms, limit, with),
        }
    }

    /// Appends results, and marks the series that are gone as stale.
    fn store(
        &mut self,
        results: Vec<(Labels, f64)>,
        t_ms: i64,
        with: &Surroundings<'_>,
    ) -> Result<(), EvaluationError> {
        let series: HashSet<Labels> = results.iter().map(|(labels, _)| labels.clone()).collect();
        let stale = f64::from_bits(STALE_NAN_BITS);
        let gone = self
            .series
            .difference(&series)
            .map(|labels| (labels.clone(), stale));
        let samples: Vec<(Labels, Sample)> = results
            .iter()
            .cloned()
            .chain(gone)
            .map(|(labels, value)| (labels, Sample { t_ms, value }))
            .collect();
        with.append.append(&samples)?;
        self.series = series;
        Ok(())
    }

    /// Takes over the state of the same rule of an earlier configuration.
    pub(crate) fn inherit(&mut self, earlier: Rule) {
        self.series = earlier.series;
        self.alerting = earlier.alerting;
        self.health = earlier.health;
        self.last_evaluation_ms = earlier.last_evaluation_ms;
        self.last_seconds = earlier.last_seconds;
    }
}

/// The expression's value as a vector; a scalar is one element without labels.
fn vector(
    with: &Surroundings<'_>,
    expr: &promql::Expr,
    t_ms: i64,
) -> Result<Vec<(Labels, f64)>, EvaluationError> {
    match with.engine.instant(with.source, expr, t_ms)?.value {
        Value::Vector(vector) => Ok(vector
            .into_iter()
            .map(|(labels, sample)| (labels, sample.value))
            .collect()),
        Value::Scalar(sample) => Ok(vec![(Labels::default(), sample.value)]),
        Value::String { .. } | Value::Matrix(_) => Err(EvaluationError::NotAVector),
    }
}

/// A series of this name with these labels.
fn named(name: &str, labels: &Labels, more: &[(&str, &str)]) -> Labels {
    Labels::new(
        labels
            .iter()
            .chain(more.iter().copied())
            .chain([(NAME, name)]),
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| {
            format!("{text}: {source}")
        })
}
