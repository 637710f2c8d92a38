//! `rate`, `increase` and `delta` with extrapolation to the ends of the window; `irate` and `idelta` of the last two
//! samples. The order of operations is that of Prometheus.

use tsdb::Sample;

use super::matrix::ABSENT;
use super::window::{OverTime, Window};
use crate::parse::seconds;

/// A gap wider than this many times the average is taken as the series' start or end.
const GAP_FACTOR: f64 = 1.1;

/// The change over the window, extrapolated to its ends.
pub(super) struct Extrapolated {
    is_counter: bool,
    /// Per second of this many, when it is a rate.
    per_seconds: Option<f64>,
    /// Where the series falls, as a counter does when it starts again. Found once per series.
    resets: Vec<usize>,
}

impl Extrapolated {
    pub(super) fn rate(range_ms: i64) -> Self {
        Self {
            per_seconds: Some(seconds(range_ms)),
            ..Self::increase()
        }
    }

    pub(super) fn increase() -> Self {
        Self {
            is_counter: true,
            ..Self::delta()
        }
    }

    pub(super) fn delta() -> Self {
        Self {
            is_counter: false,
            per_seconds: None,
            resets: Vec::new(),
        }
    }

    /// What the counter lost by starting again inside the window.
    fn add_resets(&self, change: f64, window: &Window<'_>) -> f64 {
        let from = self.resets.partition_point(|reset| *reset <= window.first);
        let end = window.first + window.samples.len();
        self.resets[from..]
            .iter()
            .take_while(|reset| **reset < end)
            .fold(change, |change, reset| {
                change + window.samples[reset - window.first - 1].value
            })
    }
}

impl OverTime for Extrapolated {
    fn begin(&mut self, samples: &[Sample]) {
        self.resets.clear();
        if self.is_counter {
            let falls = samples
                .windows(2)
                .enumerate()
                .filter(|(_, pair)| pair[1].value < pair[0].value)
                .map(|(index, _)| index + 1);
            self.resets.extend(falls);
        }
    }

    fn value(&mut self, window: &Window<'_>) -> f64 {
        let [first, .., last] = window.samples else {
            return ABSENT;
        };
        let mut change = last.value - first.value;
        if self.is_counter {
            change = self.add_resets(change, window);
        }
        let mut to_start = (first.t_ms - window.start_ms) as f64 / 1000.0;
        let mut to_end = (window.end_ms - last.t_ms) as f64 / 1000.0;
        let sampled = (last.t_ms - first.t_ms) as f64 / 1000.0;
        let average = sampled / (window.samples.len() - 1) as f64;
        let threshold = average * GAP_FACTOR;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if self.is_counter && change > 0.0 && first.value >= 0.0 {
            // A counter starts at zero: not further back than where it would have been zero.
            let to_zero = sampled * (first.value / change);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = 1.0;
        if sampled != 0.0 {
            factor = (sampled + to_start + to_end) / sampled;
        }
        if let Some(range) = self.per_seconds {
            factor /= range;
        }
        change * factor
    }
}

/// The change between the last two samples, per second when `is_rate`.
pub(super) fn last_change(window: &Window<'_>, is_rate: bool) -> f64 {
    let [.., before, last] = window.samples else {
        return ABSENT;
    };
    let interval = last.t_ms - before.t_ms;
    if interval == 0 {
        return ABSENT;
    }
    // A counter that fell started again at zero.
    let change = if is_rate && last.value < before.value {
        last.value
    } else {
        last.value - before.value
    };
    if is_rate {
        change / (interval as f64 / 1000.0)
    } else {
        change
    }
}
