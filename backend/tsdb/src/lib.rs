//! Storage of samples, series, exemplars and metadata: compressed chunks in memory, sealed blocks on disk, a write-ahead log.
//!
//! [`Store`] takes batches and answers queries as a [`Source`]. The files are described in `docs/formats/tsdb.md`. Times are
//! parameters; nothing here reads a clock. No scraping, no wire formats, no PromQL.

mod batch;
mod block;
mod bytes;
mod chunk;
pub mod duration;
mod error;
mod exemplars;
mod head;
mod metadata;
mod model;
mod own_metrics;
mod postings;
mod store;
mod wal;

pub use batch::*;
pub use chunk::CHUNK_SAMPLES_MAX;
pub use error::Error;
pub use exemplars::{EXEMPLAR_CHARS_MAX, EXEMPLARS_PER_SERIES_MAX};
pub use head::BLOCK_MS;
pub use metadata::*;
pub use model::*;
pub use store::*;
pub use wal::FRAME_BYTES_MAX;
