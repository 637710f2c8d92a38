//! Lines of one file on their way to one destination, each with its time and the stream that it belongs to.
//!
//! The text is the file's, byte for byte, and lines are parts of it. Only what no destination could take is changed, and counted:
//! bytes that are no UTF-8 are replaced, and a line over [`LINE_BYTES_MAX`] is cut and says so at its end.

use std::ops::Range;

use crate::line::Fields;

/// A longer line is cut, its mark included. Loki's `max_line_size`; CloudWatch takes more.
pub const LINE_BYTES_MAX: usize = 256 << 10;
/// Bytes of a file in one batch. Less than Loki takes in one burst by default, more than [`LINE_BYTES_MAX`], so that the beginning of
/// a line that is too long is always whole.
pub const BATCH_BYTES_MAX: usize = 512 << 10;
/// Streams of one batch; lines beyond are in the stream of their file, without a level.
const STREAMS_MAX: usize = 64;
/// The end of a line that was cut.
const CUT_MARK: &str = " [cut: the line is too long]";

/// What is read together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    text: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) streams: Vec<Stream>,
    /// Lines that were cut, or had bytes that are no UTF-8.
    pub(crate) mended: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) service: String,
    /// Empty if the line has none.
    pub(crate) level: String,
}

/// Parts of the batch's text; an id that is not there is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Unix nanoseconds.
    pub(crate) t_ns: i64,
    pub(crate) stream: usize,
    text: Range<usize>,
    trace_id: Range<usize>,
    span_id: Range<usize>,
}

impl Batch {
    /// The lines of a chunk of the file of `service`. Empty ones are none; one without a time has that of reading.
    pub(crate) fn of(chunk: Vec<u8>, service: &str, now_ns: i64) -> Self {
        let (text, mended) = mend(chunk);
        let mut batch = Self {
            lines: Vec::with_capacity(text.len() / 256),
            mended,
            streams: vec![Stream {
                service: service.to_owned(),
                level: String::new(),
            }],
            text: String::new(),
        };
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
        for end in ends {
            if start < end {
                batch.push(&text, start..end, now_ns);
            }
            start = end + 1;
        }
        batch.text = text;
        batch
    }

    pub(crate) fn text(&self, line: &Line) -> &str {
        &self.text[line.text.clone()]
    }

    pub(crate) fn trace_id(&self, line: &Line) -> &str {
        &self.text[line.trace_id.clone()]
    }

    pub(crate) fn span_id(&self, line: &Line) -> &str {
        &self.text[line.span_id.clone()]
    }

    pub(crate) fn service(&self, line: &Line) -> &str {
        &self.streams[line.stream].service
    }

    fn push(&mut self, text: &str, place: Range<usize>, now_ns: i64) {
        let line = &text[place.clone()];
        let fields = Fields::of(line);
        let within = |part: Option<Range<usize>>| {
            part.map_or(0..0, |part| {
                place.start + part.start..place.start + part.end
            })
        };
        let named = |part: &Option<Range<usize>>| part.clone().map(|part| &line[part]);
        let stream = self.stream(named(&fields.service), named(&fields.level));
        self.lines.push(Line {
            t_ns: fields.t_ns.unwrap_or(now_ns),
            stream,
            trace_id: within(fields.trace_id),
            span_id: within(fields.span_id),
            text: place,
        });
    }

    /// The first stream is that of the file.
    fn stream(&mut self, service: Option<&str>, level: Option<&str>) -> usize {
        let service = service.unwrap_or(&self.streams[0].service);
        let level = level.unwrap_or_default();
        let is_it = |stream: &Stream| stream.service == service && stream.level == level;
        if let Some(found) = self.streams.iter().position(is_it) {
            return found;
        }
        if self.streams.len() == STREAMS_MAX {
            return 0;
        }
        let (service, level) = (service.to_owned(), level.to_owned());
        self.streams.push(Stream { service, level });
        self.streams.len() - 1
    }
}

/// A text that destinations take, and how many lines had to be changed for it: usually none, and nothing is copied.
fn mend(chunk: Vec<u8>) -> (String, u64) {
    let has_long = {
        let mut start = 0;
        let mut ends = memchr::memchr_iter(b'\n', &chunk).chain([chunk.len()]);
        ends.any(|end| end - std::mem::replace(&mut start, end + 1) > LINE_BYTES_MAX)
    };
    let chunk = match String::from_utf8(chunk) {
        Ok(text) if !has_long => return (text, 0),
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(chunk.len());
    let mut mended = 0;
    for line in chunk.split(|byte| *byte == b'\n') {
        let (line, is_mended) = mend_line(line);
        text.push_str(&line);
        text.push('\n');
        mended += u64::from(is_mended);
    }
    (text, mended)
}

fn mend_line(line: &[u8]) -> (String, bool) {
    let is_odd = std::str::from_utf8(line).is_err();
    // A replacement is longer than what it replaces, so the length is looked at afterwards.
    let mut text = String::from_utf8_lossy(line).into_owned();
    let is_long = text.len() > LINE_BYTES_MAX;
    if is_long {
        let mut end = LINE_BYTES_MAX - CUT_MARK.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT_MARK);
    }
    (text, is_odd || is_long)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_are_kept_as_they_are_and_known_by_service_and_level() {
        let chunk = b"{\"trace_id\":\"7d\",\"span_id\":\"9d\",\"level\":\"WARN\"}\n\nthread panicked\n{\"service\":\"b\"}";
        let batch = Batch::of(chunk.to_vec(), "a", 7);
        assert_eq!(batch.lines.len(), 3);
        let line = |number: usize| {
            let line: &Line = &batch.lines[number];
            let stream = &batch.streams[line.stream];
            let (text, service) = (batch.text(line), stream.service.as_str());
            (text, service, stream.level.as_str(), batch.trace_id(line))
        };
        let json = "{\"trace_id\":\"7d\",\"span_id\":\"9d\",\"level\":\"WARN\"}";
        assert_eq!(line(0), (json, "a", "WARN", "7d"));
        assert_eq!(batch.span_id(&batch.lines[0]), "9d");
        assert_eq!(line(1), ("thread panicked", "a", "", ""));
        assert_eq!(line(2), ("{\"service\":\"b\"}", "b", "", ""));
        assert_eq!(batch.lines[1].t_ns, 7);
        assert_eq!(batch.mended, 0);
    }

    #[test]
    fn odd_bytes_are_replaced_and_long_lines_cut_between_characters() {
        let long = format!("x{}", "é".repeat(LINE_BYTES_MAX));
        let mut chunk = b"a\xffb\nbefore\n".to_vec();
        chunk.extend_from_slice(long.as_bytes());
        chunk.extend_from_slice(b"\nafter\n");
        chunk.extend_from_slice(&vec![0xff; LINE_BYTES_MAX - 1]);
        let batch = Batch::of(chunk, "a", 0);
        let texts: Vec<&str> = batch.lines.iter().map(|line| batch.text(line)).collect();
        assert_eq!(texts[..2], ["a\u{fffd}b", "before"]);
        assert_eq!(texts[3], "after");
        for cut in [texts[2], texts[4]] {
            assert!(cut.ends_with(CUT_MARK) && cut.len() <= LINE_BYTES_MAX);
            assert!(cut.len() > LINE_BYTES_MAX - 4);
        }
        assert!(long.starts_with(texts[2].strip_suffix(CUT_MARK).unwrap()));
        assert_eq!(batch.mended, 3);
    }

    #[test]
    fn a_line_of_the_longest_length_is_whole() {
        let chunk = "x".repeat(LINE_BYTES_MAX).into_bytes();
        let batch = Batch::of(chunk, "a", 0);
        assert_eq!(batch.text(&batch.lines[0]).len(), LINE_BYTES_MAX);
        assert_eq!(batch.mended, 0);
    }

    #[test]
    fn streams_beyond_the_bound_fall_back_to_the_file() {
        let chunk: String = (0..100)
            .map(|number| format!("{{\"service\":\"s{number}\"}}\n"))
            .collect();
        let batch = Batch::of(chunk.into_bytes(), "a", 0);
        assert_eq!(batch.streams.len(), STREAMS_MAX);
        assert_eq!(batch.service(&batch.lines[99]), "a");
    }
}
