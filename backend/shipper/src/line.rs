//! What labels a line: level, ids and time, found in the bytes of its JSON without parsing the rest.
//!
//! The services write these keys first, so a line is looked at only as far as they reach. A line that is no such JSON, a panic of a
//! process that could not log any more for instance, is shipped as it is, with the service of its file and the time of reading.

use std::str;

use conventions::fields;
use jiff::Timestamp;

/// A longer line is cut. Loki's `max_line_size`, CloudWatch takes more.
pub const LINE_BYTES_MAX: usize = 256 << 10;
/// Keys that are looked at before a line counts as one without labels.
const KEYS_MAX: usize = 12;

/// What a line says of itself; parts of its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    pub(crate) level: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) span_id: Option<&'a str>,
    pub(crate) t_ns: Option<i64>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let mut found = Self::default();
        let mut rest = line.trim_start();
        let Some(inside) = rest.strip_prefix('{') else {
            return found;
        };
        rest = inside;
        for _ in 0..KEYS_MAX {
            let Some((key, value, after)) = text_pair(rest) else {
                break;
            };
            match key {
                fields::LEVEL => found.level = Some(value),
                fields::TRACE_ID => found.trace_id = Some(value),
                fields::SPAN_ID => found.span_id = Some(value),
                fields::TIMESTAMP => found.t_ns = time(value),
                _ => {}
            }
            let is_whole = found.level.is_some()
                && found.trace_id.is_some()
                && found.span_id.is_some()
                && found.t_ns.is_some();
            match after.trim_start().strip_prefix(',') {
                Some(next) if !is_whole => rest = next,
                _ => break,
            }
        }
        found
    }
}

/// `"key":"value"` and what follows; `None` if the value is no text, or one with escapes, which none of the keys has.
fn text_pair(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = quoted(text.trim_start())?;
    let rest = rest.trim_start().strip_prefix(':')?;
    let (value, rest) = quoted(rest.trim_start())?;
    Some((key, value, rest))
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = memchr::memchr2(b'"', b'\\', inside.as_bytes())?;
    let (text, rest) = inside.split_at(end);
    Some((text, rest.strip_prefix('"')?))
}

fn time(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// The text of a line: bytes that are no UTF-8 are replaced, and what is longer than [`LINE_BYTES_MAX`] is cut. Whether that was
/// necessary.
pub(crate) fn text(bytes: &[u8]) -> (String, bool) {
    let is_long = bytes.len() > LINE_BYTES_MAX;
    let mut bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    if is_long {
        // Not within a character.
        while let Err(error) = str::from_utf8(bytes) {
            match error.error_len() {
                None => bytes = &bytes[..error.valid_up_to()],
                Some(_) => break,
            }
        }
    }
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), is_long),
        Err(_) => {
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            // A replacement is longer than what it replaces.
            let mut end = text.len().min(LINE_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            (text, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_service_is_labelled() {
        let line = r#"{"trace_id":"7d0d","span_id":"9d92","service":"backend","trace_scope":"process","timestamp":"2026-11-23T19:51:10.083297Z","level":"ERROR","fields":{"level":"no"}}"#;
        let fields = Fields::of(line);
        assert_eq!(fields.level, Some("ERROR"));
        assert_eq!(fields.trace_id, Some("7d0d"));
        assert_eq!(fields.span_id, Some("9d92"));
        assert_eq!(fields.t_ns, Some(1_795_463_470_083_297_000));
    }

    #[test]
    fn a_line_that_is_no_such_json_has_no_labels_or_some() {
        for line in [
            "",
            "thread 'main' panicked at src/main.rs:1:1:",
            "{",
            "[1]",
            "{\"trace_id\":1}",
            "{\"a\\\"\":\"b\"}",
        ] {
            assert_eq!(Fields::of(line), Fields::default(), "{line}");
        }
        let fields = Fields::of(r#" { "level" : "INFO" , "timestamp":"soon"}"#);
        assert_eq!((fields.level, fields.t_ns), (Some("INFO"), None));
    }

    #[test]
    fn odd_bytes_are_replaced_and_long_lines_cut_between_characters() {
        assert_eq!(text(b"a\xffb"), ("a\u{fffd}b".to_owned(), true));
        assert_eq!(text("é".as_bytes()), ("é".to_owned(), false));
        let long = format!("x{}", "é".repeat(LINE_BYTES_MAX));
        let (cut, is_mended) = text(long.as_bytes());
        assert!(is_mended && long.starts_with(&cut));
        assert_eq!(cut.len(), LINE_BYTES_MAX - 1);
        let (odd, _) = text(&vec![0xff; LINE_BYTES_MAX + 5]);
        assert!(odd.len() <= LINE_BYTES_MAX);
    }
}
