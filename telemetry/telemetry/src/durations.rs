//! Histogram handles of one metric, found by their label values without an allocation.
//!
//! Registering a series costs several times as much as recording into it, and the series of a service are few.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use conventions::defaults::SERIES_PER_METRIC_MAX;
use metrics::{Histogram, Label};
use opentelemetry::Context;

use crate::metrics::exemplars::error_scope;

/// Between two values of a key; no label value of ours contains it.
const SEPARATOR: char = '\0';

thread_local! {
    /// Where a key is put together.
    static KEY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// One operation that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) duration: Duration,
    /// Its trace is kept whatever the sampling predicate says.
    pub(crate) failed: bool,
}

/// One histogram of durations in seconds.
pub(crate) struct Durations<const LABELS: usize> {
    metric: &'static str,
    labels: [&'static str; LABELS],
    /// At most as many as the recorder keeps apart; what is over goes to the recorder's overflow series each time.
    handles: RwLock<HashMap<String, Histogram>>,
}

impl<const LABELS: usize> Durations<LABELS> {
    pub(crate) fn new(metric: &'static str, labels: [&'static str; LABELS]) -> Self {
        Self {
            metric,
            labels,
            handles: RwLock::default(),
        }
    }

    /// Makes the series exist before anything happened.
    pub(crate) fn register(&self, values: [&str; LABELS]) {
        let _registered = self.histogram(values);
    }

    /// Records into the series with these values, inside the operation's own context: an exemplar is to name the
    /// operation that took so long. (Entering its `tracing` span would do the same at ten times the cost.) A label
    /// whose value is empty is left out.
    pub(crate) fn record(&self, context: &Context, values: [&str; LABELS], sample: Sample) {
        let _current = context.clone().attach();
        let record = || self.histogram(values).record(sample.duration.as_secs_f64());
        match sample.failed {
            true => error_scope(record),
            false => record(),
        }
    }

    fn histogram(&self, values: [&str; LABELS]) -> Histogram {
        KEY.with_borrow_mut(|key| {
            key.clear();
            for value in values {
                key.push_str(value);
                key.push(SEPARATOR);
            }
            let known = self.handles.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(histogram) = known.get(key.as_str()) {
                return histogram.clone();
            }
            drop(known);
            let histogram = self.new_histogram(values);
            let mut known = self.handles.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < SERIES_PER_METRIC_MAX {
                known.insert(key.clone(), histogram.clone());
            }
            histogram
        })
    }

    fn new_histogram(&self, values: [&str; LABELS]) -> Histogram {
        let pairs = self.labels.iter().zip(values);
        let labels: Vec<Label> = pairs
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| Label::new(*name, value.to_owned()))
            .collect();
        metrics::histogram!(self.metric, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::capture;

    const METRIC: &str = "test_duration_seconds";

    fn sample() -> Sample {
        Sample {
            duration: Duration::from_millis(20),
            failed: false,
        }
    }

    #[test]
    fn each_combination_of_values_is_a_series_of_its_own() {
        let captured = capture(|| {
            let durations = Durations::new(METRIC, ["a", "b"]);
            for values in [
                ["x", "yz"],
                ["xy", "z"],
                ["", "xyz"],
                ["xyz", ""],
                ["x", "yz"],
            ] {
                durations.record(&Context::new(), values, sample());
            }
        });
        let series = captured
            .metrics
            .lines()
            .filter(|line| line.starts_with("test_duration_seconds_count{"));
        let mut series: Vec<_> = series.collect();
        series.sort_unstable();
        assert_eq!(
            series,
            [
                r#"test_duration_seconds_count{service="captured",a="x",b="yz"} 2"#,
                r#"test_duration_seconds_count{service="captured",a="xy",b="z"} 1"#,
                r#"test_duration_seconds_count{service="captured",a="xyz"} 1"#,
                r#"test_duration_seconds_count{service="captured",b="xyz"} 1"#,
            ]
        );
        assert_eq!(
            captured.sample("test_duration_seconds_sum", &[("b", "yz")]),
            Some(0.04)
        );
    }

    #[test]
    fn what_is_over_the_bound_is_recorded_but_not_remembered() {
        let captured = capture(|| {
            let durations = Durations::new(METRIC, ["n"]);
            for n in 0..SERIES_PER_METRIC_MAX + 5 {
                durations.record(&Context::new(), [&n.to_string()], sample());
            }
            durations
                .handles
                .into_inner()
                .map(|handles| handles.len())
                .ok()
        });
        assert_eq!(captured.result, Some(SERIES_PER_METRIC_MAX));
        let recorded = captured.sample("test_duration_seconds_count", &[]);
        assert_eq!(recorded, Some(SERIES_PER_METRIC_MAX as f64 + 5.0));
    }
}
