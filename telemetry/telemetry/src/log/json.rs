//! JSON values as `serde_json` writes them, byte for byte, straight into a line's buffer. Knows nothing of log lines.

use std::fmt::{self, Debug, Write as _};

/// For each byte what follows the backslash that replaces it: 0 means the byte stands for itself, `u` that it is
/// written as `\u00xx`.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A string in quotes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// A value's `Debug` form, as a string. A `Debug` that fails leaves what it wrote until then.
pub(super) fn debug(out: &mut Vec<u8>, value: &dyn Debug) {
    out.push(b'"');
    let _ = write!(Escaping(out), "{value:?}");
    out.push(b'"');
}

pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A number, or `null` for what JSON has no number for.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    serde_json::to_writer(out, &value).expect("writing a float to a vector cannot fail");
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// An array of numbers.
pub(super) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'[');
    for (index, byte) in value.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        unsigned(out, u64::from(*byte));
    }
    out.push(b']');
}

/// Lower-case hexadecimal digits, without quotes.
pub(super) fn hex(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        out.extend_from_slice(&digits(*byte));
    }
}

fn digits(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match escape {
            b'u' => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits(*byte));
            }
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

struct Escaping<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_what_serde_json_writes(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn numbers_are_what_serde_json_writes(float_value in any::<f64>(), signed_value: i64, array: Vec<u8>) {
            let mut out = Vec::new();
            float(&mut out, float_value);
            signed(&mut out, signed_value);
            bytes(&mut out, &array);
            let expected = [
                serde_json::to_vec(&float_value).unwrap(),
                serde_json::to_vec(&signed_value).unwrap(),
                serde_json::to_vec(&array).unwrap(),
            ];
            prop_assert_eq!(out, expected.concat());
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0u8..0x80).map(char::from).collect();
        let mut out = Vec::new();
        string(&mut out, &text);
        assert_eq!(out, serde_json::to_vec(&text).unwrap());
    }

    #[test]
    fn a_debug_that_fails_still_closes_its_string() {
        struct Broken;
        impl Debug for Broken {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("half \"")?;
                Err(fmt::Error)
            }
        }
        let mut out = Vec::new();
        debug(&mut out, &Broken);
        assert_eq!(out, br#""half \"""#);
    }
}
