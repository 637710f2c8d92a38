//! The series about scrapes themselves, of which every target has the same five.

use conventions::metrics as names;
use tsdb::{Labels, STALE_NAN_BITS};

use super::{Attempt, Summary};
use crate::sink::{Batch, Outcome, Sample};

const NAMES: [&str; 5] = [
    names::UP,
    names::SCRAPE_DURATION,
    names::SCRAPE_SAMPLES_SCRAPED,
    names::SCRAPE_SAMPLES_KEPT,
    names::SCRAPE_SERIES_ADDED,
];

#[derive(Debug)]
pub(super) struct Reports<S>([(Labels, Option<S>); NAMES.len()]);

impl<S: Copy> Reports<S> {
    pub(super) fn new(target: &Labels) -> Self {
        Self(NAMES.map(|name| {
            let own = [("__name__", name)];
            (Labels::new(target.iter().chain(own)), None)
        }))
    }

    pub(super) fn push(&self, batch: &mut Batch<S>, attempt: &Attempt<'_>, summary: &Summary) {
        let up = if summary.error.is_none() { 1.0 } else { 0.0 };
        let values = [
            up,
            attempt.duration.as_secs_f64(),
            summary.scraped as f64,
            summary.kept as f64,
            summary.series_added as f64,
        ];
        self.push_values(batch, values);
    }

    pub(super) fn push_markers(&self, batch: &mut Batch<S>) {
        self.push_values(batch, [f64::from_bits(STALE_NAN_BITS); NAMES.len()]);
    }

    /// By what storage knows them now.
    pub(super) fn learn(&mut self, outcomes: &[(Outcome, Option<S>)]) {
        for ((_, known), (_, series)) in self.0.iter_mut().zip(outcomes) {
            *known = *series;
        }
    }

    fn push_values(&self, batch: &mut Batch<S>, values: [f64; NAMES.len()]) {
        let t_ms = batch.now_ms;
        batch.samples.extend(
            self.0
                .iter()
                .zip(values)
                .map(|((labels, known), value)| Sample {
                    labels: labels.clone(),
                    known: *known,
                    t_ms,
                    value,
                }),
        );
    }
}
