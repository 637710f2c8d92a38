//! Quantiles and fractions of classic histograms: series per bucket, told apart by the label `le`.

use std::cmp::Ordering;

use super::matrix::{Matrix, is_absent};
use super::{Evaluator, Outcome, Steps};
use crate::annotations::Forced;
use crate::ast::Node;
use crate::labels::{BUCKET, Metric, Numbering};
use crate::number::parse_bound;
use crate::parse::literal::quote;

/// A relative difference between buckets that is taken as an artefact of floating-point arithmetic.
const SMALL_DIFFERENCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper_bound: f64,
    count: f64,
}

/// A histogram: its labels, and the bounds and rows of its buckets in the order of the bounds.
struct Histogram {
    metric: Metric,
    buckets: Vec<(f64, usize)>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let quantiles = self.scalar(&args[0], steps)?;
        let input = self.vector(&args[1], steps)?;
        for quantile in &quantiles {
            if !(0.0..=1.0).contains(quantile) {
                self.notes
                    .bad_quantile(*quantile, args[0].bare().span.start);
            }
        }
        let at = args[1].bare().span.start;
        let mut forced_all = Vec::new();
        let matrix = self.each_histogram(&input, at, |step, buckets| {
            let (value, forced) = quantile_of(quantiles[step], buckets);
            if let Some(forced) = forced {
                forced_all.push(Forced {
                    first_ms: steps.at(step),
                    last_ms: steps.at(step),
                    ..forced
                });
            }
            value
        })?;
        for forced in forced_all {
            self.notes.forced_monotonic(forced, at);
        }
        Ok(matrix)
    }

    pub(super) fn histogram_fraction(&mut self, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let lower = self.scalar(&args[0], steps)?;
        let upper = self.scalar(&args[1], steps)?;
        let input = self.vector(&args[2], steps)?;
        let at = args[2].bare().span.start;
        self.each_histogram(&input, at, |step, buckets| {
            fraction_of(lower[step], upper[step], buckets)
        })
    }

    /// A row per histogram, a value per step at which it has buckets.
    fn each_histogram(
        &mut self,
        input: &Matrix,
        at: usize,
        mut value_of: impl FnMut(usize, &mut Vec<Bucket>) -> f64,
    ) -> Outcome<Matrix> {
        let mut matrix = Matrix::new(input.steps);
        let mut buckets = Vec::new();
        for histogram in self.histograms(input, at) {
            matrix.push_with(histogram.metric, |cells| {
                let mut found = false;
                for (step, cell) in cells.iter_mut().enumerate() {
                    buckets.clear();
                    let present = histogram
                        .buckets
                        .iter()
                        .map(|(upper_bound, row)| Bucket {
                            upper_bound: *upper_bound,
                            count: input.row(*row)[step],
                        })
                        .filter(|bucket| !is_absent(bucket.count));
                    buckets.extend(present);
                    if !buckets.is_empty() {
                        *cell = value_of(step, &mut buckets);
                        found = true;
                    }
                }
                found
            });
        }
        matrix.without_names()
    }

    fn histograms(&mut self, input: &Matrix, at: usize) -> Vec<Histogram> {
        let mut numbering = Numbering::default();
        let mut key = Vec::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        for (row, metric) in input.metrics.iter().enumerate() {
            let label = metric.get(BUCKET);
            let Some(upper_bound) = parse_bound(label) else {
                let message = format!(
                    "bucket label \"le\" is missing or has a malformed value of {}",
                    quote(label)
                );
                self.notes.warn(message, at);
                continue;
            };
            metric.key_of(|label| label != BUCKET, &mut key);
            let number = numbering.number(&key);
            if number == histograms.len() {
                histograms.push(Histogram {
                    metric: metric.filtered(|label| label != BUCKET),
                    buckets: Vec::new(),
                });
            }
            histograms[number].buckets.push((upper_bound, row));
        }
        for histogram in &mut histograms {
            histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        histograms
    }
}

/// The quantile of buckets in the order of their bounds, and how they had to be changed.
fn quantile_of(quantile: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Forced>) {
    if quantile.is_nan() {
        return (f64::NAN, None);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, None);
    }
    if !ends_open(buckets) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let forced = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = quantile * observations;
    let found = buckets[..last].partition_point(|bucket| {
        // A count that is no number is not there yet either.
        matches!(bucket.count.partial_cmp(&rank), None | Some(Ordering::Less))
    });
    if found == last {
        return (buckets[last - 1].upper_bound, forced);
    }
    if found == 0 && buckets[0].upper_bound <= 0.0 {
        return (buckets[0].upper_bound, forced);
    }
    let end = buckets[found].upper_bound;
    let (mut start, mut count) = (0.0, buckets[found].count);
    if let Some(before) = found.checked_sub(1).map(|index| buckets[index]) {
        start = before.upper_bound;
        count -= before.count;
        rank -= before.count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// The share of observations between two values.
fn fraction_of(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !ends_open(buckets) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / count
}

/// How many observations lie below a value, in proportion inside its bucket.
fn rank_of(value: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut rank = 0.0;
    // Buckets with positive bounds alone begin at zero.
    let mut lower_bound = if buckets[0].upper_bound <= 0.0 {
        f64::NEG_INFINITY
    } else {
        0.0
    };
    for bucket in buckets {
        let found = if lower_bound >= value {
            Some(rank)
        } else if bucket.upper_bound > value {
            // Inside an endless bucket there is no proportion.
            Some(if lower_bound == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - lower_bound)
                    / (bucket.upper_bound - lower_bound)
            })
        } else {
            None
        };
        if let Some(found) = found {
            return if found > count { count } else { found };
        }
        rank = bucket.count;
        lower_bound = bucket.upper_bound;
    }
    count
}

fn ends_open(buckets: &[Bucket]) -> bool {
    buckets
        .last()
        .is_some_and(|bucket| bucket.upper_bound == f64::INFINITY)
}

/// Joins buckets with the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper_bound == kept.upper_bound;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Counts must not fall as bounds rise: small differences are levelled silently, others are reported.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if nearly_equal(before, count) {
            bucket.count = before;
            continue;
        }
        if count < before {
            bucket.count = before;
            let now = forced.get_or_insert(Forced {
                bound_min: f64::INFINITY,
                bound_max: f64::NEG_INFINITY,
                difference_max: 0.0,
                first_ms: 0,
                last_ms: 0,
                times: 1,
            });
            now.bound_min = now.bound_min.min(bucket.upper_bound);
            now.bound_max = now.bound_max.max(bucket.upper_bound);
            now.difference_max = now.difference_max.max(before - count);
            continue;
        }
        before = count;
    }
    forced
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
}
