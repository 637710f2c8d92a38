//! The newest samples, in memory: series in numbered places, their chunks, and the label pairs that find them.
//!
//! What may be appended is decided by [`crate::store`], which also keeps the log; here everything fits already.

mod pairs;

use std::convert::Infallible;
use std::ops::RangeInclusive;

use crate::chunk::{Chunk, OpenChunk};
use crate::postings::Index;
use crate::{Labels, Matcher, Sample};
use pairs::Pairs;

/// Blocks cover this much time, from multiples of it. No chunk reaches over such a multiple, so blocks take chunks as they are.
pub const BLOCK_MS: i64 = 2 * 60 * 60 * 1000;

/// The multiple of [`BLOCK_MS`] at or before a time.
pub(crate) fn block_start(t_ms: i64) -> i64 {
    t_ms.div_euclid(BLOCK_MS).saturating_mul(BLOCK_MS)
}

#[derive(Default)]
pub(crate) struct Head {
    /// By place.
    series: Vec<Option<MemorySeries>>,
    pairs: Pairs,
    /// Samples before are in blocks, whether or not they have left memory yet.
    pub(crate) valid_from: Option<i64>,
    /// Of the oldest sample, or of one before it.
    t_min: Option<i64>,
    /// Of the newest sample that ever was here.
    t_max: Option<i64>,
}

pub(crate) struct MemorySeries {
    pub(crate) labels: Labels,
    sealed: Vec<Chunk>,
    open: Option<OpenChunk>,
}

/// What is in memory by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) series: usize,
    pub(crate) chunks: usize,
    pub(crate) samples: u64,
    pub(crate) bytes: usize,
}

impl Head {
    /// A new series in a place that is empty.
    pub(crate) fn insert(&mut self, place: u32, labels: Labels) {
        let index = place as usize;
        if index >= self.series.len() {
            self.series.resize_with(index + 1, || None);
        }
        self.pairs.insert(place, &labels);
        self.series[index] = Some(MemorySeries {
            labels,
            sealed: Vec::new(),
            open: None,
        });
    }

    /// The next sample of a series; later than all it has.
    pub(crate) fn push(&mut self, place: u32, sample: Sample) {
        if let Some(series) = self.series.get_mut(place as usize).and_then(Option::as_mut) {
            series.push(sample);
            self.t_min = Some(self.t_min.map_or(sample.t_ms, |min| min.min(sample.t_ms)));
            self.t_max = self.t_max.max(Some(sample.t_ms));
        }
    }

    pub(crate) fn t_min(&self) -> Option<i64> {
        self.t_min
    }

    pub(crate) fn t_max(&self) -> Option<i64> {
        self.t_max
    }

    /// Whether it may have samples in the range that are not in blocks.
    pub(crate) fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        let range = self.unblocked(range);
        self.t_min.is_some_and(|t_min| t_min <= *range.end())
            && self.t_max.is_some_and(|t_max| t_max >= *range.start())
    }

    /// One more than the last place.
    pub(crate) fn places(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&MemorySeries> {
        self.series.get(place as usize)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MemorySeries> {
        self.series.iter().flatten()
    }

    /// Gives away all names of labels.
    pub(crate) fn names(&self, each: &mut dyn FnMut(&str)) {
        self.pairs.names().for_each(each);
    }

    /// Gives away all values of a label.
    pub(crate) fn label_values(&self, name: &str, each: &mut dyn FnMut(&str)) {
        self.pairs.values(name).for_each(|(value, _)| each(value));
    }

    /// The samples in the range that are not in blocks.
    pub(crate) fn unblocked(&self, range: &RangeInclusive<i64>) -> RangeInclusive<i64> {
        let start = self.valid_from.unwrap_or(i64::MIN).max(*range.start());
        start..=*range.end()
    }

    /// Forgets the chunks of some places that are in blocks; says which series have none left.
    pub(crate) fn truncate(&mut self, places: std::ops::Range<usize>) -> Vec<u32> {
        let Some(from) = self.valid_from else {
            return Vec::new();
        };
        let mut empty = Vec::new();
        let end = places.end.min(self.series.len());
        for place in places.start..end {
            if let Some(series) = &mut self.series[place]
                && series.truncate(from)
            {
                empty.push(place as u32);
            }
        }
        empty
    }

    /// Whether a series has no sample.
    pub(crate) fn is_empty(&self, place: u32) -> bool {
        self.get(place).is_some_and(|series| series.samples() == 0)
    }

    /// Takes series out; the places must rise.
    pub(crate) fn remove(&mut self, places: &[u32]) {
        let mut gone = Vec::with_capacity(places.len());
        for place in places {
            let series = self.series.get_mut(*place as usize);
            gone.extend(series.and_then(Option::take).map(|series| series.labels));
        }
        self.pairs.remove(places, &gone);
    }

    /// After all places were truncated.
    pub(crate) fn measure_t_min(&mut self) {
        self.t_min = self.iter().filter_map(MemorySeries::t_min).min();
    }

    pub(crate) fn held(&self) -> Held {
        let mut held = Held::default();
        for series in self.iter() {
            held.series += 1;
            held.chunks += series.sealed.len() + usize::from(series.open.is_some());
            held.samples += series.samples();
            held.bytes += series.bytes();
        }
        held.bytes +=
            self.pairs.bytes() + self.series.capacity() * size_of::<Option<MemorySeries>>();
        held
    }
}

impl MemorySeries {
    fn push(&mut self, sample: Sample) {
        match &mut self.open {
            Some(open)
                if !open.is_full() && block_start(sample.t_ms) == block_start(open.t_min()) =>
            {
                open.push(sample);
            }
            open => {
                let full = open.replace(OpenChunk::new(sample));
                self.sealed.extend(full.map(|full| full.sealed()));
            }
        }
    }

    /// Those that overlap the range, in time order, the open one as it is now.
    pub(crate) fn chunks<'s>(
        &'s self,
        range: &'s RangeInclusive<i64>,
    ) -> impl Iterator<Item = Chunk> + 's {
        let open = self.open(range).map(OpenChunk::sealed);
        self.sealed(range).cloned().chain(open)
    }

    pub(crate) fn sealed(&self, range: &RangeInclusive<i64>) -> impl Iterator<Item = &Chunk> {
        self.sealed.iter().filter(|chunk| chunk.overlaps(range))
    }

    /// Later than all that are sealed.
    pub(crate) fn open(&self, range: &RangeInclusive<i64>) -> Option<&OpenChunk> {
        self.open.as_ref().filter(|open| open.overlaps(range))
    }

    pub(crate) fn has_samples(&self, range: &RangeInclusive<i64>) -> bool {
        self.open(range).is_some() || self.sealed(range).next().is_some()
    }

    fn t_min(&self) -> Option<i64> {
        let open = self.open.as_ref().map(OpenChunk::t_min);
        self.sealed.first().map(|chunk| chunk.t_min).or(open)
    }

    /// True when nothing is left.
    fn truncate(&mut self, from: i64) -> bool {
        let old = self
            .sealed
            .iter()
            .take_while(|chunk| chunk.t_max < from)
            .count();
        if old > 0 {
            self.sealed.drain(..old);
            self.sealed.shrink_to_fit();
        }
        self.open.take_if(|open| open.t_max() < from);
        self.open.is_none() && self.sealed.is_empty()
    }

    fn samples(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, OpenChunk::samples);
        let sealed: u64 = self
            .sealed
            .iter()
            .map(|chunk| u64::from(chunk.samples))
            .sum();
        sealed + u64::from(open)
    }

    fn bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|chunk| chunk.bits.len()).sum();
        let open = self.open.as_ref().map_or(0, OpenChunk::capacity);
        self.labels.bytes() + self.sealed.capacity() * size_of::<Chunk>() + sealed + open
    }
}

/// The head read by matchers.
impl Index for &Head {
    type Error = Infallible;

    fn all(&mut self) -> Result<Vec<u32>, Infallible> {
        let places = self.series.iter().zip(0..);
        Ok(places
            .filter_map(|(series, place)| series.as_ref().map(|_| place))
            .collect())
    }

    fn pair(&mut self, name: &str, value: &str) -> Result<Vec<u32>, Infallible> {
        Ok(self.pairs.get(name, value).to_vec())
    }

    fn pairs(
        &mut self,
        name: &str,
        wanted: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<Vec<u32>>, Infallible> {
        let values = self.pairs.values(name);
        Ok(values
            .filter(|(value, _)| wanted(value))
            .map(|(_, places)| places.to_vec())
            .collect())
    }

    fn values(&mut self, name: &str) -> Result<usize, Infallible> {
        Ok(self.pairs.count(name))
    }

    fn holds(&mut self, series: u32, matcher: &Matcher) -> Result<bool, Infallible> {
        let labels = self.get(series).map(|series| &series.labels);
        Ok(labels.is_some_and(|labels| matcher.holds(labels)))
    }
}

#[cfg(test)]
mod tests;
