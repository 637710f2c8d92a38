//! Bits in bytes, the highest first.

/// Eight bytes from the one that has the next bit hold as many from there.
const PEEK_BITS: u32 = 57;

#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not taken.
    free: u32,
}

impl BitWriter {
    /// The lowest `width` bits of a number; the others are ignored.
    #[inline]
    pub(crate) fn push(&mut self, number: u64, width: u32) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (number >> (left - taken)) as u8 & (0xff >> (8 - taken));
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << (self.free - taken);
            }
            self.free -= taken;
            left -= taken;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

pub(crate) struct BitReader<'b> {
    bytes: &'b [u8],
    /// In bits.
    at: usize,
}

impl<'b> BitReader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A number of 1 to 64 bits.
    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> Option<u64> {
        if width > PEEK_BITS {
            let high = self.take(width - 32)?;
            return Some(high << 32 | self.take(32)?);
        }
        let number = self.peek() >> (64 - width);
        self.skip(width)?;
        Some(number)
    }

    /// The next bits, [`PEEK_BITS`] of them at least, from the highest; zeros after the end.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let first = self.at / 8;
        let word = match self.bytes.get(first..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => tail(&self.bytes[first.min(self.bytes.len())..]),
        };
        word << (self.at % 8)
    }

    /// `None` when there are fewer.
    #[inline]
    pub(crate) fn skip(&mut self, width: u32) -> Option<()> {
        self.at += width as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }
}

/// Fewer than eight bytes, with zeros after them.
#[cold]
fn tail(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(eight)
}
