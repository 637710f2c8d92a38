//! Text as Go's standard library reads and writes it: numbers, durations, and the words of its errors.
//!
//! The systems whose APIs the surfaces speak are written in Go; their clients see these forms in parameters and answers.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use jiff::Timestamp;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000 * NANOSECOND;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units of `time.ParseDuration`. The micro sign and the Greek letter both stand for it.
const UNITS: [(&str, u64); 8] = [
    ("ns", NANOSECOND),
    ("us", MICROSECOND),
    ("µs", MICROSECOND),
    ("μs", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];
/// Units of Prometheus' `model.ParseDuration`, in the order in which they must stand.
const PROMETHEUS_UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];
/// Powers of ten between which a float is written without an exponent.
const PLAIN_MIN: f64 = 1e-6;
const PLAIN_MAX: f64 = 1e21;

/// `strconv.ParseUint` with base 10, up to `max`.
pub(crate) fn parse_uint(text: &str, max: u64) -> Result<u64, String> {
    let invalid = |reason| format!("strconv.ParseUint: parsing {}: {reason}", quote(text));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("invalid syntax"));
    }
    let number: Option<u64> = text.parse().ok();
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| invalid("value out of range"))
}

/// `strconv.ParseInt` with base 10 and 64 bits.
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    parse_signed(text, "ParseInt")
}

/// The same with 32 bits.
pub(crate) fn parse_int32(text: &str) -> Result<i32, String> {
    i32::try_from(parse_int(text)?).map_err(|_| out_of_range("ParseInt", text))
}

/// `strconv.Atoi`.
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    parse_signed(text, "Atoi")
}

fn parse_signed(text: &str, function: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = quote(text);
        return Err(format!(
            "strconv.{function}: parsing {text}: invalid syntax"
        ));
    }
    text.parse().map_err(|_| out_of_range(function, text))
}

fn out_of_range(function: &str, text: &str) -> String {
    let text = quote(text);
    format!("strconv.{function}: parsing {text}: value out of range")
}

/// `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
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
    let (mut rest, mut sum) = (unsigned, 0_f64);
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let factor = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| {
                format!(
                    "time: unknown unit {} in duration {}",
                    quote(unit),
                    quote(text)
                )
            })?;
        sum += number * factor.1 as f64;
        rest = after;
    }
    if sum >= i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(if negative { -(sum as i64) } else { sum as i64 })
}

/// Prometheus' `model.ParseDuration`, in nanoseconds.
pub(crate) fn parse_prometheus_duration(text: &str) -> Result<u64, String> {
    match text {
        "" => return Err("empty duration string".to_owned()),
        "0" => return Ok(0),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let (mut rest, mut sum, mut units) = (text, 0_u64, PROMETHEUS_UNITS.as_slice());
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let position = units.iter().position(|(name, _)| *name == unit);
        let position = position
            .filter(|_| !number.is_empty())
            .ok_or_else(invalid)?;
        let overflow = || "duration out of range".to_owned();
        let number: u64 = number.parse().map_err(|_| overflow())?;
        let part = number.checked_mul(units[position].1);
        sum = part
            .and_then(|part| sum.checked_add(part))
            .ok_or_else(overflow)?;
        units = &units[position + 1..];
        rest = after;
    }
    Ok(sum)
}

/// `time.Duration.String` of a duration that is not negative.
pub(crate) fn duration(nanoseconds: u64) -> String {
    match nanoseconds {
        0 => return "0s".to_owned(),
        1..MICROSECOND => return format!("{nanoseconds}ns"),
        MICROSECOND..MILLISECOND => return decimal(nanoseconds, MICROSECOND) + "µs",
        MILLISECOND..SECOND => return decimal(nanoseconds, MILLISECOND) + "ms",
        _ => {}
    }
    let seconds = decimal(nanoseconds % MINUTE, SECOND) + "s";
    let minutes = nanoseconds / MINUTE % 60;
    match nanoseconds / HOUR {
        0 if minutes == 0 => seconds,
        0 => format!("{minutes}m{seconds}"),
        hours => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// `number / unit` with as many decimals as it has.
fn decimal(number: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Unix nanoseconds of a moment given as seconds (with or without a fraction), as nanoseconds (more than ten characters), or
/// as RFC 3339.
pub(crate) fn parse_timestamp(text: &str) -> Result<i64, String> {
    if text.contains('.')
        && let Some(seconds) = text
            .parse::<f64>()
            .ok()
            .filter(|seconds| seconds.is_finite())
    {
        let milliseconds = (seconds.fract() * 1_000.0).round() as i64;
        let whole = (seconds.trunc() as i64).saturating_mul(SECOND as i64);
        return Ok(whole.saturating_add(milliseconds * MILLISECOND as i64));
    }
    match parse_int(text) {
        Ok(seconds) if text.len() <= 10 => Ok(seconds.saturating_mul(SECOND as i64)),
        Ok(nanoseconds) => Ok(nanoseconds),
        Err(error) => match text.parse::<Timestamp>() {
            Ok(moment) => i64::try_from(moment.as_nanosecond()).map_err(|_| error),
            Err(_) => Err(error),
        },
    }
}

/// `strconv.Quote`, near enough for error messages.
pub(crate) fn quote(text: &str) -> String {
    format!("{text:?}")
}

/// Whether a float is written without an exponent where JSON is made.
pub(crate) fn is_plain(number: f64) -> bool {
    let size = number.abs();
    size == 0.0 || !size.is_finite() || (PLAIN_MIN..PLAIN_MAX).contains(&size)
}

/// A float as `strconv.FormatFloat` writes it with an exponent: of two digits at least.
pub(crate) fn scientific(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push_str(match number {
            f64::INFINITY => "+Inf",
            f64::NEG_INFINITY => "-Inf",
            _ => "NaN",
        });
        return;
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
}

/// A float as `encoding/json` writes it.
pub(crate) fn float(out: &mut String, number: f64) {
    if !number.is_finite() {
        out.push_str(match number {
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => "\"NaN\"",
        });
    } else if is_plain(number) {
        let _ = write!(out, "{number}");
    } else {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        let _ = write!(out, "{mantissa}e{sign}{exponent}");
    }
}
