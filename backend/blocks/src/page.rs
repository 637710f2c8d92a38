//! Pages: records that are compressed together. Building, compressing, reading.
//!
//! Uncompressed, a page is a table of its records and their payloads one behind the other. Terms are not in it: they are in
//! the filter of the block, or beside the page while it is in the head.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::bytes::Reader;
use crate::{PAYLOAD_BYTES_MAX, Record};

/// A page is closed when it has this many bytes: some traces or some hundred log lines, a tenth of a millisecond to read.
pub(crate) const PAGE_BYTES: usize = 64 << 10;
/// Bytes of a record in the table: key, both times, end of its payload.
const ROW_BYTES: usize = 8 + 8 + 8 + 4;
const COUNT_BYTES: usize = 4;
/// A page that was not full and the largest record.
const RAW_BYTES_MAX: usize = PAGE_BYTES + ROW_BYTES + COUNT_BYTES + PAYLOAD_BYTES_MAX;

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    pub key: u64,
    pub time_min_ns: u64,
    pub time_max_ns: u64,
    pub payload: &'a [u8],
}

/// The uncompressed bytes of a page, checked: every row and every payload lies inside.
#[derive(Clone)]
pub(crate) struct RawPage {
    bytes: Arc<[u8]>,
    records: usize,
}

impl RawPage {
    /// `None` when these are no page.
    pub(crate) fn new(bytes: Arc<[u8]>) -> Option<Self> {
        let records = Reader(&bytes).length()?;
        let payloads_at = COUNT_BYTES.checked_add(records.checked_mul(ROW_BYTES)?)?;
        let payloads = bytes.len().checked_sub(payloads_at)?;
        let page = Self { bytes, records };
        let mut before = 0;
        for slot in 0..records {
            let end = page.row(slot).3;
            if end < before || end > payloads {
                return None;
            }
            before = end;
        }
        Some(page)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// The record at `slot < records()`.
    pub(crate) fn get(&self, slot: usize) -> Stored<'_> {
        let (key, time_min_ns, time_max_ns, _) = self.row(slot);
        Stored {
            key,
            time_min_ns,
            time_max_ns,
            payload: &self.bytes[self.payload_range(slot)],
        }
    }

    pub(crate) fn payload(&self, slot: usize) -> Payload {
        Payload {
            bytes: Arc::clone(&self.bytes),
            range: self.payload_range(slot),
        }
    }

    fn payload_range(&self, slot: usize) -> Range<usize> {
        let payloads_at = COUNT_BYTES + self.records * ROW_BYTES;
        let start = slot.checked_sub(1).map_or(0, |before| self.row(before).3);
        payloads_at + start..payloads_at + self.row(slot).3
    }

    fn row(&self, slot: usize) -> (u64, u64, u64, usize) {
        let at = COUNT_BYTES + slot * ROW_BYTES;
        let mut row = Reader(&self.bytes[at..at + ROW_BYTES]);
        let mut number = || row.u64().expect("a row has three numbers");
        let (key, min, max) = (number(), number(), number());
        (key, min, max, row.length().expect("a row has a length"))
    }
}

/// The payload of one record.
#[derive(Clone)]
pub struct Payload {
    bytes: Arc<[u8]>,
    range: Range<usize>,
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Records that are stored together, as a scan meets them.
#[derive(Clone)]
pub struct Page {
    pub(crate) raw: RawPage,
    pub(crate) range_ns: Range<u64>,
    pub(crate) time_min_ns: u64,
    pub(crate) time_max_ns: u64,
}

impl Page {
    /// Those that overlap the time range of the scan, in the order in which they were appended.
    pub fn records(&self) -> impl Iterator<Item = Stored<'_>> {
        let all = (0..self.raw.records()).map(|slot| self.raw.get(slot));
        all.filter(|stored| overlaps(&self.range_ns, stored.time_min_ns, stored.time_max_ns))
    }

    /// Payloads of the same records, which outlive the page.
    pub fn payloads(&self) -> impl Iterator<Item = Payload> {
        let all = 0..self.raw.records();
        all.filter(|slot| {
            let stored = self.raw.get(*slot);
            overlaps(&self.range_ns, stored.time_min_ns, stored.time_max_ns)
        })
        .map(|slot| self.raw.payload(slot))
    }

    /// The earliest begin of its records.
    pub fn time_min_ns(&self) -> u64 {
        self.time_min_ns
    }

    /// The latest end of its records.
    pub fn time_max_ns(&self) -> u64 {
        self.time_max_ns
    }
}

/// Whether a closed range meets a half-open one.
pub(crate) fn overlaps(range_ns: &Range<u64>, time_min_ns: u64, time_max_ns: u64) -> bool {
    time_min_ns < range_ns.end && time_max_ns >= range_ns.start
}

/// A page in the making.
#[derive(Default)]
pub(crate) struct Builder {
    rows: Vec<u8>,
    payloads: Vec<u8>,
    terms: Vec<u64>,
    records: usize,
    time: Option<(u64, u64)>,
}

impl Builder {
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        self.payloads.extend_from_slice(record.payload);
        for number in [record.key, record.time_min_ns, record.time_max_ns] {
            self.rows.extend_from_slice(&number.to_le_bytes());
        }
        let end =
            u32::try_from(self.payloads.len()).expect("a page takes no record beyond its bound");
        self.rows.extend_from_slice(&end.to_le_bytes());
        self.terms.extend_from_slice(record.terms);
        self.records += 1;
        let (min, max) = self.time.unwrap_or((u64::MAX, 0));
        self.time = Some((min.min(record.time_min_ns), max.max(record.time_max_ns)));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() + self.payloads.len() >= PAGE_BYTES
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// First and last time of its records.
    pub(crate) fn time_ns(&self) -> (u64, u64) {
        self.time.unwrap_or((u64::MAX, 0))
    }

    /// Sorted, each once.
    pub(crate) fn terms(&self) -> Box<[u64]> {
        let mut terms = self.terms.clone();
        terms.sort_unstable();
        terms.dedup();
        terms.into()
    }

    pub(crate) fn raw(&self) -> Vec<u8> {
        let count = u32::try_from(self.records).expect("a page is closed long before");
        let mut raw = Vec::with_capacity(COUNT_BYTES + self.rows.len() + self.payloads.len());
        raw.extend_from_slice(&count.to_le_bytes());
        raw.extend_from_slice(&self.rows);
        raw.extend_from_slice(&self.payloads);
        raw
    }

    /// Empty again; the buffers stay.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.payloads.clear();
        self.terms.clear();
        self.records = 0;
        self.time = None;
    }
}

pub(crate) fn compress(raw: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(raw)
}

/// `None` when it does not give exactly `raw_bytes` bytes that are a page.
pub(crate) fn decompress(stored: &[u8], raw_bytes: usize) -> Option<RawPage> {
    if raw_bytes > RAW_BYTES_MAX {
        return None;
    }
    let mut raw = vec![0; raw_bytes];
    let written = lz4_flex::block::decompress_into(stored, &mut raw).ok()?;
    if written != raw_bytes {
        return None;
    }
    RawPage::new(raw.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn record<'a>(key: u64, payload: &'a [u8]) -> Record<'a> {
        Record {
            key,
            time_min_ns: key * 10,
            time_max_ns: key * 10 + 5,
            terms: &[],
            payload,
        }
    }

    #[test]
    fn a_page_gives_back_what_was_put_in() {
        let mut builder = Builder::default();
        for (key, payload) in [(1, &b"first"[..]), (2, b""), (3, b"third")] {
            builder.push(&record(key, payload));
        }
        assert_eq!(builder.time_ns(), (10, 35));
        let raw = builder.raw();
        let page = decompress(&compress(&raw), raw.len()).unwrap();
        assert_eq!(page.records(), 3);
        assert_eq!(page.get(1).payload, b"");
        assert_eq!(&*page.payload(2), b"third");
        let seen = Page {
            raw: page,
            range_ns: 0..25,
            time_min_ns: 10,
            time_max_ns: 35,
        };
        let keys: Vec<u64> = seen.records().map(|stored| stored.key).collect();
        assert_eq!(keys, [1, 2]);
        let payloads: Vec<Vec<u8>> = seen.payloads().map(|payload| payload.to_vec()).collect();
        assert_eq!(payloads, [&b"first"[..], b""]);
    }

    #[test]
    fn bytes_that_are_no_page_are_refused_without_a_panic() {
        let mut builder = Builder::default();
        builder.push(&record(1, b"payload"));
        let raw = builder.raw();
        for cut in 0..raw.len() {
            assert!(RawPage::new(raw[..cut].into()).is_none(), "cut at {cut}");
        }
        let mut too_many = raw.clone();
        too_many[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(RawPage::new(too_many.into()).is_none());
        assert!(decompress(&compress(&raw), raw.len() + 1).is_none());
        assert!(decompress(b"garbage", 100).is_none());
    }
}
