//! What labels a line: service, level, ids and time, found in the bytes of its JSON without parsing the rest.
//!
//! The services write these keys first, so a line is looked at only as far as they reach. A line that is no such JSON, a panic of a
//! process that could not log any more for instance, has none of them. What stands in their place is the batch's matter.

use std::ops::Range;

use conventions::{fields, metrics};
use jiff::Timestamp;

/// Keys that are looked at before a line counts as one without labels.
const KEYS_MAX: usize = 16;
/// Bytes of a name that may become a label or part of a group's name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of an id that may become structured metadata; W3C's have 32 and 16.
const ID_BYTES_MAX: usize = 64;
/// Bytes of a level; longer ones are no levels.
const LEVEL_BYTES_MAX: usize = 16;

/// What a line says of itself, as parts of its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) service: Option<Range<usize>>,
    pub(crate) level: Option<Range<usize>>,
    pub(crate) trace_id: Option<Range<usize>>,
    pub(crate) span_id: Option<Range<usize>>,
    pub(crate) t_ns: Option<i64>,
}

impl Fields {
    pub(crate) fn of(line: &str) -> Self {
        let mut found = Self::default();
        let mut scan = Scan {
            line: line.as_bytes(),
            at: 0,
        };
        if !scan.takes(b'{') {
            return found;
        }
        for _ in 0..KEYS_MAX {
            let Some((key, value)) = scan.pair() else {
                break;
            };
            found.take(line, &line.as_bytes()[key], value);
            if found.is_whole() || !scan.takes(b',') {
                break;
            }
        }
        found
    }

    fn take(&mut self, line: &str, key: &[u8], value: Option<Range<usize>>) {
        let Some(value) = value else {
            return;
        };
        let text = &line[value.clone()];
        if key == fields::TRACE_ID.as_bytes() {
            self.trace_id = is_id(text).then_some(value);
        } else if key == fields::SPAN_ID.as_bytes() {
            self.span_id = is_id(text).then_some(value);
        } else if key == metrics::SERVICE.as_bytes() {
            self.service = is_name(text).then_some(value);
        } else if key == fields::TIMESTAMP.as_bytes() {
            self.t_ns = time(text);
        } else if key == fields::LEVEL.as_bytes() {
            self.level = is_level(text).then_some(value);
        }
    }

    fn is_whole(&self) -> bool {
        self.level.is_some()
            && self.t_ns.is_some()
            && self.service.is_some()
            && self.trace_id.is_some()
            && self.span_id.is_some()
    }
}

/// Whether this may be the name of a service or an environment: everything that both destinations take unchanged.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_level(text: &str) -> bool {
    (1..=LEVEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
}

fn time(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// Where in a line the next key is.
struct Scan<'a> {
    line: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    /// A key and its value if that is a text without escapes, which each of ours is. Scalars are passed over; `None` at anything else.
    fn pair(&mut self) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let (key, _) = self.text()?;
        if !self.takes(b':') {
            return None;
        }
        self.skip_space();
        match self.line.get(self.at)? {
            b'"' => {
                let (value, is_plain) = self.text()?;
                Some((key, is_plain.then_some(value)))
            }
            b'{' | b'[' => None,
            _ => {
                let rest = &self.line[self.at..];
                self.at += rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
                Some((key, None))
            }
        }
    }

    /// The inside of a text, and whether it has no escapes.
    fn text(&mut self) -> Option<(Range<usize>, bool)> {
        if !self.takes(b'"') {
            return None;
        }
        let start = self.at;
        let mut is_plain = true;
        loop {
            let end = self.at + memchr::memchr2(b'"', b'\\', self.line.get(self.at..)?)?;
            if self.line[end] == b'"' {
                self.at = end + 1;
                return Some((start..end, is_plain));
            }
            is_plain = false;
            self.at = end + 2;
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_there = self.line.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.line.get(self.at) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expected: [Option<&str>; 4], t_ns: Option<i64>) {
        let fields = Fields::of(line);
        let found = [
            fields.service,
            fields.level,
            fields.trace_id,
            fields.span_id,
        ];
        let found = found.map(|part| part.map(|part| &line[part]));
        assert_eq!(found, expected, "{line}");
        assert_eq!(fields.t_ns, t_ns, "{line}");
    }

    #[test]
    fn a_line_of_a_service_is_labelled() {
        check(
            r#"{"trace_id":"7d0d","span_id":"9d92","service":"backend","trace_scope":"process","timestamp":"2026-11-23T19:51:10.083297Z","level":"ERROR","fields":{"level":"no"}}"#,
            [Some("backend"), Some("ERROR"), Some("7d0d"), Some("9d92")],
            Some(1_795_463_470_083_297_000),
        );
    }

    #[test]
    fn other_scalars_and_escapes_before_the_keys_are_passed_over() {
        check(
            r#" { "n" : -1.5e3 , "b":true,"t":"a\"\\" , "level" : "INFO" , "timestamp":"1970-01-01T00:00:01Z" }"#,
            [None, Some("INFO"), None, None],
            Some(1_000_000_000),
        );
    }

    #[test]
    fn a_line_that_is_no_such_json_has_no_labels() {
        for line in [
            "",
            "thread 'main' panicked at src/main.rs:1:1:",
            "{",
            "[1]",
            "{\"trace_id\":1}",
            "{\"trace_id\":\"\"}",
            "{\"a\\\"\":\"b\"}",
            "{\"level\":\"IN\\u0046O\"}",
            "{\"service\":\"a/b\",\"level\":\"not a level\",\"timestamp\":\"soon\"}",
            "{\"fields\":{\"level\":\"INFO\"},\"level\":\"INFO\"}",
            "{\"trace_id\":\"7d",
            "{\"trace_id\\",
        ] {
            assert_eq!(Fields::of(line), Fields::default(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_all_parts_lie_within(line in r#"[{}":,\\a-e é\[\]0-9]{0,60}"#) {
            let fields = Fields::of(&line);
            for part in [fields.service, fields.level, fields.trace_id, fields.span_id].into_iter().flatten() {
                prop_assert!(line.get(part).is_some());
            }
        }
    }
}
