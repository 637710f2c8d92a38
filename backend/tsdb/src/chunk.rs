//! Chunks: up to [`CHUNK_SAMPLES_MAX`] samples of one series as bits, times by delta of delta, values by XOR (Gorilla).
//!
//! Values come back bit by bit, NaN payloads included. The bits are described in `docs/formats/tsdb.md`.

mod bits;

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::Sample;
use bits::{BitReader, BitWriter, PEEK_BITS};

/// As many as Prometheus: short enough to decode one chunk too many, long enough to compress.
pub const CHUNK_SAMPLES_MAX: u16 = 120;
/// Leading zeros of an XOR are said in five bits.
const LEADING_MAX: u32 = 31;
/// No earlier window of significant bits.
const NO_WINDOW: u8 = u8::MAX;
/// What is left of a look at the bits after the one that says "the same distance".
const WORD_BITS: u32 = PEEK_BITS - 1;
/// Widths of a delta of delta by the number of ones before it; longer ones take 64 bits.
const TIME_WIDTHS: [u32; 3] = [8, 14, 20];

/// A chunk that takes no more samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) samples: u16,
    pub(crate) bits: Arc<[u8]>,
}

/// A chunk that takes samples. Times must rise; the caller sees to that.
#[derive(Clone, Debug)]
pub(crate) struct OpenChunk {
    bits: BitWriter,
    samples: u16,
    t_min: i64,
    t_max: i64,
    delta: i64,
    value: u64,
    leading: u8,
    trailing: u8,
}

impl Chunk {
    pub(crate) fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.t_min <= *range.end() && self.t_max >= *range.start()
    }
}

impl OpenChunk {
    pub(crate) fn new(first: Sample) -> Self {
        let mut bits = BitWriter::default();
        bits.push(first.t_ms as u64, 64);
        bits.push(first.value.to_bits(), 64);
        Self {
            bits,
            samples: 1,
            t_min: first.t_ms,
            t_max: first.t_ms,
            delta: 0,
            value: first.value.to_bits(),
            leading: NO_WINDOW,
            trailing: 0,
        }
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        let delta = sample.t_ms.wrapping_sub(self.t_max);
        self.push_time(delta.wrapping_sub(self.delta));
        self.push_value(sample.value.to_bits());
        self.delta = delta;
        self.t_max = sample.t_ms;
        self.samples += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.samples >= CHUNK_SAMPLES_MAX
    }

    pub(crate) fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.t_min <= *range.end() && self.t_max >= *range.start()
    }

    pub(crate) fn t_min(&self) -> i64 {
        self.t_min
    }

    pub(crate) fn t_max(&self) -> i64 {
        self.t_max
    }

    pub(crate) fn samples(&self) -> u16 {
        self.samples
    }

    /// The bits of what it holds by now.
    pub(crate) fn bits(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// Bytes of its bits in memory.
    pub(crate) fn capacity(&self) -> usize {
        self.bits.capacity()
    }

    /// What it holds by now.
    pub(crate) fn sealed(&self) -> Chunk {
        Chunk {
            t_min: self.t_min,
            t_max: self.t_max,
            samples: self.samples,
            bits: self.bits.bytes().into(),
        }
    }

    fn push_time(&mut self, delta_of_delta: i64) {
        if delta_of_delta == 0 {
            return self.bits.push(0, 1);
        }
        for (ones, width) in (1..).zip(TIME_WIDTHS) {
            let half = 1 << (width - 1);
            if (-half..half).contains(&delta_of_delta) {
                // As many ones, then a zero.
                self.bits.push((1 << (ones + 1)) - 2, ones + 1);
                return self.bits.push(delta_of_delta as u64, width);
            }
        }
        self.bits.push(0b1111, 4);
        self.bits.push(delta_of_delta as u64, 64);
    }

    fn push_value(&mut self, value: u64) {
        let xor = value ^ self.value;
        self.value = value;
        if xor == 0 {
            return self.bits.push(0, 1);
        }
        let leading = xor.leading_zeros().min(LEADING_MAX) as u8;
        let trailing = xor.trailing_zeros() as u8;
        let is_inside =
            self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing;
        if is_inside {
            self.bits.push(0b10, 2);
        } else {
            (self.leading, self.trailing) = (leading, trailing);
            let width = 64 - u32::from(leading) - u32::from(trailing);
            self.bits.push(0b11, 2);
            self.bits.push(u64::from(leading), 5);
            self.bits.push(u64::from(width - 1), 6);
        }
        let width = 64 - u32::from(self.leading) - u32::from(self.trailing);
        self.bits.push(xor >> self.trailing, width);
    }
}

/// Adds the samples of a chunk that are in the range. `None` when the bits are not those of a chunk.
pub(crate) fn read(
    bits: &[u8],
    samples: u16,
    range: &RangeInclusive<i64>,
    out: &mut Vec<Sample>,
) -> Option<()> {
    let mut bits = BitReader::new(bits);
    let mut t_ms = bits.take(64) as i64;
    let mut value = bits.take(64);
    let mut window = Window::default();
    let mut delta = 0_i64;
    out.reserve(samples.into());
    for index in 0..samples {
        if index > 0 {
            let mut word = bits.peek();
            match word >> 63 {
                // Most often the distance is the same; what follows is in the word then.
                0 => {
                    bits.skip(1);
                    word <<= 1;
                }
                _ => {
                    delta = delta.wrapping_add(read_time(&mut bits, word));
                    word = bits.peek();
                }
            }
            t_ms = t_ms.wrapping_add(delta);
            value ^= read_xor(&mut bits, word, &mut window)?;
        }
        if !bits.is_whole() {
            return None;
        }
        if t_ms > *range.end() {
            return Some(());
        }
        if t_ms >= *range.start() {
            let value = f64::from_bits(value);
            out.push(Sample { t_ms, value });
        }
    }
    Some(())
}

/// The significant bits of the XOR before.
#[derive(Clone, Copy)]
struct Window {
    width: u32,
    trailing: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            width: 64,
            trailing: 0,
        }
    }
}

/// A delta of delta that is not zero; `word` has the next bits. All but the longest are in it.
#[inline]
fn read_time(bits: &mut BitReader<'_>, word: u64) -> i64 {
    let ones = word.leading_ones();
    let width = (ones as usize)
        .checked_sub(1)
        .and_then(|index| TIME_WIDTHS.get(index));
    let Some(width) = width else {
        bits.skip(TIME_WIDTHS.len() as u32 + 1);
        return bits.take(64) as i64;
    };
    bits.skip(ones + 1 + width);
    (word << (ones + 1)) as i64 >> (64 - width)
}

/// `word` has the next bits, [`WORD_BITS`] of them at least.
#[inline]
fn read_xor(bits: &mut BitReader<'_>, word: u64, window: &mut Window) -> Option<u64> {
    if word >> 63 == 0 {
        bits.skip(1);
        return Some(0);
    }
    let mut said = 2;
    if word >> 62 == 0b11 {
        let leading = (word >> 57) as u32 & 0x1f;
        window.width = ((word >> 51) as u32 & 0x3f) + 1;
        window.trailing = (64 - leading).checked_sub(window.width)?;
        said += 5 + 6;
    }
    bits.skip(said);
    if said + window.width > WORD_BITS {
        return Some(bits.take(window.width) << window.trailing);
    }
    bits.skip(window.width);
    Some((word << said >> (64 - window.width)) << window.trailing)
}

#[cfg(test)]
mod tests;
