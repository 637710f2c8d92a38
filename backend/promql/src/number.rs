//! Numbers as text, as Prometheus writes and reads them.

/// A sample's value as the HTTP API and labels show it: the shortest decimal that reads back as the same float, never
/// with an exponent.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    if let Some(even) = even_digits(value) {
        return even;
    }
    format!("{value}")
}

/// Fewer digits than this never stand exactly between two shortest decimals.
const TIE_DIGITS_MIN: usize = 16;

/// The text of a value that lies in the middle between two shortest decimals: of the two, the one that ends evenly. The
/// standard library takes the upper one.
fn even_digits(value: f64) -> Option<String> {
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e')?;
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    if digits < TIE_DIGITS_MIN {
        return None;
    }
    let decimals = i32::try_from(digits).ok()? - 1 - exponent.parse::<i32>().ok()?;
    let even = match usize::try_from(decimals) {
        Ok(decimals) => format!("{value:.decimals$}"),
        Err(_) => {
            let scientific = format!("{value:.*e}", digits - 1);
            let (mantissa, _) = scientific.split_once('e')?;
            let zeros = decimals.unsigned_abs() as usize;
            format!("{}{}", mantissa.replace('.', ""), "0".repeat(zeros))
        }
    };
    (even.parse() == Ok(value)).then_some(even)
}

/// The exponent from which numbers in messages are written with one.
const MESSAGE_EXPONENT: i32 = 21;
/// The same for the shorter form.
const SHORT_EXPONENT: i32 = 6;

/// The shortest form with an exponent when that is large: `%v` of Go.
pub(crate) fn format_message(value: f64) -> String {
    format_general(value, MESSAGE_EXPONENT)
}

/// The same with an exponent from a million on: `%g` of Go.
pub(crate) fn format_short(value: f64) -> String {
    format_general(value, SHORT_EXPONENT)
}

/// Two significant digits: `%.2g` of Go.
pub(crate) fn format_two_digits(value: f64) -> String {
    if !value.is_finite() {
        return format_value(value);
    }
    let scientific = format!("{value:.1e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    if !(-4..2).contains(&exponent) {
        return with_exponent(mantissa, exponent);
    }
    let rounded: f64 = scientific.parse().unwrap_or(value);
    format!("{rounded}")
}

fn format_general(value: f64, exponent_max: i32) -> String {
    if !value.is_finite() {
        return format_value(value);
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..exponent_max).contains(&exponent) {
        return format!("{value}");
    }
    with_exponent(mantissa, exponent)
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A bucket's upper bound from its label.
pub(crate) fn parse_bound(text: &str) -> Option<f64> {
    let overflows = |value: f64| value.is_infinite() && text.chars().any(|c| c.is_ascii_digit());
    text.parse().ok().filter(|value| !overflows(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_exponent() {
        assert_eq!(format_value(1e21), "1000000000000000000000");
        assert_eq!(format_value(1e-7), "0.0000001");
        assert_eq!(format_value(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(format_value(-0.0), "-0");
        assert_eq!(format_value(11.687_026_977_539_062), "11.687026977539062");
        assert_eq!(format_value(f64::MAX).len(), 309);
        assert_eq!(format_value(f64::NEG_INFINITY), "-Inf");
    }

    #[test]
    fn messages_use_exponents() {
        assert_eq!(format_short(1e6), "1e+06");
        assert_eq!(format_short(123_456.0), "123456");
        assert_eq!(format_message(1e20), "100000000000000000000");
        assert_eq!(format_message(1e21), "1e+21");
        assert_eq!(format_message(1e-5), "1e-05");
        assert_eq!(format_two_digits(123.0), "1.2e+02");
        assert_eq!(format_two_digits(5.0), "5");
        assert_eq!(format_two_digits(0.126), "0.13");
    }

    #[test]
    fn bounds_are_numbers_or_infinite_by_name() {
        assert_eq!(parse_bound("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_bound("0.5"), Some(0.5));
        assert_eq!(parse_bound("1e999"), None);
        assert_eq!(parse_bound(""), None);
    }
}
