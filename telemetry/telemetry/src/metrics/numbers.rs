//! Numbers as text: the canonical floats of OpenMetrics, so that a bucket is called the same on every page.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends a float the way Go's `%g` does, with `.0` where neither point nor exponent would tell it from an integer
/// (OpenMetrics 1.0, "Canonical Numbers"): `1.0`, `0.005`, `1e-05`, `1e+06`.
pub(super) fn write_float(text: &mut String, value: f64) {
    let is_plain = value == 0.0 || (1e-4..1e6).contains(&value.abs());
    let written = match value {
        _ if value.is_nan() => return text.push_str("NaN"),
        f64::INFINITY => return text.push_str("+Inf"),
        f64::NEG_INFINITY => return text.push_str("-Inf"),
        _ if is_plain => write!(text, "{value:?}"),
        _ => {
            let shortest = format!("{value:e}");
            let (digits, exponent) = shortest.split_once('e').expect("{:e} writes an exponent");
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            write!(text, "{digits}e{sign}{exponent:0>2}")
        }
    };
    written.expect("a String takes every write");
}

/// Appends an integer.
pub(super) fn write_integer(text: &mut String, value: u64) {
    text.push_str(itoa::Buffer::new().format(value));
}

/// Appends a time as seconds since the Unix epoch, to the millisecond.
pub(super) fn write_timestamp(text: &mut String, at: SystemTime) {
    let age = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    write!(text, "{}.{:03}", age.as_secs(), age.subsec_millis())
        .expect("a String takes every write");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn float(value: f64) -> String {
        let mut text = String::new();
        write_float(&mut text, value);
        text
    }

    #[test]
    fn floats_are_written_as_the_specification_shows_them() {
        let examples = "0.0 0.001 0.002 0.01 0.1 0.9 0.95 0.99 0.999 1.0 1.7 10.0 \
                        1e-10 1e-09 1e-05 0.0001 100000.0 1e+06 1e+10 1e+23 1.1e+23 \
                        4.20072246e+06 -1.0 +Inf -Inf NaN 1.7976931348623157e+308 5e-324";
        for expected in examples.split_whitespace() {
            let value: f64 = expected.parse().expect("an example is a float");
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn timestamps_keep_their_milliseconds() {
        let mut text = String::new();
        write_timestamp(
            &mut text,
            UNIX_EPOCH + Duration::from_millis(1_520_879_607_089),
        );
        assert_eq!(text, "1520879607.089");
    }

    proptest! {
        #[test]
        fn every_float_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = float(value).parse().expect("what was written is a float");
            prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
        }
    }
}
