//! The store of one directory: appends, queries, retention, and how they share what is in memory.
//!
//! Two locks, always taken in this order. `appender` makes appends follow each other: judge, write to the log, apply.
//! `view` guards what readers see; an append holds it only to apply, a query only to collect compressed chunks. Blocks are
//! written and read without either.

mod append;
mod appender;
mod cut;
mod open;
mod query;
mod select;

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::block::{Block, PageCache};
use crate::exemplars::Exemplars;
use crate::head::Head;
use crate::metadata::MetadataStore;
use crate::{Error, Exemplar, Labels, Matcher, Metadata, own_metrics};
use appender::Appender;

pub use append::HEAD_MS_MAX;
pub use appender::BEHIND_MS_MAX;

/// Pages of blocks kept in memory for all queries.
pub const PAGE_CACHE_BYTES_MAX: usize = 64 << 20;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A block whose newest sample is older than this is deleted.
    pub retention: Duration,
    /// The oldest blocks are deleted while all files together are larger.
    pub disk_bytes_max: u64,
    /// Series in memory; further ones are refused.
    pub series_max: usize,
    /// Exemplars in memory; then the oldest goes.
    pub exemplars_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(35 * 24),
            disk_bytes_max: 20 << 30,
            series_max: 1_000_000,
            exemplars_max: 100_000,
        }
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub blocks: u64,
    /// Samples in blocks.
    pub block_samples: u64,
    /// Series and samples that were only in the log.
    pub head_series: u64,
    pub head_samples: u64,
    pub exemplars: u64,
    /// Bytes of an unfinished append at the end of a log, cut off: it was not acknowledged.
    pub torn_bytes: u64,
    /// Bytes in the middle of a log that were changed after they were written, left out.
    pub damaged_bytes: u64,
    /// Samples whose series was named in damaged bytes, left out.
    pub lost_samples: u64,
    /// Files that cannot be read, renamed so that they are not tried again.
    pub damaged: Vec<PathBuf>,
}

/// What [`Store::retain`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    pub blocks: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// In memory.
    pub series: usize,
    pub head_chunks: usize,
    pub head_samples: u64,
    /// Of series, chunks and label pairs, as far as they can be counted.
    pub head_bytes: usize,
    pub head_t_min_ms: Option<i64>,
    pub head_t_max_ms: Option<i64>,
    pub blocks: u64,
    pub block_samples: u64,
    pub block_bytes: u64,
    pub log_bytes: u64,
    pub exemplars: usize,
    pub exemplar_series: usize,
}

/// Samples, exemplars and metadata. All methods may be called from several threads.
pub struct Store {
    inner: Arc<Inner>,
    cutter: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    dir: PathBuf,
    options: Options,
    cache: Arc<PageCache>,
    appender: Mutex<Appender>,
    view: RwLock<View>,
    /// A block is due, one was cut, or the store is closed.
    changed: Condvar,
    /// Held while blocks are cut: one at a time.
    cutting: Mutex<()>,
    exemplars: Mutex<Exemplars>,
    metadata: Mutex<MetadataStore>,
    /// Held for as long as the store is open.
    lock: File,
}

/// What readers see.
struct View {
    head: Head,
    /// In time order.
    blocks: Arc<Vec<Arc<Block>>>,
}

impl Store {
    /// Opens the store of a directory, which is created when it is missing. What a kill left unfinished is cut off, what is
    /// damaged is set aside: [`Recovery`] says both.
    ///
    /// # Errors
    /// Another process has it open, or files cannot be read or written.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        own_metrics::describe();
        let (inner, recovery) = open::open(dir, options)?;
        own_metrics::recovered(&recovery);
        let inner = Arc::new(inner);
        let cutter = cut::start(&inner).map_err(Error::io("start a thread for", dir))?;
        let store = Self {
            inner,
            cutter: Mutex::new(Some(cutter)),
        };
        own_metrics::measured(&store.stats());
        Ok((store, recovery))
    }

    /// Remembers what a metric says about itself.
    pub fn set_metadata(&self, metric: &str, metadata: Metadata) {
        lock(&self.inner.metadata).set(metric, metadata);
    }

    /// Of all metrics, by name.
    pub fn metadata(&self) -> Vec<(Box<str>, Vec<Metadata>)> {
        lock(&self.inner.metadata).all()
    }

    /// The exemplars of all series that satisfy the matchers, by series, in time order.
    pub fn exemplars(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        lock(&self.inner.exemplars).select(matchers, &range_ms)
    }

    /// Deletes what is too old or too much, brings the log to the disk, measures. To be called about once a minute.
    ///
    /// Age is counted from the newest sample when `now_ms` is later: a clock that jumps ahead deletes nothing.
    ///
    /// # Errors
    /// A file cannot be deleted or the log not synced; the store no longer reads what it deletes all the same.
    pub fn retain(&self, now_ms: i64) -> Result<Retired, Error> {
        let retired = self.inner.retire(now_ms);
        let synced = self.inner.sync();
        own_metrics::measured(&self.stats());
        synced.and(retired)
    }

    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Cuts every block that is due and brings the log to the disk.
    ///
    /// # Errors
    /// A file cannot be written; the log has everything.
    pub fn flush(&self) -> Result<(), Error> {
        self.inner.cut_due()?;
        self.inner.sync()
    }

    /// Ends writing; the log is on the disk afterwards, and appends fail. Dropping does the same and says nothing.
    ///
    /// # Errors
    /// The log cannot be brought to the disk.
    pub fn close(&self) -> Result<(), Error> {
        let Some(cutter) = lock(&self.cutter).take() else {
            return Ok(());
        };
        self.inner.appender().is_closed = true;
        self.inner.changed.notify_all();
        // It logs its own failures; a panic of it is no reason not to sync.
        let _ = cutter.join();
        self.inner.sync()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log of samples may not be on the disk"
            );
        }
    }
}

/// Unlocked rather than only closed: a process that another thread is just starting has a copy of the file until it executes.
impl Drop for Inner {
    fn drop(&mut self) {
        // It fails for no reason that closing the file would not mend.
        let _ = self.lock.unlock();
    }
}

impl Inner {
    fn appender(&self) -> MutexGuard<'_, Appender> {
        lock(&self.appender)
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock is held to find out what to sync, not while it is synced.
    fn sync(&self) -> Result<(), Error> {
        let dirty = self.appender().dirty();
        let sync =
            |(file, path): &(Arc<File>, PathBuf)| file.sync_data().map_err(Error::io("sync", path));
        dirty.iter().try_for_each(sync)
    }

    fn stats(&self) -> Stats {
        let log_bytes = self.appender().log_bytes();
        let (exemplars, exemplar_series) = {
            let exemplars = lock(&self.exemplars);
            (exemplars.len(), exemplars.series())
        };
        let view = self.view();
        let held = view.head.held();
        let blocks = &view.blocks;
        Stats {
            series: held.series,
            head_chunks: held.chunks,
            head_samples: held.samples,
            head_bytes: held.bytes,
            head_t_min_ms: view.head.t_min(),
            head_t_max_ms: view.head.t_max(),
            blocks: blocks.len() as u64,
            block_samples: blocks.iter().map(|block| block.footer.samples).sum(),
            block_bytes: blocks.iter().map(|block| block.file_bytes).sum(),
            log_bytes,
            exemplars,
            exemplar_series,
        }
    }
}

/// A lock whose holder panicked is taken over: every change is whole or repeated by the next one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
