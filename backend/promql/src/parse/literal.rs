//! Literals: numbers, durations and strings, from text and back to it, in the notation that Prometheus took from Go.

/// The number that a `Number` token stands for.
///
/// # Errors
/// When it does not fit a float, with the reason.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let lower = text.to_ascii_lowercase();
    let digits: String = lower.chars().filter(|c| *c != '_').collect();
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16)
            .map(|value| value as f64)
            .map_err(|_| not_a_number(text, "invalid syntax"));
    }
    if digits.len() > 1 && digits.starts_with('0') {
        // A leading zero makes it octal, unless it has a digit or a sign that octal numbers do not have.
        if let Ok(value) = i64::from_str_radix(&digits, 8) {
            return Ok(value as f64);
        }
    }
    match digits.as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(not_a_number(text, "value out of range")),
        Err(_) => Err(not_a_number(text, "invalid syntax")),
    }
}

fn not_a_number(text: &str, reason: &str) -> String {
    let text = quote(text);
    format!("error parsing number: strconv.ParseFloat: parsing {text}: {reason}")
}

/// The units of a duration, longest first, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, in milliseconds: what fits 64 bits of nanoseconds.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// `1h30m` in milliseconds.
///
/// # Errors
/// When units are out of order or repeated, or the sum is too large.
pub(super) fn duration_ms(text: &str) -> Result<i64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let mut rest = text;
    let mut total: i64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits_end = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (digits, after) = rest.split_at(digits_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, unit_ms) = units
            .by_ref()
            .find(|(name, _)| *name == unit)
            .ok_or_else(invalid)?;
        let count: i64 = digits.parse().map_err(|_| invalid())?;
        total = count
            .checked_mul(*unit_ms)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= DURATION_MS_MAX)
            .ok_or("duration out of range")?;
        rest = after;
    }
    Ok(total)
}

/// A duration as Prometheus prints it: the largest units that divide it, `90m` as `1h30m`, `0s` for none.
pub(crate) fn format_duration(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".into();
    }
    let mut rest = duration_ms;
    let mut out = String::new();
    for (unit, unit_ms) in UNITS {
        // Years, weeks and days are used for whole multiples only.
        let exact_only = matches!(unit, "y" | "w" | "d") && unit != "d";
        if rest >= unit_ms && (!exact_only || rest % unit_ms == 0) {
            out.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    out
}

/// The value of a string token, quotes included in `text`. The lexer has checked the escapes.
///
/// # Errors
/// When an escape stands for a byte that is no text.
pub(super) fn unquote(text: &str) -> Result<String, String> {
    let quote_length = 1;
    let inner = &text[quote_length..text.len() - quote_length];
    if text.starts_with('`') || !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            unescape(&mut chars, &mut bytes);
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| format!("error unquoting string {}: invalid syntax", quote(text)))
}

fn unescape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) {
    let c = chars.next().unwrap_or('\\');
    let simple = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        _ => 0,
    };
    if simple != 0 {
        bytes.push(simple);
        return;
    }
    let (digits, radix) = match c {
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (2, 8),
        other => {
            bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    let first = c.to_digit(8).filter(|_| radix == 8).unwrap_or(0);
    let value = chars
        .by_ref()
        .take(digits)
        .filter_map(|digit| digit.to_digit(radix))
        .fold(first, |value, digit| {
            value.wrapping_mul(radix).wrapping_add(digit)
        });
    match (c, char::from_u32(value)) {
        ('u' | 'U', Some(c)) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        _ => bytes.push(value as u8), // The lexer has checked that it is a byte.
    }
}

/// Text in double quotes, with escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
