//! What is computed of the samples of one window, one after the other in the order of time.

use crate::{ast::RangeOp, units::seconds};

/// How far beyond the mean distance of samples a rate is carried on.
const EXTRAPOLATION: f64 = 1.1;

/// A window that needs no sample again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fold {
    count: f64,
    /// The sum, the mean, or the value that counts.
    value: f64,
    /// The sum of squared distances.
    squares: f64,
}

impl Fold {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    pub(super) fn add(&mut self, op: RangeOp, sample: f64) {
        self.count += 1.0;
        let first = self.count == 1.0;
        match op {
            RangeOp::Count | RangeOp::Absent | RangeOp::RateCounter | RangeOp::Quantile => {}
            RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum => {
                self.value += sample;
            }
            RangeOp::Avg => self.add_to_mean(sample),
            RangeOp::Min => {
                if first || sample < self.value || self.value.is_nan() {
                    self.value = sample;
                }
            }
            RangeOp::Max => {
                if first || sample > self.value || self.value.is_nan() {
                    self.value = sample;
                }
            }
            RangeOp::Stdvar | RangeOp::Stddev => {
                let distance = sample - self.value;
                self.value += distance / self.count;
                self.squares += distance * (sample - self.value);
            }
            RangeOp::First if !first => {}
            RangeOp::First | RangeOp::Last => self.value = sample,
        }
    }

    fn add_to_mean(&mut self, sample: f64) {
        // An infinite mean stays: the distance to it is no number.
        let same = sample.is_infinite() && (self.value > 0.0) == (sample > 0.0);
        if self.value.is_infinite() && (same || sample.is_finite()) {
            return;
        }
        self.value += sample / self.count - self.value / self.count;
    }

    /// `of_values` when the samples are values of labels, not lines.
    pub(super) fn value(&self, op: RangeOp, of_values: bool, range_ns: i64) -> f64 {
        let seconds = seconds(range_ns);
        match op {
            RangeOp::Count => self.count,
            RangeOp::Absent => 1.0,
            RangeOp::Rate if !of_values => self.count / seconds,
            RangeOp::Rate | RangeOp::BytesRate => self.value / seconds,
            RangeOp::Stdvar => self.squares / self.count,
            RangeOp::Stddev => (self.squares / self.count).sqrt(),
            _ => self.value,
        }
    }
}

/// The value of a whole window.
pub(super) fn window(
    op: RangeOp,
    parameter: Option<f64>,
    of_values: bool,
    range_ns: i64,
    samples: &[Kept],
) -> f64 {
    match op {
        RangeOp::Quantile => quantile(parameter.unwrap_or(f64::NAN), samples),
        RangeOp::RateCounter => counter_rate(samples, range_ns),
        _ => {
            let mut fold = Fold::default();
            samples.iter().for_each(|sample| fold.add(op, sample.value));
            fold.value(op, of_values, range_ns)
        }
    }
}

/// A sample that a later window may need again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) t_ns: i64,
    pub(super) value: f64,
}

fn quantile(q: f64, samples: &[Kept]) -> f64 {
    if samples.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    // NaN comes first.
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a, b) => b.cmp(&a),
    });
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The rate of a counter over the samples' own range, resets taken for increases.
fn counter_rate(samples: &[Kept], range_ns: i64) -> f64 {
    let [first, .., last] = samples else {
        return 0.0;
    };
    let mut increase = last.value - first.value;
    let mut before = 0.0;
    for sample in samples {
        if sample.value < before {
            increase += before;
        }
        before = sample.value;
    }
    // Nanoseconds are taken for milliseconds here, as in Loki: only the range itself is in seconds.
    let interval = (last.t_ns - first.t_ns) as f64 / 1000.0;
    let mean = interval / (samples.len() - 1) as f64;
    let mut to_start = (range_ns / 1_000_000) as f64 / 1000.0;
    if increase > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(interval * (first.value / increase));
    }
    let carried = if to_start < mean * EXTRAPOLATION {
        to_start
    } else {
        mean / 2.0
    };
    // The window ends with its last sample.
    increase * ((interval + carried) / interval) / seconds(range_ns)
}
