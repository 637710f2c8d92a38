//! Names and labels in braces: read once to see that they are sound and where they end, and once more, when somebody asks,
//! to resolve them.

use std::borrow::Cow;

use super::{
    Format, Pair,
    cursor::{Cursor, Fault, text},
};

/// The label that holds a metric's name.
const NAME: &str = "__name__";

/// What a block is made of, escapes unresolved.
enum Part<'a> {
    Name(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

/// Reads name and labels and returns them as they are written.
pub(super) fn series<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<&'a str, Fault> {
    let from = cursor.at();
    let mut named = false;
    parts(cursor, format, &mut |part| match part {
        Part::Name(_) if std::mem::replace(&mut named, true) => {
            Err("the name of the metric stands there twice".into())
        }
        Part::Name(_) | Part::Pair(..) => Ok(()),
    })?;
    if !named {
        return Err("the name of the metric is missing".into());
    }
    Ok(cursor.text_since(from)?.trim_end_matches([' ', '\t']))
}

/// Reads the labels of an exemplar, after their opening brace, and returns them with both braces.
pub(super) fn exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let from = cursor.at() - 1;
    block(cursor, Format::OpenMetrics, &mut |part| match part {
        Part::Name(_) => Err("an exemplar has labels only, no name".into()),
        Part::Pair(name, _) if name.contains(&b'\n') => {
            Err("a label name goes over the end of its line".into())
        }
        Part::Pair(..) => Ok(()),
    })?;
    cursor.text_since(from)
}

/// Name and labels out of what [`series`] or [`exemplar`] has found sound.
pub(super) fn decode<'a>(written: &'a str, format: Format, out: &mut Vec<Pair<'a>>) {
    let mut cursor = Cursor::new(written.as_bytes());
    let read = parts(&mut cursor, format, &mut |part| {
        out.push(match part {
            Part::Name(name) => (NAME.into(), unescape(text(name)?)),
            Part::Pair(name, value) => (unescape(text(name)?), unescape(text(value)?)),
        });
        Ok(())
    });
    debug_assert!(read.is_ok(), "the text was found sound before");
}

/// Resolves `\"`, `\\` and `\n`. Any other backslash stands for itself.
pub(super) fn unescape(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return written.into();
    }
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let meant = match after.bytes().next() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'n') => '\n',
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        out.push(meant);
        rest = &after[1..];
    }
    out.push_str(rest);
    out.into()
}

fn parts<'a>(
    cursor: &mut Cursor<'a>,
    format: Format,
    visit: &mut impl FnMut(Part<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let name = cursor.metric_name();
    if !name.is_empty() {
        visit(Part::Name(name))?;
        skip_blanks(cursor, format);
    }
    if cursor.take(b"{") {
        block(cursor, format, visit)?;
    }
    Ok(())
}

/// After the opening brace, up to and with the closing one.
fn block<'a>(
    cursor: &mut Cursor<'a>,
    format: Format,
    visit: &mut impl FnMut(Part<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    loop {
        skip_blanks(cursor, format);
        if cursor.take(b"}") {
            return Ok(());
        }
        let quoted = cursor.quoted()?;
        let name = match quoted {
            Some(name) => name,
            None => cursor.label_name(),
        };
        skip_blanks(cursor, format);
        let is_name = quoted.is_some() && matches!(cursor.peek(), Some(b',' | b'}'));
        if is_name {
            visit(Part::Name(name))?;
        } else {
            visit(Part::Pair(name, value(cursor, name, format)?))?;
        }
        skip_blanks(cursor, format);
        // The text format may leave the comma out; a comma before the brace is free in both.
        let separated = cursor.take(b",") || format == Format::Text || cursor.peek() == Some(b'}');
        if !separated {
            return Err(cursor.unexpected("a comma or a closing brace"));
        }
    }
}

fn value<'a>(cursor: &mut Cursor<'a>, name: &[u8], format: Format) -> Result<&'a [u8], Fault> {
    if name.is_empty() {
        return Err(cursor.unexpected("the name of a label"));
    }
    if !cursor.take(b"=") {
        return Err(cursor.unexpected("an equals sign"));
    }
    skip_blanks(cursor, format);
    let Some(value) = cursor.quoted()? else {
        return Err(cursor.unexpected("a label value in quotes"));
    };
    if format == Format::OpenMetrics && value.contains(&b'\n') {
        return Err("a label value goes over the end of its line".into());
    }
    Ok(value)
}

/// OpenMetrics has none but where it says so.
fn skip_blanks(cursor: &mut Cursor<'_>, format: Format) {
    if format == Format::Text {
        cursor.skip_blanks();
    }
}
