//! Numbers on a page: what Prometheus takes for one, and how it writes the bounds of buckets and quantiles.

use std::ops::RangeInclusive;

use super::cursor::{Fault, quote};

/// Beyond these decimal exponents a canonical number is written with one.
const PLAIN_EXPONENTS: RangeInclusive<i32> = -4..=5;

/// A decimal number, `Inf` or `NaN` in any case, of 64 bits. Every NaN becomes the same one.
pub(super) fn parse(text: &str) -> Result<f64, Fault> {
    let wrong = || Fault::from(format!("{} is no number", quote(text.as_bytes())));
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if number.is_nan() {
        // `-NaN` is none in Prometheus.
        return if text.len() == 3 {
            Ok(f64::NAN)
        } else {
            Err(wrong())
        };
    }
    let says_infinite = text.contains(['i', 'I']);
    if number.is_infinite() && !says_infinite {
        return Err(format!("{} is out of range", quote(text.as_bytes())).into());
    }
    Ok(number)
}

/// Seconds since 1970 with a fraction, as milliseconds.
pub(super) fn seconds(text: &str) -> Result<i64, Fault> {
    let seconds = parse(text)?;
    if !seconds.is_finite() {
        return Err(format!("{} is no timestamp", quote(text.as_bytes())).into());
    }
    // Cut, not rounded, and saturating where the number is beyond any time.
    #[allow(clippy::cast_possible_truncation, reason = "saturates, which is meant")]
    Ok((seconds * 1000.0) as i64)
}

/// The canonical number of OpenMetrics: always with a point or an exponent.
pub(super) fn canonical(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    if number == 0.0 {
        return "0.0".into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !PLAIN_EXPONENTS.contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}
