//! A source in memory: series in label order, filtered by their labels. No index.

use std::ops::RangeInclusive;

use tsdb::{Matcher, Series, Source, SourceError};

pub(crate) struct Memory {
    series: Vec<Series>,
}

impl Memory {
    pub(crate) fn new(mut series: Vec<Series>) -> Self {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self { series }
    }

    pub(crate) fn series(&self) -> &[Series] {
        &self.series
    }
}

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut selected = Vec::new();
        let mut samples_left = samples_max;
        for series in &self.series {
            let fits = |matcher: &Matcher| matcher.matches.holds(series.labels.get(&matcher.name));
            if !matchers.iter().all(fits) {
                continue;
            }
            let samples = &series.samples;
            let from = samples.partition_point(|sample| sample.t_ms < *range_ms.start());
            let to = samples.partition_point(|sample| sample.t_ms <= *range_ms.end());
            if from >= to {
                continue;
            }
            samples_left = samples_left
                .checked_sub(to - from)
                .ok_or(SourceError::TooManySamples { samples_max })?;
            selected.push(Series {
                labels: series.labels.clone(),
                samples: samples[from..to].to_vec(),
            });
        }
        Ok(selected)
    }
}
