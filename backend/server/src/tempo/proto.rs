//! Protobuf messages: their fields read one after the other, and written. Knows the encoding, but no message of Tempo.

/// Longest encoding of 64 bits, seven in each byte.
const VARINT_BYTES_MAX: u32 = 10;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LEN: u64 = 2;
const FIXED32: u64 = 5;

/// The bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is no protobuf of its kind")]
pub(crate) struct Malformed;

/// One value on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order of the wire.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            LEN => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            FIXED32 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, value))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for index in 0..VARINT_BYTES_MAX {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// A message in the making. Default values are left out, except where they say something.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// One that is encoded already.
    pub(super) fn encoded(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.set_number(field, number);
        }
    }

    /// Of a oneof: which one is set says something, even of a zero.
    pub(super) fn set_number(&mut self, field: u32, number: u64) {
        self.tag(field, VARINT);
        self.varint(number);
    }

    pub(super) fn double(&mut self, field: u32, number: f64) {
        if number.to_bits() != 0 {
            self.set_double(field, number);
        }
    }

    /// See [`Self::set_number`].
    pub(super) fn set_double(&mut self, field: u32, number: f64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.set_bytes(field, text.as_bytes());
        }
    }

    /// Of a oneof, an element, or a message that is encoded already.
    pub(super) fn set_bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, LEN);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn message(&mut self, field: u32, message: &Message) {
        self.set_bytes(field, &message.0);
    }

    fn tag(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_without_defaults() {
        let mut inner = Message::default();
        inner.set_double(4, 0.0);
        let mut message = Message::default();
        message.number(1, 300);
        message.number(2, 0);
        message.text(3, "");
        message.message(20, &inner);
        let bytes = message.into_bytes();
        let inner = [0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Fields::new(&bytes).collect::<Vec<_>>(),
            [Ok((1, Value::Number(300))), Ok((20, Value::Bytes(&inner)))]
        );
    }

    #[test]
    fn truncated_messages_end_in_an_error() {
        for message in [
            &[0x08][..],
            &[0x0a, 5, 1],
            &[0x09, 1, 2],
            &[0xff; 12],
            &[0x0b],
        ] {
            let fields: Vec<_> = Fields::new(message).collect();
            assert_eq!(fields, [Err(Malformed)], "{message:?}");
        }
    }
}
