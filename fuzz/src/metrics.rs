//! A few series in memory, to be queried and written to by whatever is fuzzed.

use std::ops::RangeInclusive;

use alerting::{Append, AppendError};
use promql::{Engine, Options};
use scrape::sink::{Batch, ExemplarOutcome, Outcome, Report, Sink, SinkError};
use tsdb::{Labels, Matcher, STALE_NAN_BITS, Sample, Series, Source, SourceError};

/// The time of the last sample of each series.
pub const NOW_MS: i64 = 3_600_000;
const STEP_MS: i64 = 15_000;
const SAMPLES: i32 = 60;

/// One that gives up early: what is fuzzed is correctness, not patience.
pub fn engine() -> Engine {
    Engine::new(Options {
        samples_max: 200_000,
        timeout: std::time::Duration::from_secs(1),
        ..Options::default()
    })
}

/// Answers queries with a counter, a histogram and odd values; forgets what is written.
#[derive(Debug)]
pub struct Memory(Vec<Series>);

impl Memory {
    pub fn new() -> Self {
        let mut series = Vec::new();
        for job in ["a", "b"] {
            for code in ["200", "500"] {
                let labels = [("__name__", "requests_total"), ("job", job), ("code", code)];
                // Falls back to zero now and then.
                series.push(of(&labels, |n| f64::from(n % 25)));
            }
            for (bound, factor) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0)] {
                let labels = [("__name__", "seconds_bucket"), ("job", job), ("le", bound)];
                series.push(of(&labels, |n| factor * f64::from(n)));
            }
            series.push(of(&[("__name__", "up"), ("job", job)], |_| 1.0));
        }
        series.push(of(&[("__name__", "odd")], |n| match n % 7 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => f64::from_bits(STALE_NAN_BITS),
            4 => f64::MAX,
            5 => f64::MIN_POSITIVE,
            _ => -0.0,
        }));
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self(series)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn of(labels: &[(&str, &str)], value: impl Fn(i32) -> f64) -> Series {
    let samples = (0..SAMPLES).map(|n| Sample {
        t_ms: NOW_MS - i64::from(SAMPLES - 1 - n) * STEP_MS,
        value: value(n),
    });
    Series {
        labels: Labels::new(labels.iter().copied()),
        samples: samples.collect(),
    }
}

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found = Vec::new();
        let mut samples_left = samples_max;
        for series in &self.0 {
            if !matchers.iter().all(|matcher| matcher.holds(&series.labels)) {
                continue;
            }
            let samples = series.samples.iter();
            let samples: Vec<Sample> = samples
                .filter(|sample| range_ms.contains(&sample.t_ms))
                .copied()
                .collect();
            if samples.is_empty() {
                continue;
            }
            samples_left = samples_left
                .checked_sub(samples.len())
                .ok_or(SourceError::TooManySamples { samples_max })?;
            let labels = series.labels.clone();
            found.push(Series { labels, samples });
        }
        Ok(found)
    }
}

impl Append for Memory {
    fn append(&self, _: &[(Labels, Sample)]) -> Result<(), AppendError> {
        Ok(())
    }
}

impl Sink for Memory {
    type Series = u64;

    fn append(&self, batch: &Batch<u64>) -> Result<Report<u64>, SinkError> {
        Ok(Report {
            samples: vec![(Outcome::Stored, Some(1)); batch.samples.len()],
            exemplars: vec![ExemplarOutcome::Stored; batch.exemplars.len()],
        })
    }
}
