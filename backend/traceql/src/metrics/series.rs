//! Series while they are collected, and what is made of them at the end.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{EXEMPLARS_MAX, Exemplar, RangeQuery, Sample, Series, buckets};
use crate::Literal;
use crate::ast::{Metrics, MetricsFunction, SecondStage};
use crate::model::AttributeValue;

/// Exemplars of one step, so that they spread over the range.
const EXEMPLARS_PER_STEP_MAX: usize = 2;
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
    exemplars: usize,
    exemplars_of_step: HashMap<usize, usize>,
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
    pub(super) fn new(function: &MetricsFunction, range: RangeQuery, series_max: usize) -> Self {
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
            exemplars: 0,
            exemplars_of_step: HashMap::new(),
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

    pub(super) fn add_exemplar(&mut self, key: &[Literal], step: usize, exemplar: Exemplar) {
        let of_step = self.exemplars_of_step.entry(step).or_default();
        if self.exemplars >= EXEMPLARS_MAX || *of_step >= EXEMPLARS_PER_STEP_MAX {
            return;
        }
        if let Some(cells) = self.series.get_mut(key) {
            cells.exemplars.push((step, exemplar));
            *of_step += 1;
            self.exemplars += 1;
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
            SecondStage::TopK(count) => best(&mut rows, steps, *count, |left, right| {
                right.total_cmp(&left)
            }),
            SecondStage::BottomK(count) => best(&mut rows, steps, *count, |left, right| {
                left.total_cmp(&right)
            }),
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

/// A row for each group and quantile; the groups come by their labels and then by their buckets.
fn quantile_rows(
    groups: Vec<(Vec<Literal>, Cells)>,
    metrics: &Metrics,
    quantiles: &[f64],
    steps: usize,
) -> Vec<Row> {
    let by = metrics.by.len();
    let mut rows = Vec::new();
    for group in groups.chunk_by(|left, right| left.0[..by] == right.0[..by]) {
        for (number, quantile) in quantiles.iter().enumerate() {
            let values = (0..steps).map(|step| {
                let counts = group.iter().map(|(key, cells)| {
                    (
                        key.last().and_then(Literal::as_number).unwrap_or(0.0),
                        cells.values[step],
                    )
                });
                let counts: Vec<(f64, f64)> = counts.filter(|(_, count)| *count > 0.0).collect();
                buckets::quantile(*quantile, &counts)
            });
            let exemplars = group.iter().flat_map(|(_, cells)| cells.exemplars.clone());
            rows.push(Row {
                labels: labels(
                    metrics,
                    &group[0].0[..by],
                    Some((QUANTILE, AttributeValue::Double(*quantile))),
                ),
                values: values.collect(),
                exemplars: if number == 0 {
                    exemplars.collect()
                } else {
                    Vec::new()
                },
            });
        }
    }
    rows
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
            Some(field) => (field.to_string(), AttributeValue::String("nil".to_owned())),
            None => (
                NAME.to_owned(),
                AttributeValue::String(metrics.function.name().to_owned()),
            ),
        });
    }
    labels
}

/// Keeps the first `count` values of each step, by `order` and then in the order of the series.
fn best(rows: &mut [Row], steps: usize, count: usize, order: fn(f64, f64) -> Ordering) {
    for step in 0..steps {
        let mut present: Vec<usize> = (0..rows.len())
            .filter(|row| !rows[*row].values[step].is_nan())
            .collect();
        present.sort_by(|left, right| order(rows[*left].values[step], rows[*right].values[step]));
        for row in present.into_iter().skip(count) {
            rows[row].values[step] = f64::NAN;
        }
    }
}

impl Row {
    fn series(self, range: RangeQuery) -> Series {
        let samples = self
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan());
        let sample = |(step, value): (usize, &f64)| {
            let end_ns = range.start_ns + (step as u64 + 1) * range.step_ns;
            Sample {
                timestamp_ms: (end_ns / 1_000_000) as i64,
                value: *value,
            }
        };
        Series {
            samples: samples.map(sample).collect(),
            labels: self.labels,
            exemplars: self
                .exemplars
                .into_iter()
                .map(|(_, exemplar)| exemplar)
                .collect(),
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
