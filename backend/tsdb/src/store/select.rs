//! Reading samples: what matchers select from the blocks and the head, joined in label order.
//!
//! The head gives away its compressed chunks under a short lock; all decoding happens after it. A range that only the head has,
//! as that of most rules, is shown series by series out of one buffer, so that no samples are kept.

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::sync::Arc;

use super::query::Failure;
use super::{Inner, Store};
use crate::block::{Block, Query};
use crate::head::{Head, MemorySeries};
use crate::{Labels, Matcher, Sample, Series, Source, SourceError, chunk, postings};

/// Why bits of the head can be read.
const OWN_BITS: &str = "a chunk of the head is what was written";

impl Source for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError> {
        self.inner.answer(|| {
            let mut read = self.inner.begin(matchers, &range_ms, samples_max)?;
            let found = read.blocks(matchers)?;
            Ok(read.joined(found)?)
        })
    }

    fn visit(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
        each: &mut dyn FnMut(Labels, &[Sample]) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        // A damaged block is met before anything is shown.
        let (mut read, found) = self.inner.answer(|| {
            let mut read = self.inner.begin(matchers, &range_ms, samples_max)?;
            let found = read.blocks(matchers)?;
            Ok((read, found))
        })?;
        if found.is_empty() {
            return Ok(read.head(each)?);
        }
        for Series { labels, samples } in read.joined(found)? {
            if each(labels, &samples).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// One read of a range.
struct Read {
    range: RangeInclusive<i64>,
    samples_max: usize,
    /// How many samples may still be read.
    left: usize,
    head: Taken,
    blocks: Arc<Vec<Arc<Block>>>,
}

/// More samples than a query may read.
struct TooMany {
    samples_max: usize,
}

impl From<TooMany> for SourceError {
    fn from(TooMany { samples_max }: TooMany) -> Self {
        Self::TooManySamples { samples_max }
    }
}

impl From<TooMany> for Failure {
    fn from(error: TooMany) -> Self {
        Self::Source(error.into())
    }
}

/// What was taken from the head, in three pieces of memory rather than some for each series.
#[derive(Default)]
struct Taken {
    series: Vec<TakenSeries>,
    /// Samples and bits of chunks that are full.
    sealed: Vec<(u16, Arc<[u8]>)>,
    /// Copies of the bits of open ones.
    open: Vec<u8>,
}

struct TakenSeries {
    labels: Labels,
    sealed: Range<usize>,
    /// Samples, and where the bits are.
    open: Option<(u16, Range<usize>)>,
}

impl Inner {
    /// The head's chunks and the blocks, as they were at one moment.
    fn begin(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Read, Failure> {
        let view = self.view();
        let mut read = Read {
            range: range.clone(),
            samples_max,
            left: samples_max,
            head: Taken::default(),
            blocks: Arc::clone(&view.blocks),
        };
        let unblocked = view.head.unblocked(range);
        if view.head.overlaps(&unblocked) {
            read.take(&view.head, matchers, &unblocked)?;
        }
        drop(view);
        let series = &mut read.head.series;
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(read)
    }
}

impl Read {
    fn take(
        &mut self,
        head: &Head,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Result<(), TooMany> {
        let mut index = head;
        let Ok(places) = postings::select(&mut index, matchers);
        self.head.series.reserve(places.len());
        // Samples that are certainly in the range count already, so that no query copies more than it may load.
        let mut left = self.left;
        for series in places.into_iter().filter_map(|place| head.get(place)) {
            let inside = self.head.push(series, range);
            left = count(inside, self.samples_max, left)?;
        }
        Ok(())
    }

    /// What the blocks have, in label order.
    fn blocks(&mut self, matchers: &[Matcher]) -> Result<Vec<Series>, Failure> {
        let mut found = Vec::new();
        for block in self.blocks.clone().iter() {
            if block.overlaps(&self.range) {
                found = join(found, self.block(block, matchers)?);
            }
        }
        Ok(found)
    }

    fn block(&mut self, block: &Block, matchers: &[Matcher]) -> Result<Vec<Series>, Failure> {
        let mut query = Query::new(block);
        let mut found = Vec::new();
        let mut samples = Vec::new();
        for number in postings::select(&mut query, matchers)? {
            let series = query.series(number, &self.range)?;
            samples.clear();
            query.samples(&series, &self.range, &mut samples)?;
            self.left = count(samples.len(), self.samples_max, self.left)?;
            if !samples.is_empty() {
                found.push(Series {
                    labels: series.labels,
                    samples: samples.clone(),
                });
            }
        }
        Ok(found)
    }

    /// Shows the series of the head, in label order.
    fn head(
        &mut self,
        each: &mut dyn FnMut(Labels, &[Sample]) -> ControlFlow<()>,
    ) -> Result<(), TooMany> {
        let Taken {
            series,
            sealed,
            open,
        } = std::mem::take(&mut self.head);
        let mut samples = Vec::new();
        for series in series {
            samples.clear();
            for (full, bits) in &sealed[series.sealed] {
                chunk::read(bits, *full, &self.range, &mut samples).expect(OWN_BITS);
            }
            if let Some((some, place)) = series.open {
                chunk::read(&open[place], some, &self.range, &mut samples).expect(OWN_BITS);
            }
            self.left = count(samples.len(), self.samples_max, self.left)?;
            if !samples.is_empty() && each(series.labels, &samples).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What the blocks have and what the head has, all of it earlier and later.
    fn joined(&mut self, found: Vec<Series>) -> Result<Vec<Series>, TooMany> {
        let mut of_head = Vec::with_capacity(self.head.series.len());
        self.head(&mut |labels, samples| {
            let samples = samples.to_vec();
            of_head.push(Series { labels, samples });
            ControlFlow::Continue(())
        })?;
        Ok(join(found, of_head))
    }
}

impl Taken {
    /// Adds what a series has in the range. Says how many of its samples are certainly there.
    fn push(&mut self, series: &MemorySeries, range: &RangeInclusive<i64>) -> usize {
        let mut inside = 0;
        let mut count_inside = |t_min: i64, t_max: i64, samples: u16| {
            if range.contains(&t_min) && range.contains(&t_max) {
                inside += usize::from(samples);
            }
        };
        let first = self.sealed.len();
        for chunk in series.sealed(range) {
            count_inside(chunk.t_min, chunk.t_max, chunk.samples);
            self.sealed.push((chunk.samples, Arc::clone(&chunk.bits)));
        }
        let open = series.open(range).map(|open| {
            count_inside(open.t_min(), open.t_max(), open.samples());
            let start = self.open.len();
            self.open.extend_from_slice(open.bits());
            (open.samples(), start..self.open.len())
        });
        let sealed = first..self.sealed.len();
        if open.is_some() || !sealed.is_empty() {
            self.series.push(TakenSeries {
                labels: series.labels.clone(),
                sealed,
                open,
            });
        }
        inside
    }
}

/// How many samples are left to read after some.
fn count(samples: usize, samples_max: usize, left: usize) -> Result<usize, TooMany> {
    left.checked_sub(samples).ok_or(TooMany { samples_max })
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
