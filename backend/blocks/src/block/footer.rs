//! The last bytes of a block file: where everything else is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::MAGIC;
use crate::Error;
use crate::bytes::Reader;

/// Offset, length, checksum.
const SECTION_BYTES: usize = 8 + 8 + 4;
/// Five sections, three numbers, checksum of these, magic.
const FOOTER_BYTES: usize = 5 * SECTION_BYTES + 3 * 8 + 4 + MAGIC.len();

/// Some bytes of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

impl Section {
    /// Its bytes, compared with the checksum.
    pub(super) fn read(&self, file: &File, path: &Path) -> Result<Box<[u8]>, Error> {
        let mut bytes = vec![0; self.bytes as usize];
        let read = file.read_exact_at(&mut bytes, self.offset);
        read.map_err(Error::io("read", path))?;
        match crc32fast::hash(&bytes) == self.checksum {
            true => Ok(bytes.into()),
            false => Err(Error::Damaged {
                path: path.to_owned(),
                what: "section",
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footer {
    pub(super) table: Section,
    pub(super) fences: Section,
    pub(super) keys: Section,
    pub(super) split: Section,
    pub(super) filter: Section,
    /// Bits of the filter of one page.
    pub(super) filter_bits: usize,
    /// The index: pieces of one size, with checksums of their own.
    pub(super) index_at: u64,
    /// Where the pages end.
    pub(super) pages_bytes: u64,
}

impl Footer {
    fn sections(&self) -> [Section; 5] {
        [self.table, self.fences, self.keys, self.split, self.filter]
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        for section in self.sections() {
            footer.extend_from_slice(&section.offset.to_le_bytes());
            footer.extend_from_slice(&section.bytes.to_le_bytes());
            footer.extend_from_slice(&section.checksum.to_le_bytes());
        }
        for number in [self.filter_bits as u64, self.index_at, self.pages_bytes] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
        footer.extend_from_slice(MAGIC);
        footer
    }

    pub(super) fn read(file: &File, file_bytes: u64, path: &Path) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged {
            path: path.to_owned(),
            what,
        };
        let at = file_bytes
            .checked_sub(FOOTER_BYTES as u64)
            .ok_or_else(|| damaged("too short"))?;
        let mut bytes = [0; FOOTER_BYTES];
        file.read_exact_at(&mut bytes, at)
            .map_err(Error::io("read", path))?;
        let (content, end) = bytes.split_at(FOOTER_BYTES - MAGIC.len() - 4);
        if Reader(end).u32() != Some(crc32fast::hash(content)) || end[4..] != *MAGIC {
            return Err(damaged("footer"));
        }
        let footer = Self::decode(content).ok_or_else(|| damaged("footer"))?;
        let is_inside = |section: &Section| {
            section
                .offset
                .checked_add(section.bytes)
                .is_some_and(|end| end <= at)
        };
        match footer.sections().iter().all(is_inside) && footer.pages_bytes <= at {
            true => Ok(footer),
            false => Err(damaged("footer")),
        }
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let mut reader = Reader(content);
        let mut section = || {
            Some(Section {
                offset: reader.u64()?,
                bytes: reader.u64()?,
                checksum: reader.u32()?,
            })
        };
        Some(Self {
            table: section()?,
            fences: section()?,
            keys: section()?,
            split: section()?,
            filter: section()?,
            filter_bits: usize::try_from(reader.u64()?).ok()?,
            index_at: reader.u64()?,
            pages_bytes: reader.u64()?,
        })
    }
}
