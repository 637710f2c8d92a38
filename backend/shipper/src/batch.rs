//! Lines of one service on their way to one destination, by the stream that they belong to.

use std::{collections::BTreeMap, ops::Range};

use crate::line::{self, Fields};

/// Bytes of files in one batch. CloudWatch takes a mebibyte with 26 bytes for each event.
pub const BATCH_BYTES_MAX: usize = 512 << 10;
/// Lines in one batch. CloudWatch takes 10,000.
pub const BATCH_LINES_MAX: usize = 5_000;

/// What is sent together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) lines: Vec<Line>,
    /// Lines that were cut, or had bytes that are no UTF-8.
    pub(crate) mended: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Unix nanoseconds.
    pub(crate) t_ns: i64,
    pub(crate) text: String,
    /// Parts of the text.
    pub(crate) level: Option<Range<usize>>,
    pub(crate) trace_id: Option<Range<usize>>,
    pub(crate) span_id: Option<Range<usize>>,
}

impl Batch {
    /// The lines of a chunk. Empty ones are none; one without a time has that of reading.
    pub(crate) fn of(chunk: &[u8], now_ns: i64) -> Self {
        let mut batch = Self::default();
        for bytes in chunk.split(|byte| *byte == b'\n') {
            if bytes.is_empty() {
                continue;
            }
            let (text, is_mended) = line::text(bytes);
            batch.mended += u64::from(is_mended);
            batch.lines.push(Line::new(text, now_ns));
        }
        batch
    }

    /// By level, each in the order of the file.
    pub(crate) fn by_level(&self) -> BTreeMap<Option<&str>, Vec<&Line>> {
        let mut streams: BTreeMap<Option<&str>, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            streams
                .entry(line.part(&line.level))
                .or_default()
                .push(line);
        }
        streams
    }

    /// Two halves, when there are two.
    pub(crate) fn split(&self) -> Option<(Self, Self)> {
        let middle = self.lines.len() / 2;
        let half = |lines: &[Line]| Self {
            lines: lines.to_vec(),
            mended: 0,
        };
        (middle > 0).then(|| (half(&self.lines[..middle]), half(&self.lines[middle..])))
    }
}

impl Line {
    fn new(text: String, now_ns: i64) -> Self {
        let fields = Fields::of(&text);
        let place = |part: Option<&str>| {
            let part = part?;
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            Some(start..start + part.len())
        };
        Self {
            t_ns: fields.t_ns.unwrap_or(now_ns),
            level: place(fields.level),
            trace_id: place(fields.trace_id),
            span_id: place(fields.span_id),
            text,
        }
    }

    pub(crate) fn part(&self, place: &Option<Range<usize>>) -> Option<&str> {
        place.clone().map(|place| &self.text[place])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_are_kept_as_they_are_and_known_by_their_level() {
        let chunk =
            b"{\"trace_id\":\"7d\",\"span_id\":\"9d\",\"level\":\"WARN\"}\n\nthread panicked\n";
        let batch = Batch::of(chunk, 7);
        assert_eq!(batch.lines.len(), 2);
        let streams = batch.by_level();
        let warned = streams[&Some("WARN")][0];
        assert_eq!(warned.part(&warned.trace_id), Some("7d"));
        assert_eq!(warned.part(&warned.span_id), Some("9d"));
        assert_eq!(streams[&None][0].text, "thread panicked");
        assert_eq!(streams[&None][0].t_ns, 7);
        let (first, second) = batch.split().unwrap();
        assert_eq!((first.lines.len(), second.lines.len()), (1, 1));
        assert_eq!(first.split(), None);
    }
}
