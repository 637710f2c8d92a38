//! Writes a record out of the parts of an OTLP request, and collects the terms under which it is found.
//!
//! The parts were checked when the request was walked over. Limits that cut (key and value lengths) are applied and counted
//! here; limits that refuse spans are the caller's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::RangeInclusive;

use otlp::wire::{self, AnyValue, Attributes};
use otlp::{SpanId, TraceId};

use super::{TYPE_DOUBLE, TYPE_FALSE, TYPE_INT, TYPE_MESSAGE, TYPE_STRING, TYPE_TRUE, VERSION};
use crate::any_value;
use crate::terms::Terms;

/// Longer keys and string values of attributes are cut at the last whole character before this. Tempo's default
/// (`max_attribute_bytes`).
pub(crate) const ATTRIBUTE_BYTES_MAX: usize = 2048;
/// Longer strings are stored again each time: looking for an earlier copy would cost more than it saves.
const SHARED_STRING_BYTES_MAX: usize = 256;
/// How an `AnyValue` that is a string begins.
const STRING_TAG: u8 = 1 << 3 | 2;

/// One record in the making; used again and again for its buffers.
#[derive(Default)]
pub(crate) struct Builder {
    strings: Strings,
    resources: Vec<u8>,
    scopes: Vec<u8>,
    rows: Vec<u8>,
    details: Vec<u8>,
    /// Attributes of one thing, before they go to `details`.
    list: Vec<u8>,
    /// Where the copy of a span lies that is kept.
    spans: HashMap<(SpanId, i32), Kept>,
    terms: Terms,
    attributes_truncated: u64,
}

#[derive(Clone, Copy)]
struct Kept {
    row: usize,
    end_ns: u64,
    attributes: u32,
}

impl Builder {
    pub(crate) fn clear(&mut self) {
        self.strings.clear();
        self.resources.clear();
        self.scopes.clear();
        self.rows.clear();
        self.details.clear();
        self.spans.clear();
        self.terms.clear();
        self.attributes_truncated = 0;
    }

    /// Bytes that its buffers hold on to.
    pub(crate) fn capacity(&self) -> usize {
        self.strings.text.capacity() + self.details.capacity() + self.rows.capacity()
    }

    pub(crate) fn attributes_truncated(&self) -> u64 {
        self.attributes_truncated
    }

    /// To be called before [`Self::terms`].
    pub(crate) fn sort_terms(&mut self) {
        self.terms.sort();
    }

    pub(crate) fn terms(&self) -> &[u64] {
        self.terms.hashes()
    }

    /// The scopes that follow belong to this resource.
    pub(crate) fn resource(&mut self, resource: &wire::Resource<'_>) {
        put_u32(&mut self.resources, self.details.len());
        self.put_attributes(resource.attributes());
        put_bytes(&mut self.details, &self.list);
        let schema_url = self.strings.index(&text(resource.schema_url));
        put_varint(&mut self.details, schema_url.into());
        put_varint(&mut self.details, resource.attributes_dropped().into());
    }

    /// The spans that follow belong to this scope.
    pub(crate) fn scope(&mut self, scope: &wire::Scope<'_>) {
        let resource = self.resources.len() / super::RESOURCE_BYTES - 1;
        put_u32(&mut self.scopes, resource);
        put_u32(&mut self.scopes, self.details.len());
        self.put_attributes(scope.attributes());
        put_bytes(&mut self.details, &self.list);
        for bytes in [scope.name(), scope.version(), scope.schema_url] {
            let index = self.strings.index(&text(bytes));
            put_varint(&mut self.details, index.into());
        }
        put_varint(&mut self.details, scope.attributes_dropped().into());
    }

    /// A span of the last scope. A second copy (same id and kind) replaces the first if it ends later or, at the same
    /// end, has more attributes.
    pub(crate) fn span(&mut self, span: &wire::Span<'_>) {
        let id = SpanId::from_slice(span.span_id).unwrap_or(SpanId([0; 8]));
        let Some(row) = self.place(id, span) else {
            return;
        };
        let name = text(span.name);
        let duration_ns = span.end_ns.saturating_sub(span.start_ns);
        self.terms
            .span(&name, span.kind, span.status_code, duration_ns);
        let name = self.strings.index(&name);
        self.put_row(row, id, span, name);
        self.put_details(span);
    }

    /// The record of `trace_id`. The builder can be cleared and used again.
    pub(crate) fn finish(
        &self,
        trace_id: TraceId,
        times_ns: &RangeInclusive<u64>,
        out: &mut Vec<u8>,
    ) {
        out.push(VERSION);
        out.extend_from_slice(&trace_id.0);
        out.extend_from_slice(&times_ns.start().to_le_bytes());
        out.extend_from_slice(&times_ns.end().to_le_bytes());
        for count in [
            self.strings.ends.len() / super::STRING_BYTES,
            self.resources.len() / super::RESOURCE_BYTES,
            self.scopes.len() / super::SCOPE_BYTES,
            self.rows.len() / super::SPAN_BYTES,
            self.strings.text.len(),
        ] {
            put_u32(out, count);
        }
        for section in [
            &self.strings.ends,
            &self.resources,
            &self.scopes,
            &self.rows,
            self.strings.text.as_bytes(),
            &self.details,
        ] {
            out.extend_from_slice(section);
        }
    }

    /// Where the row of a span goes; `None` when a better copy of it is there.
    fn place(&mut self, id: SpanId, span: &wire::Span<'_>) -> Option<usize> {
        let attributes = || span.attributes().raw().count() as u32;
        match self.spans.entry((id, span.kind)) {
            Entry::Vacant(entry) => {
                let row = self.rows.len();
                entry.insert(Kept {
                    row,
                    end_ns: span.end_ns,
                    attributes: attributes(),
                });
                self.rows.resize(row + super::SPAN_BYTES, 0);
                Some(row)
            }
            Entry::Occupied(mut entry) => {
                let kept = entry.get_mut();
                let attributes = attributes();
                if (span.end_ns, attributes) <= (kept.end_ns, kept.attributes) {
                    return None;
                }
                (kept.end_ns, kept.attributes) = (span.end_ns, attributes);
                Some(kept.row)
            }
        }
    }

    fn put_row(&mut self, at: usize, id: SpanId, span: &wire::Span<'_>, name: u32) {
        let scope = (self.scopes.len() / super::SCOPE_BYTES) as u32 - 1;
        let details = self.details.len() as u32;
        let parent = SpanId::from_slice(span.parent_span_id).unwrap_or(SpanId([0; 8]));
        let row = &mut self.rows[at..at + super::SPAN_BYTES];
        row[0..8].copy_from_slice(&id.0);
        row[8..16].copy_from_slice(&parent.0);
        row[16..24].copy_from_slice(&span.start_ns.to_le_bytes());
        row[24..32].copy_from_slice(&span.end_ns.to_le_bytes());
        row[32..36].copy_from_slice(&span.kind.to_le_bytes());
        row[36..40].copy_from_slice(&span.status_code.to_le_bytes());
        row[40..44].copy_from_slice(&name.to_le_bytes());
        row[44..48].copy_from_slice(&scope.to_le_bytes());
        row[48..52].copy_from_slice(&details.to_le_bytes());
    }

    fn put_details(&mut self, span: &wire::Span<'_>) {
        self.put_attributes(span.attributes());
        put_bytes(&mut self.details, &self.list);
        for number in [
            self.strings.index(&text(span.trace_state)),
            self.strings.index(&text(span.status_message)),
            span.flags,
            span.attributes_dropped,
            span.events_dropped,
            span.links_dropped,
            span.events().count() as u32,
            span.links().count() as u32,
        ] {
            put_varint(&mut self.details, number.into());
        }
        span.events().for_each(|event| self.put_event(&event));
        span.links().for_each(|link| self.put_link(&link));
    }

    fn put_event(&mut self, event: &wire::Event<'_>) {
        self.put_attributes(event.attributes());
        put_bytes(&mut self.details, &self.list);
        put_varint(&mut self.details, event.time_ns);
        let name = self.strings.index(&text(event.name));
        put_varint(&mut self.details, name.into());
        put_varint(&mut self.details, event.attributes_dropped.into());
    }

    fn put_link(&mut self, link: &wire::Link<'_>) {
        self.put_attributes(link.attributes());
        put_bytes(&mut self.details, &self.list);
        put_bytes(&mut self.details, link.trace_id);
        put_bytes(&mut self.details, link.span_id);
        let trace_state = self.strings.index(&text(link.trace_state));
        for number in [trace_state, link.flags, link.attributes_dropped] {
            put_varint(&mut self.details, number.into());
        }
    }

    /// Into `list`, whose length precedes it in the details.
    fn put_attributes(&mut self, attributes: Attributes<'_>) {
        self.list.clear();
        for (key, message) in attributes.raw() {
            let key = self.cut(text(key));
            let index = self.strings.index(&key);
            put_varint(&mut self.list, index.into());
            self.terms.key(&key);
            self.put_value(&key, message);
        }
    }

    fn put_value(&mut self, key: &str, message: &[u8]) {
        match AnyValue::decode(message) {
            Some(AnyValue::String(value)) => self.put_text(key, value.into()),
            Some(AnyValue::Bytes(bytes)) if message.first() == Some(&STRING_TAG) => {
                self.put_text(key, String::from_utf8_lossy(bytes));
            }
            Some(AnyValue::Int(number)) => {
                self.terms.number(key, number as f64);
                self.list.push(TYPE_INT);
                put_varint(&mut self.list, zigzag(number));
            }
            Some(AnyValue::Double(number)) => {
                self.terms.number(key, number);
                self.list.push(TYPE_DOUBLE);
                self.list.extend_from_slice(&number.to_le_bytes());
            }
            Some(AnyValue::Bool(flag)) => {
                self.terms.flag(key, flag);
                self.list.push(if flag { TYPE_TRUE } else { TYPE_FALSE });
            }
            _ => {
                any_value::elements(message, &mut |element| {
                    self.terms.value(key, element);
                    false
                });
                self.list.push(TYPE_MESSAGE);
                put_bytes(&mut self.list, message);
            }
        }
    }

    fn put_text(&mut self, key: &str, value: Cow<'_, str>) {
        let value = self.cut(value);
        self.terms.text(key, &value);
        let index = self.strings.index(&value);
        self.list.push(TYPE_STRING);
        put_varint(&mut self.list, index.into());
    }

    fn cut<'a>(&mut self, text: Cow<'a, str>) -> Cow<'a, str> {
        if text.len() <= ATTRIBUTE_BYTES_MAX {
            return text;
        }
        self.attributes_truncated += 1;
        let end = text.floor_char_boundary(ATTRIBUTE_BYTES_MAX);
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(text) => Cow::Owned(text[..end].to_owned()),
        }
    }
}

/// The record's strings, each short one once.
#[derive(Default)]
struct Strings {
    known: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    ends: Vec<u8>,
    text: String,
}

impl Strings {
    fn clear(&mut self) {
        self.known.clear();
        self.ends.clear();
        self.text.clear();
    }

    /// Where `text` stands in the table.
    fn index(&mut self, text: &str) -> u32 {
        if text.len() > SHARED_STRING_BYTES_MAX {
            return self.push(text);
        }
        let hash = blocks::hash(text.as_bytes());
        match self.known.get(&hash) {
            Some(index) if self.at(*index) == text => *index,
            Some(_) => self.push(text),
            None => {
                let index = self.push(text);
                self.known.insert(hash, index);
                index
            }
        }
    }

    fn push(&mut self, text: &str) -> u32 {
        let index = self.ends.len() / super::STRING_BYTES;
        self.text.push_str(text);
        put_u32(&mut self.ends, self.text.len());
        index as u32
    }

    fn at(&self, index: u32) -> &str {
        let start = match index {
            0 => 0,
            _ => super::u32_at(&self.ends, index as usize - 1),
        };
        let end = super::u32_at(&self.ends, index as usize);
        &self.text[start as usize..end as usize]
    }
}

/// For keys that are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = blocks::hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Bytes that are no UTF-8 lose what is not.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A count or an offset: requests are far below 4 GiB.
fn put_u32(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}
