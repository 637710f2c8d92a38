//! The engine: limits, the two kinds of query, and the shape of their answers.
//!
//! It holds no state but its options. Queries run on the caller's thread until they are done or out of limits.

use std::time::{Duration, Instant};

use tsdb::{Labels, Sample, Series, Source, SourceError};

use crate::annotations::Annotations;
use crate::ast::{Expr, ValueType};
use crate::eval::{Computed, Evaluator, Steps};
use crate::length::QueryTimes;

/// The most points per series of a range query.
pub const STEPS_MAX: usize = 11_000;

/// What bounds queries, and what they assume when the expression does not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// How old a sample may be and still be current. 5 minutes.
    pub lookback_ms: i64,
    /// The step of subqueries that name none: the global evaluation interval. 1 minute.
    pub subquery_step_ms: i64,
    /// The most samples that a selector reads, and the most points that a query holds at a time. 50 million.
    pub samples_max: usize,
    /// How long a query may take. 2 minutes.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            samples_max: 50_000_000,
            timeout: Duration::from_secs(120),
        }
    }
}

/// The times of a range query, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

/// A result and the remarks about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    pub value: T,
    pub annotations: Annotations,
}

/// The result of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(Sample),
    String {
        t_ms: i64,
        text: String,
    },
    /// In the order that the expression gives: label order, unless it sorts.
    Vector(Vec<(Labels, Sample)>),
    /// In label order.
    Matrix(Vec<Series>),
}

/// Why a query has no result. Words as Prometheus has them.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("query timed out in expression evaluation")]
    Timeout,
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The span of a range query is not usable.
    #[error("{0}")]
    BadSpan(&'static str),
    /// The type of the expression does not fit the kind of query.
    #[error("invalid expression type \"{0}\" for range query, must be Scalar or instant Vector")]
    RangeType(&'static str),
    /// The series do not allow the operation.
    #[error("{0}")]
    Execution(String),
    #[error("expanding series")]
    Source(#[source] SourceError),
}

/// Evaluates expressions.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
}

impl Engine {
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The value at one time.
    ///
    /// # Errors
    /// When series do not fit the operations, a limit is met, or the source fails.
    pub fn instant(
        &self,
        source: &dyn Source,
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Answer<Value>, QueryError> {
        let steps = Steps::one(t_ms);
        let root = expr.with_lengths(QueryTimes {
            step_ms: 0,
            range_ms: 0,
        })?;
        let mut evaluator = self.evaluator(source, (t_ms, t_ms));
        let value = if expr.value_type() == ValueType::Matrix {
            Value::Matrix(evaluator.ranges(&root, &steps)?)
        } else {
            match evaluator.eval(&root, &steps)? {
                Computed::Text(text) => Value::String { t_ms, text },
                Computed::Scalar(values) => Value::Scalar(Sample {
                    t_ms,
                    value: values.first().copied().unwrap_or(f64::NAN),
                }),
                Computed::Vector(matrix) => Value::Vector(matrix.into_vector(t_ms)),
            }
        };
        Ok(Answer {
            value,
            annotations: evaluator.finish(expr.text()),
        })
    }

    /// The values at each step of a span, series in label order.
    ///
    /// # Errors
    /// As [`Engine::instant`], and when the span has no step, ends before it starts or has more than [`STEPS_MAX`] steps.
    pub fn range(
        &self,
        source: &dyn Source,
        expr: &Expr,
        span: Span,
    ) -> Result<Answer<Vec<Series>>, QueryError> {
        let steps = steps_of(span)?;
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::RangeType(value_type.documented()));
        }
        let root = expr.with_lengths(QueryTimes {
            step_ms: span.step_ms,
            range_ms: span.end_ms.saturating_sub(span.start_ms),
        })?;
        let mut evaluator = self.evaluator(source, (span.start_ms, span.end_ms));
        let series = match evaluator.eval(&root, &steps)? {
            Computed::Vector(matrix) => matrix.into_series(&steps),
            Computed::Scalar(values) => vec![Series {
                labels: Labels::default(),
                samples: steps
                    .times()
                    .zip(values)
                    .map(|(t_ms, value)| Sample { t_ms, value })
                    .collect(),
            }],
            Computed::Text(_) => Vec::new(),
        };
        Ok(Answer {
            value: series,
            annotations: evaluator.finish(expr.text()),
        })
    }

    fn evaluator<'a>(&'a self, source: &'a dyn Source, ends: (i64, i64)) -> Evaluator<'a> {
        let deadline = Instant::now() + self.options.timeout;
        Evaluator::new(source, &self.options, deadline, ends)
    }
}

fn steps_of(span: Span) -> Result<Steps, QueryError> {
    if span.step_ms <= 0 {
        return Err(QueryError::BadSpan(
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    let length = span.end_ms.saturating_sub(span.start_ms);
    if length < 0 {
        return Err(QueryError::BadSpan(
            "end timestamp must not be before start time",
        ));
    }
    let gaps = length / span.step_ms;
    if gaps > STEPS_MAX as i64 {
        return Err(QueryError::BadSpan(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(Steps {
        start_ms: span.start_ms,
        step_ms: span.step_ms,
        count: gaps as usize + 1,
    })
}
