//! Durations and sizes as Prometheus writes them: `1h30m`, `250ms`; `10MB`, `1GiB`.

/// Units from the largest, each at most once and in this order, in milliseconds.
const DURATIONS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const WEEK_MS: i64 = 7 * 86_400_000;

/// Each also with an `i` before its `B`, of the same size.
const SIZES: [(&str, u64); 7] = [
    ("EB", 1 << 60),
    ("PB", 1 << 50),
    ("TB", 1 << 40),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("KB", 1 << 10),
    ("B", 1),
];

/// Longest duration: 292 years, as in Go.
const LONGEST_MS: i64 = i64::MAX / 1_000_000;

/// Milliseconds of a duration.
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let malformed = || format!("{text:?} is no duration");
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total, mut units) = (text, 0_i64, DURATIONS.as_slice());
    while !rest.is_empty() {
        let (number, unit, tail) = part(rest).ok_or_else(malformed)?;
        let place = units
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        let number: i64 = number.parse().map_err(|_| malformed())?;
        let part = number.checked_mul(units[place].1);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(malformed)?;
        units = &units[place + 1..];
        rest = tail;
    }
    if text.is_empty() || total > LONGEST_MS {
        return Err(malformed());
    }
    Ok(total)
}

/// A duration as Prometheus shows it: years and weeks only where nothing is left over.
pub(crate) fn duration_text(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let (mut rest, mut text) = (ms, String::new());
    for (unit, length) in DURATIONS {
        let is_coarse = length >= WEEK_MS;
        if rest < length || is_coarse && rest % length != 0 {
            continue;
        }
        text += &format!("{}{unit}", rest / length);
        rest %= length;
    }
    text
}

/// Bytes of a size. Zero needs no unit.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let malformed = || format!("{text:?} is no size");
    if text == "0" {
        return Ok(0);
    }
    let (number, unit, rest) = part(text).ok_or_else(malformed)?;
    let unit = unit.replace('i', "");
    let known = SIZES.iter().find(|(name, _)| *name == unit);
    let (_, length) = known.filter(|_| rest.is_empty()).ok_or_else(malformed)?;
    let number: u64 = number.parse().map_err(|_| malformed())?;
    number.checked_mul(*length).ok_or_else(malformed)
}

/// A number, its unit, and what follows.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let end = rest
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(rest.len());
    (!number.is_empty()).then_some((number, &rest[..end], &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        for (text, ms) in [
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2w", 14 * 86_400_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms));
            assert_eq!(duration_text(ms), text);
        }
        assert_eq!(duration_ms("0"), Ok(0));
        assert_eq!(duration_text(0), "0s");
        assert_eq!(duration_text(90_061_001), "1d1h1m1s1ms");
        assert_eq!(duration_text(8 * 86_400_000), "8d");
        for text in [
            "",
            "5",
            "m",
            "1m1h",
            "1m1m",
            "-1m",
            "1.5h",
            "1 m",
            "1x",
            "999y",
            "99999999999999y",
        ] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_of_two() {
        for (text, bytes) in [
            ("0", 0),
            ("7B", 7),
            ("2KB", 2048),
            ("2KiB", 2048),
            ("10MB", 10 << 20),
        ] {
            assert_eq!(size_bytes(text), Ok(bytes));
        }
        for text in ["", "1", "MB", "1K", "1MB1KB", "1.5MB", "99999999999EB"] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }
}
