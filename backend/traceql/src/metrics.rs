//! Metrics queries: series over time out of matched spans.
//!
//! A span counts in the step in which it starts. Memory is bounded by the series that are told apart, times the steps.

mod buckets;
mod series;

use otlp::TraceId;

use crate::ast::{Field, Intrinsic, Metrics, MetricsFunction};
use crate::fields::Seen;
use crate::literal::Datum;
use crate::model::{AttributeValue, Span, Trace};
use crate::{Literal, Query};
use series::Collected;

/// Exemplars of one answer, at most.
pub const EXEMPLARS_MAX: usize = 100;
/// Nanoseconds that are one in the values of metrics: durations count in seconds.
const SECOND_NS: f64 = 1e9;

/// Samples at `start + step, start + 2 step … end`: each covers the step that ends there, its end included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// Unix nanoseconds.
    pub start_ns: u64,
    pub end_ns: u64,
    /// Not 0.
    pub step_ns: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Vec<(String, AttributeValue)>,
    pub samples: Vec<Sample>,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub timestamp_ms: i64,
    pub value: f64,
}

/// A trace that contributed.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub trace_id: TraceId,
    pub timestamp_ms: i64,
    pub value: f64,
    /// Beside the labels of its series.
    pub labels: Vec<(String, AttributeValue)>,
}

/// What is found of the traces seen so far.
pub struct Aggregation<'q> {
    query: &'q Query,
    metrics: &'q Metrics,
    range: RangeQuery,
    collected: Collected,
    /// Reused for every span.
    key: Vec<Literal>,
}

impl RangeQuery {
    /// How many samples a series has.
    pub fn steps(&self) -> usize {
        let steps = self
            .end_ns
            .saturating_sub(self.start_ns)
            .div_ceil(self.step_ns.max(1));
        usize::try_from(steps).unwrap_or(usize::MAX)
    }

    /// The step in which something at this time counts.
    fn step_of(&self, time_ns: u64) -> Option<usize> {
        let is_inside = time_ns > self.start_ns && time_ns <= self.end_ns;
        is_inside.then(|| ((time_ns - self.start_ns - 1) / self.step_ns.max(1)) as usize)
    }
}

impl<'q> Aggregation<'q> {
    /// `None` when it is no metrics query. `series_max` bounds the series that are told apart.
    pub fn new(query: &'q Query, range: RangeQuery, series_max: usize) -> Option<Self> {
        let metrics = query.metrics()?;
        Some(Self {
            query,
            metrics,
            range,
            collected: Collected::new(&metrics.function, range, series_max),
            key: Vec::new(),
        })
    }

    /// Takes in the spans of a complete trace that the query selects.
    pub fn observe<T: Trace>(&mut self, trace: &T) {
        let Some(found) = self.query.evaluate(trace) else {
            return;
        };
        let seen = Seen::new(trace);
        let mut exemplar = None;
        for index in found.spansets.iter().flat_map(|set| &set.spans) {
            let span = trace.span(*index);
            let Some(step) = self.range.step_of(span.start_ns()) else {
                continue;
            };
            if let Some(value) = self.observation(&seen, *index, &span) {
                self.collected.add(&self.key, step, value);
                exemplar.get_or_insert_with(|| (self.key.clone(), step, value, *index));
            }
        }
        if let Some((key, step, value, index)) = exemplar {
            let span = trace.span(index);
            let exemplar = Exemplar {
                trace_id: trace.id(),
                timestamp_ms: (span.start_ns() / 1_000_000) as i64,
                value,
                labels: self.exemplar_labels(&span),
            };
            self.collected.add_exemplar(&key, step, exemplar);
        }
    }

    /// Puts the span's series into `key`; what it adds to it. `None`: nothing.
    fn observation<T: Trace>(
        &mut self,
        seen: &Seen<'_, T>,
        index: usize,
        span: &T::Span<'_>,
    ) -> Option<f64> {
        self.key.clear();
        self.key.extend(
            self.metrics
                .by
                .iter()
                .map(|field| seen.first(field, index, span)),
        );
        let Some(field) = self.metrics.function.field() else {
            return Some(1.0);
        };
        let value = seen.first(field, index, span);
        match self.metrics.function {
            MetricsFunction::HistogramOverTime(_) | MetricsFunction::QuantileOverTime(..) => {
                self.key.push(Literal::Float(buckets::of(&value)?));
            }
            _ => {}
        }
        as_seconds(&value)
    }

    fn exemplar_labels<S: Span>(&self, span: &S) -> Vec<(String, AttributeValue)> {
        match self.metrics.function.field() {
            Some(Field::Intrinsic(Intrinsic::Duration)) => {
                let ns = i64::try_from(span.duration_ns()).unwrap_or(i64::MAX);
                vec![(
                    Intrinsic::Duration.to_string(),
                    Literal::Duration(ns).shown(),
                )]
            }
            _ => Vec::new(),
        }
    }

    /// Whether series were left out because there were too many.
    pub fn is_truncated(&self) -> bool {
        self.collected.is_truncated
    }

    /// In the order of their labels, unless a stage of the query says otherwise.
    pub fn finish(self) -> Vec<Series> {
        series::finish(self.collected, self.metrics, self.range)
    }
}

/// Numbers as they are, durations in seconds.
fn as_seconds(value: &Literal) -> Option<f64> {
    match value.datum() {
        Datum::Int(number) => Some(number as f64),
        Datum::Float(number) => Some(number),
        Datum::Duration(ns) => Some(ns as f64 / SECOND_NS),
        _ => None,
    }
}
