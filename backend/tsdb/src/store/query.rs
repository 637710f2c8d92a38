//! Reading: what matchers select from the blocks and the head, joined in label order.
//!
//! The head gives away references to compressed chunks under a short lock; all decoding happens after it. A block that turns
//! out to be damaged is set aside, said, and the query is answered by the rest.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::{Inner, Store};
use crate::block::{Block, Query};
use crate::chunk::Chunk;
use crate::{Error, Labels, Matcher, Series, Source, SourceError, own_metrics, postings};

impl Source for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let inner = &self.inner;
        inner.answer(|| inner.select(matchers, &range_ms, samples_max))
    }
}

impl Store {
    /// The label sets of series that satisfy the matchers and have a chunk in the range, in label order.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn series(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
    ) -> Result<Vec<Labels>, SourceError> {
        let inner = &self.inner;
        inner.answer(|| inner.series(matchers, &range_ms))
    }

    /// The names of their labels, sorted. Without matchers, of all series of blocks and head that overlap the range.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
    ) -> Result<Vec<Box<str>>, SourceError> {
        let inner = &self.inner;
        inner.answer(|| inner.label_names(matchers, &range_ms))
    }

    /// The values of one of their labels, sorted. Without matchers, of all series of blocks and head that overlap the range.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
    ) -> Result<Vec<Box<str>>, SourceError> {
        let inner = &self.inner;
        inner.answer(|| inner.label_values(name, matchers, &range_ms))
    }
}

/// Why one attempt at an answer failed.
enum Failure {
    Source(SourceError),
    Store(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Inner {
    /// Again without the block that was damaged, until none is.
    fn answer<T>(&self, ask: impl Fn() -> Result<T, Failure>) -> Result<T, SourceError> {
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(Failure::Source(error)) => return Err(error),
                Err(Failure::Store(error)) => {
                    let is_gone = match &error {
                        Error::Damaged { path, .. } => self.set_aside(path, &error),
                        _ => false,
                    };
                    if !is_gone {
                        return Err(SourceError::Storage(Box::new(error)));
                    }
                }
            }
        }
    }

    /// True when the block is no longer read, whoever has seen to it.
    fn set_aside(&self, path: &Path, error: &Error) -> bool {
        let damaged = {
            let mut view = self.view_mut();
            let (damaged, sound): (Vec<_>, Vec<_>) = view
                .blocks
                .iter()
                .cloned()
                .partition(|block| block.path() == path);
            view.blocks = Arc::new(sound);
            damaged
        };
        for block in &damaged {
            let aside = block.set_aside();
            own_metrics::block_damaged();
            tracing::error!(
                error = error as &dyn std::error::Error,
                aside = %aside.display(),
                samples = block.footer.samples,
                "a damaged block of samples was set aside"
            );
        }
        true
    }

    fn select(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, Failure> {
        let (head, blocks) = self.collect_head(matchers, range, samples_max)?;
        let mut left = samples_max;
        let mut found = Vec::new();
        for block in blocks.iter().filter(|block| block.overlaps(range)) {
            let of_block = read_block(block, matchers, range, samples_max, &mut left)?;
            found = join(found, of_block);
        }
        let mut of_head = Vec::with_capacity(head.len());
        for (labels, chunks) in head {
            let mut samples =
                Vec::with_capacity(chunks.iter().map(|c| usize::from(c.samples)).sum());
            for chunk in &chunks {
                chunk
                    .read(range, &mut samples)
                    .expect("a chunk of the head is what was written");
            }
            count(samples.len(), samples_max, &mut left)?;
            if !samples.is_empty() {
                of_head.push(Series { labels, samples });
            }
        }
        of_head.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(join(found, of_head))
    }

    /// The head's chunks and the blocks, as they were at one moment.
    #[expect(clippy::type_complexity)]
    fn collect_head(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<(Vec<(Labels, Vec<Chunk>)>, Arc<Vec<Arc<Block>>>), Failure> {
        let view = self.view();
        let range = view.head.unblocked(range);
        let blocks = Arc::clone(&view.blocks);
        if !view.head.overlaps(&range) {
            return Ok((Vec::new(), blocks));
        }
        let Ok(places) = postings::select(&mut &view.head, matchers);
        let mut collected = Vec::with_capacity(places.len());
        let mut left = samples_max;
        for series in places.into_iter().filter_map(|place| view.head.get(place)) {
            let chunks: Vec<Chunk> = series.chunks(&range).collect();
            // Chunks that are wholly inside count already, so that no query copies more than it may load.
            let inside = chunks
                .iter()
                .filter(|chunk| range.contains(&chunk.t_min) && range.contains(&chunk.t_max));
            let samples = inside.map(|chunk| usize::from(chunk.samples)).sum();
            count(samples, samples_max, &mut left)?;
            if !chunks.is_empty() {
                collected.push((series.labels.clone(), chunks));
            }
        }
        Ok((collected, blocks))
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Result<Vec<Labels>, Failure> {
        let mut found = BTreeSet::new();
        let blocks = {
            let view = self.view();
            let range = view.head.unblocked(range);
            let Ok(places) = postings::select(&mut &view.head, matchers);
            let series = places.into_iter().filter_map(|place| view.head.get(place));
            found.extend(
                series
                    .filter(|series| series.has_samples(&range))
                    .map(|series| series.labels.clone()),
            );
            Arc::clone(&view.blocks)
        };
        for block in blocks.iter().filter(|block| block.overlaps(range)) {
            let mut query = Query::new(block);
            for number in postings::select(&mut query, matchers)? {
                let series = query.series(number, range)?;
                if !series.is_empty() {
                    found.insert(series.labels);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    fn label_names(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Result<Vec<Box<str>>, Failure> {
        let mut found = Sorted::default();
        if !matchers.is_empty() {
            let series = self.series(matchers, range)?;
            let names = series.iter().flat_map(Labels::iter).map(|(name, _)| name);
            names.for_each(|name| found.add(name));
            return Ok(found.all());
        }
        let blocks = {
            let view = self.view();
            if view.head.overlaps(range) {
                view.head.names(&mut |name| found.add(name));
            }
            Arc::clone(&view.blocks)
        };
        for block in blocks.iter().filter(|block| block.overlaps(range)) {
            Query::new(block).names(&mut |name| found.add(name))?;
        }
        Ok(found.all())
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Result<Vec<Box<str>>, Failure> {
        let mut found = Sorted::default();
        if !matchers.is_empty() {
            let series = self.series(matchers, range)?;
            let values = series.iter().map(|labels| labels.get(name));
            values
                .filter(|value| !value.is_empty())
                .for_each(|value| found.add(value));
            return Ok(found.all());
        }
        let blocks = {
            let view = self.view();
            if view.head.overlaps(range) {
                view.head.label_values(name, &mut |value| found.add(value));
            }
            Arc::clone(&view.blocks)
        };
        for block in blocks.iter().filter(|block| block.overlaps(range)) {
            Query::new(block).label_values(name, &mut |value| found.add(value))?;
        }
        Ok(found.all())
    }
}

/// Strings, each once, in order.
#[derive(Default)]
struct Sorted(BTreeSet<Box<str>>);

impl Sorted {
    fn add(&mut self, string: &str) {
        if !self.0.contains(string) {
            self.0.insert(string.into());
        }
    }

    fn all(self) -> Vec<Box<str>> {
        self.0.into_iter().collect()
    }
}

fn read_block(
    block: &Block,
    matchers: &[Matcher],
    range: &RangeInclusive<i64>,
    samples_max: usize,
    left: &mut usize,
) -> Result<Vec<Series>, Failure> {
    let mut query = Query::new(block);
    let mut found = Vec::new();
    for number in postings::select(&mut query, matchers)? {
        let series = query.series(number, range)?;
        let mut samples = Vec::new();
        query.samples(&series, range, &mut samples)?;
        count(samples.len(), samples_max, left)?;
        if !samples.is_empty() {
            let labels = series.labels;
            found.push(Series { labels, samples });
        }
    }
    Ok(found)
}

fn count(samples: usize, samples_max: usize, left: &mut usize) -> Result<(), Failure> {
    match left.checked_sub(samples) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(Failure::Source(SourceError::TooManySamples { samples_max })),
    }
}

/// Both are in label order, and `newer` has later samples.
fn join(older: Vec<Series>, newer: Vec<Series>) -> Vec<Series> {
    if older.is_empty() {
        return newer;
    }
    let mut joined = Vec::with_capacity(older.len().max(newer.len()));
    let (mut older, mut newer) = (older.into_iter().peekable(), newer.into_iter().peekable());
    loop {
        let order = match (older.peek(), newer.peek()) {
            (Some(a), Some(b)) => a.labels.cmp(&b.labels),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return joined,
        };
        match order {
            Ordering::Less => joined.extend(older.next()),
            Ordering::Greater => joined.extend(newer.next()),
            Ordering::Equal => {
                let mut series = older.next();
                if let (Some(series), Some(later)) = (&mut series, newer.next()) {
                    series.samples.extend(later.samples);
                }
                joined.extend(series);
            }
        }
    }
}
