//! The text format 0.0.4: blanks between tokens, comments anywhere, timestamps in milliseconds.

use std::borrow::Cow;

use super::{
    Entry, Format, Kind, Sample,
    cursor::{Cursor, Fault, is_blank, text},
    label_block, metadata, number,
};

const KINDS: &[(&str, Kind)] = &[
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
    ("summary", Kind::Summary),
    ("untyped", Kind::Unknown),
];

/// The next line that says something.
pub(super) fn entry<'a>(cursor: &mut Cursor<'a>, kind: Kind) -> Result<Option<Entry<'a>>, Fault> {
    loop {
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(None);
        }
        if cursor.take(b"\n") {
            continue;
        }
        if !cursor.take(b"#") {
            return sample(cursor, kind).map(|sample| Some(Entry::Sample(sample)));
        }
        if let Some(entry) = comment(cursor)? {
            return Ok(Some(entry));
        }
    }
}

/// A comment that is no metadata says nothing.
fn comment<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, Fault> {
    let apart = cursor.peek().is_some_and(is_blank);
    cursor.skip_blanks();
    let entry = if apart && keyword(cursor, b"HELP ", b"HELP\t") {
        let family = metadata::family(cursor, "HELP")?;
        let text = help(text(after_separator(cursor.rest_of_line()))?);
        Some(Entry::Help { family, text })
    } else if apart && keyword(cursor, b"TYPE ", b"TYPE\t") {
        let family = metadata::family(cursor, "TYPE")?;
        let written = after_separator(cursor.rest_of_line());
        Some(metadata::kind(family, written, KINDS)?)
    } else {
        cursor.rest_of_line();
        None
    };
    Ok(entry)
}

/// A word and at least one blank.
fn keyword(cursor: &mut Cursor<'_>, with_space: &[u8], with_tab: &[u8]) -> bool {
    let comes = cursor.take(with_space) || cursor.take(with_tab);
    cursor.skip_blanks();
    comes
}

/// Whatever stands between the name and the text is one byte.
fn after_separator(rest: &[u8]) -> &[u8] {
    rest.get(1..).unwrap_or_default()
}

/// `\\` and `\n`; a quote needs no escape in a help text, so `\"` is what it is.
fn help(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return written.into();
    }
    let pieces: Vec<String> = written
        .split("\\\\")
        .map(|piece| piece.replace("\\n", "\n"))
        .collect();
    pieces.join("\\").into()
}

fn sample<'a>(cursor: &mut Cursor<'a>, kind: Kind) -> Result<Sample<'a>, Fault> {
    if !matches!(
        cursor.peek(),
        Some(b'{' | b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z')
    ) {
        return Err(cursor.unexpected("a metric or a comment"));
    }
    let series = label_block::series(cursor, Format::Text)?;
    cursor.skip_blanks();
    let written = cursor.take_while(|byte| !is_blank(byte) && byte != b'\n' && byte != b'{');
    if written.is_empty() {
        return Err(cursor.unexpected("a value after the metric"));
    }
    let value = number::parse(text(written)?)?;
    cursor.skip_blanks();
    let written = text(cursor.take_while(|byte| byte.is_ascii_digit()))?;
    let t_ms = match written {
        "" => None,
        digits => Some(
            digits
                .parse()
                .map_err(|_| "the timestamp is out of range")?,
        ),
    };
    cursor.skip_blanks();
    if !cursor.is_at_end() && cursor.peek() != Some(b'\n') {
        return Err(cursor.unexpected(if t_ms.is_some() {
            "the end of the line after the timestamp"
        } else {
            "a timestamp or the end of the line"
        }));
    }
    Ok(Sample {
        series,
        value,
        t_ms,
        exemplar: None,
        format: Format::Text,
        kind,
    })
}
