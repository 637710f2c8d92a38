//! From a page to a batch: labels of the page and of the target joined, metric relabelling, and the limits of the job.
//! Series that are known by their text skip all of that.

use std::collections::HashSet;

use tsdb::{Exemplar, Labels};

use super::{Known, Page, ScrapeError, State, Summary};
use crate::{
    config::{Job, Limits},
    exposition::{self, Entry, Format, Pair, Parser},
    relabel::{self, LabelSet},
    sink::{Batch, ExemplarOf, Sample},
};

/// A page with a series of more labels is refused, whatever the configuration says: joining labels takes time in the square.
const LABELS_PER_SERIES_MAX: usize = 500;

const NAME: &str = "__name__";
/// Before a label of the page that the target has too.
const EXPORTED_PREFIX: &str = "exported_";
/// Characters of names and values in messages.
const QUOTED_CHARS_MAX: usize = 50;

/// What a page says.
#[derive(Debug)]
pub(super) struct Reading<'a, S> {
    pub(super) batch: Batch<S>,
    /// Of each sample.
    pub(super) origins: Vec<Origin<'a>>,
    /// New texts that metric relabelling drops.
    pub(super) dropped: HashSet<&'a str>,
    /// New texts that it keeps.
    fresh: HashSet<&'a str>,
    /// Samples of a series that the page has had already.
    pub(super) duplicates: u64,
    /// The page has more samples than the job allows.
    over_limit: bool,
}

/// Where a sample comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) text: &'a str,
    /// The page says when it was taken.
    pub(super) has_time: bool,
}

impl<S: Copy + PartialEq> State<S> {
    /// Reads the page up to its end or to what is wrong with it. Counts in either case.
    pub(super) fn read<'a>(
        &mut self,
        page: Page<'a>,
        reading: &mut Reading<'a, S>,
        summary: &mut Summary,
    ) -> Result<(), ScrapeError> {
        let format = Format::of(page.content_type)?;
        let mut pairs = Vec::new();
        for entry in Parser::new(page.body, format) {
            match entry? {
                Entry::Sample(sample) => {
                    summary.scraped += 1;
                    let is_kept = self.sample(reading, sample, &mut pairs)?;
                    summary.kept += u64::from(is_kept);
                }
                metadata => self.families.learn(&metadata, self.scrape),
            }
        }
        if reading.over_limit {
            return Err(ScrapeError::SampleLimit);
        }
        Ok(())
    }

    /// Whether metric relabelling keeps it.
    fn sample<'a>(
        &mut self,
        reading: &mut Reading<'a, S>,
        mut sample: exposition::Sample<'a>,
        pairs: &mut Vec<Pair<'a>>,
    ) -> Result<bool, ScrapeError> {
        let (scrape, job) = (self.scrape, &self.target.job);
        if !job.honor_timestamps {
            sample.t_ms = None;
        }
        let has_time = sample.t_ms.is_some();
        let (labels, known) = match self.known.get_mut(sample.series) {
            Some(Known::Dropped { seen }) => {
                *seen = scrape;
                return Ok(false);
            }
            Some(Known::Kept(kept)) => {
                let again = std::mem::replace(&mut kept.seen, scrape) == scrape;
                if again && !has_time {
                    reading.duplicates += 1;
                    return Ok(true);
                }
                if !has_time {
                    kept.tracked = scrape;
                }
                (kept.labels.clone(), kept.series)
            }
            None => {
                if reading.dropped.contains(sample.series) {
                    return Ok(false);
                }
                if reading.fresh.contains(sample.series) && !has_time {
                    reading.duplicates += 1;
                    return Ok(true);
                }
                // Nothing of the page will be stored, and nothing is dropped: counting is enough.
                if reading.over_limit && job.metric_relabel.is_empty() {
                    return Ok(true);
                }
                pairs.clear();
                sample.labels(pairs);
                let Some(labels) = resolve(job, &self.target.labels, pairs)? else {
                    reading.dropped.insert(sample.series);
                    return Ok(false);
                };
                (labels, None)
            }
        };
        reading.push(sample, labels, known, &job.limits, pairs);
        Ok(true)
    }
}

impl<'a, S: Copy> Reading<'a, S> {
    pub(super) fn new(t_ms: i64) -> Self {
        Self {
            batch: Batch::new(t_ms),
            origins: Vec::new(),
            dropped: HashSet::new(),
            fresh: HashSet::new(),
            duplicates: 0,
            over_limit: false,
        }
    }

    fn push(
        &mut self,
        sample: exposition::Sample<'a>,
        labels: Labels,
        known: Option<S>,
        limits: &Limits,
        pairs: &mut Vec<Pair<'a>>,
    ) {
        let samples = self.batch.samples.len();
        if limits.samples > 0 && samples as u64 >= limits.samples {
            self.over_limit = true;
            return;
        }
        if known.is_none() {
            self.fresh.insert(sample.series);
        }
        let t_ms = sample.t_ms.unwrap_or(self.batch.now_ms);
        if let Some(exemplar) = sample.exemplar {
            pairs.clear();
            exemplar.labels(pairs);
            let exemplar = Exemplar {
                labels: Labels::new(pairs.drain(..)),
                t_ms: exemplar.t_ms.unwrap_or(t_ms),
                value: exemplar.value,
            };
            self.batch.exemplars.push(ExemplarOf {
                labels: labels.clone(),
                known,
                exemplar,
            });
        }
        self.origins.push(Origin {
            text: sample.series,
            has_time: sample.t_ms.is_some(),
        });
        self.batch.samples.push(Sample {
            labels,
            known,
            t_ms,
            value: sample.value,
        });
    }
}

/// The labels of the stored series; `None` if metric relabelling drops it.
fn resolve(job: &Job, target: &Labels, pairs: &[Pair<'_>]) -> Result<Option<Labels>, ScrapeError> {
    let mut labels = join(job.honor_labels, target, pairs)?;
    if !relabel::apply(&job.metric_relabel, &mut labels) || labels.is_empty() {
        return Ok(None);
    }
    if labels.get(NAME).is_empty() {
        return Err(ScrapeError::Series(
            "missing metric name (__name__ label)".into(),
        ));
    }
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Err(ScrapeError::Series("a label has no name".into()));
    }
    check_limits(&labels, &job.limits)?;
    Ok(Some(labels.into_labels()))
}

/// Labels of the page and of the target. Which of them wins is the job's choice.
fn join(honor: bool, target: &Labels, pairs: &[Pair<'_>]) -> Result<LabelSet, ScrapeError> {
    if pairs.len() > LABELS_PER_SERIES_MAX {
        let reason = format!(
            "it has {} labels, the limit is {LABELS_PER_SERIES_MAX}",
            pairs.len()
        );
        return Err(ScrapeError::Series(reason));
    }
    let is_on_page = |name: &str| pairs.iter().any(|(known, _)| known == name);
    for (index, (name, _)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(known, _)| known == name) {
            return Err(ScrapeError::Series(format!(
                "label name {name:?} is not unique"
            )));
        }
    }
    let mut labels = LabelSet::from_iter(pairs.iter().map(|(name, value)| (&**name, value)));
    if honor {
        // An empty label of the page wins as well, and takes the label away.
        let missing = target.iter().filter(|(name, _)| !is_on_page(name));
        missing.for_each(|(name, value)| labels.set(name, value));
        return Ok(labels);
    }
    let mut moved: Vec<(&str, String)> = Vec::new();
    for (name, value) in target.iter() {
        let old = labels.get(name);
        if !old.is_empty() {
            moved.push((name, old.to_owned()));
        }
        labels.set(name, value);
    }
    // The shortest first, so that a moved label does not take the place of one that has its name already.
    moved.sort_by_key(|(name, _)| name.len());
    for (name, value) in moved {
        let mut name = format!("{EXPORTED_PREFIX}{name}");
        while !labels.get(&name).is_empty() {
            name.insert_str(0, EXPORTED_PREFIX);
        }
        labels.set(&name, &value);
    }
    Ok(labels)
}

fn check_limits(labels: &LabelSet, limits: &Limits) -> Result<(), ScrapeError> {
    let is_over = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
    let metric = cut(labels.get(NAME));
    if is_over(labels.len(), limits.labels) {
        let (count, limit) = (labels.len(), limits.labels);
        return Err(ScrapeError::LabelLimit(format!(
            "label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})"
        )));
    }
    for (name, value) in labels.iter() {
        if is_over(name.len(), limits.label_name_bytes) {
            let (name, length, limit) = (cut(name), name.len(), limits.label_name_bytes);
            return Err(ScrapeError::LabelLimit(format!(
                "label_name_length_limit exceeded (metric: {metric}, label name: {name}, length: {length}, limit: {limit})"
            )));
        }
        if is_over(value.len(), limits.label_value_bytes) {
            let (name, value, length, limit) =
                (cut(name), cut(value), value.len(), limits.label_value_bytes);
            return Err(ScrapeError::LabelLimit(format!(
                "label_value_length_limit exceeded (metric: {metric}, label name: {name}, value: {value:?}, length: {length}, limit: {limit})"
            )));
        }
    }
    Ok(())
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
