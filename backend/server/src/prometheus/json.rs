//! JSON as Prometheus writes it: straight into text, fields in its order, values of samples as strings.
//!
//! Its encoder escapes what HTML could take for its own, but not in label sets.

use std::fmt::Write as _;

use jiff::Timestamp;
use tsdb::{Exemplar, Labels, Sample};

use crate::go;

/// What Go says of a moment that never was.
const NEVER: &str = "\"0001-01-01T00:00:00Z\"";

/// Writes `elements` with `one`, commas between and brackets around them.
pub(super) fn array<T>(
    out: &mut String,
    elements: impl IntoIterator<Item = T>,
    mut one: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        one(out, element);
    }
    out.push(']');
}

/// An object whose names are not known beforehand.
pub(super) fn map<'n, T>(
    out: &mut String,
    entries: impl IntoIterator<Item = (&'n str, T)>,
    mut one: impl FnMut(&mut String, T),
) {
    out.push('{');
    for (index, (name, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        one(out, value);
    }
    out.push('}');
}

/// A text.
pub(super) fn string(out: &mut String, text: &str) {
    escaped(out, text, |character| {
        is_special(character) || matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
    });
}

/// A name or value of a label.
fn label(out: &mut String, text: &str) {
    escaped(out, text, is_special);
}

pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        label(out, name);
        out.push(':');
        label(out, value);
    }
    out.push('}');
}

/// `[seconds, "value"]`.
pub(super) fn point(out: &mut String, sample: &Sample) {
    out.push('[');
    timestamp(out, sample.t_ms);
    out.push(',');
    value(out, sample.value);
    out.push(']');
}

pub(super) fn exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str("{\"labels\":");
    labels(out, &exemplar.labels);
    out.push_str(",\"value\":");
    value(out, exemplar.value);
    out.push_str(",\"timestamp\":");
    timestamp(out, exemplar.t_ms);
    out.push('}');
}

/// Milliseconds as seconds with as many decimals as they need.
pub(super) fn seconds(out: &mut String, t_ms: i64) {
    timestamp(out, t_ms);
    if t_ms % 1_000 != 0 {
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// The same of a sample: with three decimals or none.
fn timestamp(out: &mut String, t_ms: i64) {
    if t_ms < 0 {
        out.push('-');
    }
    let t_ms = t_ms.unsigned_abs();
    let _ = write!(out, "{}", t_ms / 1_000);
    match t_ms % 1_000 {
        0 => {}
        fraction => {
            let _ = write!(out, ".{fraction:03}");
        }
    }
}

/// A moment as text; never, if there was none.
pub(super) fn moment(out: &mut String, t_ms: Option<i64>) {
    match t_ms.map(Timestamp::from_millisecond) {
        Some(Ok(moment)) => {
            let _ = write!(out, "\"{moment}\"");
        }
        _ => out.push_str(NEVER),
    }
}

/// The value of a sample in a vector, matrix or exemplar: with an exponent when it is very small or very large.
fn value(out: &mut String, value: f64) {
    out.push('"');
    match go::is_plain(value) {
        true => out.push_str(&promql::format_value(value)),
        false => go::scientific(out, value),
    }
    out.push('"');
}

fn is_special(character: char) -> bool {
    matches!(character, '\0'..='\x1f' | '"' | '\\')
}

fn escaped(out: &mut String, text: &str, is_special: impl Fn(char) -> bool) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(&is_special) {
        out.push_str(&rest[..at]);
        let mut characters = rest[at..].chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            other => {
                let _ = write!(out, "\\u{:04x}", other.map_or(0, u32::from));
            }
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn texts_are_safe_in_html_and_labels_are_as_they_are() {
        let text = "<\"\\\n\u{1}\u{2028}é>";
        assert_eq!(
            written(|out| string(out, text)),
            "\"\\u003c\\\"\\\\\\n\\u0001\\u2028é\\u003e\""
        );
        let set = Labels::new([("a<", text)]);
        assert_eq!(
            written(|out| labels(out, &set)),
            "{\"a<\":\"<\\\"\\\\\\n\\u0001\u{2028}é>\"}"
        );
    }

    #[test]
    fn points_are_seconds_and_a_text() {
        for (t_ms, value, expected) in [
            (1_435_781_451_781, 1.5, "[1435781451.781,\"1.5\"]"),
            (1_000, -0.0, "[1,\"-0\"]"),
            (1_050, 1e21, "[1.050,\"1e+21\"]"),
            (-1, 1.5e-7, "[-0.001,\"1.5e-07\"]"),
            (0, f64::NAN, "[0,\"NaN\"]"),
            (0, f64::INFINITY, "[0,\"+Inf\"]"),
            (0, 123_456_789.0, "[0,\"123456789\"]"),
        ] {
            let sample = Sample { t_ms, value };
            assert_eq!(written(|out| point(out, &sample)), expected);
        }
    }

    #[test]
    fn other_times_have_no_more_decimals_than_they_need() {
        for (t_ms, expected) in [(0, "0"), (20_000, "20"), (1_050, "1.05"), (-100, "-0.1")] {
            assert_eq!(written(|out| seconds(out, t_ms)), expected);
        }
    }

    #[test]
    fn moments_have_no_more_decimals_than_they_need() {
        for (t_ms, expected) in [
            (Some(1_795_431_600_000), "\"2026-11-23T11:00:00Z\""),
            (Some(1_795_431_600_050), "\"2026-11-23T11:00:00.05Z\""),
            (None, NEVER),
            (Some(i64::MAX), NEVER),
        ] {
            assert_eq!(written(|out| moment(out, t_ms)), expected);
        }
    }
}
