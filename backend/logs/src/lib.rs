//! The log store: lines in streams, with structured metadata, on block files.
//!
//! A push is durable and readable when [`Store::append`] returns. Lines of one stream and push are one record, found by labels
//! and metadata through the filters of `blocks`; queries read through [`logql::Source`], in the order of time over all streams.
//! The files are described in `docs/formats/logs.md`. No HTTP and no query language here.

mod error;
mod own_metrics;
mod record;
mod rules;
mod scan;
mod store;
mod streams;
mod terms;

pub use blocks::{Retired, Stats};
pub use error::Error;
pub use rules::{
    AHEAD_NS_MAX, BEHIND_NS_MAX, LABELS_BYTES_MAX, LABELS_MAX, LINE_BYTES_MAX,
    LINE_BYTES_MAX_ANYTHING, METADATA_BYTES_MAX, METADATA_MAX, OLD_NS_MAX, Refused, Rules,
};
pub use scan::Volume;
pub use store::{Appended, NewEntry, Options, Push, Recovery, Store};
