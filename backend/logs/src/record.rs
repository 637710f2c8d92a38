//! One record: lines of one stream that came together, in the order of time. Described in `docs/formats/logs.md`.

use std::ops::Range;

use tsdb::Labels;

use crate::{Error, store::NewEntry};

/// The payload of a record of these lines, which are in the order of time and not empty. `sequence` orders what arrived.
pub(crate) fn encode(labels: &Labels, sequence: u64, entries: &[NewEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, sequence);
    encode_labels(&mut out, labels);
    number(&mut out, entries.len() as u64);
    let mut before_ns = 0;
    for entry in entries {
        number(&mut out, (entry.t_ns - before_ns) as u64);
        before_ns = entry.t_ns;
        text(&mut out, &entry.line);
        number(&mut out, entry.metadata.len() as u64);
        for (name, value) in &entry.metadata {
            text(&mut out, name);
            text(&mut out, value);
        }
    }
    out
}

pub(crate) fn encode_labels(out: &mut Vec<u8>, labels: &Labels) {
    number(out, labels.iter().len() as u64);
    for (name, value) in labels.iter() {
        text(out, name);
        text(out, value);
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// The parts of a record before its lines.
pub(crate) struct Head<'a> {
    pub(crate) sequence: u64,
    /// The bytes that say which labels: equal bytes are equal labels.
    pub(crate) labels: &'a [u8],
    pub(crate) entries: usize,
    /// Where the lines begin in the payload.
    pub(crate) at: usize,
}

/// Where a line is in the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) t_ns: i64,
    pub(crate) line: Range<usize>,
    /// Number of pairs, and where they begin.
    pub(crate) metadata: (usize, usize),
}

/// Reads from a payload.
pub(crate) struct Reader<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8], at: usize) -> Self {
        Self { payload, at }
    }

    pub(crate) fn head(&mut self) -> Result<Head<'a>, Error> {
        let sequence = self.number()?;
        let from = self.at;
        for _ in 0..self.number()? {
            self.range()?;
            self.range()?;
        }
        let labels = &self.payload[from..self.at];
        let entries = self.length()?;
        Ok(Head {
            sequence,
            labels,
            entries,
            at: self.at,
        })
    }

    /// The next line, which is later than one at `before_ns`.
    pub(crate) fn place(&mut self, before_ns: i64) -> Result<Place, Error> {
        let later_ns = i64::try_from(self.number()?).map_err(|_| Error::Damaged)?;
        let t_ns = before_ns.checked_add(later_ns).ok_or(Error::Damaged)?;
        let line = self.range()?;
        let pairs = self.length()?;
        let metadata = (pairs, self.at);
        for _ in 0..pairs {
            self.range()?;
            self.range()?;
        }
        Ok(Place {
            t_ns,
            line,
            metadata,
        })
    }

    pub(crate) fn pair(&mut self) -> Result<(&'a str, &'a str), Error> {
        Ok((self.text()?, self.text()?))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        let range = self.range()?;
        as_text(self.payload, &range)
    }

    /// A number of things that follow: no more than there are bytes.
    fn length(&mut self) -> Result<usize, Error> {
        let length = usize::try_from(self.number()?).map_err(|_| Error::Damaged)?;
        match length <= self.payload.len() - self.at {
            true => Ok(length),
            false => Err(Error::Damaged),
        }
    }

    fn range(&mut self) -> Result<Range<usize>, Error> {
        let length = self.length()?;
        let range = self.at..self.at + length;
        self.at = range.end;
        Ok(range)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.payload.get(self.at).ok_or(Error::Damaged)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Damaged)
    }
}

pub(crate) fn as_text<'a>(payload: &'a [u8], range: &Range<usize>) -> Result<&'a str, Error> {
    std::str::from_utf8(&payload[range.clone()]).map_err(|_| Error::Damaged)
}

/// The labels of a head.
pub(crate) fn labels(bytes: &[u8]) -> Result<Labels, Error> {
    let mut reader = Reader::new(bytes, 0);
    let count = reader.length()?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push(reader.pair()?);
    }
    Ok(Labels::new(pairs))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<NewEntry>> {
        let pair = ("[a-z]{1,3}", "\\PC{0,4}");
        let entry = (
            0..i64::MAX / 2,
            "\\PC{0,20}",
            prop::collection::vec(pair, 0..3),
        );
        prop::collection::vec(entry, 1..8).prop_map(|mut entries| {
            entries.sort_by_key(|entry| entry.0);
            let entry = |(t_ns, line, metadata)| NewEntry {
                t_ns,
                line,
                metadata,
            };
            entries.into_iter().map(entry).collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(entries in entries(), sequence: u64) {
            let stream = Labels::new([("service", "gateway"), ("level", "ERROR")]);
            let payload = encode(&stream, sequence, &entries);
            let mut reader = Reader::new(&payload, 0);
            let head = reader.head().unwrap();
            prop_assert_eq!(head.sequence, sequence);
            prop_assert_eq!(labels(head.labels).unwrap(), stream);
            prop_assert_eq!(head.entries, entries.len());
            let mut before_ns = 0;
            for entry in &entries {
                let place = reader.place(before_ns).unwrap();
                before_ns = place.t_ns;
                prop_assert_eq!(place.t_ns, entry.t_ns);
                prop_assert_eq!(as_text(&payload, &place.line).unwrap(), &entry.line);
                let (count, at) = place.metadata;
                let mut pairs = Reader::new(&payload, at);
                let read: Vec<(String, String)> = (0..count)
                    .map(|_| pairs.pair().unwrap())
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                prop_assert_eq!(&read, &entry.metadata);
            }
        }

        #[test]
        fn bytes_that_are_no_record_are_an_error_and_no_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes, 0);
            if let Ok(head) = reader.head() {
                let _ = labels(head.labels);
                let mut before_ns = 0;
                for _ in 0..head.entries {
                    let Ok(place) = reader.place(before_ns) else { break };
                    before_ns = place.t_ns;
                    let _ = as_text(&bytes, &place.line);
                }
            }
        }
    }
}
