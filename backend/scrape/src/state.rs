//! What is remembered of a target between scrapes, and what one scrape becomes: samples, exemplars, staleness markers, and the
//! five series about the scrape itself.
//!
//! No network and no clock: pages and instants come from outside, samples go to a [`Sink`]. A page is taken whole or not at
//! all; of a page that is taken, storage judges each sample.

mod families;
mod reading;
mod report;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tsdb::{Labels, STALE_NAN_BITS};

use crate::{
    exposition::{ContentTypeError, ParseError},
    sink::{self, Batch, ExemplarOutcome, Outcome, Sink, SinkError},
    target::Target,
};

pub use families::Family;

use families::Families;
use reading::Reading;
use report::Reports;

/// Texts that a target may bring in scrapes that fail, besides twice those of its last good page, before those of earlier
/// scrapes are forgotten. As in Prometheus.
const FORGOTTEN_ABOVE: usize = 1_000;

/// A target over time.
#[derive(Debug)]
pub struct State<S> {
    target: Arc<Target>,
    /// By name and labels as they are written.
    known: HashMap<Box<str>, Known<S>>,
    families: Families,
    reports: Reports<S>,
    /// Counts scrapes, from 1.
    scrape: u64,
    /// What was remembered after the last page that was taken.
    remembered: usize,
}

/// One scrape as it went.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// When it began: the time of its samples.
    pub t_ms: i64,
    pub duration: Duration,
    pub page: Result<Page<'a>, Failure<'a>>,
}

/// What a target answered.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub body: &'a [u8],
    pub content_type: &'a str,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a>(pub &'a str);

/// What became of a scrape.
#[derive(Debug, Default)]
pub struct Summary {
    /// `None`: the target is up.
    pub error: Option<ScrapeError>,
    /// Samples on the page.
    pub scraped: u64,
    /// Of those, what metric relabelling left.
    pub kept: u64,
    /// Of those, what the scrape before did not have.
    pub series_added: u64,
    pub refused: Refused,
}

/// What storage did not take of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub out_of_order: u64,
    pub duplicate: u64,
    pub out_of_bounds: u64,
    /// For another reason.
    pub other: u64,
    pub exemplars_out_of_order: u64,
}

/// Why nothing of a page was stored. Messages are those of Prometheus where it has one.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("sample limit exceeded")]
    SampleLimit,
    #[error("{0}")]
    LabelLimit(String),
    #[error("invalid series: {0}")]
    Series(String),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What a scrape that did not fail brought.
enum Taken {
    Page,
    /// An empty body. Misbehaving targets send one now and then.
    Nothing,
}

/// A series as the target writes it.
#[derive(Clone, Debug)]
enum Known<S> {
    /// By metric relabelling.
    Dropped {
        seen: u64,
    },
    Kept(Kept<S>),
}

#[derive(Clone, Debug)]
struct Kept<S> {
    labels: Labels,
    /// `None` as long as it stood on pages only of which nothing was stored.
    series: Option<S>,
    /// The last scrape that had it.
    seen: u64,
    /// The last scrape that stored it, without a timestamp of its own.
    tracked: u64,
    /// Tracked, and no marker was written since.
    live: bool,
}

impl<S: Copy + PartialEq> State<S> {
    pub fn new(target: Arc<Target>) -> Self {
        Self {
            reports: Reports::new(&target.labels),
            target,
            known: HashMap::new(),
            families: Families::default(),
            scrape: 0,
            remembered: 0,
        }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// What the target says about its metrics, by name.
    pub fn families(&self) -> Vec<Family> {
        self.families.list()
    }

    /// The same target under another configuration. Nothing is known any more but what is live, so that whatever the new
    /// configuration no longer brings gets its marker.
    pub fn reconfigure(&mut self, target: Arc<Target>) {
        self.known
            .retain(|_, known| matches!(known, Known::Kept(kept) if kept.live));
        // No page can have such texts: the series are only ends to be marked.
        let live = std::mem::take(&mut self.known).into_values();
        self.known = live
            .enumerate()
            .map(|(n, known)| (format!("\n{n}").into(), known))
            .collect();
        self.target = target;
    }

    /// One scrape, successful or not.
    pub fn scrape(&mut self, attempt: Attempt<'_>, sink: &impl Sink<Series = S>) -> Summary {
        self.scrape += 1;
        let mut summary = Summary::default();
        let taken = match attempt.page {
            Ok(page) => self.take(page, attempt.t_ms, sink, &mut summary),
            Err(Failure(reason)) => Err(ScrapeError::Failed(reason.to_owned())),
        };
        let mut batch = self.markers(attempt.t_ms, taken.is_ok());
        match taken {
            Ok(Taken::Page) => self.forget(true),
            // What is known stays: the target will be back.
            Ok(Taken::Nothing) => self.forget(false),
            Err(error) => {
                summary.error = Some(error);
                self.forget(false);
            }
        }
        let markers = batch.samples.len();
        self.reports.push(&mut batch, &attempt, &summary);
        match sink.append(&batch) {
            Ok(report) => self.reports.learn(&report.samples[markers..]),
            // What is wrong with storage is told once.
            Err(error) => summary.error = summary.error.or(Some(error.into())),
        }
        summary
    }

    /// The target is gone: all its series end here.
    ///
    /// # Errors
    /// Storage does not work.
    pub fn stop(&mut self, t_ms: i64, sink: &impl Sink<Series = S>) -> Result<(), SinkError> {
        if self.scrape == 0 {
            return Ok(());
        }
        let mut batch = self.markers(t_ms, false);
        self.reports.push_markers(&mut batch);
        self.known.clear();
        sink.append(&batch).map(drop)
    }

    /// Reads the page and stores its samples.
    fn take(
        &mut self,
        page: Page<'_>,
        t_ms: i64,
        sink: &impl Sink<Series = S>,
        summary: &mut Summary,
    ) -> Result<Taken, ScrapeError> {
        if page.body.is_empty() {
            return Ok(Taken::Nothing);
        }
        let mut reading = Reading::new(t_ms);
        if let Err(error) = self.read(page, &mut reading, summary) {
            self.remember(&reading, summary);
            return Err(error);
        }
        summary.refused.duplicate = reading.duplicates;
        let report = sink.append(&reading.batch)?;
        self.settle(&reading, &report.samples, summary);
        let out_of_order = report
            .exemplars
            .iter()
            .filter(|outcome| **outcome == ExemplarOutcome::OutOfOrder);
        summary.refused.exemplars_out_of_order = out_of_order.count() as u64;
        Ok(Taken::Page)
    }

    /// Remembers what became of the samples.
    fn settle(
        &mut self,
        reading: &Reading<'_, S>,
        outcomes: &[(Outcome, Option<S>)],
        summary: &mut Summary,
    ) {
        let samples = reading.batch.samples.iter().zip(&reading.origins);
        for ((sample, origin), (outcome, series)) in samples.zip(outcomes) {
            let stored = *outcome == Outcome::Stored;
            if stored && series.is_some() && *series == sample.known {
                continue;
            }
            summary.refused.count(*outcome);
            match (self.known.get_mut(origin.text), series) {
                (Some(Known::Kept(kept)), _) if !stored => kept.tracked = 0,
                (Some(Known::Kept(kept)), Some(_)) => kept.series = *series,
                (None, Some(_)) if stored => {
                    let tracked = if origin.has_time { 0 } else { self.scrape };
                    self.add(origin.text, &sample.labels, *series, tracked);
                    summary.series_added += 1;
                }
                _ => {}
            }
        }
        self.remember_dropped(reading);
    }

    /// Of a page that is refused: what was new on it before it was, which counts as added, and is not new the next time.
    fn remember(&mut self, reading: &Reading<'_, S>, summary: &mut Summary) {
        for (sample, origin) in reading.batch.samples.iter().zip(&reading.origins) {
            if !self.known.contains_key(origin.text) {
                self.add(origin.text, &sample.labels, None, 0);
                summary.series_added += 1;
            }
        }
        self.remember_dropped(reading);
    }

    fn remember_dropped(&mut self, reading: &Reading<'_, S>) {
        let seen = self.scrape;
        let dropped = reading.dropped.iter();
        self.known
            .extend(dropped.map(|text| ((*text).into(), Known::Dropped { seen })));
    }

    fn add(&mut self, text: &str, labels: &Labels, series: Option<S>, tracked: u64) {
        let kept = Kept {
            labels: labels.clone(),
            series,
            seen: self.scrape,
            tracked,
            live: false,
        };
        self.known.insert(text.into(), Known::Kept(kept));
    }

    /// After a page that was taken, all that was not on it; otherwise only if there is too much of it, by pages that are
    /// refused and never the same.
    fn forget(&mut self, is_taken: bool) {
        let count = self.known.len() + self.families.count();
        if is_taken {
            self.remembered = count;
        }
        if is_taken || count > 2 * self.remembered + FORGOTTEN_ABOVE {
            self.known.retain(|_, known| known.seen() == self.scrape);
        }
    }

    /// A marker for each series that was live and was not stored now. One that is only written in another way now, its labels
    /// in another order, has a sample of this instant, beside which storage refuses the marker.
    fn markers(&mut self, t_ms: i64, taken: bool) -> Batch<S> {
        let scrape = self.scrape;
        let is_tracked = |kept: &Kept<S>| taken && kept.tracked == scrape;
        let mut ended = Vec::new();
        for known in self.known.values_mut() {
            if let Known::Kept(kept) = known {
                let is_live = is_tracked(kept);
                if std::mem::replace(&mut kept.live, is_live) && !is_live {
                    ended.push((kept.labels.clone(), kept.series));
                }
            }
        }
        self.families.age(scrape);
        let mut batch = Batch::new(t_ms);
        batch
            .samples
            .extend(ended.into_iter().map(|(labels, known)| sink::Sample {
                labels,
                known,
                t_ms,
                value: f64::from_bits(STALE_NAN_BITS),
            }));
        batch
    }
}

impl<S> Known<S> {
    fn seen(&self) -> u64 {
        match self {
            Self::Dropped { seen } => *seen,
            Self::Kept(kept) => kept.seen,
        }
    }
}

impl Refused {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored => {}
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::OutOfOrder => self.out_of_order += 1,
            Outcome::TooOld | Outcome::TooFarAhead => self.out_of_bounds += 1,
            Outcome::SeriesLimit | Outcome::Invalid => self.other += 1,
        }
    }
}
