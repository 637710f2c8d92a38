//! Numbers, durations and byte sizes as texts: read and written as the Go programs around Loki do, with their messages.
//!
//! Two dialects of durations exist: Prometheus' (`1d`, whole numbers, units from large to small) and Go's (`1.5h`).

use std::fmt::Write;

const NANOSECOND: i64 = 1;
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Prometheus' units, in the order in which they have to stand.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];

const GO_UNITS: [(&str, i64); 8] = [
    ("ns", NANOSECOND),
    ("us", MICROSECOND),
    ("µs", MICROSECOND),
    ("μs", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

const SIZE_PREFIXES: &str = "kmgtpe";
const SIZE_NAMES: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A duration as Prometheus writes it, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    match text {
        "" => return Err("empty duration string".into()),
        "0" => return Ok(0),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let (mut rest, mut total, mut units) = (text, 0_i64, UNITS.iter());
    while !rest.is_empty() {
        let digits = digits(rest);
        let after = &rest[digits..];
        let unit = &after[..after.bytes().take_while(u8::is_ascii_lowercase).count()];
        let (name, size) = units
            .find(|(name, _)| *name == unit)
            .filter(|_| digits > 0)
            .ok_or_else(invalid)?;
        total = rest[..digits]
            .parse::<i64>()
            .ok()
            .and_then(|count| count.checked_mul(*size))
            .and_then(|added| total.checked_add(added))
            .ok_or("duration out of range")?;
        rest = &after[name.len()..];
    }
    Ok(total)
}

/// A duration as Go writes it, in nanoseconds.
pub(crate) fn parse_go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if unsigned == "0" {
        return Ok(0);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let (mut rest, mut total) = (unsigned, 0_u64);
    while !rest.is_empty() {
        let whole = digits(rest);
        let fraction = rest[whole..]
            .strip_prefix('.')
            .map_or(0, |fraction| 1 + digits(fraction));
        let number = &rest[..whole + fraction];
        if number.is_empty() || number == "." {
            return Err(invalid());
        }
        let after = &rest[number.len()..];
        let is_end = |c: char| c == '.' || c.is_ascii_digit();
        let unit = &after[..after.find(is_end).unwrap_or(after.len())];
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let Some((_, size)) = GO_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "time: unknown unit {} in duration {}",
                quote(unit),
                quote(text)
            ));
        };
        total = scaled(number, size.unsigned_abs())
            .and_then(|added| total.checked_add(added))
            .filter(|total| *total <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = &after[unit.len()..];
    }
    match (negative, i64::try_from(total)) {
        (true, _) => Ok(0_i64.wrapping_sub_unsigned(total)),
        (false, Ok(total)) => Ok(total),
        (false, Err(_)) => Err(invalid()),
    }
}

/// `12.5` of a unit. Digits beyond what a number holds are dropped.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let (mut value, mut scale) = (0_u64, 1.0_f64);
    for digit in fraction.bytes() {
        let Some(next) = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .filter(|next| *next < 1 << 63)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    let fraction = (value as f64 * (unit as f64 / scale)) as u64;
    whole.checked_mul(unit)?.checked_add(fraction)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Seconds of nanoseconds: whole ones and the rest are converted apart.
pub(crate) fn seconds(ns: i64) -> f64 {
    (ns / SECOND) as f64 + (ns % SECOND) as f64 / 1e9
}

/// As Prometheus writes a duration: `1h30m`, `1d`.
pub(crate) fn format_duration(ns: i64) -> String {
    let ms = ns / MILLISECOND;
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    if ms < 0 {
        out.push('-');
    }
    let mut rest = ms.unsigned_abs();
    for (name, size) in UNITS {
        let size = (size / MILLISECOND).unsigned_abs();
        // Years and weeks only where nothing is left over.
        let exact = matches!(name, "y" | "w");
        if rest >= size && (!exact || rest.is_multiple_of(size)) {
            let _ = write!(out, "{}{name}", rest / size);
            rest %= size;
        }
    }
    out
}

/// As Go writes a duration: `1h30m0s`, `1.5ms`.
pub(crate) fn format_go_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let total = ns.unsigned_abs();
    let [micro, milli, second, minute, hour] =
        [MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR].map(i64::unsigned_abs);
    match total {
        0 => "0s".into(),
        _ if total < micro => format!("{sign}{total}ns"),
        _ if total < milli => format!("{sign}{}µs", decimal(total, micro)),
        _ if total < second => format!("{sign}{}ms", decimal(total, milli)),
        _ => {
            let seconds = format!("{}s", decimal(total % minute, second));
            match (total / hour, total / minute) {
                (_, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{}m{seconds}", minutes % 60),
            }
        }
    }
}

/// A quotient with all its decimals: the unit is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A size as people write it: `20MB`, `1.5 KiB`, `42`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let end = text
        .find(|c: char| !(c.is_numeric() || c == '.' || c == ','))
        .unwrap_or(text.len());
    let number = parse_float(&text[..end].replace(',', ""))?;
    let unit = text[end..].trim().to_lowercase();
    let Some(factor) = size_factor(&unit) else {
        return Err(format!("unhandled size name: {unit}"));
    };
    let bytes = number * factor;
    if bytes >= u64::MAX as f64 {
        return Err(format!("too large: {text}"));
    }
    Ok(bytes as u64)
}

fn size_factor(unit: &str) -> Option<f64> {
    let Some(prefix) = unit.chars().next().filter(|_| unit != "b") else {
        return Some(1.0);
    };
    let power = SIZE_PREFIXES.find(prefix)? as i32 + 1;
    match &unit[1..] {
        "" | "b" => Some(1000_f64.powi(power)),
        "i" | "ib" => Some(1024_f64.powi(power)),
        _ => None,
    }
}

/// A size with one or two digits, without a space: `1.5kB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes}B");
    }
    let power = ((bytes as f64).ln() / 1000_f64.ln()).floor();
    let value = (bytes as f64 / 1000_f64.powf(power) * 10.0 + 0.5).floor() / 10.0;
    let name = SIZE_NAMES[(power as usize).min(SIZE_NAMES.len() - 1)];
    if value < 10.0 {
        format!("{value:.1}{name}")
    } else {
        format!("{value:.0}{name}")
    }
}

/// A number as Go reads it. Too large is an error there.
pub(crate) fn parse_float(text: &str) -> Result<f64, String> {
    let failed = |why| format!("strconv.ParseFloat: parsing {}: {why}", quote(text));
    let plain = without_underscores(text).ok_or_else(|| failed("invalid syntax"))?;
    let value: f64 = plain.parse().map_err(|_| failed("invalid syntax"))?;
    if value.is_infinite() && plain.contains(|c: char| c.is_ascii_digit()) {
        return Err(failed("value out of range"));
    }
    Ok(value)
}

/// Underscores may stand between digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let stray = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'_' && !(at > 0 && digit(at - 1) && digit(at + 1)));
    (!stray).then(|| text.replace('_', ""))
}

/// A number without an exponent, as short as it can be.
pub(crate) fn format_float(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.into()
    } else {
        format!("{value}")
    }
}

/// The same with an exponent when that is below -4 or at least 21: `%v` of Go.
pub(crate) fn format_general(value: f64) -> String {
    if !value.is_finite() {
        return format_float(value);
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// In double quotes, as Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            other if is_printable(other) => out.push(other),
            other => {
                let code = u32::from(other);
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// What the standard library escapes for debugging is not printable, but for marks, which combine with what is before.
fn is_printable(character: char) -> bool {
    match character {
        ' ' => true,
        '\'' => true,
        _ if character.is_whitespace() || character.is_control() => false,
        _ => character.escape_debug().count() == 1 || character.is_alphanumeric(),
    }
}

/// The text between the quotes of a literal: `"…"` or `` `…` ``.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('`') {
        return raw.strip_suffix('`').map(|raw| raw.replace('\r', ""));
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (escaped, after) = escape(&rest[at + 1..])?;
        bytes.extend_from_slice(&escaped);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// What stands after a backslash, and what is left.
fn escape(rest: &str) -> Option<(Vec<u8>, &str)> {
    let mut characters = rest.chars();
    let kind = characters.next()?;
    let after = characters.as_str();
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        _ => 0,
    };
    if simple != 0 {
        return Some((vec![simple], after));
    }
    let (source, digits, radix) = match kind {
        'x' => (after, 2, 16),
        'u' => (after, 4, 16),
        'U' => (after, 8, 16),
        '0'..='7' => (rest, 3, 8),
        _ => return None,
    };
    let number = source.get(..digits)?;
    if !number.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(number, radix).ok()?;
    let bytes = match kind {
        'u' | 'U' => char::from_u32(code)?.to_string().into_bytes(),
        _ => vec![u8::try_from(code).ok()?],
    };
    Some((bytes, &source[digits..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_of_prometheus_are_whole_and_in_order() {
        assert_eq!(parse_duration("1h30m"), Ok(90 * MINUTE));
        assert_eq!(parse_duration("2d4ms"), Ok(2 * DAY + 4 * MILLISECOND));
        for text in ["30m1h", "1.5h", "5", "m", "1h1h", "-1h"] {
            assert!(parse_duration(text).unwrap_err().starts_with("not a valid"));
        }
        assert!(parse_duration("99999999999y").is_err());
        assert_eq!(format_duration(90 * MINUTE), "1h30m");
        assert_eq!(format_duration(14 * DAY), "2w");
        assert_eq!(format_duration(8 * DAY), "8d");
    }

    #[test]
    fn durations_of_go_have_fractions() {
        assert_eq!(parse_go_duration("1.5h"), Ok(90 * MINUTE));
        assert_eq!(parse_go_duration("-.5s"), Ok(-SECOND / 2));
        assert_eq!(parse_go_duration("+1us2ns"), Ok(1002));
        let refused = [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("9999999h", "time: invalid duration \"9999999h\""),
        ];
        for (text, message) in refused {
            assert_eq!(parse_go_duration(text), Err(message.into()));
        }
        let written = [
            (90 * MINUTE, "1h30m0s"),
            (1_500, "1.5µs"),
            (-SECOND, "-1s"),
            (1_000_000_001, "1.000000001s"),
            (0, "0s"),
        ];
        for (ns, text) in written {
            assert_eq!(format_go_duration(ns), text);
        }
    }

    #[test]
    fn sizes_have_two_kinds_of_units() {
        for (text, bytes) in [
            ("42", 42),
            ("1kB", 1000),
            ("1.5 KiB", 1536),
            ("1,000b", 1000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        assert_eq!(
            parse_bytes("3 apples").unwrap_err(),
            "unhandled size name: apples"
        );
        assert!(parse_bytes("x").is_err());
        assert_eq!(format_bytes(1500), "1.5kB");
        assert_eq!(format_bytes(20_000_000), "20MB");
    }

    #[test]
    fn numbers_beyond_the_largest_are_errors() {
        assert_eq!(parse_float("1_000"), Ok(1000.0));
        assert!(
            parse_float("1e999")
                .unwrap_err()
                .ends_with("value out of range")
        );
        assert!(parse_float("_1").unwrap_err().ends_with("invalid syntax"));
        assert_eq!(parse_float("-Inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(format_general(1e21), "1e+21");
    }

    #[test]
    fn quoted_text_is_read_again() {
        for text in ["plain", "a\"b\\c", "tab\tnew\nline", "é\u{200b}\u{1}", "'"] {
            assert_eq!(unquote(&quote(text)).unwrap(), text);
        }
        assert_eq!(unquote("`a\\b`").unwrap(), "a\\b");
        assert_eq!(unquote("\"\\x41\\101\\u0042\"").unwrap(), "AAB");
        assert_eq!(unquote("\"\\xff\""), None);
        assert_eq!(unquote("\"\\q\""), None);
    }
}
