//! The forms that parameters have in common: times, durations, limits, selectors; with the words of Prometheus for what is none.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use tsdb::Matcher;

use super::{failure::Failure, form::Form};
use crate::go;

const MS_PER_SECOND: i64 = 1_000;
const NS_PER_SECOND: f64 = 1e9;
const NS_PER_MS: i64 = 1_000_000;
/// The two moments that clients send for "no bound", which their text cannot say otherwise.
const FIRST: (&str, i64) = ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000);
const LAST: (&str, i64) = (
    "292277025-08-18T07:12:54.999999999Z",
    9_223_309_901_257_974_999,
);
/// Selectors of one request.
const SELECTORS_MAX: usize = 1_000;

/// A moment, in Unix milliseconds; `None` if the parameter is not there.
pub(super) fn time(form: &Form, name: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = form.get(name) else {
        return Ok(None);
    };
    match parse_time(text) {
        Ok(t_ms) => Ok(Some(t_ms)),
        Err(reason) => Err(Failure::parameter(
            name,
            format_args!("invalid time value for '{name}': {reason}"),
        )),
    }
}

/// The same where it must be there.
pub(super) fn required_time(form: &Form, name: &str) -> Result<i64, Failure> {
    parse_time(form.get(name).unwrap_or_default())
        .map_err(|reason| Failure::parameter(name, reason))
}

/// `start` and `end`, for ever if they are not there.
pub(super) fn times(form: &Form) -> Result<RangeInclusive<i64>, Failure> {
    let start_ms = time(form, "start")?.unwrap_or(FIRST.1);
    let end_ms = time(form, "end")?.unwrap_or(LAST.1);
    Ok(start_ms..=end_ms)
}

/// How many there may be; `None` for all.
pub(super) fn limit(form: &Form) -> Result<Option<usize>, Failure> {
    let Some(text) = form.get("limit") else {
        return Ok(None);
    };
    let invalid = |reason: String| Failure::parameter("limit", reason);
    let limit = go::atoi(text).map_err(invalid)?;
    let limit =
        usize::try_from(limit).map_err(|_| invalid("limit must be non-negative".to_owned()))?;
    Ok((limit > 0).then_some(limit))
}

/// Every `match[]`. The error is for the endpoint to put in its words.
pub(super) fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, String> {
    let mut selectors = Vec::new();
    for text in form.all("match[]") {
        if selectors.len() == SELECTORS_MAX {
            return Err(format!("more than {SELECTORS_MAX} match[] parameters"));
        }
        selectors.push(promql::parse_selector(text).map_err(|error| error.to_string())?);
    }
    let takes_all = |selector: &Vec<Matcher>| selector.iter().all(|one| one.matches.holds(""));
    match selectors.iter().any(takes_all) {
        true => Err("match[] must contain at least one non-empty matcher".to_owned()),
        false => Ok(selectors),
    }
}

/// Seconds, or a moment of RFC 3339; in Unix milliseconds.
fn parse_time(text: &str) -> Result<i64, String> {
    let invalid = || {
        let text = go::quote(text);
        format!("cannot parse {text} to a valid timestamp")
    };
    if let Some(seconds) = parse_float(text) {
        return ms_of(seconds).ok_or_else(invalid);
    }
    if let Some((_, t_ms)) = [FIRST, LAST].iter().find(|(bound, _)| *bound == text) {
        return Ok(*t_ms);
    }
    match text.parse::<Timestamp>() {
        Ok(moment) if is_rfc3339(text) => Ok(floor_ms(moment)),
        _ => Err(invalid()),
    }
}

/// A moment in seconds, rounded as Prometheus does it.
fn ms_of(seconds: f64) -> Option<i64> {
    let whole = seconds.trunc();
    let fraction = (seconds.fract() * 1_000.0).round() / 1_000.0;
    let fraction_ms = ((fraction * NS_PER_SECOND) as i64).div_euclid(NS_PER_MS);
    let bound = (i64::MAX / MS_PER_SECOND) as f64;
    // Not a number is in no range.
    (-bound < whole && whole < bound).then(|| whole as i64 * MS_PER_SECOND + fraction_ms)
}

fn floor_ms(moment: Timestamp) -> i64 {
    let ms = moment.as_nanosecond().div_euclid(i128::from(NS_PER_MS));
    i64::try_from(ms).expect("a timestamp is within a few thousand years")
}

/// Other forms of a moment are not taken.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_offset = |end: &[u8]| end.len() == 6 && matches!(end[0], b'+' | b'-') && end[3] == b':';
    bytes.get(10) == Some(&b'T')
        && bytes.get(16) == Some(&b':')
        && (bytes.ends_with(b"Z")
            || bytes
                .split_at_checked(bytes.len().saturating_sub(6))
                .is_some_and(|(_, end)| is_offset(end)))
}

/// Seconds, or a duration as in PromQL; in nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    let quoted = || go::quote(text);
    if let Some(seconds) = parse_float(text) {
        let ns = seconds * NS_PER_SECOND;
        if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
            let text = quoted();
            return Err(format!(
                "cannot parse {text} to a valid duration. It overflows int64"
            ));
        }
        if !ns.is_nan() {
            return Ok(ns as i64);
        }
    }
    let ns = go::parse_prometheus_duration(text).ok();
    ns.and_then(|ns| i64::try_from(ns).ok())
        .ok_or_else(|| format!("cannot parse {} to a valid duration", quoted()))
}

/// `strconv.ParseFloat`, without hexadecimal numbers.
fn parse_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let overflows = number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!overflows).then_some(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        for (text, expected) in [
            ("1795431600", 1_795_431_600_000),
            ("1795431600.0507", 1_795_431_600_051),
            ("-1.5", -1_500),
            ("1e3", 1_000_000),
            ("2026-11-23T11:00:00Z", 1_795_431_600_000),
            ("2026-11-23T12:00:00.1239+01:00", 1_795_431_600_123),
            ("1969-12-31T23:59:59.9999Z", -1),
            (FIRST.0, FIRST.1),
            (LAST.0, LAST.1),
        ] {
            assert_eq!(parse_time(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "now",
            "NaN",
            "+Inf",
            "1e30",
            "1e999",
            "2026-11-23",
            "2026-11-23 11:00:00Z",
            "2026-11-23T11:00:00",
            "2026-11-23T11:00:00+0100",
            "2026-11-23T11:00:00Z[UTC]",
        ] {
            let expected = format!("cannot parse {text:?} to a valid timestamp");
            assert_eq!(parse_time(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_units() {
        for (text, expected) in [
            ("15", 15_000_000_000),
            ("0.5", 500_000_000),
            ("-1", -1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in ["", "x", "NaN", "-1m", "1e999", "400y"] {
            let expected = format!("cannot parse {text:?} to a valid duration");
            assert_eq!(parse_duration(text), Err(expected), "{text}");
        }
        assert!(parse_duration("1e10").unwrap_err().ends_with("int64"));
    }

    #[test]
    fn a_selector_must_not_take_everything() {
        let form = Form::parse("", "match[]=up&match[]={a!=\"\"}");
        assert_eq!(selectors(&form).unwrap().len(), 2);
        let form = Form::parse("", "match[]={a=~\".*\"}");
        assert_eq!(
            selectors(&form).unwrap_err(),
            "match[] must contain at least one non-empty matcher"
        );
        let many = "match[]=up&".repeat(SELECTORS_MAX + 1);
        assert!(selectors(&Form::parse(&many, "")).is_err());
    }
}
