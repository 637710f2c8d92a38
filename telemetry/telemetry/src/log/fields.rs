//! Fields of events and spans as JSON, in the order and with the values that `tracing-subscriber` gives them.
//!
//! An event's fields are written where they stand. A span's values are written once, when they are recorded, and put
//! together once, by the first event inside: many spans never have one.

use std::fmt::Debug;
use std::ops::Range;

use tracing::field::{Field, Visit};

use super::json;

/// Key under which a span's object carries the span's name, after its fields.
const NAME: &str = "name";

/// Room for a field's value: most are shorter.
const VALUE_BYTES: usize = 24;

/// Values beyond which replaced ones are forgotten. A span has at most 32 fields.
const VALUES_MAX: usize = 64;

/// Writes an event's fields as the members of an object, in the order of their declaration.
pub(super) struct EventFields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// A span's object, `{"field":value,…,"name":"span"}`, fields in the order of their names. Of several values with one
/// name, the last one counts.
#[derive(Debug)]
pub(super) struct SpanFields {
    span: &'static str,
    /// Values as JSON, one after the other, in the order they came.
    bytes: Vec<u8>,
    values: Vec<Value>,
    /// The object, or empty when it is to be made again.
    json: Vec<u8>,
}

/// Where in [`SpanFields::bytes`] a field's value is.
#[derive(Debug)]
struct Value {
    name: &'static str,
    at: Range<usize>,
}

impl<'a> EventFields<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn key(&mut self, field: &Field) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json::string(self.out, field.name());
        self.out.push(b':');
        self.out
    }
}

impl Visit for EventFields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        json::boolean(self.key(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        json::unsigned(self.key(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        json::signed(self.key(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        json::float(self.key(field), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        json::string(self.key(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        json::debug(self.key(field), value);
    }
}

impl SpanFields {
    pub(super) fn new(span: &'static str, fields: usize) -> Self {
        Self {
            span,
            bytes: Vec::with_capacity(fields * VALUE_BYTES),
            values: Vec::with_capacity(fields),
            json: Vec::new(),
        }
    }

    /// The object, ready to be put into a line.
    pub(super) fn json(&mut self) -> &[u8] {
        if self.json.is_empty() {
            self.render();
        }
        &self.json
    }

    /// Adds what `other` recorded later.
    pub(super) fn add(&mut self, other: &Self) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        let moved = |value: &Value| Value {
            name: value.name,
            at: value.at.start + offset..value.at.end + offset,
        };
        self.values.extend(other.values.iter().map(moved));
        self.json.clear();
        if self.values.len() > VALUES_MAX {
            self.forget_replaced();
        }
    }

    fn render(&mut self) {
        self.sort();
        let mut json = Vec::with_capacity(self.bytes.len() + self.span.len() + 64);
        json.push(b'{');
        for value in last_of_each_name(&self.values) {
            json::string(&mut json, value.name);
            json.push(b':');
            json.extend_from_slice(&self.bytes[value.at.clone()]);
            json.push(b',');
        }
        json::string(&mut json, NAME);
        json.push(b':');
        json::string(&mut json, self.span);
        json.push(b'}');
        self.json = json;
    }

    /// A span that is recorded to in a loop must not grow.
    fn forget_replaced(&mut self) {
        self.sort();
        let mut kept = Self::new(self.span, self.values.len());
        for value in last_of_each_name(&self.values) {
            let bytes = &self.bytes[value.at.clone()];
            kept.value(value.name, |out| out.extend_from_slice(bytes));
        }
        *self = kept;
    }

    /// By name, and stably: of equal names, the latest stays last.
    fn sort(&mut self) {
        self.values.sort_by_key(|value| value.name);
    }

    fn value(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let at = start..self.bytes.len();
        self.values.push(Value { name, at });
    }
}

impl Visit for SpanFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), |out| json::boolean(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field.name(), |out| json::unsigned(out, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field.name(), |out| json::signed(out, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field.name(), |out| json::float(out, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field.name(), |out| json::string(out, value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.value(field.name(), |out| json::bytes(out, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.value(field.name(), |out| json::debug(out, value));
    }
}

/// The values that count, of values in the order of their names.
fn last_of_each_name(values: &[Value]) -> impl Iterator<Item = &Value> {
    let groups = values.chunk_by(|left, right| left.name == right.name);
    groups.filter_map(<[Value]>::last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &'static str, value: u64) -> SpanFields {
        let mut fields = SpanFields::new("span", 1);
        fields.value(name, |out| json::unsigned(out, value));
        fields
    }

    #[test]
    fn a_span_that_is_recorded_to_in_a_loop_stays_small() {
        let mut fields = recorded("kept", 1);
        for turn in 0..10_000 {
            fields.add(&recorded("turn", turn));
        }
        assert!(fields.values.len() <= VALUES_MAX && fields.bytes.len() < 1_000);
        assert_eq!(fields.json(), br#"{"kept":1,"turn":9999,"name":"span"}"#);
    }
}
