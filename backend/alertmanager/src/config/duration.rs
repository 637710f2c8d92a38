//! The two ways in which Alertmanager's file has durations. Nothing else is read here.

/// Prometheus' units, from the longest, in milliseconds: each may stand once, in this order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Go's units that are not shorter than a millisecond. They may stand in any order, with fractions.
const GO_UNITS: [(&str, f64); 4] = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)];

/// Longest duration: 290 years, as in Go.
const LONGEST_MS: i64 = i64::MAX / 1_000_000;

/// `1h30m`, in milliseconds.
pub(super) fn prometheus(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut units = UNITS.iter();
    let (mut total, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let (number, unit, tail) = part(rest, |c| c.is_ascii_digit())?;
        let (_, length) = units.find(|(known, _)| *known == unit)?;
        let milliseconds = number.parse::<i64>().ok()?.checked_mul(*length)?;
        total = total.checked_add(milliseconds)?;
        rest = tail;
    }
    (!text.is_empty() && total <= LONGEST_MS).then_some(total)
}

/// `1.5s`, in whole milliseconds.
pub(super) fn go(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let (number, unit, tail) = part(rest, |c| c.is_ascii_digit() || c == '.')?;
        let (_, length) = GO_UNITS.iter().find(|(known, _)| *known == unit)?;
        total += number.parse::<f64>().ok()? * length;
        rest = tail;
    }
    (!text.is_empty() && total <= LONGEST_MS as f64).then_some(total as i64)
}

/// A number, its unit, and what follows.
fn part(text: &str, is_number: fn(char) -> bool) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c| !is_number(c))?);
    let end = rest.find(is_number).unwrap_or(rest.len());
    (!number.is_empty()).then_some((number, &rest[..end], &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_real_one_reads_them() {
        let check = |text, expected, expected_go| {
            assert_eq!(prometheus(text), expected, "{text}");
            assert_eq!(go(text), expected_go, "{text} in Go");
        };
        check("0", Some(0), Some(0));
        check("30s", Some(30_000), Some(30_000));
        check("1h30m", Some(5_400_000), Some(5_400_000));
        check("1d", Some(86_400_000), None);
        check("1y2w", Some((365 + 14) * 86_400_000), None);
        check("1.5s", None, Some(1_500));
        check("1ms", Some(1), Some(1));
        check("1m1h", None, Some(3_660_000));
        for wrong in [
            "",
            "1",
            "s",
            "-1s",
            "1s ",
            "1.2.3s",
            "99999999999999999999s",
            "999y",
            "1x",
        ] {
            check(wrong, None, None);
        }
    }
}
