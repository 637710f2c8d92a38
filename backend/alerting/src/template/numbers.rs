//! Numbers as Go and Prometheus print them for people.

const PREFIXES_UP: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const PREFIXES_DOWN: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const PREFIXES_BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
/// From this exponent on Go's `%v` uses one.
const EXPONENT_SHORTEST: i32 = 21;
const DAY_S: u64 = 24 * 3_600;

/// `%v` without a number of digits: the shortest text that reads back; `%.Ng` with one.
pub(super) fn general(value: f64, digits: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = match digits {
        None => format!("{value:e}"),
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = digits.map_or(EXPONENT_SHORTEST, |digits| digits.max(1) as i32);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    match digits {
        None => format!("{value}"),
        Some(digits) => {
            let places = (digits.max(1) as i32 - 1 - exponent).max(0) as usize;
            without_zeros(&format!("{value:.places$}")).to_owned()
        }
    }
}

fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

fn four(value: f64) -> String {
    general(value, Some(4))
}

pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    match value.abs() >= 1.0 {
        true => scaled(
            value,
            &PREFIXES_UP,
            |value| value.abs() < 1_000.0,
            |value| value / 1_000.0,
        ),
        false => scaled(
            value,
            &PREFIXES_DOWN,
            |value| value.abs() >= 1.0,
            |value| value * 1_000.0,
        ),
    }
}

pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    scaled(
        value,
        &PREFIXES_BINARY,
        |value| value.abs() < 1_024.0,
        |value| value / 1_024.0,
    )
}

fn scaled(
    mut value: f64,
    prefixes: &[&str],
    is_enough: fn(f64) -> bool,
    step: fn(f64) -> f64,
) -> String {
    let mut prefix = "";
    for next in prefixes {
        if is_enough(value) {
            break;
        }
        prefix = next;
        value = step(value);
    }
    format!("{}{prefix}", four(value))
}

/// Of seconds.
pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        return format!("{}s", humanize(seconds));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let (exact, whole) = (seconds.abs(), seconds.abs() as u64);
    let (s, m, h, d) = (
        whole % 60,
        whole / 60 % 60,
        whole / 3_600 % 24,
        whole / DAY_S,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", four(exact)),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, _, _) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

pub(super) fn humanize_percentage(ratio: f64) -> String {
    format!("{}%", four(ratio * 100.0))
}

/// Of Unix seconds.
pub(super) fn humanize_timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(four(seconds));
    }
    let nanoseconds = (seconds * 1e9) as i128;
    let time = jiff::Timestamp::from_nanosecond(nanoseconds).map_err(|error| error.to_string())?;
    Ok(format!(
        "{} +0000 UTC",
        time.to_string().replace('T', " ").trim_end_matches('Z')
    ))
}
