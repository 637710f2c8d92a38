//! Reading label sets, names and values; and what happens when a block turns out to be damaged: it is set aside, said, and
//! the question is answered by the rest. Samples are read in `select`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::{Inner, Store};
use crate::block::Query;
use crate::{Error, Labels, Matcher, SourceError, own_metrics, postings};

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
pub(super) enum Failure {
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
    pub(super) fn answer<T>(&self, ask: impl Fn() -> Result<T, Failure>) -> Result<T, SourceError> {
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
