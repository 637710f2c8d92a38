//! The fields of one protobuf message, in the order in which they stand there. Knows no message.

use super::DecodeError;

/// The last field number there is.
const NUMBER_MAX: u64 = (1 << 29) - 1;

/// A value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    /// And where they begin in the request.
    Bytes(&'a [u8], usize),
    Fixed32,
}

/// Iterates over numbers and values. After an error there is nothing more.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Of the rest, in the request.
    offset: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8], offset: usize) -> Self {
        Self {
            rest: message,
            offset,
        }
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), DecodeError> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > NUMBER_MAX {
            return Err(self.malformed("illegal tag"));
        }
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::End)?;
                let offset = self.offset;
                Field::Bytes(self.take(length)?, offset)
            }
            5 => {
                self.fixed::<4>()?;
                Field::Fixed32
            }
            _ => return Err(self.malformed("illegal wireType")),
        };
        Ok((number, field))
    }

    fn malformed(&self, reason: &'static str) -> DecodeError {
        DecodeError::Proto {
            offset: self.offset,
            reason,
        }
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.malformed("integer overflow"))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many were taken"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::End)?;
        self.rest = rest;
        self.offset += length;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
