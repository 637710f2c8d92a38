//! The terms under which a record is found: hashes of what its spans carry, and of what a query asks for.
//!
//! A term says nothing about where an attribute stood: scopes are told apart when a candidate is evaluated. Numbers are
//! compared as doubles, as TraceQL does. The byte strings that are hashed are part of the format.

use traceql::model::{AttributeValue, Value};
use traceql::{Candidates, Condition};

/// A record with more distinct terms is found by [`CROWDED`] alone, which every search asks for: the filters of a block
/// stay small, and nothing is missed.
pub(crate) const TERMS_MAX: usize = 16_384;

/// What comes first in the hashed bytes.
const CROWDED: u8 = b'*';
const KEY: u8 = b'k';
const ATTRIBUTE: u8 = b'a';
const NAME: u8 = b'n';
const KIND: u8 = b'i';
const STATUS: u8 = b's';
const DURATION: u8 = b'd';

/// Terms of one record in the making.
#[derive(Default)]
pub(crate) struct Terms {
    hashes: Vec<u64>,
    scratch: Vec<u8>,
}

impl Terms {
    pub(crate) fn clear(&mut self) {
        self.hashes.clear();
    }

    pub(crate) fn span(&mut self, name: &str, kind: i32, status: i32, duration_ns: u64) {
        self.push(NAME, &[name.as_bytes()]);
        self.push(KIND, &[&[known(kind, 5)]]);
        self.push(STATUS, &[&[known(status, 2)]]);
        self.push(DURATION, &[&[zone(duration_ns)]]);
    }

    pub(crate) fn key(&mut self, key: &str) {
        self.push(KEY, &[key.as_bytes()]);
    }

    pub(crate) fn value(&mut self, key: &str, value: Value<'_>) {
        match value {
            Value::String(text) => self.text(key, text),
            Value::Int(number) => self.number(key, number as f64),
            Value::Double(number) => self.number(key, number),
            Value::Bool(flag) => self.flag(key, flag),
        }
    }

    /// An array is found by its elements, of which nothing is asked.
    fn asked(&mut self, key: &str, value: &AttributeValue) {
        match value {
            AttributeValue::String(text) => self.text(key, text),
            AttributeValue::Int(number) => self.number(key, *number as f64),
            AttributeValue::Double(number) => self.number(key, *number),
            AttributeValue::Bool(flag) => self.flag(key, *flag),
            AttributeValue::Array(_) => self.key(key),
        }
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.push(ATTRIBUTE, &[key.as_bytes(), b"\0s", text.as_bytes()]);
    }

    pub(crate) fn number(&mut self, key: &str, number: f64) {
        // Minus zero equals zero.
        let number = if number == 0.0 { 0.0 } else { number };
        self.push(ATTRIBUTE, &[key.as_bytes(), b"\0n", &number.to_le_bytes()]);
    }

    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.push(ATTRIBUTE, &[key.as_bytes(), b"\0b", &[flag.into()]]);
    }

    /// Each once, ascending.
    pub(crate) fn sort(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        if self.hashes.len() > TERMS_MAX {
            self.hashes.clear();
            self.push(CROWDED, &[]);
        }
    }

    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn push(&mut self, what: u8, parts: &[&[u8]]) {
        self.scratch.clear();
        self.scratch.push(what);
        for part in parts {
            self.scratch.extend_from_slice(part);
        }
        self.hashes.push(blocks::hash(&self.scratch));
    }
}

/// What a scan asks for: of each conjunction each condition, any of its terms.
pub(crate) fn conjunctions(candidates: &Candidates) -> Vec<Vec<Vec<u64>>> {
    match candidates {
        Candidates::All => Vec::new(),
        Candidates::AnyOf(any_of) => any_of
            .iter()
            .map(|all| all.iter().map(alternatives).collect())
            .collect(),
    }
}

fn alternatives(condition: &Condition) -> Vec<u64> {
    let mut terms = Terms::default();
    terms.push(CROWDED, &[]);
    match condition {
        Condition::HasAttribute(key) => terms.key(key),
        Condition::Attribute { key, any_of } => {
            any_of.iter().for_each(|value| terms.asked(key, value));
        }
        Condition::Name(names) => {
            for name in names {
                terms.push(NAME, &[name.as_bytes()]);
            }
        }
        Condition::Status(statuses) => {
            for status in statuses {
                terms.push(STATUS, &[&[*status as u8]]);
            }
        }
        Condition::Kind(kinds) => {
            for kind in kinds {
                terms.push(KIND, &[&[*kind as u8]]);
            }
        }
        Condition::Duration { min_ns, max_ns } => {
            for zone in zone(*min_ns)..=zone(*max_ns) {
                terms.push(DURATION, &[&[zone]]);
            }
        }
    }
    terms.hashes
}

/// Numbers outside of the enumeration count as 0, as a query sees them.
fn known(number: i32, max: u8) -> u8 {
    u8::try_from(number)
        .ok()
        .filter(|number| *number <= max)
        .unwrap_or(0)
}

/// 0 for 0 ns, otherwise one more than the position of the highest bit.
fn zone(duration_ns: u64) -> u8 {
    (u64::BITS - duration_ns.leading_zeros()) as u8
}
