//! Durations as Prometheus reads and writes them: `5m`, `1h30m`, `250ms`. The words of errors are its own.
//!
//! Whole milliseconds, never negative. Not the durations of Go (`1.5h`, `10µs`).

/// Units from the largest, each at most once and in this order, with their milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// These are written only where nothing is left over, since `90d` is easier to read than `12w6d`.
const WHOLE_ONLY: [&str; 2] = ["y", "w"];

/// The longest duration, 292 years: what fits 64 bits of nanoseconds.
pub const MS_MAX: i64 = i64::MAX / 1_000_000;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("empty duration string")]
    Empty,
    #[error("not a valid duration string: {0:?}")]
    Malformed(Box<str>),
    #[error("duration out of range")]
    OutOfRange,
}

/// Milliseconds of a duration. Zero needs no unit.
///
/// # Errors
/// When it is empty, has no unit, an unknown one, or units out of order, or is longer than [`MS_MAX`].
pub fn parse(text: &str) -> Result<i64, Error> {
    match text {
        "" => return Err(Error::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let malformed = || Error::Malformed(text.into());
    let (mut rest, mut total, mut units) = (text, 0_i64, UNITS.iter());
    while !rest.is_empty() {
        let (digits, unit, after) = part(rest).ok_or_else(malformed)?;
        let (_, unit_ms) = units
            .find(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        let count: u64 = digits.parse().map_err(|_| malformed())?;
        total = i64::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(*unit_ms)?.checked_add(total))
            .filter(|total| *total <= MS_MAX)
            .ok_or(Error::OutOfRange)?;
        rest = after;
    }
    Ok(total)
}

/// A duration in the largest units: `90m` is `1h30m`, none is `0s`.
pub fn format(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let (mut rest, mut text) = (duration_ms, String::new());
    for (unit, unit_ms) in UNITS {
        let is_left_out = WHOLE_ONLY.contains(&unit) && rest % unit_ms != 0;
        if rest >= unit_ms && !is_left_out {
            text += &format!("{}{unit}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    text
}

/// A number, its unit, and what follows.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit_end = rest.find(|c: char| c.is_ascii_digit());
    let (unit, after) = rest.split_at(unit_end.unwrap_or(rest.len()));
    Some((digits, unit, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        for (text, ms) in [
            ("250ms", 250),
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("2w", 14 * 86_400_000),
            ("90d", 90 * 86_400_000),
            ("1y", 365 * 86_400_000),
            ("366d", 366 * 86_400_000),
            ("9223372036854ms", MS_MAX),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
            assert_eq!(parse(&format(ms)), Ok(ms), "{text}");
        }
        for (text, shown) in [
            ("0", "0s"),
            ("0s", "0s"),
            ("90m", "1h30m"),
            ("25h", "1d1h"),
            ("12w6d", "90d"),
            ("52w1d", "1y"),
            ("1000ms", "1s"),
        ] {
            assert_eq!(parse(text).map(format).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_in_its_words() {
        assert_eq!(parse(""), Err(Error::Empty));
        for text in [
            "5",
            "00",
            "m",
            "1m1h",
            "1m1m",
            "-1m",
            "+1m",
            "1.5h",
            "1 m",
            "1x",
            "1M",
            "1mm",
            "1mś",
            "٣m",
            "18446744073709551616y",
        ] {
            assert_eq!(parse(text), Err(Error::Malformed(text.into())), "{text}");
        }
        for text in [
            "293y",
            "18446744073709551615y",
            "9223372036855ms",
            "292y53w",
        ] {
            assert_eq!(parse(text), Err(Error::OutOfRange), "{text}");
        }
        let error = Error::Malformed("1m1h".into()).to_string();
        assert_eq!(error, "not a valid duration string: \"1m1h\"");
    }
}
