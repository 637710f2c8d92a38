//! Attributes and their values, decoded when they are asked for.

use super::cursor::{Cursor, LEN, Only, tag};
use super::tags::{
    self,
    key_value::{KEY, VALUE},
};

/// The attributes of a message, in its order; a key may come twice.
///
/// An attribute whose key is no UTF-8 is left out: nothing can ask for it by name. Bytes that [`walk`](super::walk) has not
/// let pass end the iteration where they are damaged.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(RawAttributes<'a>);

/// Keys and the content of the `AnyValue` messages, undecoded: three times as fast for whoever looks for a few keys and
/// decodes those ([`AnyValue::decode`]). Nothing is checked for UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct RawAttributes<'a>(Only<'a>);

/// The elements of an array value.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a>(Only<'a>);

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum AnyValue<'a> {
    /// None was given, or one of a kind that came later than this code.
    Empty,
    /// Text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes, or a string that is no UTF-8.
    Bytes(&'a [u8]),
    /// A list of values.
    Array(Array<'a>),
    /// A list of names and values.
    KeyValues(Attributes<'a>),
}

impl<'a> Attributes<'a> {
    /// Those of `message`, where they have the field number `number`.
    pub(super) fn of(message: &'a [u8], number: u32) -> Self {
        Self(RawAttributes(Cursor::new(message).only(tag(number, LEN))))
    }

    /// The same attributes, undecoded.
    pub fn raw(self) -> RawAttributes<'a> {
        self.0
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, AnyValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = self.0.next()?;
            if let Ok(key) = str::from_utf8(key) {
                return Some((key, AnyValue::decode(value)?));
            }
        }
    }
}

impl<'a> Iterator for RawAttributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        key_value(self.0.next_message().ok()??)
    }
}

impl<'a> Iterator for Array<'a> {
    type Item = AnyValue<'a>;

    fn next(&mut self) -> Option<AnyValue<'a>> {
        AnyValue::decode(self.0.next_message().ok()??.rest())
    }
}

impl<'a> AnyValue<'a> {
    /// The content of an `AnyValue` message; `None` if it is damaged.
    pub fn decode(message: &'a [u8]) -> Option<Self> {
        use tags::any_value::{ARRAY, BOOL, BYTES, DOUBLE, INT, KEY_VALUES, STRING, VALUES};
        let mut value = AnyValue::Empty;
        let mut fields = Cursor::new(message);
        while let Some(tag) = fields.tag().ok()? {
            value = match tag {
                STRING => {
                    let bytes = fields.bytes().ok()?;
                    str::from_utf8(bytes).map_or(AnyValue::Bytes(bytes), AnyValue::String)
                }
                BOOL => AnyValue::Bool(fields.varint().ok()? != 0),
                INT => AnyValue::Int(fields.varint().ok()? as i64),
                DOUBLE => AnyValue::Double(f64::from_bits(fields.fixed64().ok()?)),
                ARRAY => AnyValue::Array(Array(fields.message().ok()?.only(VALUES))),
                KEY_VALUES => {
                    let values = fields.message().ok()?.only(VALUES);
                    AnyValue::KeyValues(Attributes(RawAttributes(values)))
                }
                BYTES => AnyValue::Bytes(fields.bytes().ok()?),
                _ => {
                    fields.skip(tag, 0).ok()?;
                    value
                }
            };
        }
        Some(value)
    }
}

/// Key and content of the value of a `KeyValue`.
#[inline(always)]
fn key_value(fields: Cursor<'_>) -> Option<(&[u8], &[u8])> {
    // Most are short, and every encoder writes both fields once and in this order.
    if let Some((key, rest)) = short_field(fields.rest(), KEY as u8)
        && let Some((value, [])) = short_field(rest, VALUE as u8)
    {
        return Some((key, value));
    }
    any_key_value(fields)
}

/// The content of the field at the start of `bytes`, and what follows it; `None` if its length takes more than a byte.
#[inline(always)]
fn short_field(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length @ ..0x80, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

#[cold]
fn any_key_value(mut fields: Cursor<'_>) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some(tag) = fields.tag().ok()? {
        match tag {
            KEY => key = fields.bytes().ok()?,
            VALUE => {
                let bytes = fields.bytes().ok()?;
                value = if bytes.is_empty() { value } else { bytes };
            }
            _ => fields.skip(tag, 0).ok()?,
        }
    }
    Some((key, value))
}
