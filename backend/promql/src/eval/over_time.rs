//! Functions of the samples in a window, without extrapolation.

use tsdb::Sample;

use super::float::{Mean, kahan_add, quantile};
use super::matrix::ABSENT;
use super::window::Window;

pub(super) fn average(samples: &[Sample]) -> f64 {
    let mut mean = Mean::new(samples[0].value);
    for sample in &samples[1..] {
        mean.add(sample.value);
    }
    mean.value()
}

pub(super) fn sum(samples: &[Sample]) -> f64 {
    let (sum, compensation) = samples
        .iter()
        .fold((0.0, 0.0), |(sum, compensation), sample| {
            kahan_add(sample.value, sum, compensation)
        });
    if sum.is_infinite() {
        return sum;
    }
    sum + compensation
}

pub(super) fn largest(samples: &[Sample]) -> f64 {
    extreme(samples, |candidate, current| candidate > current)
}

pub(super) fn smallest(samples: &[Sample]) -> f64 {
    extreme(samples, |candidate, current| candidate < current)
}

fn extreme(samples: &[Sample], beats: impl Fn(f64, f64) -> bool) -> f64 {
    samples
        .iter()
        .map(|sample| sample.value)
        .fold(samples[0].value, |current, candidate| {
            if beats(candidate, current) || current.is_nan() {
                candidate
            } else {
                current
            }
        })
}

/// How often the value differs from the one before. NaN after NaN is no change.
pub(super) fn changes(samples: &[Sample]) -> f64 {
    count_pairs(samples, |before, after| {
        before != after && !(before.is_nan() && after.is_nan())
    })
}

pub(super) fn resets(samples: &[Sample]) -> f64 {
    count_pairs(samples, |before, after| after < before)
}

fn count_pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    let pairs = samples.windows(2);
    pairs
        .filter(|pair| counts(pair[0].value, pair[1].value))
        .count() as f64
}

pub(super) fn variance(samples: &[Sample]) -> f64 {
    let mut count = 0.0;
    let (mut mean, mut mean_rest) = (0.0, 0.0);
    let (mut squares, mut squares_rest) = (0.0, 0.0);
    for sample in samples {
        count += 1.0;
        let delta = sample.value - (mean + mean_rest);
        (mean, mean_rest) = kahan_add(delta / count, mean, mean_rest);
        let square = delta * (sample.value - (mean + mean_rest));
        (squares, squares_rest) = kahan_add(square, squares, squares_rest);
    }
    (squares + squares_rest) / count
}

/// `buffer` is reused between windows.
pub(super) fn quantile_of(samples: &[Sample], wanted: f64, buffer: &mut Vec<f64>) -> f64 {
    buffer.clear();
    buffer.extend(samples.iter().map(|sample| sample.value));
    quantile(wanted, buffer)
}

pub(super) fn derivative(samples: &[Sample]) -> f64 {
    if samples.len() < 2 {
        return ABSENT;
    }
    regression(samples, samples[0].t_ms).0
}

/// The value that the line through the samples has `ahead` seconds after the time of evaluation.
pub(super) fn prediction(window: &Window<'_>, ahead: f64) -> f64 {
    if window.samples.len() < 2 {
        return ABSENT;
    }
    let (slope, intercept) = regression(window.samples, window.t_ms);
    slope * ahead + intercept
}

/// Slope and value at `origin_ms` of the line with the least squares.
fn regression(samples: &[Sample], origin_ms: i64) -> (f64, f64) {
    let first = samples[0].value;
    if samples[1..].iter().all(|sample| sample.value == first) {
        if first.is_infinite() {
            return (f64::NAN, f64::NAN);
        }
        return (0.0, first);
    }
    let mut count = 0.0;
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [(0.0, 0.0); 4];
    for sample in samples {
        count += 1.0;
        let x = sample.t_ms.saturating_sub(origin_ms) as f64 / 1e3;
        x_sum = kahan_add(x, x_sum.0, x_sum.1);
        y_sum = kahan_add(sample.value, y_sum.0, y_sum.1);
        xy_sum = kahan_add(x * sample.value, xy_sum.0, xy_sum.1);
        xx_sum = kahan_add(x * x, xx_sum.0, xx_sum.1);
    }
    let [x_sum, y_sum, xy_sum, xx_sum] =
        [x_sum, y_sum, xy_sum, xx_sum].map(|(sum, compensation)| sum + compensation);
    let covariance = xy_sum - x_sum * y_sum / count;
    let variance = xx_sum - x_sum * x_sum / count;
    let slope = covariance / variance;
    (slope, y_sum / count - slope * x_sum / count)
}
