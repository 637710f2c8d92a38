//! Metrics queries: series over time out of matched spans.
//!
//! A span counts in the step in which it starts. Memory is bounded by the series that are told apart, times the steps.

mod buckets;
mod exemplars;
mod series;

use otlp::TraceId;

use crate::ast::{Field, Metrics, MetricsFunction};
use crate::fields::Seen;
use crate::literal::{Datum, Whole};
use crate::model::{AttributeValue, Span, Trace};
use crate::{Literal, Query};
pub use exemplars::EXEMPLARS_MAX;
use series::Collected;

/// The hint that says how many exemplars are wanted, or with `false` that none are.
const EXEMPLARS_HINT: &str = "exemplars";
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
    /// What the query reads of the span, under its whole names, beside what the series is grouped by.
    pub labels: Vec<(String, AttributeValue)>,
}

/// What is found of the traces seen so far.
pub struct Aggregation<'q> {
    query: &'q Query,
    metrics: &'q Metrics,
    range: RangeQuery,
    collected: Collected,
    exemplar_fields: Vec<Field>,
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
            collected: Collected::new(&metrics.function, range, series_max, exemplars_max(query)),
            exemplar_fields: exemplar_fields(query, metrics),
            key: Vec::new(),
        })
    }

    /// Takes in the spans of a complete trace that the query selects.
    pub fn observe<T: Trace>(&mut self, trace: &T) {
        let Some(found) = self.query.evaluate(trace) else {
            return;
        };
        let seen = Seen::new(trace);
        let mut lots: Option<(u64, usize, usize)> = None;
        for index in found.spansets.iter().flat_map(|set| &set.spans) {
            let span = trace.span(*index);
            let Some(step) = self.range.step_of(span.start_ns()) else {
                continue;
            };
            let Some(value) = self.observation(&seen, *index, &span) else {
                continue;
            };
            self.collected.add(&self.key, step, value);
            let lot = exemplars::lot(trace.id(), span.id());
            if lots.is_none_or(|(lowest, ..)| lot < lowest) {
                lots = Some((lot, *index, step));
            }
        }
        if let Some((_, index, step)) = lots {
            self.add_exemplar(&seen, index, step);
        }
    }

    /// If there is room for it.
    fn add_exemplar<T: Trace>(&mut self, seen: &Seen<'_, T>, index: usize, step: usize) {
        let span = seen.trace.span(index);
        let Some(value) = self.observation(seen, index, &span) else {
            return;
        };
        let fields = &self.exemplar_fields;
        self.collected
            .add_exemplar(&self.key, step, span.start_ns(), || Exemplar {
                trace_id: seen.trace.id(),
                timestamp_ms: (span.start_ns() / 1_000_000) as i64,
                value,
                labels: exemplar_labels(fields, seen, index, &span),
            });
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
                .map(|field| label(seen.group(field, index, span))),
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

    /// Whether series were left out because there were too many.
    pub fn is_truncated(&self) -> bool {
        self.collected.is_truncated
    }

    /// In the order of their labels, unless a stage of the query says otherwise.
    pub fn finish(self) -> Vec<Series> {
        series::finish(self.collected, self.metrics, self.range)
    }
}

/// As the query's hint says, within the bound of all queries.
fn exemplars_max(query: &Query) -> usize {
    match query.hint(EXEMPLARS_HINT) {
        Some(Literal::Int(number)) => usize::try_from(*number).unwrap_or(0).min(EXEMPLARS_MAX),
        Some(Literal::Bool(false)) => 0,
        _ => EXEMPLARS_MAX,
    }
}

/// What is compared, selected or measured, but not what is grouped by: those are labels of the series.
fn exemplar_fields(query: &Query, metrics: &Metrics) -> Vec<Field> {
    let mut fields = query.shown();
    fields.extend(metrics.function.field().cloned());
    let mut known = metrics.by.clone();
    fields.retain(|field| {
        let is_new = !known.contains(field);
        known.extend(is_new.then(|| field.clone()));
        is_new
    });
    fields
}

fn exemplar_labels<T: Trace>(
    fields: &[Field],
    seen: &Seen<'_, T>,
    index: usize,
    span: &T::Span<'_>,
) -> Vec<(String, AttributeValue)> {
    let values = fields
        .iter()
        .map(|field| (field, seen.whole(field, index, span)));
    let present = values.filter(|(_, value)| !value.is_nil());
    present
        .map(|(field, value)| (field.to_string(), value.shown()))
        .collect()
}

/// An array of several elements is no label, as in Tempo.
fn label(value: Whole) -> Literal {
    match value {
        Whole::One(value) => value,
        Whole::Array(_) => Literal::Nil,
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
