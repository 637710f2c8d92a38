//! The thread that writes heads as blocks and brings the log to the disk. When the store is opened it loads filters first.

use std::fs;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Inner, State};
use crate::Error;
use crate::block::{self, Block};
use crate::head::HeadView;

/// A power cut takes at most what came in this time.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);
/// Before a block that could not be written is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn start(inner: Arc<Inner>) -> std::io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("blocks".to_owned());
    thread.spawn(move || {
        Sealer {
            inner: &inner,
            has_failed: false,
        }
        .run()
    })
}

struct Sealer<'i> {
    inner: &'i Inner,
    /// The last attempt failed: said once.
    has_failed: bool,
}

impl Sealer<'_> {
    fn run(&mut self) {
        let blocks = Arc::clone(&self.inner.state().blocks);
        let is_open = || !self.inner.state().is_closing;
        self.inner.readers.filters.warm(&blocks, is_open);
        drop(blocks);
        let mut state = self.inner.state();
        while !state.is_closing {
            let sealing = state
                .sealing
                .as_ref()
                .map(|sealing| (sealing.number, sealing.head.clone()));
            let pause = match sealing {
                None => {
                    let synced = state.log.sync();
                    self.say(synced, "the log cannot be brought to the disk");
                    SYNC_INTERVAL
                }
                Some((number, head)) => {
                    drop(state);
                    let written = self.write(number, &head);
                    state = self.inner.state();
                    let sealed = written.and_then(|block| self.publish(&mut state, block));
                    match self.say(
                        sealed,
                        "a block cannot be written, its records stay in log and memory",
                    ) {
                        true => continue,
                        false => RETRY_INTERVAL,
                    }
                }
            };
            state = self.wait(state, pause);
        }
        self.inner.changed.notify_all();
    }

    fn write(&self, number: u64, head: &HeadView) -> Result<Block, Error> {
        let files = &self.inner.files;
        let path = files.block(number);
        block::write(head, &files.temporary(number), &path)?;
        Block::open(&path, number)
    }

    /// Readers find the block instead of the head from now on.
    fn publish(&self, state: &mut State, block: Block) -> Result<(), Error> {
        let split = block.split()?;
        let readers = &self.inner.readers;
        readers
            .split
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(split);
        Arc::make_mut(&mut state.blocks).push(Arc::new(block));
        let sealing = state.sealing.take();
        self.inner.changed.notify_all();
        // A log that stays is deleted when the store is opened: its block is there.
        sealing.map_or(Ok(()), |sealing| {
            fs::remove_file(&sealing.log).map_err(Error::io("delete", &sealing.log))
        })
    }

    /// Whether it went well. The first of several failures is said.
    fn say(&mut self, result: Result<(), Error>, what: &'static str) -> bool {
        let failed = result.is_err();
        if let (Err(error), false) = (&result, self.has_failed) {
            tracing::error!(error = error as &dyn std::error::Error, "{what}");
        }
        self.has_failed = failed;
        !failed
    }

    /// Until something waits to be sealed, at most this long.
    fn wait<'s>(&self, state: MutexGuard<'s, State>, pause: Duration) -> MutexGuard<'s, State> {
        let waited = self.inner.changed.wait_timeout(state, pause);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
