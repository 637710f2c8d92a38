//! The store of one directory: appending, sealing heads into blocks, retention.
//!
//! One lock around everything that changes; it is held for one append or to take a snapshot, never while a block is written
//! or read by a query. Opening is in [`open`], writing blocks in [`sealer`].

mod files;
mod open;
mod sealer;

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::block::Block;
use crate::head::{Head, HeadView};
use crate::snapshot::{Shared, Snapshot};
use crate::wal::Log;
use crate::{Error, PAYLOAD_BYTES_MAX, Record, TERMS_MAX};
use files::Files;

/// A head that is not empty becomes a block when it is this old, whatever its size: retention goes by blocks.
pub const HEAD_AGE_MAX: Duration = Duration::from_hours(2);
/// While a block is written, the next head may grow to this many times its usual size. Then appends are refused.
const HEADS_BEHIND_MAX: usize = 4;
/// How long an append waits for the block before it, once the head has grown to its bound.
const ROOM_TIME_MAX: Duration = Duration::from_secs(5);
/// How long [`Store::seal`] waits.
const SEAL_TIME_MAX: Duration = Duration::from_secs(30);

/// How much is kept, and in which portions.
#[derive(Clone, Debug)]
pub struct Options {
    /// A block whose newest record is older than this is deleted.
    pub retention: Duration,
    /// The oldest blocks are deleted while all files together are larger.
    pub disk_bytes_max: u64,
    /// Payload bytes, uncompressed, after which the head becomes a block. The head is in memory, compressed.
    pub block_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(336),
            disk_bytes_max: 10 << 30,
            block_bytes: 32 << 20,
        }
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub blocks: u64,
    /// Records in blocks.
    pub block_records: u64,
    /// Records that were only in the write-ahead log.
    pub head_records: u64,
    /// Bytes of an unfinished append at the end of the log, cut off: it was not acknowledged.
    pub torn_bytes: u64,
    /// Bytes in the middle of a log that were changed after they were written, left out.
    pub damaged_bytes: u64,
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
    pub blocks: u64,
    pub records: u64,
    /// Records that are not in a block yet.
    pub head_records: u64,
    /// Blocks and logs.
    pub disk_bytes: u64,
}

/// Records in the files of one directory. All methods may be called from several threads.
pub struct Store {
    inner: Arc<Inner>,
    sealer: Option<JoinHandle<()>>,
}

struct Inner {
    files: Files,
    options: Options,
    readers: Arc<Shared>,
    state: Mutex<State>,
    /// A head waits to be sealed, one was sealed, or the store is closed.
    changed: Condvar,
    /// Held for as long as the store is open.
    lock: File,
}

struct State {
    log: Log,
    /// Number of `log`, and of the block that its records will be in.
    number: u64,
    head: Head,
    /// When `retain` first saw records in `head`.
    head_seen_ns: Option<u64>,
    sealing: Option<Sealing>,
    /// The last attempt to begin a log failed: said once.
    has_failed_to_roll: bool,
    /// By number.
    blocks: Arc<Vec<Arc<Block>>>,
    is_closing: bool,
}

/// A head on its way into a block.
struct Sealing {
    number: u64,
    head: HeadView,
    log: PathBuf,
    log_bytes: u64,
}

impl Store {
    /// Opens the store of a directory, which is created when it is missing. What a kill left unfinished is cut off, what is
    /// damaged is set aside: [`Recovery`] says both.
    ///
    /// # Errors
    /// Another process has it open, or files cannot be read or written.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        let (inner, recovery) = open::open(dir, options)?;
        let inner = Arc::new(inner);
        let sealer =
            sealer::start(Arc::clone(&inner)).map_err(Error::io("start a thread for", dir))?;
        let store = Self {
            inner,
            sealer: Some(sealer),
        };
        Ok((store, recovery))
    }

    /// Stores all of the records or none. They survive a kill of the process, and every later snapshot has them, when this
    /// returns; a power cut may take the last seconds.
    ///
    /// # Errors
    /// A record is beyond the bounds, the log cannot be written, or blocks are written too slowly.
    pub fn append(&self, records: &[Record<'_>]) -> Result<(), Error> {
        records.iter().try_for_each(check)?;
        let mut state = self.inner.with_room(self.inner.state())?;
        state.log.append(records)?;
        for record in records {
            state.push(record);
        }
        if state.head.payload_bytes() >= self.inner.options.block_bytes {
            self.inner.roll(&mut state);
        }
        Ok(())
    }

    /// Everything appended before.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.inner.state();
        let sealing = state.sealing.iter().map(|sealing| sealing.head.clone());
        Snapshot {
            shared: Arc::clone(&self.inner.readers),
            blocks: Arc::clone(&state.blocks),
            heads: sealing.chain([state.head.view()]).collect(),
        }
    }

    /// Deletes what is too old or too much, and seals a head that is old. To be called from time to time.
    ///
    /// # Errors
    /// A file cannot be deleted; the store no longer reads it all the same.
    pub fn retain(&self, now_ns: u64) -> Result<Retired, Error> {
        let inner = &self.inner;
        let mut state = inner.state();
        if state.head_is_old(now_ns) {
            inner.roll(&mut state);
        }
        let oldest_ns = now_ns.saturating_sub(nanoseconds(inner.options.retention));
        let (retired, kept) = partition(&state, oldest_ns, inner.options.disk_bytes_max);
        if retired.is_empty() {
            return Ok(Retired::default());
        }
        state.blocks = Arc::new(kept);
        inner.forget(&retired, &state.blocks)?;
        drop(state);
        for block in &retired {
            fs::remove_file(block.path()).map_err(Error::io("delete", block.path()))?;
        }
        Ok(Retired {
            blocks: retired.len() as u64,
            bytes: retired.iter().map(|block| block.file_bytes()).sum(),
        })
    }

    pub fn stats(&self) -> Stats {
        let state = self.inner.state();
        let sealing = state.sealing.as_ref();
        let head_records = u64::from(state.head.records())
            + sealing.map_or(0, |sealing| u64::from(sealing.head.records()));
        Stats {
            blocks: state.blocks.len() as u64,
            records: state
                .blocks
                .iter()
                .map(|block| block.records())
                .sum::<u64>()
                + head_records,
            head_records,
            disk_bytes: state.disk_bytes(),
        }
    }

    /// Makes a block of what is in memory and waits for it. Readers see no difference.
    ///
    /// # Errors
    /// The block cannot be written now, or not in time; the log has everything.
    pub fn seal(&self) -> Result<(), Error> {
        let mut state = self.inner.sealed(self.inner.state())?;
        if state.head.records() > 0 {
            self.inner.try_roll(&mut state)?;
            drop(self.inner.sealed(state)?);
        }
        Ok(())
    }

    /// Ends writing; the log is on the disk afterwards. Dropping does the same and says nothing.
    ///
    /// # Errors
    /// The log cannot be brought to the disk.
    pub fn close(mut self) -> Result<(), Error> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Some(sealer) = self.sealer.take() else {
            return Ok(());
        };
        self.inner.state().is_closing = true;
        self.inner.changed.notify_all();
        let _ = sealer.join();
        self.inner.state().log.sync()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the log may not be on the disk");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A process that is just being started may hold a copy of the handle: to close ours would not be enough.
        let _ = self.lock.unlock();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new head and log, unless the one before is still on its way. Without a new log the old head goes on.
    fn roll(&self, state: &mut State) {
        if state.sealing.is_some() {
            return;
        }
        let rolled = self.try_roll(state);
        if let (Err(error), false) = (&rolled, state.has_failed_to_roll) {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a new log cannot be begun, the one before goes on"
            );
        }
        state.has_failed_to_roll = rolled.is_err();
    }

    fn try_roll(&self, state: &mut State) -> Result<(), Error> {
        let number = state.number + 1;
        let log = Log::create(self.files.log(number))?;
        let log = std::mem::replace(&mut state.log, log);
        state.sealing = Some(Sealing {
            number: state.number,
            head: std::mem::take(&mut state.head).freeze(),
            log: log.path().to_owned(),
            log_bytes: log.bytes(),
        });
        state.number = number;
        state.head_seen_ns = None;
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until no head is on its way.
    fn sealed<'s>(&self, state: MutexGuard<'s, State>) -> Result<MutexGuard<'s, State>, Error> {
        self.wait_while(state, SEAL_TIME_MAX, |state| state.sealing.is_some())
    }

    /// Waits until the head may grow.
    fn with_room<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
    ) -> Result<MutexGuard<'s, State>, Error> {
        let max = self.options.block_bytes.saturating_mul(HEADS_BEHIND_MAX);
        if state.sealing.is_none() && state.head.payload_bytes() >= max {
            // No new log could be begun all the while.
            self.try_roll(&mut state)?;
            state.has_failed_to_roll = false;
        }
        let is_behind =
            |state: &State| state.sealing.is_some() && state.head.payload_bytes() >= max;
        self.wait_while(state, ROOM_TIME_MAX, is_behind)
    }

    fn wait_while<'s>(
        &self,
        state: MutexGuard<'s, State>,
        time_max: Duration,
        condition: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'s, State>, Error> {
        let waited = self
            .changed
            .wait_timeout_while(state, time_max, |state| condition(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match condition(&state) {
            false => Ok(state),
            true => Err(Error::Behind {
                head_bytes: state.head.payload_bytes(),
            }),
        }
    }

    /// Nothing in memory speaks of blocks that are gone. Called with the state locked: no block comes meanwhile.
    fn forget(&self, retired: &[Arc<Block>], kept: &[Arc<Block>]) -> Result<(), Error> {
        retired
            .iter()
            .for_each(|block| self.readers.filters.forget(block.number));
        let mut split = HashSet::new();
        for block in kept {
            split.extend(block.split()?);
        }
        *self
            .readers
            .split
            .write()
            .unwrap_or_else(PoisonError::into_inner) = split;
        Ok(())
    }
}

impl State {
    fn push(&mut self, record: &Record<'_>) {
        let is_older = self
            .sealing
            .as_ref()
            .is_some_and(|sealing| sealing.head.has(record.key))
            || in_blocks(&self.blocks, record.key);
        self.head.push(record, is_older);
    }

    fn head_is_old(&mut self, now_ns: u64) -> bool {
        if self.head.records() == 0 {
            return false;
        }
        let seen_ns = *self.head_seen_ns.get_or_insert(now_ns);
        now_ns.saturating_sub(seen_ns) >= nanoseconds(HEAD_AGE_MAX)
    }

    fn disk_bytes(&self) -> u64 {
        let blocks: u64 = self.blocks.iter().map(|block| block.file_bytes()).sum();
        let sealing = self.sealing.as_ref().map_or(0, |sealing| sealing.log_bytes);
        blocks + sealing + self.log.bytes()
    }
}

/// Whether a block has the key. One that cannot be read counts: a reader then looks for more records than there are.
fn in_blocks(blocks: &[Arc<Block>], key: u64) -> bool {
    blocks
        .iter()
        .rev()
        .any(|block| block.has(key).unwrap_or(true))
}

/// The blocks that have to go and the ones that stay.
fn partition(
    state: &State,
    oldest_ns: u64,
    disk_bytes_max: u64,
) -> (Vec<Arc<Block>>, Vec<Arc<Block>>) {
    let mut by_age: Vec<&Arc<Block>> = state.blocks.iter().collect();
    by_age.sort_by_key(|block| block.time_max_ns);
    let mut disk_bytes = state.disk_bytes();
    let mut gone = Vec::new();
    for block in by_age {
        if block.time_max_ns >= oldest_ns && disk_bytes <= disk_bytes_max {
            break;
        }
        disk_bytes -= block.file_bytes();
        gone.push(block.number);
    }
    state
        .blocks
        .iter()
        .cloned()
        .partition(|block| gone.contains(&block.number))
}

fn check(record: &Record<'_>) -> Result<(), Error> {
    let (bytes, terms) = (record.payload.len(), record.terms.len());
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge {
            bytes,
            max: PAYLOAD_BYTES_MAX,
        });
    }
    if terms > TERMS_MAX {
        return Err(Error::TooManyTerms {
            terms,
            max: TERMS_MAX,
        });
    }
    match record.has_times() {
        true => Ok(()),
        false => Err(Error::Times),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
