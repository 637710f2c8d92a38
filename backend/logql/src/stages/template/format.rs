//! `printf`: the verbs of Go for the values that templates have.

use std::fmt::Write;

use super::{OUTPUT_BYTES_MAX, value::Value};
use crate::units::{format_float, quote};

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (spec, after) = spec(&rest[at + 1..]);
        if spec.width.max(spec.precision.unwrap_or(0)) > OUTPUT_BYTES_MAX {
            return Err(format!("the text is longer than {OUTPUT_BYTES_MAX} bytes"));
        }
        let mut characters = after.chars();
        rest = match characters.next() {
            None => {
                out.push_str("%!(NOVERB)");
                ""
            }
            Some('%') => {
                out.push('%');
                characters.as_str()
            }
            Some(verb) => {
                match values.next() {
                    Some(value) => out.push_str(&verb_text(verb, &spec, value)),
                    None => {
                        let _ = write!(out, "%!{verb}(MISSING)");
                    }
                }
                characters.as_str()
            }
        };
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the text is longer than {OUTPUT_BYTES_MAX} bytes"));
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = values
        .map(|value| format!("{}={}", value.kind(), value.text()))
        .collect();
    if !extra.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    Ok(out)
}

/// Flags, width and precision after `%`, and what follows them.
fn spec(text: &str) -> (Spec, &str) {
    let mut spec = Spec::default();
    let mut rest = text;
    while let Some(flag) = rest.chars().next().filter(|c| "-+0 #".contains(*c)) {
        match flag {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            '0' => spec.zero = true,
            _ => {}
        }
        rest = &rest[1..];
    }
    let (width, after) = number(rest);
    spec.width = width.unwrap_or(0);
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after);
        spec.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    (spec, rest)
}

fn number(text: &str) -> (Option<usize>, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let number = (digits > 0).then(|| number.parse().unwrap_or(usize::MAX));
    (number, rest)
}

fn verb_text(verb: char, spec: &Spec, value: &Value) -> String {
    let Some(text) = plain_text(verb, spec, value) else {
        return format!("%!{verb}({}={})", value.kind(), value.text());
    };
    let is_number = matches!(value, Value::Int(_) | Value::Float(_));
    let pad = spec.width.saturating_sub(text.chars().count());
    match (spec.left, spec.zero && is_number) {
        (true, _) => text + &" ".repeat(pad),
        (false, true) => match text.strip_prefix(['-', '+']) {
            Some(digits) => format!("{}{}{digits}", &text[..1], "0".repeat(pad)),
            None => "0".repeat(pad) + &text,
        },
        (false, false) => " ".repeat(pad) + &text,
    }
}

fn plain_text(verb: char, spec: &Spec, value: &Value) -> Option<String> {
    let signed = |text: String| {
        let positive = !text.starts_with('-');
        if spec.plus && positive {
            format!("+{text}")
        } else {
            text
        }
    };
    let cut = |text: &str| match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    Some(match (verb, value) {
        ('T', _) => value.kind().into(),
        ('v', Value::Text(text)) | ('s', Value::Text(text)) => cut(text),
        ('v', Value::Nil) => "<nil>".into(),
        ('v', Value::Int(_) | Value::Float(_)) => signed(value.text()),
        ('v', _) => value.text(),
        ('s', Value::List(_) | Value::Map(_) | Value::Time(_)) => value.text(),
        ('q', Value::Text(text)) => quote(&cut(text)),
        ('x', Value::Text(text)) => hex(text),
        ('X', Value::Text(text)) => hex(text).to_uppercase(),
        ('d', Value::Int(number)) => signed(number.to_string()),
        ('x', Value::Int(number)) => format!("{}{:x}", sign(*number), number.unsigned_abs()),
        ('X', Value::Int(number)) => format!("{}{:X}", sign(*number), number.unsigned_abs()),
        ('o', Value::Int(number)) => format!("{}{:o}", sign(*number), number.unsigned_abs()),
        ('b', Value::Int(number)) => format!("{}{:b}", sign(*number), number.unsigned_abs()),
        ('c', Value::Int(number)) => {
            let code = u32::try_from(*number).ok().and_then(char::from_u32);
            code.unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
        }
        ('t', Value::Bool(value)) => value.to_string(),
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Float(number)) => {
            signed(float(verb, spec.precision, *number))
        }
        _ => return None,
    })
}

fn sign(number: i64) -> &'static str {
    if number < 0 { "-" } else { "" }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn float(verb: char, precision: Option<usize>, number: f64) -> String {
    if !number.is_finite() {
        return format_float(number);
    }
    let text = match verb.to_ascii_lowercase() {
        'f' => format!("{number:.*}", precision.unwrap_or(6)),
        'e' => with_exponent(&format!("{number:.*e}", precision.unwrap_or(6))),
        _ => match precision {
            None => crate::units::format_general(number),
            Some(digits) => significant(number, digits.max(1)),
        },
    };
    if verb.is_ascii_uppercase() {
        text.to_uppercase()
    } else {
        text
    }
}

/// The exponent with a sign and two digits.
fn with_exponent(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn significant(number: f64, digits: usize) -> String {
    let scientific = format!("{number:.*e}", digits - 1);
    let (_, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        let mantissa = match mantissa.contains('.') {
            true => mantissa.trim_end_matches('0').trim_end_matches('.'),
            false => mantissa,
        };
        return with_exponent(&format!("{mantissa}e{exponent}"));
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn verbs_show_values_as_go_does() {
        let check = |format: &str, value: Value, expected: &str| {
            assert_eq!(printf(format, &[value]).unwrap(), expected, "{format}");
        };
        check("%5d|", Value::Int(42), "   42|");
        check("%-5d|", Value::Int(42), "42   |");
        check("%05d", Value::Int(-42), "-0042");
        check("%.2f", Value::Float(1.005), "1.00");
        check("%e", Value::Float(12345.678), "1.234568e+04");
        check("%.3g", Value::Float(12345.678), "1.23e+04");
        check("%g", Value::Float(0.5), "0.5");
        check("%.2s|%%", "abc".into(), "ab|%");
        check("%q", "a\"b".into(), "\"a\\\"b\"");
        check("%x", "hi".into(), "6869");
        check("%d", "hi".into(), "%!d(string=hi)");
        check("%s %s", "hi".into(), "hi %!s(MISSING)");
        check("none", Value::Int(1), "none%!(EXTRA int=1)");
        check("%", Value::Int(1), "%!(NOVERB)%!(EXTRA int=1)");
        assert!(printf("%99999999999d", &[Value::Int(1)]).is_err());
    }
}
