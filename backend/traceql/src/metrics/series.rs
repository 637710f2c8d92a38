//! Series while they are collected, and what is made of them at the end.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::exemplars::Slots;
use super::{Exemplar, RangeQuery, Sample, Series, buckets};
use crate::Literal;
use crate::ast::{Metrics, MetricsFunction, SecondStage};
use crate::evaluate::ABSENT;
use crate::model::AttributeValue;

/// The label of a series without `by()`: the name of the function.
const NAME: &str = "__name__";
const BUCKET: &str = "__bucket";
const QUANTILE: &str = "p";

/// What of the values of a step makes a sample.
#[derive(Clone, Copy)]
enum Fold {
    Count,
    Sum,
    Min,
    Max,
    Average,
}

/// The values by series and step.
pub(super) struct Collected {
    fold: Fold,
    steps: usize,
    series: HashMap<Vec<Literal>, Cells>,
    series_max: usize,
    exemplars: Slots,
    pub(super) is_truncated: bool,
}

struct Cells {
    /// NaN where nothing came.
    values: Vec<f64>,
    /// Of averages.
    counts: Vec<u32>,
    exemplars: Vec<(usize, Exemplar)>,
}

impl Collected {
    pub(super) fn new(
        function: &MetricsFunction,
        range: RangeQuery,
        series_max: usize,
        exemplars_max: usize,
    ) -> Self {
        let fold = match function {
            MetricsFunction::Rate
            | MetricsFunction::CountOverTime
            | MetricsFunction::QuantileOverTime(..)
            | MetricsFunction::HistogramOverTime(_) => Fold::Count,
            MetricsFunction::SumOverTime(_) => Fold::Sum,
            MetricsFunction::MinOverTime(_) => Fold::Min,
            MetricsFunction::MaxOverTime(_) => Fold::Max,
            MetricsFunction::AvgOverTime(_) => Fold::Average,
        };
        Self {
            fold,
            steps: range.steps(),
            series: HashMap::new(),
            series_max,
            exemplars: Slots::new(range, exemplars_max),
            is_truncated: false,
        }
    }

    pub(super) fn add(&mut self, key: &[Literal], step: usize, value: f64) {
        if !self.series.contains_key(key) {
            if self.series.len() >= self.series_max {
                self.is_truncated = true;
                return;
            }
            self.series
                .insert(key.to_vec(), Cells::new(self.steps, self.fold));
        }
        if let Some(cells) = self.series.get_mut(key) {
            cells.add(self.fold, step, value);
        }
    }

    /// Of a series that was not left out. It is only made when there is room for it.
    pub(super) fn add_exemplar(
        &mut self,
        key: &[Literal],
        step: usize,
        time_ns: u64,
        make: impl FnOnce() -> Exemplar,
    ) {
        if let Some(cells) = self.series.get_mut(key)
            && self.exemplars.take(time_ns)
        {
            cells.exemplars.push((step, make()));
        }
    }
}

impl Cells {
    fn new(steps: usize, fold: Fold) -> Self {
        let (empty, counts) = match fold {
            Fold::Count => (0.0, 0),
            Fold::Average => (f64::NAN, steps),
            Fold::Sum | Fold::Min | Fold::Max => (f64::NAN, 0),
        };
        Self {
            values: vec![empty; steps],
            counts: vec![0; counts],
            exemplars: Vec::new(),
        }
    }

    fn add(&mut self, fold: Fold, step: usize, value: f64) {
        let cell = &mut self.values[step];
        match fold {
            Fold::Count => *cell += 1.0,
            Fold::Min if !cell.is_nan() => *cell = cell.min(value),
            Fold::Max if !cell.is_nan() => *cell = cell.max(value),
            Fold::Sum if !cell.is_nan() => *cell += value,
            Fold::Average => {
                self.counts[step] += 1;
                // A running mean: no sum that grows beyond what it can hold.
                let mean = if cell.is_nan() { 0.0 } else { *cell };
                *cell = mean + (value - mean) / f64::from(self.counts[step]);
            }
            Fold::Min | Fold::Max | Fold::Sum => *cell = value,
        }
    }
}

/// A series whose samples are not yet said with their times.
struct Row {
    labels: Vec<(String, AttributeValue)>,
    values: Vec<f64>,
    exemplars: Vec<(usize, Exemplar)>,
}

pub(super) fn finish(collected: Collected, metrics: &Metrics, range: RangeQuery) -> Vec<Series> {
    let steps = collected.steps;
    let mut groups: Vec<(Vec<Literal>, Cells)> = collected.series.into_iter().collect();
    groups.sort_by(|left, right| order(&left.0, &right.0));
    let mut rows = match &metrics.function {
        MetricsFunction::QuantileOverTime(_, quantiles) => {
            quantile_rows(groups, metrics, quantiles, steps)
        }
        _ => plain_rows(groups, metrics, range, steps),
    };
    for stage in &metrics.then {
        match stage {
            SecondStage::TopK(count) => best(&mut rows, steps, *count, Ordering::reverse),
            SecondStage::BottomK(count) => best(&mut rows, steps, *count, |order| order),
            SecondStage::Filter(comparison, bound) => {
                let cells = rows.iter_mut().flat_map(|row| &mut row.values);
                cells
                    .filter(|value| {
                        !(**value)
                            .partial_cmp(bound)
                            .is_some_and(|order| comparison.accepts(order))
                    })
                    .for_each(|value| *value = f64::NAN);
            }
        }
    }
    rows.retain(|row| row.values.iter().any(|value| !value.is_nan()));
    rows.into_iter().map(|row| row.series(range)).collect()
}

fn order(left: &[Literal], right: &[Literal]) -> Ordering {
    let pairs = left
        .iter()
        .zip(right)
        .map(|(left, right)| left.order(right));
    pairs.fold(Ordering::Equal, Ordering::then)
}

fn plain_rows(
    groups: Vec<(Vec<Literal>, Cells)>,
    metrics: &Metrics,
    range: RangeQuery,
    steps: usize,
) -> Vec<Row> {
    let scale = match metrics.function {
        MetricsFunction::Rate => 1e9 / range.step_ns as f64,
        _ => 1.0,
    };
    let is_count = matches!(
        metrics.function,
        MetricsFunction::Rate | MetricsFunction::CountOverTime
    );
    if groups.is_empty() && is_count && metrics.by.is_empty() {
        // Nothing happened, which is something to show.
        return vec![Row {
            labels: labels(metrics, &[], None),
            values: vec![0.0; steps],
            exemplars: Vec::new(),
        }];
    }
    let is_histogram = matches!(metrics.function, MetricsFunction::HistogramOverTime(_));
    let row = |(key, cells): (Vec<Literal>, Cells)| {
        let (by, bucket) = key.split_at(metrics.by.len());
        let extra = bucket.first().map(|bucket| (BUCKET, bucket.shown()));
        let values: Vec<f64> = cells.values.iter().map(|value| value * scale).collect();
        let mut exemplars = cells.exemplars;
        if is_count || is_histogram {
            exemplars
                .iter_mut()
                .for_each(|(step, exemplar)| exemplar.value = values[*step]);
        }
        Row {
            labels: labels(metrics, by, extra),
            values,
            exemplars,
        }
    };
    groups.into_iter().map(row).collect()
}

/// A row for each group and quantile; the groups come by their labels and then by their buckets. An exemplar goes to the
/// quantile that it is nearest to.
fn quantile_rows(
    groups: Vec<(Vec<Literal>, Cells)>,
    metrics: &Metrics,
    quantiles: &[f64],
    steps: usize,
) -> Vec<Row> {
    let by = metrics.by.len();
    let overall = counts(&groups, |cells| cells.values.iter().sum());
    let of_all: Vec<f64> = quantiles
        .iter()
        .map(|quantile| buckets::quantile(*quantile, &overall))
        .collect();
    let mut rows = Vec::new();
    for group in groups.chunk_by(|left, right| left.0[..by] == right.0[..by]) {
        let exemplars = || group.iter().flat_map(|(_, cells)| &cells.exemplars);
        for (number, quantile) in quantiles.iter().enumerate() {
            let values = (0..steps).map(|step| {
                buckets::quantile(*quantile, &counts(group, |cells| cells.values[step]))
            });
            let extra = (QUANTILE, AttributeValue::Double(*quantile));
            rows.push(Row {
                labels: labels(metrics, &group[0].0[..by], Some(extra)),
                values: values.collect(),
                exemplars: exemplars()
                    .filter(|(_, exemplar)| nearest(&of_all, exemplar.value) == Some(number))
                    .cloned()
                    .collect(),
            });
        }
    }
    rows
}

/// How many values the buckets of some series have, by their bounds.
fn counts(groups: &[(Vec<Literal>, Cells)], count: impl Fn(&Cells) -> f64) -> Vec<(f64, f64)> {
    let counted = groups.iter().map(|(key, cells)| {
        let bound = key.last().and_then(Literal::as_number).unwrap_or(0.0);
        (bound, count(cells))
    });
    let mut counts: Vec<(f64, f64)> = counted.filter(|(_, count)| *count > 0.0).collect();
    counts.sort_by(|left, right| left.0.total_cmp(&right.0));
    counts.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 += later.1;
        }
        is_same
    });
    counts
}

/// Which value is the nearest one, the first of equal ones.
fn nearest(values: &[f64], to: f64) -> Option<usize> {
    let distance = |number: &usize| (values[*number] - to).abs();
    (0..values.len()).min_by(|left, right| distance(left).total_cmp(&distance(right)))
}

/// Absent values are left out; if all are, the first stands for them.
fn labels(
    metrics: &Metrics,
    by: &[Literal],
    extra: Option<(&str, AttributeValue)>,
) -> Vec<(String, AttributeValue)> {
    let named = metrics.by.iter().map(ToString::to_string).zip(by);
    let present = named.filter(|(_, value)| **value != Literal::Nil);
    let mut labels: Vec<_> = present.map(|(name, value)| (name, value.shown())).collect();
    labels.extend(extra.map(|(name, value)| (name.to_owned(), value)));
    if labels.is_empty() {
        labels.push(match metrics.by.first() {
            Some(field) => (field.to_string(), AttributeValue::String(ABSENT.to_owned())),
            None => (
                NAME.to_owned(),
                AttributeValue::String(metrics.function.name().to_owned()),
            ),
        });
    }
    labels
}

/// Keeps `count` values of each step, those that come first when they are `directed`.
fn best(rows: &mut [Row], steps: usize, count: usize, directed: fn(Ordering) -> Ordering) {
    for step in 0..steps {
        let mut present: Vec<usize> = (0..rows.len())
            .filter(|row| !rows[*row].values[step].is_nan())
            .collect();
        present.sort_by(|left, right| {
            let (left, right) = (&rows[*left], &rows[*right]);
            let by_value = left.values[step].total_cmp(&right.values[step]);
            directed(by_value.then_with(|| rank(&left.labels, &right.labels)))
        });
        for row in present.into_iter().skip(count) {
            rows[row].values[step] = f64::NAN;
        }
    }
}

/// Which of two series with the same value is the greater one, as in Tempo: texts count backwards.
fn rank(left: &[(String, AttributeValue)], right: &[(String, AttributeValue)]) -> Ordering {
    let pairs = left.iter().zip(right);
    let labels = pairs.map(|((_, left), (_, right))| match (left, right) {
        (AttributeValue::String(left), AttributeValue::String(right)) => right.cmp(left),
        (AttributeValue::Int(left), AttributeValue::Int(right)) => left.cmp(right),
        (AttributeValue::Double(left), AttributeValue::Double(right)) => left.total_cmp(right),
        (AttributeValue::Bool(left), AttributeValue::Bool(right)) => left.cmp(right),
        _ => Ordering::Equal,
    });
    labels.fold(Ordering::Equal, Ordering::then)
}

impl Row {
    fn series(self, range: RangeQuery) -> Series {
        let samples = self
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan());
        let sample = |(step, value): (usize, &f64)| {
            let after_ns = range.step_ns.saturating_mul(step as u64 + 1);
            let end_ns = range.start_ns.saturating_add(after_ns);
            Sample {
                timestamp_ms: (end_ns / 1_000_000) as i64,
                value: *value,
            }
        };
        // Those of samples that were dropped go with them.
        let has_sample = |(step, _): &(usize, Exemplar)| !self.values[*step].is_nan();
        let exemplars = self.exemplars.into_iter().filter(has_sample);
        Series {
            samples: samples.map(sample).collect(),
            labels: self.labels,
            exemplars: exemplars.map(|(_, exemplar)| exemplar).collect(),
        }
    }
}

impl MetricsFunction {
    fn name(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::MinOverTime(_) => "min_over_time",
            Self::MaxOverTime(_) => "max_over_time",
            Self::AvgOverTime(_) => "avg_over_time",
            Self::SumOverTime(_) => "sum_over_time",
            Self::QuantileOverTime(..) => "quantile_over_time",
            Self::HistogramOverTime(_) => "histogram_over_time",
        }
    }
}
