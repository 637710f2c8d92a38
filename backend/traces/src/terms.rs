//! The terms under which a record is found: hashes of what its spans carry, and of what a query asks for.
//!
//! A term says nothing about where an attribute stood: scopes are told apart when a candidate is evaluated. Numbers are
//! compared as doubles, as TraceQL does. The byte strings that are hashed are part of the format.

use traceql::model::{AttributeValue, Value};
use traceql::{Candidates, Condition};

/// Durations of at least this many bits (a millisecond) also say which lengths they have reached: a search for long spans
/// asks for one term instead of one for each length above.
const REACHED_MIN: u8 = 21;

/// What comes first in the hashed bytes.
const KEY: u8 = b'k';
const ATTRIBUTE: u8 = b'a';
const NAME: u8 = b'n';
const KIND: u8 = b'i';
const STATUS: u8 = b's';
const DURATION: u8 = b'd';
const REACHED: u8 = b'D';

/// Terms of one record in the making.
#[derive(Default)]
pub(crate) struct Terms {
    hashes: Vec<u64>,
    /// Bits of the longest duration.
    longest: u8,
    scratch: Vec<u8>,
}

impl Terms {
    pub(crate) fn clear(&mut self) {
        self.hashes.clear();
        self.longest = 0;
    }

    pub(crate) fn span(&mut self, name: &str, kind: i32, status: i32, duration_ns: u64) {
        self.push(NAME, &[name.as_bytes()]);
        self.push(KIND, &[&[known(kind, 5)]]);
        self.push(STATUS, &[&[known(status, 2)]]);
        self.push(DURATION, &[&[zone(duration_ns)]]);
        self.longest = self.longest.max(zone(duration_ns));
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

    /// Completes them: each once, ascending.
    pub(crate) fn sort(&mut self) {
        for bits in REACHED_MIN..=self.longest {
            self.push(REACHED, &[&[bits]]);
        }
        self.hashes.sort_unstable();
        self.hashes.dedup();
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
        Condition::Duration {
            min_ns,
            max_ns: u64::MAX,
        } if zone(*min_ns) >= REACHED_MIN => {
            terms.push(REACHED, &[&[zone(*min_ns)]]);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Whether a span with this duration is among the candidates.
    fn finds(condition: &str, duration_ns: u64) -> bool {
        let query = traceql::parse(&format!("{{ duration {condition} }}")).unwrap();
        let asked = conjunctions(&query.candidates());
        let mut terms = Terms::default();
        terms.span("short", 1, 0, 1);
        terms.span("this", 1, 0, duration_ns);
        terms.sort();
        let has = |any: &Vec<u64>| any.iter().any(|term| terms.hashes().contains(term));
        asked.iter().any(|all| all.iter().all(has))
    }

    #[test]
    fn a_long_span_is_found_by_one_term_and_a_short_one_is_not() {
        for (condition, duration_ns, expected) in [
            ("> 10s", 11_000_000_000, true),
            ("> 10s", u64::MAX, true),
            ("> 10s", 8_000_000_000, false),
            (">= 3ms", 3_000_000, true),
            (">= 3ms", 2_000_000, false),
            ("> 5ns", 6, true),
            ("= 40ms", 40_000_000, true),
            ("= 40ms", 5_000_000_000, false),
        ] {
            assert_eq!(
                finds(condition, duration_ns),
                expected,
                "{condition} {duration_ns}"
            );
        }
        let query = traceql::parse("{ duration > 10s }").unwrap();
        assert_eq!(conjunctions(&query.candidates())[0][0].len(), 1);
    }
}
