//! Cutting blocks from the head, forgetting what is in blocks, and deleting blocks.
//!
//! A thread does the cutting, so no append waits for a file of the size of a block. It copies references to chunks in
//! portions, writes them without a lock, and makes the block visible in the same step that hides its samples in the head.

use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Inner, Retired, View, lock};
use crate::block::{self, Block};
use crate::chunk::Chunk;
use crate::head::BLOCK_MS;
use crate::wal::OldLog;
use crate::{Error, Labels, own_metrics};

/// Series that are copied or truncated while the lock is held.
const PORTION: usize = 4096;
/// Before a block that could not be written is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The thread that cuts blocks when they are due, until the store is closed.
pub(super) fn start(inner: &Arc<Inner>) -> std::io::Result<JoinHandle<()>> {
    let inner = Arc::clone(inner);
    thread::Builder::new()
        .name("tsdb-cut".to_owned())
        .spawn(move || {
            while inner.wait_until_due() {
                if !inner.cut_and_say() {
                    inner.pause();
                }
            }
        })
}

impl Inner {
    /// False when the store was closed.
    fn wait_until_due(&self) -> bool {
        let waited = self.changed.wait_while(self.appender(), |appender| {
            !appender.is_due && !appender.is_closed
        });
        let mut appender = waited.unwrap_or_else(PoisonError::into_inner);
        appender.is_due = false;
        !appender.is_closed
    }

    /// Ends at once when the store is closed.
    fn pause(&self) {
        let appender = self.appender();
        let waited = self
            .changed
            .wait_timeout_while(appender, RETRY_INTERVAL, |appender| !appender.is_closed);
        let (mut appender, _) = waited.unwrap_or_else(PoisonError::into_inner);
        appender.is_due = true;
    }

    /// Whether it went well.
    fn cut_and_say(&self) -> bool {
        let had_failed = self.appender().cut_failed;
        let result = self.cut_due();
        // Said once, however often it is tried again.
        if let (Err(error), false) = (&result, had_failed) {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a block of samples cannot be written; the log keeps them"
            );
        }
        result.is_ok()
    }

    /// Cuts blocks until none is due.
    pub(super) fn cut_due(&self) -> Result<(), Error> {
        let _one_at_a_time = lock(&self.cutting);
        let result = self.cut_all();
        if result.is_err() {
            own_metrics::cut_failed();
        }
        self.appender().cut_failed = result.is_err();
        self.changed.notify_all();
        result
    }

    fn cut_all(&self) -> Result<(), Error> {
        loop {
            let start = {
                let mut appender = self.appender();
                let Some(start) = appender.due() else {
                    return Ok(());
                };
                // From here on no sample of the block is taken, and none of its chunks changes.
                appender.valid_from = appender.valid_from.max(Some(start + BLOCK_MS));
                start
            };
            self.cut(start + BLOCK_MS)?;
        }
    }

    /// Moves all samples before `end_ms` into a block.
    fn cut(&self, end_ms: i64) -> Result<(), Error> {
        let mut series = self.collect(end_ms);
        let block = match series.is_empty() {
            true => None,
            false => {
                series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                let path = self.dir.join(format!("{:016x}.block", name_of(end_ms)));
                block::write(&path, end_ms, &series)?;
                Some(Arc::new(Block::open(&path, &self.cache)?))
            }
        };
        {
            let mut view = self.view_mut();
            view.head.valid_from = view.head.valid_from.max(Some(end_ms));
            if let Some(block) = &block {
                let mut blocks = Vec::clone(&view.blocks);
                blocks.push(Arc::clone(block));
                view.blocks = Arc::new(blocks);
            }
        }
        if block.is_some() {
            own_metrics::cut();
        }
        drop(series);
        self.forget_cut()?;
        self.delete_logs(end_ms)
    }

    /// The chunks before a time, portion by portion: none of them can change any more.
    fn collect(&self, end_ms: i64) -> Vec<(Labels, Vec<Chunk>)> {
        let mut collected = Vec::new();
        let places = self.view().head.places();
        for start in (0..places).step_by(PORTION) {
            let view = self.view();
            let range = view.head.unblocked(&(i64::MIN..=end_ms - 1));
            for place in start..places.min(start + PORTION) {
                let Some(series) = view.head.get(place as u32) else {
                    continue;
                };
                let chunks: Vec<Chunk> = series.chunks(&range).collect();
                if !chunks.is_empty() {
                    collected.push((series.labels.clone(), chunks));
                }
            }
        }
        collected
    }

    /// Takes what is in blocks out of memory, and series of which nothing is left.
    fn forget_cut(&self) -> Result<(), Error> {
        let empty = self.truncate();
        self.remove(empty)
    }

    /// Chunks go portion by portion. Answers which series have none left.
    fn truncate(&self) -> Vec<u32> {
        let places = self.view().head.places();
        let portions = (0..places).step_by(PORTION);
        portions
            .flat_map(|start| self.view_mut().head.truncate(start..start + PORTION))
            .collect()
    }

    fn remove(&self, mut empty: Vec<u32>) -> Result<(), Error> {
        let mut appender = self.appender();
        // A place means one series in each log file, so one whose name is damaged cannot be taken for another.
        let rolled = appender.roll(&self.dir);
        let mut view = self.view_mut();
        if rolled.is_ok() {
            // Some have got a sample meanwhile.
            empty.retain(|place| view.head.is_empty(*place));
            view.head.remove(&empty);
            appender.free(&empty);
            own_metrics::series_removed(empty.len());
        }
        view.head.measure_t_min();
        appender.t_min = view.head.t_min();
        rolled
    }

    /// Those whose samples are all in blocks.
    fn delete_logs(&self, end_ms: i64) -> Result<(), Error> {
        let gone: Vec<OldLog> = {
            let mut appender = self.appender();
            let is_gone = |log: &mut OldLog| log.t_max < end_ms;
            appender.old_logs.extract_if(.., is_gone).collect()
        };
        for log in gone {
            std::fs::remove_file(&log.path).map_err(Error::io("delete", &log.path))?;
        }
        Ok(())
    }

    /// Deletes blocks that are too old or too much.
    pub(super) fn retire(&self, now_ms: i64) -> Result<Retired, Error> {
        let log_bytes = self.appender().log_bytes();
        let retired = {
            let mut view = self.view_mut();
            let retired = self.to_retire(&view, now_ms, log_bytes);
            if retired.is_empty() {
                return Ok(Retired::default());
            }
            view.blocks = Arc::new(view.blocks[retired.len()..].to_vec());
            retired
        };
        let mut counts = Retired::default();
        let mut result = Ok(());
        for block in retired {
            counts.blocks += 1;
            counts.bytes += block.file_bytes;
            result = result.and(block.delete());
        }
        result.map(|()| counts)
    }

    /// The oldest blocks, as far as age or size demand.
    fn to_retire(&self, view: &View, now_ms: i64, log_bytes: u64) -> Vec<Arc<Block>> {
        let newest_block = view.blocks.last().map(|block| block.footer.t_max);
        let newest = view.head.t_max().max(newest_block).unwrap_or(now_ms);
        let retention = i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.min(newest).saturating_sub(retention);
        let mut bytes = log_bytes
            + view
                .blocks
                .iter()
                .map(|block| block.file_bytes)
                .sum::<u64>();
        let mut retired = Vec::new();
        for block in view.blocks.iter() {
            let is_old = block.footer.t_max < oldest;
            if !is_old && bytes <= self.options.disk_bytes_max {
                break;
            }
            own_metrics::retired(is_old);
            bytes -= block.file_bytes;
            retired.push(Arc::clone(block));
        }
        retired
    }
}

/// Hexadecimal names sort by time, those before 1970 too.
fn name_of(end_ms: i64) -> u64 {
    (end_ms as u64) ^ 1 << 63
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::super::{Options, Store};
    use super::*;
    use crate::{Batch, SeriesKey};

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    fn append(store: &Store, value: &str, t_ms: i64) {
        let mut batch = Batch::new(t_ms);
        batch.push(SeriesKey::Labels(Labels::new([("n", value)])), t_ms, 1.0);
        assert_eq!(store.append(&batch).unwrap().stored, 1);
    }

    #[test]
    fn a_series_that_gets_a_sample_while_it_is_forgotten_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
        let inner = &store.inner;
        // The thread does nothing meanwhile.
        let cutting = lock(&inner.cutting);
        for value in ["gone", "stays"] {
            append(&store, value, 0);
        }
        append(&store, "new", 2 * BLOCK_MS);
        inner.view_mut().head.valid_from = Some(BLOCK_MS);
        let empty = inner.truncate();
        assert_eq!(empty.len(), 2);
        append(&store, "stays", 2 * BLOCK_MS);
        inner.remove(empty).unwrap();
        let series = store.series(&[], 0..=2 * BLOCK_MS).unwrap();
        let values: Vec<_> = series.iter().map(|labels| labels.get("n")).collect();
        assert_eq!(values, ["new", "stays"]);
        assert_eq!(store.stats().series, 2);
        drop(cutting);
    }

    #[test]
    fn a_block_that_could_not_be_written_is_tried_again_without_being_asked() {
        let dir = tempfile::tempdir().unwrap();
        // A directory stands where the file of the block should be.
        let obstacle = dir.path().join(format!("{:016x}.tmp", name_of(BLOCK_MS)));
        let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
        std::fs::create_dir(&obstacle).unwrap();
        append(&store, "a", 0);
        append(&store, "a", 2 * BLOCK_MS);
        wait_until("it failed", || store.inner.appender().cut_failed);
        assert_eq!(store.stats().blocks, 0);
        std::fs::remove_dir(&obstacle).unwrap();
        wait_until("it went well", || !store.inner.appender().cut_failed);
        assert_eq!(store.stats().blocks, 1);
    }
}
