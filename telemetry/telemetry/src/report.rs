//! What became of the signals of this process, as [`crate::Guard::shutdown`] tells it. Counts only; where they are
//! counted is in `trace::batch` and `log::writer`.

use std::fmt;

/// What became of spans and log lines, in whole numbers of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Spans that ended.
    pub spans: Spans,
    /// Log lines that passed the filter.
    pub log_lines: LogLines,
}

/// `ended = exported + failed + dropped`, once [`crate::Guard::shutdown`] has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spans {
    /// Spans that ended while the process recorded.
    pub ended: u64,
    /// Taken by the collector.
    pub exported: u64,
    /// Refused by the collector for good.
    pub failed: u64,
    /// Never taken nor refused: the queue was full, or the deadline passed.
    pub dropped: u64,
}

/// Lines still waiting are in none of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogLines {
    /// Written to the output.
    pub written: u64,
    /// The output refused them, a full disk for instance.
    pub failed: u64,
    /// The queue was full.
    pub dropped: u64,
}

impl Report {
    /// Whether every span was exported and every line written.
    pub fn nothing_lost(&self) -> bool {
        let Self { spans, log_lines } = self;
        spans.failed + spans.dropped + log_lines.failed + log_lines.dropped == 0
    }
}

impl fmt::Display for Report {
    /// One line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spans, log_lines } = self;
        write!(
            formatter,
            "spans: {} ended, {} exported, {} failed, {} dropped; log lines: {} written, {} failed, {} dropped",
            spans.ended,
            spans.exported,
            spans.failed,
            spans.dropped,
            log_lines.written,
            log_lines.failed,
            log_lines.dropped
        )
    }
}
