//! The stored form of the spans of one trace that came in one ingest: reading.
//!
//! Laid out for evaluation in place: a table of strings that is checked for UTF-8 once, span rows of fixed width, and
//! behind them details that are decoded as far as they are asked for. Every access is checked, so damaged bytes give an
//! error or a shorter answer, never a panic. Format: `docs/formats/traces.md`. Writing is [`encode`], OTLP is [`export`].

pub(crate) mod encode;
pub(crate) mod export;
mod reader;
#[cfg(test)]
mod tests;

use otlp::{SpanId, TraceId};

pub(crate) use reader::Reader;

/// The first byte of a record.
pub(crate) const VERSION: u8 = 1;
/// Version, trace id, both times, and five counts.
const HEADER_BYTES: usize = 1 + 16 + 2 * 8 + 5 * 4;
const COUNTS_AT: usize = HEADER_BYTES - 5 * 4;
const STRING_BYTES: usize = 4;
const RESOURCE_BYTES: usize = 4;
const SCOPE_BYTES: usize = 8;
const SPAN_BYTES: usize = 52;

// Types of attribute values.
const TYPE_STRING: u8 = 0;
const TYPE_INT: u8 = 1;
const TYPE_DOUBLE: u8 = 2;
const TYPE_FALSE: u8 = 3;
const TYPE_TRUE: u8 = 4;
const TYPE_MESSAGE: u8 = 5;

/// The bytes are not a record. Block checksums let none of these through: it is a defect, or another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("record version {0} is unknown")]
    Version(u8),
    #[error("{0} of the record do not fit")]
    Section(&'static str),
}

/// A record's sections. Copied freely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    trace_id: TraceId,
    pub(crate) time_min_ns: u64,
    pub(crate) time_max_ns: u64,
    /// End of each string in `text`.
    ends: &'a [u8],
    resources: &'a [u8],
    scopes: &'a [u8],
    spans: &'a [u8],
    text: &'a str,
    details: &'a [u8],
}

/// The fixed part of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// As OTLP numbers it; unknown numbers are kept.
    pub(crate) kind: i32,
    pub(crate) status: i32,
    pub(crate) name: &'a str,
    pub(crate) scope: u32,
    details: u32,
}

/// What is in a span besides its row and attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest<'a> {
    pub(crate) trace_state: &'a str,
    pub(crate) status_message: &'a str,
    pub(crate) flags: u32,
    pub(crate) attributes_dropped: u32,
    pub(crate) events_dropped: u32,
    pub(crate) links_dropped: u32,
    pub(crate) entries: Entries<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    pub(crate) schema_url: &'a str,
    pub(crate) attributes_dropped: u32,
    pub(crate) attributes: Attributes<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) resource: u32,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) schema_url: &'a str,
    pub(crate) attributes_dropped: u32,
    pub(crate) attributes: Attributes<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) time_ns: u64,
    pub(crate) name: &'a str,
    pub(crate) attributes_dropped: u32,
    pub(crate) attributes: Attributes<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) trace_state: &'a str,
    pub(crate) flags: u32,
    pub(crate) attributes_dropped: u32,
    pub(crate) attributes: Attributes<'a>,
}

/// An attribute's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stored<'a> {
    String(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// Bytes, arrays, key-value lists and empty values: the OTLP `AnyValue` message as it came.
    Message(&'a [u8]),
}

impl<'a> Record<'a> {
    /// Checks the sections, their indices and the text; details are checked when they are read.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let header = bytes
            .get(..HEADER_BYTES)
            .ok_or(Damaged::Section("header bytes"))?;
        if header[0] != VERSION {
            return Err(Damaged::Version(header[0]));
        }
        let trace_id =
            TraceId::from_slice(&header[1..17]).ok_or(Damaged::Section("header bytes"))?;
        let count = |index: usize| u32_at(&header[COUNTS_AT..], index) as usize;
        let mut rest = &bytes[HEADER_BYTES..];
        let record = Self {
            trace_id,
            time_min_ns: u64::from_le_bytes(array(header, 17)),
            time_max_ns: u64::from_le_bytes(array(header, 25)),
            ends: take(&mut rest, count(0), STRING_BYTES, "strings")?,
            resources: take(&mut rest, count(1), RESOURCE_BYTES, "resources")?,
            scopes: take(&mut rest, count(2), SCOPE_BYTES, "scopes")?,
            spans: take(&mut rest, count(3), SPAN_BYTES, "spans")?,
            text: std::str::from_utf8(take(&mut rest, count(4), 1, "text bytes")?)
                .map_err(|_| Damaged::Section("text bytes"))?,
            details: rest,
        };
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), Damaged> {
        let mut end_before = 0;
        for index in 0..self.ends.len() / STRING_BYTES {
            let end = u32_at(self.ends, index) as usize;
            if end < end_before || !self.text.is_char_boundary(end) {
                return Err(Damaged::Section("strings"));
            }
            end_before = end;
        }
        let resources = self.resources.len() / RESOURCE_BYTES;
        let in_scopes = (0..self.scopes.len() / SCOPE_BYTES)
            .all(|index| (u32_at(self.scopes, 2 * index) as usize) < resources);
        if !in_scopes {
            return Err(Damaged::Section("scopes"));
        }
        let scopes = self.scopes.len() / SCOPE_BYTES;
        let strings = self.ends.len() / STRING_BYTES;
        let in_spans = self.spans.chunks_exact(SPAN_BYTES).all(|row| {
            (u32_at(&row[40..], 0) as usize) < strings && (u32_at(&row[44..], 0) as usize) < scopes
        });
        in_spans.then_some(()).ok_or(Damaged::Section("spans"))
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len() / SPAN_BYTES
    }

    /// The span at `index < len()`.
    pub(crate) fn row(&self, index: usize) -> Row<'a> {
        let row = &self.spans[index * SPAN_BYTES..(index + 1) * SPAN_BYTES];
        Row {
            id: SpanId(array(row, 0)),
            parent: SpanId(array(row, 8)),
            start_ns: u64::from_le_bytes(array(row, 16)),
            end_ns: u64::from_le_bytes(array(row, 24)),
            kind: i32::from_le_bytes(array(row, 32)),
            status: i32::from_le_bytes(array(row, 36)),
            name: self.string(u64::from(u32_at(&row[40..], 0))).unwrap_or(""),
            scope: u32_at(&row[44..], 0),
            details: u32_at(&row[48..], 0),
        }
    }

    pub(crate) fn attributes(&self, row: &Row<'a>) -> Attributes<'a> {
        Attributes::read(*self, &mut self.reader(row.details)).unwrap_or(Attributes::none(*self))
    }

    /// The rest of a span, behind its attributes.
    pub(crate) fn rest(&self, row: &Row<'a>) -> Result<Rest<'a>, Damaged> {
        let mut reader = self.reader(row.details);
        self.rest_at(&mut reader)
            .ok_or(Damaged::Section("span details"))
    }

    fn rest_at(&self, reader: &mut Reader<'a>) -> Option<Rest<'a>> {
        Attributes::read(*self, reader)?;
        Some(Rest {
            trace_state: self.string(reader.varint()?)?,
            status_message: self.string(reader.varint()?)?,
            flags: reader.varint_u32()?,
            attributes_dropped: reader.varint_u32()?,
            events_dropped: reader.varint_u32()?,
            links_dropped: reader.varint_u32()?,
            entries: Entries::read(*self, reader)?,
        })
    }

    pub(crate) fn resource(&self, index: u32) -> Result<Resource<'a>, Damaged> {
        self.resource_at(index)
            .ok_or(Damaged::Section("resource details"))
    }

    /// Of the resource under a scope.
    pub(crate) fn resource_attributes(&self, scope: u32) -> Option<Attributes<'a>> {
        let scope = self.scopes.chunks_exact(SCOPE_BYTES).nth(scope as usize)?;
        let at = self
            .resources
            .chunks_exact(RESOURCE_BYTES)
            .nth(u32_at(scope, 0) as usize)?;
        Attributes::read(*self, &mut self.reader(u32_at(at, 0)))
    }

    fn resource_at(&self, index: u32) -> Option<Resource<'a>> {
        let at = self
            .resources
            .chunks_exact(RESOURCE_BYTES)
            .nth(index as usize)?;
        let mut reader = self.reader(u32_at(at, 0));
        Some(Resource {
            attributes: Attributes::read(*self, &mut reader)?,
            schema_url: self.string(reader.varint()?)?,
            attributes_dropped: reader.varint_u32()?,
        })
    }

    pub(crate) fn scope(&self, index: u32) -> Result<Scope<'a>, Damaged> {
        self.scope_at(index)
            .ok_or(Damaged::Section("scope details"))
    }

    fn scope_at(&self, index: u32) -> Option<Scope<'a>> {
        let at = self.scopes.chunks_exact(SCOPE_BYTES).nth(index as usize)?;
        let mut reader = self.reader(u32_at(at, 1));
        Some(Scope {
            resource: u32_at(at, 0),
            attributes: Attributes::read(*self, &mut reader)?,
            name: self.string(reader.varint()?)?,
            version: self.string(reader.varint()?)?,
            schema_url: self.string(reader.varint()?)?,
            attributes_dropped: reader.varint_u32()?,
        })
    }

    fn reader(&self, at: u32) -> Reader<'a> {
        Reader::new(self.details.get(at as usize..).unwrap_or_default())
    }

    fn string(&self, index: u64) -> Option<&'a str> {
        let index = usize::try_from(index).ok()?;
        let at = index.checked_mul(STRING_BYTES)?;
        let end = u32::from_le_bytes(*self.ends.get(at..)?.first_chunk()?) as usize;
        let start = match index {
            0 => 0,
            _ => u32_at(self.ends, index - 1) as usize,
        };
        self.text.get(start..end)
    }
}

/// The attributes of one thing, in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    record: Record<'a>,
    reader: Reader<'a>,
}

impl<'a> Attributes<'a> {
    fn none(record: Record<'a>) -> Self {
        Self {
            record,
            reader: Reader::new(&[]),
        }
    }

    /// Takes the whole list, that carries its length, from `reader`.
    fn read(record: Record<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            record,
            reader: Reader::new(reader.bytes()?),
        })
    }

    /// An entry, decoded as far as is needed to find out whether its key is `key`.
    pub(crate) fn find(mut self, key: &str) -> Option<Stored<'a>> {
        loop {
            let (found, value) = self.entry()?;
            if found == key {
                return Some(value);
            }
        }
    }

    /// Whether the whole list can be read.
    pub(crate) fn intact(mut self) -> bool {
        while self.entry().is_some() {}
        self.reader.is_empty()
    }

    fn entry(&mut self) -> Option<(&'a str, Stored<'a>)> {
        if self.reader.is_empty() {
            return None;
        }
        let key = self.record.string(self.reader.varint()?)?;
        let value = match self.reader.byte()? {
            TYPE_STRING => Stored::String(self.record.string(self.reader.varint()?)?),
            TYPE_INT => Stored::Int(unzigzag(self.reader.varint()?)),
            TYPE_DOUBLE => Stored::Double(f64::from_le_bytes(self.reader.array()?)),
            TYPE_FALSE => Stored::Bool(false),
            TYPE_TRUE => Stored::Bool(true),
            TYPE_MESSAGE => Stored::Message(self.reader.bytes()?),
            _ => return None,
        };
        Some((key, value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Stored<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.entry()
    }
}

/// One of a span's [`Entries`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    Event(Event<'a>),
    Link(Link<'a>),
}

/// Events, then links of one span, as many as are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    record: Record<'a>,
    events: u32,
    links: u32,
    reader: Reader<'a>,
}

impl<'a> Entries<'a> {
    fn read(record: Record<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            record,
            events: reader.varint_u32()?,
            links: reader.varint_u32()?,
            reader: *reader,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = if self.events > 0 {
            self.events -= 1;
            Event::read(self.record, &mut self.reader).map(Entry::Event)
        } else if self.links > 0 {
            self.links -= 1;
            Link::read(self.record, &mut self.reader).map(Entry::Link)
        } else {
            return None;
        };
        if entry.is_none() {
            (self.events, self.links) = (0, 0);
        }
        Some(entry.ok_or(Damaged::Section("events or links")))
    }
}

impl<'a> Event<'a> {
    fn read(record: Record<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            attributes: Attributes::read(record, reader)?,
            time_ns: reader.varint()?,
            name: record.string(reader.varint()?)?,
            attributes_dropped: reader.varint_u32()?,
        })
    }
}

impl<'a> Link<'a> {
    fn read(record: Record<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            attributes: Attributes::read(record, reader)?,
            trace_id: reader.bytes()?,
            span_id: reader.bytes()?,
            trace_state: record.string(reader.varint()?)?,
            flags: reader.varint_u32()?,
            attributes_dropped: reader.varint_u32()?,
        })
    }
}

fn take<'a>(
    rest: &mut &'a [u8],
    count: usize,
    width: usize,
    what: &'static str,
) -> Result<&'a [u8], Damaged> {
    let bytes = count.checked_mul(width).ok_or(Damaged::Section(what))?;
    let (taken, left) = rest.split_at_checked(bytes).ok_or(Damaged::Section(what))?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    *row[at..].first_chunk().expect("a row has its fixed width")
}

/// The `index`-th number of a section whose length was checked.
fn u32_at(section: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(array(section, 4 * index))
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
