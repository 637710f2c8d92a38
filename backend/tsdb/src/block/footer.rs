//! The last bytes of a block: where its parts are and what it covers.

use crate::bytes::Reader;

/// Twelve words of eight bytes, the checksums of the table and of the footer, and the magic.
pub(super) const FOOTER_BYTES: usize = 12 * 8 + 4 + 4 + 8;
const END_MAGIC: &[u8; 8] = b"TRPDTSE1";

/// Positions are from the start of the file. Parts follow each other in this order, without gaps, after the chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Of the oldest sample.
    pub(crate) t_min: i64,
    /// Of the newest sample.
    pub(crate) t_max: i64,
    /// Samples before are in this block or an older one, or nowhere.
    pub(crate) end_ms: i64,
    pub(crate) samples: u64,
    pub(crate) series: u64,
    /// How many strings, label names, label pairs there are.
    pub(super) symbols: u64,
    pub(super) names: u64,
    pub(super) values: u64,
    /// Where the strings, the series, and the label pairs begin.
    pub(super) symbols_at: u64,
    pub(super) series_at: u64,
    pub(super) pairs_at: u64,
    /// Where the pages end.
    pub(super) pages_end: u64,
    pub(super) table_checksum: u32,
}

impl Footer {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        for time in [self.t_min, self.t_max, self.end_ms] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        for number in [
            self.samples,
            self.series,
            self.symbols,
            self.names,
            self.values,
            self.symbols_at,
            self.series_at,
            self.pairs_at,
            self.pages_end,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.table_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(END_MAGIC);
        bytes
    }

    /// `None` when it is no footer or a changed one.
    pub(super) fn read(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let footer = Self {
            t_min: reader.i64()?,
            t_max: reader.i64()?,
            end_ms: reader.i64()?,
            samples: reader.u64()?,
            series: reader.u64()?,
            symbols: reader.u64()?,
            names: reader.u64()?,
            values: reader.u64()?,
            symbols_at: reader.u64()?,
            series_at: reader.u64()?,
            pairs_at: reader.u64()?,
            pages_end: reader.u64()?,
            table_checksum: reader.u32()?,
        };
        let checked = bytes.len() - reader.0.len();
        let is_sound = reader.u32()? == crc32fast::hash(&bytes[..checked]) && reader.0 == END_MAGIC;
        (is_sound && footer.is_possible()).then_some(footer)
    }

    /// Positions can be added up without overflow.
    fn is_possible(&self) -> bool {
        let counts = [self.series, self.symbols, self.names, self.values];
        let positions = [self.symbols_at, self.series_at, self.pairs_at];
        counts.iter().all(|count| *count < u64::from(u32::MAX))
            && positions.iter().all(|at| *at <= self.pages_end)
            && self.pages_end < 1 << 48
    }
}
