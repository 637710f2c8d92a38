//! Durations as Tempo reads them: Prometheus' form (`1d12h`: whole numbers, from large to small units), else Go's
//! (`1.5h`, `2us3ns`: any order, fractions, no days).

/// Nanoseconds of the units of both forms, from large to small.
const UNITS: [(&str, i64); 10] = [
    ("y", 365 * 24 * 3_600_000_000_000),
    ("w", 7 * 24 * 3_600_000_000_000),
    ("d", 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];
/// The first ones that Go's form lacks.
const CALENDAR_UNITS: usize = 3;
/// The first ones that Prometheus' form has.
const PROMETHEUS_UNITS: usize = 7;

pub(super) fn is_of_unit(c: char) -> bool {
    "nsumhµdwy".contains(c)
}

/// Nanoseconds; `None` for what is no duration, or one that does not fit.
pub(super) fn parse(text: &str) -> Option<i64> {
    prometheus(text).or_else(|| go(text))
}

fn prometheus(mut text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut allowed = 0;
    while !text.is_empty() {
        let (number, unit, rest) = component(text)?;
        if unit < allowed || unit >= PROMETHEUS_UNITS {
            return None;
        }
        let count: i64 = number.parse().ok()?;
        total = total.checked_add(count.checked_mul(UNITS[unit].1)?)?;
        allowed = unit + 1;
        text = rest;
    }
    Some(total)
}

fn go(mut text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    while !text.is_empty() {
        let (number, unit, rest) = component(text)?;
        if unit < CALENDAR_UNITS {
            return None;
        }
        total = total.checked_add(scaled(number, UNITS[unit].1)?)?;
        text = rest;
    }
    Some(total)
}

/// The number and the unit in front, and what follows.
fn component(text: &str) -> Option<(&str, usize, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?);
    let end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let unit = UNITS.iter().position(|(unit, _)| *unit == name)?;
    Some((number, unit, rest))
}

/// A decimal number times a unit, cut to whole nanoseconds.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    /// Digits are summed in this part of a nanosecond, so that nothing is lost before the cut.
    const PART: i128 = 1_000_000_000_000_000_000;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    for digit in whole.chars() {
        total = total.checked_mul(10)? + i128::from(digit.to_digit(10)?);
    }
    total = total.checked_mul(i128::from(unit) * PART)?;
    let mut place = i128::from(unit) * PART;
    for digit in fraction.chars() {
        place /= 10;
        total = total.checked_add(place * i128::from(digit.to_digit(10)?))?;
    }
    i64::try_from(total / PART).ok()
}
