//! Turns a joined trace back into OTLP protobuf: what went in comes out, except for what a limit cut and for fields that
//! OTLP did not have when the record was written.

use crate::joined::JoinedTrace;
use crate::record::{Attributes, Damaged, Entry, Event, Link, Record, Row, Stored};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// `TracesData` (the same bytes are an `ExportTraceServiceRequest`). Spans stand in the order of the records, under one
/// `ResourceSpans` per resource of each record.
pub(crate) fn traces_data(trace: &JoinedTrace<'_>) -> Result<Vec<u8>, Damaged> {
    let mut rows: Vec<(usize, u32, &Row<'_>)> = Vec::new();
    for (record, row) in trace.rows() {
        rows.push((
            record,
            trace.records()[record].scope(row.scope)?.resource,
            row,
        ));
    }
    rows.sort_by_key(|(record, resource, row)| (*record, *resource, row.scope));
    let mut out = Message::default();
    for same_resource in rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (record, resource, _) = same_resource[0];
        let record = &trace.records()[record];
        out.message(1, &resource_spans(record, resource, same_resource)?);
    }
    Ok(out.0)
}

fn resource_spans(
    record: &Record<'_>,
    resource: u32,
    rows: &[(usize, u32, &Row<'_>)],
) -> Result<Message, Damaged> {
    let stored = record.resource(resource)?;
    let mut message = Message::default();
    message.attributes(1, stored.attributes)?;
    message.number(2, u64::from(stored.attributes_dropped));
    let mut out = Message::default();
    out.message(1, &message);
    for same_scope in rows.chunk_by(|a, b| a.2.scope == b.2.scope) {
        out.message(2, &scope_spans(record, same_scope)?);
    }
    out.text(3, stored.schema_url);
    Ok(out)
}

fn scope_spans(record: &Record<'_>, rows: &[(usize, u32, &Row<'_>)]) -> Result<Message, Damaged> {
    let stored = record.scope(rows[0].2.scope)?;
    let mut message = Message::default();
    message.text(1, stored.name);
    message.text(2, stored.version);
    message.attributes(3, stored.attributes)?;
    message.number(4, u64::from(stored.attributes_dropped));
    let mut out = Message::default();
    out.message(1, &message);
    for (_, _, row) in rows {
        out.message(2, &span(record, row)?);
    }
    out.text(3, stored.schema_url);
    Ok(out)
}

fn span(record: &Record<'_>, row: &Row<'_>) -> Result<Message, Damaged> {
    let rest = record.rest(row)?;
    let mut out = Message::default();
    out.bytes(1, &record.trace_id().0);
    out.bytes(2, &row.id.0);
    out.text(3, rest.trace_state);
    if !row.parent.is_zero() {
        out.bytes(4, &row.parent.0);
    }
    out.text(5, row.name);
    out.number(6, row.kind as u64);
    out.fixed64(7, row.start_ns);
    out.fixed64(8, row.end_ns);
    out.attributes(9, record.attributes(row))?;
    out.number(10, u64::from(rest.attributes_dropped));
    out.number(12, u64::from(rest.events_dropped));
    out.number(14, u64::from(rest.links_dropped));
    for entry in rest.entries {
        match entry? {
            Entry::Event(stored) => out.message(11, &event(&stored)?),
            Entry::Link(stored) => out.message(13, &link(&stored)?),
        }
    }
    let mut status = Message::default();
    status.text(2, rest.status_message);
    status.number(3, row.status as u64);
    if !status.0.is_empty() {
        out.message(15, &status);
    }
    out.fixed32(16, rest.flags);
    Ok(out)
}

fn event(stored: &Event<'_>) -> Result<Message, Damaged> {
    let mut out = Message::default();
    out.fixed64(1, stored.time_ns);
    out.text(2, stored.name);
    out.attributes(3, stored.attributes)?;
    out.number(4, u64::from(stored.attributes_dropped));
    Ok(out)
}

fn link(stored: &Link<'_>) -> Result<Message, Damaged> {
    let mut out = Message::default();
    out.bytes(1, stored.trace_id);
    out.bytes(2, stored.span_id);
    out.text(3, stored.trace_state);
    out.attributes(4, stored.attributes)?;
    out.number(5, u64::from(stored.attributes_dropped));
    out.fixed32(6, stored.flags);
    Ok(out)
}

/// A protobuf message in the making. Default values are left out, as the encoding wants it.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, VARINT);
            self.varint(number);
        }
    }

    fn fixed64(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, FIXED64);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        if number != 0 {
            self.tag(field, FIXED32);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.field(field, bytes);
        }
    }

    fn message(&mut self, field: u32, message: &Message) {
        self.field(field, &message.0);
    }

    fn field(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn attributes(&mut self, field: u32, attributes: Attributes<'_>) -> Result<(), Damaged> {
        if !attributes.intact() {
            return Err(Damaged::Section("attributes"));
        }
        for (key, value) in attributes {
            let mut pair = Message::default();
            pair.text(1, key);
            pair.value(value);
            self.message(field, &pair);
        }
        Ok(())
    }

    /// `AnyValue` is a oneof: a value that is a default is written nevertheless.
    fn value(&mut self, value: Stored<'_>) {
        let mut any = Message::default();
        match value {
            Stored::String(text) => any.field(1, text.as_bytes()),
            Stored::Bool(flag) => {
                any.tag(2, VARINT);
                any.varint(u64::from(flag));
            }
            Stored::Int(number) => {
                any.tag(3, VARINT);
                any.varint(number as u64);
            }
            Stored::Double(number) => {
                any.tag(4, FIXED64);
                any.0.extend_from_slice(&number.to_le_bytes());
            }
            Stored::Message(message) => any.0.extend_from_slice(message),
        }
        self.message(2, &any);
    }
}
