//! The table that evaluation works on: a row per series, a column per step, in one block of memory.
//!
//! A cell without a value holds the staleness marker, which no operation gives as a result.

use tsdb::{Labels, STALE_NAN_BITS, Sample, Series, is_stale};

use super::{Outcome, SAME_LABELSET, Steps, execution};
use crate::labels::{Metric, Numbering, distinct_without_names};

/// The cell without a value.
pub(super) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

pub(super) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// Rows have distinct label sets and at least one value, except while an operation is at work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    pub(super) steps: usize,
    pub(super) metrics: Vec<Metric>,
    pub(super) values: Vec<f64>,
}

impl Matrix {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            steps,
            metrics: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.metrics.len()
    }

    pub(super) fn points(&self) -> usize {
        self.values.len()
    }

    pub(super) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.steps..][..self.steps]
    }

    pub(super) fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * self.steps..][..self.steps]
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&Metric, &[f64])> {
        self.metrics
            .iter()
            .zip(self.values.chunks_exact(self.steps.max(1)))
    }

    /// Adds a row that `fill` writes; a row that stays without a value is not added.
    pub(super) fn push_with(&mut self, metric: Metric, fill: impl FnOnce(&mut [f64]) -> bool) {
        let start = self.values.len();
        self.values.resize(start + self.steps, ABSENT);
        if fill(&mut self.values[start..]) {
            self.metrics.push(metric);
        } else {
            self.values.truncate(start);
        }
    }

    pub(super) fn push(&mut self, metric: Metric, row: &[f64]) {
        self.metrics.push(metric);
        self.values.extend_from_slice(row);
    }

    /// Replaces each value.
    pub(super) fn map(&mut self, f: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            if !is_absent(*value) {
                *value = f(*value);
            }
        }
    }

    /// Leaves out rows without a value.
    pub(super) fn compacted(mut self) -> Self {
        let steps = self.steps;
        let mut kept = 0;
        for index in 0..self.metrics.len() {
            let row = index * steps..(index + 1) * steps;
            if self.values[row.clone()]
                .iter()
                .all(|value| is_absent(*value))
            {
                continue;
            }
            if kept != index {
                self.values.copy_within(row, kept * steps);
                self.metrics.swap(kept, index);
            }
            kept += 1;
        }
        self.metrics.truncate(kept);
        self.values.truncate(kept * steps);
        self
    }

    /// Without metric names; series that become the same series are joined.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    pub(super) fn without_names(mut self) -> Outcome<Self> {
        let distinct = distinct_without_names(&self.metrics, |_| {});
        for metric in &mut self.metrics {
            metric.drop_name();
        }
        if distinct { Ok(self) } else { self.joined() }
    }

    /// Joins rows with the same labels.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    pub(super) fn joined(mut self) -> Outcome<Self> {
        let (numbers, distinct) = self.numbers();
        if distinct == self.len() {
            return Ok(self);
        }
        let mut joined = Self::new(self.steps);
        for (index, number) in numbers.into_iter().enumerate() {
            if number == joined.len() {
                let metric = std::mem::take(&mut self.metrics[index]);
                joined.push(metric, self.row(index));
                continue;
            }
            for (to, from) in joined.row_mut(number).iter_mut().zip(self.row(index)) {
                if is_absent(*from) {
                    continue;
                }
                if !is_absent(*to) {
                    return Err(execution(SAME_LABELSET));
                }
                *to = *from;
            }
        }
        Ok(joined)
    }

    /// Refuses rows with the same labels, whatever their steps.
    pub(super) fn checked_distinct(self) -> Outcome<Self> {
        if self.numbers().1 < self.len() {
            return Err(execution(SAME_LABELSET));
        }
        Ok(self)
    }

    /// A number per row, the same for the same labels, and how many there are.
    fn numbers(&self) -> (Vec<usize>, usize) {
        let mut numbering = Numbering::default();
        let mut key = Vec::new();
        let numbers = self
            .metrics
            .iter()
            .map(|metric| {
                metric.key_of(|_| true, &mut key);
                numbering.number(&key)
            })
            .collect();
        (numbers, numbering.len())
    }

    /// One column, repeated.
    pub(super) fn repeated(self, count: usize) -> Self {
        let values = self
            .values
            .iter()
            .flat_map(|value| std::iter::repeat_n(*value, count))
            .collect();
        Self {
            steps: count,
            metrics: self.metrics,
            values,
        }
    }

    /// The only column, as a query's result.
    pub(crate) fn into_vector(self, t_ms: i64) -> Vec<(Labels, Sample)> {
        self.metrics
            .iter()
            .zip(&self.values)
            .filter(|(_, value)| !is_absent(**value))
            .map(|(metric, &value)| (metric.to_labels(), Sample { t_ms, value }))
            .collect()
    }

    /// All columns, as a query's result, in label order.
    pub(crate) fn into_series(self, steps: &Steps) -> Vec<Series> {
        let mut series: Vec<Series> = self
            .rows()
            .map(|(metric, row)| Series {
                labels: metric.to_labels(),
                samples: points(row, steps),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        series
    }
}

/// The values of a row with their times.
pub(super) fn points(row: &[f64], steps: &Steps) -> Vec<Sample> {
    row.iter()
        .enumerate()
        .filter(|(_, value)| !is_absent(**value))
        .map(|(index, &value)| Sample {
            t_ms: steps.at(index),
            value,
        })
        .collect()
}
