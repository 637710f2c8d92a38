//! The store: open, ingest, read, retire. Synchronous; a caller on a runtime uses its blocking threads.
//!
//! Spans go into block files as records (one per trace and ingest), and are there for every query as soon as
//! [`Store::ingest`] returns. A trace may lie in several records: reads join them. What is kept and dropped before is the
//! collector's matter.

mod fields;
mod ingest;
mod metrics_query;
mod read;
mod scan;
mod search;
mod sizes;
mod tag_names;
mod tag_search;
mod tag_values;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use otlp::TraceId;

use crate::own_metrics;
use crate::record::encode::Builder;
use sizes::Sizes;

pub use crate::record::Damaged;
pub use blocks::{Options, Retired, Stats};

/// Bytes of one trace (as OTLP) that are stored. Tempo's default (`max_bytes_per_trace`).
pub const TRACE_BYTES_MAX: usize = 5_000_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is not an OTLP trace request")]
    Malformed(#[from] otlp::wire::Malformed),
    #[error("the trace blocks cannot be used")]
    Blocks(#[from] blocks::Error),
    #[error("a stored record cannot be read")]
    Damaged(#[from] Damaged),
    #[error("the query gives no metrics: it needs a function such as rate()")]
    NotMetrics,
    #[error("the query cannot be evaluated: {0}")]
    Query(String),
    #[error("tag {tag:?} is no name that TraceQL knows")]
    Tag { tag: String },
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub blocks: u64,
    /// Parts of traces, in blocks and in the write-ahead log.
    pub fragments: u64,
    /// Bytes of an unfinished ingest, cut off: it was not acknowledged.
    pub torn_bytes: u64,
    /// Bytes of the log that were changed after they were written, left out.
    pub damaged_bytes: u64,
    /// Files that cannot be read, renamed so that they are not tried again.
    pub damaged: Vec<PathBuf>,
}

/// The trace store of one directory. All methods may be called from several threads.
pub struct Store {
    blocks: blocks::Store,
    sizes: Sizes,
    /// Buffers of earlier ingests.
    builders: Mutex<Vec<Builder>>,
}

impl Store {
    /// Opens the store of a directory, which is created when it is missing. What a kill left unfinished is cut off, what is
    /// damaged is set aside: [`Recovery`] says both.
    ///
    /// # Errors
    /// Another process has it open, or files cannot be read or written.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        let (blocks, found) = blocks::Store::open(dir, options)?;
        own_metrics::describe();
        let store = Self {
            blocks,
            sizes: Sizes::default(),
            builders: Mutex::default(),
        };
        own_metrics::disk(store.stats().disk_bytes);
        Ok((store, found.into()))
    }

    /// Deletes the blocks that are too old or too much. To be called from time to time.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn retain(&self, now_ns: u64) -> Result<Retired, Error> {
        let retired = self.blocks.retain(now_ns)?;
        own_metrics::retired(&retired);
        own_metrics::disk(self.stats().disk_bytes);
        Ok(retired)
    }

    /// The numbers of files; a record is a part of a trace that came in one ingest.
    pub fn stats(&self) -> Stats {
        self.blocks.stats()
    }

    /// Makes a block of what is in memory and waits for it. Queries see no difference.
    ///
    /// # Errors
    /// The block cannot be written now; nothing is lost.
    pub fn seal(&self) -> Result<(), Error> {
        Ok(self.blocks.seal()?)
    }

    /// Brings everything to the disk. Dropping does the same and says nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(self) -> Result<(), Error> {
        Ok(self.blocks.close()?)
    }
}

impl Recovery {
    /// Whether nothing was lost and nothing cut off.
    pub fn is_clean(&self) -> bool {
        self.torn_bytes == 0 && self.damaged_bytes == 0 && self.damaged.is_empty()
    }
}

impl From<blocks::Recovery> for Recovery {
    fn from(found: blocks::Recovery) -> Self {
        Self {
            blocks: found.blocks,
            fragments: found.block_records + found.head_records,
            torn_bytes: found.torn_bytes,
            damaged_bytes: found.damaged_bytes,
            damaged: found.damaged,
        }
    }
}

/// Under what the records of a trace are stored.
fn key(id: TraceId) -> u64 {
    blocks::hash(&id.0)
}
