//! Protobuf messages as JSON, in the way of gogo's `jsonpb`, which Tempo uses.
//!
//! Fields stand in the order of the schema; numbers of 64 bits and enums are strings, bytes are base64; defaults are left out,
//! but for those of a `oneof`. Every answer is made as protobuf first, so both forms say the same.

use std::fmt::Write as _;

use super::proto::{Fields, Malformed, Value};
use crate::go;

/// Messages inside each other, at most. The receiver of OTLP lets values nest less deeply.
const DEPTH_MAX: usize = 100;
/// The alphabet of RFC 4648, section 4.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A message, field by field.
pub(super) struct Schema(pub(super) &'static [Field]);

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
}

/// How a value looks.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    Bytes,
    Bool,
    /// Whether the wire has it fixed or not.
    Uint32,
    /// Signed, a string in JSON.
    Int64,
    /// A string in JSON, whether the wire has it fixed or not.
    Uint64,
    Double,
    /// Names of the values, in their order from 0.
    Enum(&'static [&'static str]),
    Message(&'static Schema),
    /// From strings to messages.
    Map(&'static Schema),
}

/// When a field is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// If it is no default.
    Explicit,
    /// If it is on the wire, with any value.
    Oneof,
    /// Always: Tempo never leaves the message out.
    Always,
    /// If there are elements.
    Repeated,
    /// Always, as `[]` without elements.
    AlwaysRepeated,
}

/// Appends the message to `out`.
pub(super) fn print(out: &mut String, schema: &Schema, message: &[u8]) -> Result<(), Malformed> {
    print_message(out, schema, message, DEPTH_MAX)
}

fn print_message(
    out: &mut String,
    schema: &Schema,
    message: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    out.push('{');
    let mut first = true;
    for field in schema.0 {
        let length = out.len();
        if !first {
            out.push(',');
        }
        let _ = write!(out, "\"{}\":", field.name);
        if print_field(out, field, message, depth)? {
            first = false;
        } else {
            out.truncate(length);
        }
    }
    out.push('}');
    Ok(())
}

/// Whether there is something to print.
fn print_field(
    out: &mut String,
    field: &Field,
    message: &[u8],
    depth: usize,
) -> Result<bool, Malformed> {
    let mut values = Fields::new(message).filter_map(|found| match found {
        Ok((number, value)) if number == field.number => Some(Ok(value)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    match (field.presence, field.kind) {
        (_, Kind::Map(schema)) => print_map(out, schema, values, depth),
        (Presence::Repeated | Presence::AlwaysRepeated, kind) => {
            out.push('[');
            let mut count = 0;
            for value in values {
                if count > 0 {
                    out.push(',');
                }
                print_value(out, kind, value?, depth)?;
                count += 1;
            }
            out.push(']');
            Ok(count > 0 || field.presence == Presence::AlwaysRepeated)
        }
        // Of several, the last one counts.
        (presence, kind) => match values.try_fold(None, |_, value| value.map(Some))? {
            Some(value) if presence == Presence::Explicit && is_default(kind, value) => Ok(false),
            Some(value) => print_value(out, kind, value, depth).map(|()| true),
            None if presence == Presence::Always => {
                out.push_str("{}");
                Ok(true)
            }
            None => Ok(false),
        },
    }
}

fn is_default(kind: Kind, value: Value<'_>) -> bool {
    match (kind, value) {
        (Kind::Message(_) | Kind::Map(_), _) => false,
        (_, Value::Number(number) | Value::Fixed64(number)) => number == 0,
        (_, Value::Fixed32(number)) => number == 0,
        (_, Value::Bytes(bytes)) => bytes.is_empty(),
    }
}

fn print_value(
    out: &mut String,
    kind: Kind,
    value: Value<'_>,
    depth: usize,
) -> Result<(), Malformed> {
    match (kind, value) {
        (Kind::String, Value::Bytes(bytes)) => string(out, &String::from_utf8_lossy(bytes)),
        (Kind::Bytes, Value::Bytes(bytes)) => base64(out, bytes),
        (Kind::Bool, Value::Number(number)) => {
            out.push_str(if number == 0 { "false" } else { "true" })
        }
        (Kind::Uint32, Value::Number(number)) => {
            out.push_str(itoa::Buffer::new().format(number as u32))
        }
        (Kind::Uint32, Value::Fixed32(number)) => {
            out.push_str(itoa::Buffer::new().format(number));
        }
        (Kind::Int64, Value::Number(number)) => {
            quoted(out, itoa::Buffer::new().format(number as i64))
        }
        (Kind::Uint64, Value::Number(number) | Value::Fixed64(number)) => {
            quoted(out, itoa::Buffer::new().format(number));
        }
        (Kind::Double, Value::Fixed64(bits)) => go::float(out, f64::from_bits(bits)),
        (Kind::Enum(names), Value::Number(number)) => match names.get(number as usize) {
            Some(name) => quoted(out, name),
            None => out.push_str(itoa::Buffer::new().format(number as i32)),
        },
        (Kind::Message(schema), Value::Bytes(bytes)) => print_message(out, schema, bytes, depth)?,
        _ => return Err(Malformed),
    }
    Ok(())
}

/// A map is a list of entries: the key is field 1, the value field 2.
fn print_map<'a>(
    out: &mut String,
    schema: &Schema,
    entries: impl Iterator<Item = Result<Value<'a>, Malformed>>,
    depth: usize,
) -> Result<bool, Malformed> {
    out.push('{');
    let mut count = 0;
    for entry in entries {
        let Value::Bytes(entry) = entry? else {
            return Err(Malformed);
        };
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::new(entry) {
            match field? {
                (1, Value::Bytes(bytes)) => key = bytes,
                (2, Value::Bytes(bytes)) => value = bytes,
                _ => return Err(Malformed),
            }
        }
        if count > 0 {
            out.push(',');
        }
        string(out, &String::from_utf8_lossy(key));
        out.push(':');
        print_message(out, schema, value, depth)?;
        count += 1;
    }
    out.push('}');
    Ok(count > 0)
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// A string as `encoding/json` escapes it: also what HTML or JavaScript could take for their own.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(must_be_escaped) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = from.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(other) => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn must_be_escaped(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
    )
}

fn base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |group, byte| group << 8 | usize::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..4 {
            match index <= chunk.len() {
                true => out.push(char::from(BASE64[group >> (18 - 6 * index) & 63])),
                false => out.push('='),
            }
        }
    }
    out.push('"');
}

/// A message as text, for tests of what renders one.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn printed(schema: &Schema, message: super::proto::Message) -> String {
    let mut text = String::new();
    print(&mut text, schema, &message.into_bytes()).unwrap();
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{proto::Message, schema};
    use super::*;

    #[test]
    fn bytes_are_base64_with_padding() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"\xfb\xff", "+/8="),
        ] {
            let mut out = String::new();
            base64(&mut out, bytes);
            assert_eq!(out, format!("\"{expected}\""));
        }
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = String::new();
        string(&mut out, "a\"\\\n\u{1}<é>&\u{2028}\u{7f}");
        assert_eq!(
            out,
            "\"a\\\"\\\\\\n\\u0001\\u003cé\\u003e\\u0026\\u2028\u{7f}\""
        );
    }

    #[test]
    fn defaults_are_left_out_but_those_of_a_oneof() {
        let mut value = Message::default();
        value.set_number(3, 0);
        let mut pair = Message::default();
        pair.text(1, "");
        pair.message(2, &value);
        let mut out = String::new();
        print(&mut out, &schema::KEY_VALUE, &pair.into_bytes()).unwrap();
        assert_eq!(out, r#"{"value":{"intValue":"0"}}"#);
    }

    #[test]
    fn flags_are_a_number_although_the_wire_has_them_fixed() {
        // Field 16 of a span: tag 133 with type 5, then 0x0301 in four bytes.
        let span = [0x85, 0x01, 0x01, 0x03, 0, 0];
        let mut out = String::new();
        print(&mut out, &schema::SPAN, &span).unwrap();
        assert_eq!(out, r#"{"flags":769,"status":{}}"#);
    }

    #[test]
    fn a_value_that_nests_without_end_is_an_error() {
        let mut value = Message::default();
        for _ in 0..DEPTH_MAX {
            let mut values = Message::default();
            values.message(1, &value);
            value = Message::default();
            value.message(5, &values);
        }
        let printed = print(&mut String::new(), &schema::ANY_VALUE, &value.into_bytes());
        assert_eq!(printed, Err(Malformed));
    }
}
