//! Evaluation of a checked expression over all its steps at once.
//!
//! A node becomes a [`Matrix`]: a row of values per series, a column per step. Each selector is read once for the
//! whole span. A node that does not depend on the step is computed once and repeated.

mod aggregate;
mod binary;
mod call;
pub(crate) mod date;
mod float;
mod histogram;
mod matching;
mod matrix;
mod over_time;
mod rate;
mod relabel;
mod select;
mod sort;
mod topk;
mod window;

use std::time::Instant;

use tsdb::{Series, Source};

use crate::annotations::{Annotations, Notes};
use crate::ast::{At, Binary, Kind, Node, Subquery, When};
use crate::engine::{Options, QueryError};
use matrix::Matrix;

pub(crate) type Outcome<T> = Result<T, QueryError>;

const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

/// How many series are computed between two looks at the clock.
const ROWS_PER_DEADLINE_CHECK: usize = 64;

/// Functions whose value depends on the time of evaluation, or that see it.
const TIME_DEPENDENT: [&str; 11] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

/// The times of evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

/// What a node gives.
#[derive(Debug)]
pub(crate) enum Computed {
    /// A value per step.
    Scalar(Vec<f64>),
    Vector(Matrix),
    Text(String),
}

pub(crate) struct Evaluator<'a> {
    source: &'a dyn Source,
    options: &'a Options,
    deadline: Instant,
    /// What `@ start()` and `@ end()` mean.
    ends: (i64, i64),
    /// Samples and points held at the moment.
    live: usize,
    notes: Notes,
}

impl Steps {
    pub(crate) fn one(t_ms: i64) -> Self {
        Self {
            start_ms: t_ms,
            step_ms: 1,
            count: 1,
        }
    }

    pub(crate) fn at(&self, index: usize) -> i64 {
        self.start_ms
            .saturating_add(self.step_ms.saturating_mul(index as i64))
    }

    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |index| self.at(index))
    }

    fn last_ms(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

impl Computed {
    fn points(&self) -> usize {
        match self {
            Self::Scalar(values) => values.len(),
            Self::Vector(matrix) => matrix.points(),
            Self::Text(_) => 1,
        }
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        source: &'a dyn Source,
        options: &'a Options,
        deadline: Instant,
        ends: (i64, i64),
    ) -> Self {
        Self {
            source,
            options,
            deadline,
            ends,
            live: 0,
            notes: Notes::default(),
        }
    }

    pub(crate) fn finish(self, text: &str) -> Annotations {
        self.notes.finish(text)
    }

    pub(crate) fn eval(&mut self, node: &Node, steps: &Steps) -> Outcome<Computed> {
        self.check_deadline()?;
        let before = self.live;
        let computed = if steps.count > 1 && is_invariant(node) {
            let once = self.eval_node(node, &Steps { count: 1, ..*steps })?;
            self.repeat(once, steps.count)?
        } else {
            self.eval_node(node, steps)?
        };
        self.live = before;
        self.hold(computed.points())?;
        Ok(computed)
    }

    fn eval_node(&mut self, node: &Node, steps: &Steps) -> Outcome<Computed> {
        match &node.kind {
            Kind::Number { value, .. } => Ok(Computed::Scalar(vec![*value; steps.count])),
            Kind::Text(text) => Ok(Computed::Text(text.to_string())),
            Kind::Paren(inner) => self.eval_node(inner, steps),
            Kind::Selector(selector) => self
                .instants(selector, steps, |sample| sample.value)
                .map(Computed::Vector),
            Kind::Unary { negate, inner } => self.unary(*negate, inner, steps),
            Kind::Binary(binary) => self.binary(binary, steps),
            Kind::Aggregate(aggregate) => self.aggregate(aggregate, steps).map(Computed::Vector),
            Kind::Call { function, args } => self.call(function.name, args, node.span.start, steps),
            Kind::Range { .. } | Kind::Subquery(_) => Err(wrong_type()),
        }
    }

    /// The value of a node that the check has found to be a vector.
    fn vector(&mut self, node: &Node, steps: &Steps) -> Outcome<Matrix> {
        match self.eval(node, steps)? {
            Computed::Vector(matrix) => Ok(matrix),
            _ => Err(wrong_type()),
        }
    }

    /// The values of a node that the check has found to be a scalar.
    fn scalar(&mut self, node: &Node, steps: &Steps) -> Outcome<Vec<f64>> {
        match self.eval(node, steps)? {
            Computed::Scalar(values) => Ok(values),
            _ => Err(wrong_type()),
        }
    }

    /// A range vector as a query's result, in label order.
    pub(crate) fn ranges(&mut self, node: &Node, steps: &Steps) -> Outcome<Vec<Series>> {
        let ranged = self.ranged(node.bare(), steps)?;
        let mut series: Vec<Series> = ranged
            .rows
            .into_iter()
            .map(|(metric, samples)| Series {
                labels: metric.to_labels(),
                samples,
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    fn unary(&mut self, negate: bool, inner: &Node, steps: &Steps) -> Outcome<Computed> {
        let computed = self.eval(inner, steps)?;
        if !negate {
            return Ok(computed);
        }
        Ok(match computed {
            Computed::Scalar(values) => {
                Computed::Scalar(values.into_iter().map(|value| -value).collect())
            }
            Computed::Vector(mut matrix) => {
                matrix.map(|value| -value);
                Computed::Vector(matrix.without_names()?)
            }
            text @ Computed::Text(_) => text,
        })
    }

    fn binary(&mut self, binary: &Binary, steps: &Steps) -> Outcome<Computed> {
        let left = self.eval(&binary.left, steps)?;
        let right = self.eval(&binary.right, steps)?;
        if binary.op.is_trim() && left.points() > 0 && right.points() > 0 {
            self.note_trim(binary);
        }
        match (left, right) {
            (Computed::Scalar(left), Computed::Scalar(right)) => {
                Ok(Computed::Scalar(binary::scalars(binary.op, &left, &right)))
            }
            (Computed::Vector(left), Computed::Scalar(right)) => {
                binary::vector_and_scalar(binary, left, &right, false).map(Computed::Vector)
            }
            (Computed::Scalar(left), Computed::Vector(right)) => {
                binary::vector_and_scalar(binary, right, &left, true).map(Computed::Vector)
            }
            (Computed::Vector(left), Computed::Vector(right)) if binary.op.is_set() => {
                binary::sets(binary, left, right).map(Computed::Vector)
            }
            (Computed::Vector(left), Computed::Vector(right)) => {
                matching::combine(binary, &left, &right, self.room()).map(Computed::Vector)
            }
            _ => Err(wrong_type()),
        }
    }

    /// The remark on an operator that only native histograms have.
    fn note_trim(&mut self, binary: &Binary) {
        let op = binary.op.symbol();
        self.notes.info(
            format!(
                "incompatible sample types encountered for binary operator \"{op}\": float {op} float"
            ),
            binary.left.span.start,
        );
    }

    fn repeat(&self, once: Computed, count: usize) -> Outcome<Computed> {
        self.check_room(once.points().saturating_mul(count))?;
        Ok(match once {
            Computed::Scalar(values) => {
                Computed::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); count])
            }
            Computed::Vector(matrix) => Computed::Vector(matrix.repeated(count)),
            text @ Computed::Text(_) => text,
        })
    }

    /// The times at which the inside of a subquery is evaluated for these steps.
    fn subquery_steps(&self, subquery: &Subquery, steps: &Steps) -> Outcome<Steps> {
        let step_ms = match subquery.step.ms {
            0 => self.options.subquery_step_ms.max(1),
            step_ms => step_ms,
        };
        let from = self.reference(&subquery.when, steps.start_ms);
        let to = self.reference(&subquery.when, steps.last_ms());
        let earliest = from.saturating_sub(subquery.range.ms);
        // Aligned to multiples of its step, whatever the query's start; left-open like every range.
        let mut start_ms = step_ms * (earliest / step_ms);
        if start_ms <= earliest {
            start_ms = start_ms.saturating_add(step_ms);
        }
        let count = if start_ms > to || steps.count == 0 {
            0
        } else {
            usize::try_from(to.saturating_sub(start_ms) / step_ms).unwrap_or(usize::MAX - 1) + 1
        };
        // Before anything is made that is as long.
        self.check_room(count)?;
        Ok(Steps {
            start_ms,
            step_ms,
            count,
        })
    }

    /// The time that a selector looks at when the evaluation is at `t_ms`.
    fn reference(&self, when: &When, t_ms: i64) -> i64 {
        let base = match when.at {
            None => t_ms,
            Some(At::Ms(at)) => at,
            Some(At::Start) => self.ends.0,
            Some(At::End) => self.ends.1,
        };
        base.saturating_sub(when.offset.ms)
    }

    /// Counts samples or points that are held from now on.
    fn hold(&mut self, points: usize) -> Outcome<()> {
        self.check_room(points)?;
        self.live += points;
        Ok(())
    }

    /// Whether so many samples or points more may be held.
    fn check_room(&self, points: usize) -> Outcome<()> {
        if points > self.room() {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }

    fn room(&self) -> usize {
        self.options.samples_max.saturating_sub(self.live)
    }

    fn release(&mut self, points: usize) {
        self.live = self.live.saturating_sub(points);
    }

    fn check_deadline(&self) -> Outcome<()> {
        if Instant::now() >= self.deadline {
            return Err(QueryError::Timeout);
        }
        Ok(())
    }
}

/// Whether the node has the same value at every step, because all it selects is fixed by `@`.
fn is_invariant(node: &Node) -> bool {
    match &node.kind {
        Kind::Number { .. } | Kind::Text(_) => true,
        Kind::Selector(selector) | Kind::Range { selector, .. } => selector.when.at.is_some(),
        Kind::Subquery(subquery) => subquery.when.at.is_some(),
        Kind::Paren(inner) | Kind::Unary { inner, .. } => is_invariant(inner),
        Kind::Binary(binary) => is_invariant(&binary.left) && is_invariant(&binary.right),
        // Its parameter is then taken from the first step, as Prometheus does.
        Kind::Aggregate(aggregate) => is_invariant(&aggregate.inner),
        Kind::Call { function, args } => {
            let of_selector = || {
                function.name == "timestamp"
                    && matches!(
                        args.first().map(|arg| &arg.bare().kind),
                        Some(Kind::Selector(_))
                    )
            };
            args.iter().all(is_invariant)
                && (!TIME_DEPENDENT.contains(&function.name) || of_selector())
        }
    }
}

fn execution(message: &str) -> QueryError {
    QueryError::Execution(message.to_owned())
}

/// The check of types admits no other; an error all the same, because a panic would end the process.
fn wrong_type() -> QueryError {
    execution("unexpected expression type")
}
