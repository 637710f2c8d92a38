//! OpenMetrics 1.0: one space between tokens, no blank lines, timestamps in seconds, exemplars, and `# EOF` at the end.

use super::{
    Entry, Exemplar, Format, Kind, Sample,
    cursor::{Cursor, Fault, quote, text},
    label_block, metadata, number,
};

const KINDS: &[(&str, Kind)] = &[
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
    ("gaugehistogram", Kind::GaugeHistogram),
    ("summary", Kind::Summary),
    ("info", Kind::Info),
    ("stateset", Kind::StateSet),
    ("unknown", Kind::Unknown),
];

const WITHOUT_END: &str = "the page does not end with # EOF";

/// The next line; `None` after `# EOF`.
pub(super) fn entry<'a>(cursor: &mut Cursor<'a>, kind: Kind) -> Result<Option<Entry<'a>>, Fault> {
    if cursor.is_at_end() {
        return Err(WITHOUT_END.into());
    }
    if cursor.take(b"# EOF") {
        cursor.take(b"\n");
        if cursor.is_at_end() {
            return Ok(None);
        }
        return Err("something follows after # EOF".into());
    }
    let entry = if cursor.take(b"# ") {
        metadata(cursor)?
    } else {
        Entry::Sample(sample(cursor, kind)?)
    };
    end_of_line(cursor)?;
    Ok(Some(entry))
}

fn metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Fault> {
    if cursor.take(b"HELP ") {
        let family = metadata::family(cursor, "HELP")?;
        let text = label_block::unescape(text(rest(cursor, "HELP")?)?);
        return Ok(Entry::Help { family, text });
    }
    if cursor.take(b"TYPE ") {
        let family = metadata::family(cursor, "TYPE")?;
        return metadata::kind(family, rest(cursor, "TYPE")?, KINDS);
    }
    if cursor.take(b"UNIT ") {
        return unit(cursor);
    }
    Err(cursor.unexpected("HELP, TYPE, UNIT or EOF"))
}

fn unit<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Fault> {
    let family = metadata::family(cursor, "UNIT")?;
    let unit = text(rest(cursor, "UNIT")?)?;
    let is_suffix = family
        .strip_suffix(unit)
        .is_some_and(|before| before.ends_with('_'));
    if !unit.is_empty() && !is_suffix {
        let (unit, family) = (quote(unit.as_bytes()), quote(family.as_bytes()));
        return Err(format!("unit {unit} is not a suffix of metric {family}").into());
    }
    Ok(Entry::Unit { family, unit })
}

/// A space, and the text up to the end of the line.
fn rest<'a>(cursor: &mut Cursor<'a>, keyword: &str) -> Result<&'a [u8], Fault> {
    if !cursor.take(b" ") {
        return Err(cursor.unexpected(&format!("a text in {keyword}")));
    }
    Ok(cursor.rest_of_line())
}

fn sample<'a>(cursor: &mut Cursor<'a>, kind: Kind) -> Result<Sample<'a>, Fault> {
    if !matches!(
        cursor.peek(),
        Some(b'{' | b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z')
    ) {
        return Err(cursor.unexpected("a metric, metadata or # EOF"));
    }
    let series = label_block::series(cursor, Format::OpenMetrics)?;
    let value = number::parse(word(cursor, "a value after the metric")?)?;
    let mut t_ms = None;
    if cursor.peek() == Some(b' ') && !is_exemplar(cursor) {
        t_ms = Some(number::seconds(word(cursor, "a timestamp")?)?);
    }
    let exemplar = if is_exemplar(cursor) {
        Some(exemplar(cursor)?)
    } else {
        None
    };
    Ok(Sample {
        series,
        value,
        t_ms,
        exemplar,
        format: Format::OpenMetrics,
        kind,
    })
}

fn is_exemplar(cursor: &Cursor<'_>) -> bool {
    cursor.comes(b" # {")
}

fn exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<Exemplar<'a>, Fault> {
    cursor.take(b" # {");
    let labels = label_block::exemplar(cursor)?;
    let value = number::parse(word(cursor, "a value after the exemplar's labels")?)?;
    let t_ms = if cursor.peek() == Some(b' ') {
        Some(number::seconds(word(cursor, "a timestamp")?)?)
    } else {
        None
    };
    Ok(Exemplar {
        labels,
        value,
        t_ms,
    })
}

/// A space and what follows up to the next one.
fn word<'a>(cursor: &mut Cursor<'a>, expected: &str) -> Result<&'a str, Fault> {
    if !cursor.take(b" ") {
        return Err(cursor.unexpected(expected));
    }
    let word = cursor.take_while(|byte| byte != b' ' && byte != b'\n');
    if word.is_empty() {
        return Err(cursor.unexpected(expected));
    }
    text(word)
}

fn end_of_line(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if cursor.take(b"\n") {
        return Ok(());
    }
    if cursor.is_at_end() {
        return Err(WITHOUT_END.into());
    }
    Err(cursor.unexpected("the end of the line"))
}
