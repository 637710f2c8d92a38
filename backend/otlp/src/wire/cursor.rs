//! Fields of a protobuf message, one after the other. Knows the encoding, but no message of OTLP.

use super::Malformed;

pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const LEN: u32 = 2;
pub(super) const FIXED32: u32 = 5;

/// Longest encoding of 64 bits, seven in each byte.
const VARINT_BYTES_MAX: usize = 10;

/// A field's number and wire type as they stand in front of it.
pub(super) const fn tag(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

/// The set of field numbers that a message has, for [`Cursor::skip`]. Numbers are below 64.
pub(super) const fn known<const N: usize>(numbers: [u32; N]) -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < N {
        set |= 1 << numbers[index];
        index += 1;
    }
    set
}

/// A position in a message. `data` ends with the message but starts with the request, so that positions are offsets in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self {
            data: message,
            at: 0,
        }
    }

    /// What lies ahead.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.data[self.at..]
    }

    /// The next field's tag; `None` at the end of the message.
    #[inline(always)]
    pub(super) fn tag(&mut self) -> Result<Option<u32>, Malformed> {
        match self.data.get(self.at) {
            None => Ok(None),
            // Numbers up to 15: all that OTLP has but one.
            Some(byte @ 0x08..0x80) => {
                self.at += 1;
                Ok(Some(u32::from(*byte)))
            }
            Some(_) => self.long_tag(),
        }
    }

    #[cold]
    fn long_tag(&mut self) -> Result<Option<u32>, Malformed> {
        let start = self.at;
        match u32::try_from(self.varint()?) {
            Ok(tag) if tag >> 3 != 0 => Ok(Some(tag)),
            _ => Err(Malformed {
                offset: start,
                reason: "invalid field number",
            }),
        }
    }

    #[inline(always)]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.data.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (index, byte) in self.rest().iter().take(VARINT_BYTES_MAX).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == VARINT_BYTES_MAX - 1 && *byte > 1 {
                    break;
                }
                self.at += index + 1;
                return Ok(number);
            }
        }
        let reason = if self.rest().len() < VARINT_BYTES_MAX {
            TRUNCATED
        } else {
            "number exceeds 64 bits"
        };
        Err(self.malformed(reason))
    }

    #[inline(always)]
    pub(super) fn fixed64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_le_bytes)
    }

    #[inline(always)]
    pub(super) fn fixed32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_le_bytes)
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        self.message().map(|message| message.rest())
    }

    /// A length and what has it, as a message of its own.
    #[inline(always)]
    pub(super) fn message(&mut self) -> Result<Cursor<'a>, Malformed> {
        let start = self.at;
        let length = self.varint()?;
        if length > (self.data.len() - self.at) as u64 {
            return Err(Malformed {
                offset: start,
                reason: "length exceeds what is left",
            });
        }
        let message = Cursor {
            data: &self.data[..self.at + length as usize],
            at: self.at,
        };
        self.at = message.data.len();
        Ok(message)
    }

    /// Skips the field behind `tag`. One of the `known` numbers has a wire type then that it must not have.
    pub(super) fn skip(&mut self, tag: u32, known: u64) -> Result<(), Malformed> {
        let number = tag >> 3;
        if number < u64::BITS && known >> number & 1 == 1 {
            return Err(self.malformed("known field of another wire type"));
        }
        match tag & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LEN => self.message().map(drop),
            FIXED32 => self.fixed32().map(drop),
            _ => Err(self.malformed("group or invalid wire type")),
        }
    }

    /// The fields of this tag alone; all others are skipped.
    pub(super) fn only(self, tag: u32) -> Only<'a> {
        Only { fields: self, tag }
    }

    pub(super) fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed {
            offset: self.at,
            reason,
        }
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.rest().first_chunk().ok_or(self.malformed(TRUNCATED))?;
        self.at += N;
        Ok(*bytes)
    }
}

const TRUNCATED: &str = "ends inside a field";

/// See [`Cursor::only`]. A field of the same number but another wire type is an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Only<'a> {
    fields: Cursor<'a>,
    tag: u32,
}

impl<'a> Only<'a> {
    /// The next such field, which must be one with a length.
    #[inline(always)]
    pub(super) fn next_message(&mut self) -> Result<Option<Cursor<'a>>, Malformed> {
        while let Some(tag) = self.fields.tag()? {
            if tag == self.tag {
                return self.fields.message().map(Some);
            }
            let number = self.tag >> 3;
            self.fields.skip(tag, 1 << number)?;
        }
        Ok(None)
    }
}
