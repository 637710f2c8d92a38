//! Bits in bytes, the highest first.

/// Eight bytes from the one that has the next bit hold as many from there.
pub(crate) const PEEK_BITS: u32 = 57;

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

/// Reads on beyond the end, where all bits are zero: whoever reads asks [`BitReader::is_whole`] whether that happened.
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
    pub(crate) fn take(&mut self, width: u32) -> u64 {
        if width > PEEK_BITS {
            let high = self.take_short(width - 32);
            return high << 32 | self.take_short(32);
        }
        self.take_short(width)
    }

    /// The next bits, [`PEEK_BITS`] of them at least, from the highest.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let first = self.at / 8;
        let word = match self.bytes.get(first..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => tail(&self.bytes[first.min(self.bytes.len())..]),
        };
        word << (self.at % 8)
    }

    #[inline]
    pub(crate) fn skip(&mut self, width: u32) {
        self.at += width as usize;
    }

    /// Whether all that was read so far was there.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        self.at <= self.bytes.len() * 8
    }

    #[inline]
    fn take_short(&mut self, width: u32) -> u64 {
        let number = self.peek() >> (64 - width);
        self.skip(width);
        number
    }
}

/// Fewer than eight bytes, with zeros after them.
#[inline]
fn tail(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
        .checked_shl(64 - 8 * bytes.len() as u32)
        .unwrap_or(0)
}
