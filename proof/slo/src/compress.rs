//! Time made shorter: configuration in which every interval, window and wait is divided by the same number, so that what takes
//! an hour is seen in a minute. Names of recordings and labels stay as they are.
//!
//! Works on the text of the files of Prometheus and Alertmanager, line by line, so that everything else in them stays.

use crate::render::prometheus_duration;

/// Keys whose value is a time.
const KEYS: [&str; 11] = [
    "evaluation_interval",
    "for",
    "group_interval",
    "group_wait",
    "interval",
    "keep_firing_for",
    "query_offset",
    "repeat_interval",
    "resolve_timeout",
    "scrape_interval",
    "scrape_timeout",
];
/// Units of times and their milliseconds; `ms` before `m`, whose beginning it shares.
const UNITS: [(&str, u128); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// A time would be less than a millisecond.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{time} cannot be divided by {factor}: it would be less than a millisecond")]
pub struct TooShort {
    time: String,
    factor: u32,
}

/// A file of Prometheus or Alertmanager with every time of it divided by `factor`, in whole milliseconds: what follows a
/// key such as `for` or `scrape_interval`, and in expressions what stands in brackets or after `offset`. Comments stay.
///
/// # Errors
/// See [`TooShort`].
pub fn file(text: &str, factor: u32) -> Result<String, TooShort> {
    if factor <= 1 {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match setting(line) {
            _ if line.trim_start().starts_with('#') => out.push_str(line),
            Some(at) => {
                let value = line[at..].trim_end();
                out.push_str(&line[..at]);
                out.push_str(&divided(value, factor)?);
                out.push_str(&line[at + value.len()..]);
            }
            None => expression(line, factor, &mut out)?,
        }
    }
    Ok(out)
}

/// Where the time starts on a line that is nothing but a key and a time.
fn setting(line: &str) -> Option<usize> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_start().trim_start_matches("- ");
    let at = line.len() - value.trim_start().len();
    (KEYS.contains(&key) && milliseconds(value.trim()).is_some()).then_some(at)
}

/// A line with the times in brackets and after `offset` divided.
fn expression(line: &str, factor: u32, out: &mut String) -> Result<(), TooShort> {
    let mut rest = line;
    while let Some(at) = rest.find(['[', 'o']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match from.strip_prefix("offset ") {
            Some(time) => time_length(time).map(|length| ("offset ".len(), length)),
            None if from.starts_with('[') => from
                .find(']')
                .filter(|end| from[1..*end].split(':').all(is_range))
                .map(|end| (1, end - 1)),
            None => None,
        };
        let Some((start, length)) = length else {
            out.push_str(&from[..1]);
            rest = &from[1..];
            continue;
        };
        out.push_str(&from[..start]);
        let times = from[start..start + length].split(':');
        let times = times.map(|time| match time {
            "" => Ok(String::new()),
            time => divided(time, factor),
        });
        out.push_str(&times.collect::<Result<Vec<_>, _>>()?.join(":"));
        rest = &from[start + length..];
    }
    out.push_str(rest);
    Ok(())
}

/// A range of a selector, or the empty step of a subquery.
fn is_range(text: &str) -> bool {
    text.is_empty() || milliseconds(text).is_some()
}

/// How long the time is that a text starts with.
fn time_length(text: &str) -> Option<usize> {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric());
    let end = end.unwrap_or(text.len());
    milliseconds(&text[..end]).map(|_| end)
}

fn divided(time: &str, factor: u32) -> Result<String, TooShort> {
    let whole = milliseconds(time).unwrap_or(0);
    let part = whole / u128::from(factor);
    match (whole, part) {
        (0, _) => Ok(time.to_owned()),
        (_, 0) => Err(TooShort {
            time: time.to_owned(),
            factor,
        }),
        _ => Ok(prometheus_duration(part)),
    }
}

/// A time such as `1h30m`; `None` if it is none.
fn milliseconds(text: &str) -> Option<u128> {
    let (mut rest, mut sum) = (text, 0_u128);
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u128 = rest[..digits].parse().ok()?;
        let (unit, size) = UNITS
            .iter()
            .find(|(unit, _)| rest[digits..].starts_with(unit))?;
        sum = sum.checked_add(number.checked_mul(*size)?)?;
        rest = &rest[digits + unit.len()..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_time_is_divided_and_nothing_else() {
        for (line, divided) in [
            ("  scrape_interval: 15s\n", "  scrape_interval: 250ms\n"),
            ("  - interval: 1h30m\n", "  - interval: 90s\n"),
            ("    for: 5m\n", "    for: 5s\n"),
            ("  group_wait: 0s\n", "  group_wait: 0s\n"),
            ("  repeat_interval: 55s", "  repeat_interval: 916ms"),
            (
                "sum(rate(x[5m])) offset 1h > 0.5",
                "sum(rate(x[5s])) offset 1m > 0.5",
            ),
            (
                "max_over_time(a:rate5m[1h:])",
                "max_over_time(a:rate5m[1m:])",
            ),
            ("avg_over_time(a[30d:1h])", "avg_over_time(a[12h:1m])"),
            (
                "x{code=~\"[5m-z]\"} or offset_seconds[5]",
                "x{code=~\"[5m-z]\"} or offset_seconds[5]",
            ),
            ("# for: 5m and [5m]\n", "# for: 5m and [5m]\n"),
            ("  summary: \"for: 5m\"\n", "  summary: \"for: 5m\"\n"),
        ] {
            assert_eq!(file(line, 60).unwrap(), divided);
        }
        assert_eq!(file("for: 5m", 1).unwrap(), "for: 5m");
    }

    #[test]
    fn a_time_of_which_nothing_is_left_is_refused() {
        let error = file("scrape_interval: 1s", 3_600).unwrap_err();
        assert!(error.to_string().contains("1s cannot be divided by 3600"));
    }

    #[test]
    fn texts_of_any_kind_come_through() {
        for text in [
            "",
            "[",
            "[]",
            "offset ",
            "o[ö:",
            "[99999999999999999999999999999999999999999y]",
            "é: 5m\n",
        ] {
            assert_eq!(file(text, 60).unwrap(), text);
        }
    }
}
