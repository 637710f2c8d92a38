//! Literals: numbers and strings, from text and back to it, in the notation that Prometheus took from Go.

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
