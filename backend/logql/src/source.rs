//! Stored lines as a query sees them, and the one trait that storage answers. No storage here.
//!
//! Times are Unix nanoseconds. A stream is a label set; structured metadata belongs to a line.

use std::{ops::ControlFlow, ops::Range};

use tsdb::{Labels, Matcher};

/// One stored line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub t_ns: i64,
    pub line: &'a str,
    /// Structured metadata, in the order of names, names unique.
    pub metadata: &'a [(&'a str, &'a str)],
}

/// Which end of time comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Forward,
    Backward,
}

/// Something that is true of every line the query can use. Storage skips by it what it can; what it cannot skip it hands
/// out, and the query judges for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The line has this text somewhere, these very bytes.
    Contains(Box<str>),
    /// The label of the stream, or else the structured metadata, of this name has this value.
    Field { name: Box<str>, value: Box<str> },
}

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Selection<'q> {
    /// All hold for the labels of the stream.
    pub matchers: &'q [Matcher],
    /// The start belongs to it, the end does not.
    pub range_ns: Range<i64>,
    pub direction: Direction,
    pub hints: &'q [Hint],
}

/// What a scan has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub lines: u64,
    /// Of lines and their structured metadata.
    pub bytes: u64,
}

/// Where a query reads.
pub trait Source: Send + Sync {
    /// Hands out lines in the order of time over all streams; lines of the same time in the order of their streams' labels,
    /// and within a stream as they arrived (all of it reversed backwards). Ends early when `visit` breaks.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn scan(
        &self,
        selection: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError>;

    /// The streams that have a line in the range, in label order.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn streams(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
    ) -> Result<Vec<Labels>, SourceError>;
}

/// Storage cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read stored lines")]
pub struct SourceError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
