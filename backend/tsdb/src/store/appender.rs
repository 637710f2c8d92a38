//! What an append has to know of each series: its place, its newest sample, whether the current log names it.
//!
//! The rules are those of Prometheus without a window for out-of-order samples: only the newest sample of a series counts,
//! and nothing is taken that is before the blocks or an hour before the newest sample of all. No IO but the log's.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::head::{BLOCK_MS, block_start};
use crate::wal::{Frame, Log, OldLog};
use crate::{
    AHEAD_MS_MAX, AppendReport, Appended, Batch, Error, LABELS_BYTES_MAX, LABELS_MAX, Labels,
    Outcome, Sample, SeriesKey, SeriesRef,
};

/// How far a sample may be behind the newest of all, as in Prometheus: half of a block.
pub const BEHIND_MS_MAX: i64 = BLOCK_MS / 2;
/// Times before and after which nothing is taken: sums of times do not overflow.
const TIME_MS_MAX: i64 = 1 << 53;
/// A log file ends when samples of a later hour come.
const LOG_MS: i64 = BLOCK_MS / 2;

pub(super) struct Appender {
    pub(super) log: Log,
    pub(super) old_logs: Vec<OldLog>,
    /// Logs that ended and may not be on the disk.
    unsynced: Vec<(Arc<File>, PathBuf)>,
    pub(super) frame: Frame,
    places: Vec<Place>,
    free: Vec<u32>,
    by_labels: HashMap<Labels, u32>,
    /// Of the newest sample of all series.
    pub(super) t_max: Option<i64>,
    /// Of the oldest sample in the head, or earlier.
    pub(super) t_min: Option<i64>,
    /// Samples before are in blocks.
    pub(super) valid_from: Option<i64>,
    pub(super) staged: Staged,
    /// The last attempt to cut a block failed: there is nothing to wait for.
    pub(super) cut_failed: bool,
    pub(super) is_due: bool,
    pub(super) is_closed: bool,
}

struct Place {
    /// Counts the series that were here; a reference to another one is stale.
    generation: u32,
    labels: Option<Labels>,
    newest: Option<Sample>,
    /// Number of the log that names the series last.
    named_in: u64,
}

/// What a batch changes, and what has to be put back when the log cannot be written.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) samples: Vec<(u32, Sample)>,
    pub(super) created: Vec<(u32, Labels)>,
    t_max: Option<i64>,
    undo: Vec<(u32, Option<Sample>)>,
    named: Vec<(u32, u64)>,
}

impl Appender {
    pub(super) fn new(log: Log, old_logs: Vec<OldLog>, valid_from: Option<i64>) -> Self {
        Self {
            log,
            old_logs,
            unsynced: Vec::new(),
            frame: Frame::default(),
            places: Vec::new(),
            free: Vec::new(),
            by_labels: HashMap::new(),
            t_max: None,
            t_min: None,
            valid_from,
            staged: Staged::default(),
            cut_failed: false,
            is_due: false,
            is_closed: false,
        }
    }

    pub(super) fn series(&self) -> usize {
        self.by_labels.len()
    }

    pub(super) fn log_bytes(&self) -> u64 {
        let old: u64 = self.old_logs.iter().map(|log| log.bytes).sum();
        old + self.log.bytes
    }

    /// Judges every sample, in order, as if those before were stored. What is to be stored is in `staged` and in the frame.
    pub(super) fn stage(&mut self, batch: &Batch, series_max: usize) -> AppendReport {
        self.staged.clear();
        self.frame.clear();
        let lowest = self.lowest();
        let highest = batch.now_ms.saturating_add(AHEAD_MS_MAX).min(TIME_MS_MAX);
        let mut report = AppendReport {
            entries: Vec::with_capacity(batch.entries.len()),
            ..AppendReport::default()
        };
        for entry in &batch.entries {
            let sample = Sample {
                t_ms: entry.t_ms,
                value: entry.value,
            };
            let outcome = match sample.t_ms {
                t_ms if t_ms < lowest => Err(Outcome::TooOld),
                t_ms if t_ms > highest => Err(Outcome::TooFarAhead),
                _ => self.place(&entry.series, series_max),
            };
            report.entries.push(match outcome {
                Ok(place) => Appended {
                    outcome: self.stage_one(place, sample),
                    series: Some(self.reference(place)),
                },
                Err(outcome) => Appended {
                    outcome,
                    series: self.known(&entry.series).map(|place| self.reference(place)),
                },
            });
        }
        self.frame.samples(&self.staged.samples);
        report.stored = self.staged.samples.len();
        report.series_created = self.staged.created.len();
        report
    }

    /// Writes what is staged to the log.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        if self.staged.samples.is_empty() {
            return Ok(());
        }
        let t_max = self.staged.t_max.unwrap_or(i64::MIN);
        if let Err(error) = self.log.append(&mut self.frame, t_max) {
            self.undo();
            return Err(error);
        }
        self.t_max = self.t_max.max(self.staged.t_max);
        Ok(())
    }

    /// The place of a series that is there.
    pub(super) fn known(&self, key: &SeriesKey) -> Option<u32> {
        match key {
            SeriesKey::Ref(reference) => self.by_reference(*reference),
            SeriesKey::Labels(labels) => self.by_labels.get(labels).copied(),
            SeriesKey::Cached(reference, labels) => {
                let by_reference = self.by_reference(*reference);
                by_reference.or_else(|| self.by_labels.get(labels).copied())
            }
        }
    }

    pub(super) fn labels(&self, place: u32) -> Option<&Labels> {
        self.places.get(place as usize)?.labels.as_ref()
    }

    /// Makes sure that the current log names the series of a place.
    pub(super) fn name(&mut self, place: u32) {
        let entry = &mut self.places[place as usize];
        if entry.named_in == self.log.number {
            return;
        }
        if let Some(labels) = &entry.labels {
            self.frame.series(place, labels);
            self.staged.named.push((place, entry.named_in));
            entry.named_in = self.log.number;
        }
    }

    /// The place of a series in the log, and whether it is new.
    pub(super) fn restore_series(&mut self, labels: &Labels) -> (u32, bool) {
        match self.by_labels.get(labels) {
            Some(place) => (*place, false),
            None => (self.create(labels.clone()), true),
        }
    }

    /// A sample from the log: no judging by time, since it was judged before. False when the series has it already.
    pub(super) fn restore_sample(&mut self, place: u32, sample: Sample) -> bool {
        let newest = &mut self.places[place as usize].newest;
        if newest.is_some_and(|newest| newest.t_ms >= sample.t_ms) {
            return false;
        }
        *newest = Some(sample);
        self.t_max = self.t_max.max(Some(sample.t_ms));
        true
    }

    /// Gives up series that have left the head.
    pub(super) fn free(&mut self, places: &[u32]) {
        for place in places {
            let entry = &mut self.places[*place as usize];
            if let Some(labels) = entry.labels.take() {
                self.by_labels.remove(&labels);
                entry.newest = None;
                entry.named_in = 0;
                entry.generation = entry.generation.wrapping_add(1);
                self.free.push(*place);
            }
        }
    }

    /// Where the block begins that can be cut: no sample that belongs into it will be taken any more. This goes by what is
    /// in memory, so that a block that could not be written is due again.
    pub(super) fn due(&self) -> Option<i64> {
        let start = block_start(self.t_min?);
        let is_due = self.t_max?.saturating_sub(start) >= BLOCK_MS + BEHIND_MS_MAX;
        is_due.then_some(start)
    }

    pub(super) fn span_ms(&self) -> i64 {
        match (self.t_min, self.t_max) {
            (Some(t_min), Some(t_max)) => t_max.saturating_sub(t_min),
            _ => 0,
        }
    }

    /// Begins a new log when the newest sample is of another hour than the first of the current one.
    pub(super) fn log_is_over(&self, before: Option<i64>) -> bool {
        let hour = |t_ms: Option<i64>| t_ms.map(|t_ms| t_ms.div_euclid(LOG_MS));
        before.is_some() && hour(before) != hour(self.t_max)
    }

    /// Begins a new log.
    pub(super) fn roll(&mut self, dir: &Path) -> Result<(), Error> {
        let next = Log::create(dir, self.log.number + 1)?;
        let mut old = std::mem::replace(&mut self.log, next);
        self.unsynced.extend(old.dirty());
        self.old_logs.push(old.ended());
        Ok(())
    }

    /// Files that are not on the disk yet. They count as synced from now on.
    pub(super) fn dirty(&mut self) -> Vec<(Arc<File>, PathBuf)> {
        let mut dirty = std::mem::take(&mut self.unsynced);
        dirty.extend(self.log.dirty());
        dirty
    }

    fn lowest(&self) -> i64 {
        let behind = self
            .t_max
            .map_or(i64::MIN, |t_max| t_max.saturating_sub(BEHIND_MS_MAX));
        let valid_from = self.valid_from.unwrap_or(i64::MIN);
        behind.max(valid_from).max(-TIME_MS_MAX)
    }

    fn place(&mut self, key: &SeriesKey, series_max: usize) -> Result<u32, Outcome> {
        if let Some(place) = self.known(key) {
            return Ok(place);
        }
        let labels = match key {
            SeriesKey::Ref(_) => return Err(Outcome::UnknownSeries),
            SeriesKey::Labels(labels) | SeriesKey::Cached(_, labels) => labels,
        };
        let count = labels.iter().len();
        if count == 0 || count > LABELS_MAX || labels.bytes() > LABELS_BYTES_MAX {
            return Err(Outcome::InvalidLabels);
        }
        if self.series() >= series_max {
            return Err(Outcome::SeriesLimit);
        }
        let place = self.create(labels.clone());
        self.staged.created.push((place, labels.clone()));
        Ok(place)
    }

    fn create(&mut self, labels: Labels) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                labels: None,
                newest: None,
                named_in: 0,
            });
            // Bounded by `series_max`, and by memory long before 2^32.
            (self.places.len() - 1) as u32
        });
        self.by_labels.insert(labels.clone(), place);
        self.places[place as usize].labels = Some(labels);
        place
    }

    fn stage_one(&mut self, place: u32, sample: Sample) -> Outcome {
        let newest = self.places[place as usize].newest;
        if let Some(newest) = newest
            && sample.t_ms <= newest.t_ms
        {
            let is_same_time = sample.t_ms == newest.t_ms;
            let is_same_value = sample.value.to_bits() == newest.value.to_bits();
            return match (is_same_time, is_same_value) {
                (true, true) => Outcome::Duplicate,
                (true, false) => Outcome::DuplicateTimestamp,
                (false, _) => Outcome::OutOfOrder,
            };
        }
        self.name(place);
        self.staged.undo.push((place, newest));
        self.staged.samples.push((place, sample));
        self.staged.t_max = self.staged.t_max.max(Some(sample.t_ms));
        self.places[place as usize].newest = Some(sample);
        Outcome::Stored
    }

    fn by_reference(&self, SeriesRef(reference): SeriesRef) -> Option<u32> {
        let place = self.places.get(reference as u32 as usize)?;
        let is_this = u64::from(place.generation) == reference >> 32 && place.labels.is_some();
        is_this.then_some(reference as u32)
    }

    fn reference(&self, place: u32) -> SeriesRef {
        let generation = self.places[place as usize].generation;
        SeriesRef(u64::from(generation) << 32 | u64::from(place))
    }

    /// As if nothing had been staged. In reverse, since a series may be there twice.
    pub(super) fn undo(&mut self) {
        let mut staged = std::mem::take(&mut self.staged);
        for (place, newest) in staged.undo.drain(..).rev() {
            self.places[place as usize].newest = newest;
        }
        for (place, named_in) in staged.named.drain(..) {
            self.places[place as usize].named_in = named_in;
        }
        let created: Vec<u32> = staged.created.drain(..).map(|(place, _)| place).collect();
        self.free(&created);
        staged.samples.clear();
        self.staged = staged;
    }
}

impl Staged {
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.created.clear();
        self.undo.clear();
        self.named.clear();
        self.t_max = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_could_not_be_written_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(dir.path(), 1).unwrap();
        let mut appender = Appender::new(log, Vec::new(), None);
        let key = |n: &str| SeriesKey::Labels(Labels::new([("n", n)]));
        let mut batch = Batch::new(0);
        batch.push(key("1"), 5, 1.0);
        appender.stage(&batch, 10);
        appender.write().unwrap();
        let named = appender.places[0].named_in;
        batch.push(key("1"), 6, 1.0);
        batch.push(key("1"), 7, 1.0);
        batch.push(key("2"), 6, 1.0);
        let first = appender.stage(&batch, 10);
        assert_eq!((first.stored, first.series_created), (3, 1));
        appender.undo();
        assert_eq!(appender.series(), 1);
        assert_eq!(appender.places[0].newest.unwrap().t_ms, 5);
        assert_eq!(
            (appender.places[0].named_in, appender.places[1].named_in),
            (named, 0)
        );
        assert!(
            appender
                .known(&SeriesKey::Ref(first.entries[3].series.unwrap()))
                .is_none()
        );
        let second = appender.stage(&batch, 10);
        let outcomes = |report: &AppendReport| -> Vec<Outcome> {
            report.entries.iter().map(|entry| entry.outcome).collect()
        };
        assert_eq!(outcomes(&second), outcomes(&first));
    }
}
