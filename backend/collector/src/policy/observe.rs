//! What a span or a resource satisfies: tests of its status and its attributes, one bit each. The hot path: nothing is
//! allocated, and a key is only compared with the few that some policy names.
//!
//! Of several attributes with one key the first one counts, and a value of another type reads as that type's zero: both
//! as in the Collector, so that the same bytes get the same answer.

use otlp::wire::{AnyValue, Attributes, Resource, Span};

use super::{Facts, LEAVES_MAX, TooManyLeaves, pattern::Pattern};

/// Status codes that OTLP knows: unset, ok, error.
const STATUS_CODES: usize = 3;

/// What the value of an attribute must be.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// An integer from `min` to `max`. Any other type reads as 0.
    Int { min: i64, max: i64 },
    /// One of these strings; an empty one never matches.
    OneOf(Vec<String>),
    /// Matched by one of these somewhere. On a span, an empty string and any other type never match; on a resource both
    /// read as the empty string.
    Pattern(Vec<Pattern>),
    /// Exactly this. Any other type reads as `false`.
    Bool(bool),
}

/// All tests of one processor.
#[derive(Clone, Debug, Default)]
pub(super) struct Observer {
    leaves: usize,
    /// Leaves that a span of this status satisfies.
    status: [u64; STATUS_CODES],
    keys: Vec<Key>,
    /// Bit n: some key has n bytes; bit 63: 63 or more.
    lengths: u64,
    /// All leaves of `keys`.
    attributes: u64,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    tests: Vec<(u64, Test)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Resource,
    Span,
}

impl Observer {
    pub(super) fn status(&mut self, codes: &[i32]) -> Result<u64, TooManyLeaves> {
        let leaf = self.leaf()?;
        for code in codes {
            if let Some(status) = status_index(*code).map(|index| &mut self.status[index]) {
                *status |= leaf;
            }
        }
        Ok(leaf)
    }

    pub(super) fn attribute(&mut self, key: String, test: Test) -> Result<u64, TooManyLeaves> {
        let leaf = self.leaf()?;
        self.attributes |= leaf;
        self.lengths |= length_bit(key.as_bytes());
        match self.keys.iter_mut().find(|known| known.name == key) {
            Some(known) => known.tests.push((leaf, test)),
            None => self.keys.push(Key {
                name: key,
                tests: vec![(leaf, test)],
            }),
        }
        Ok(leaf)
    }

    pub(super) fn resource(&self, resource: &Resource<'_>) -> Facts {
        Facts {
            seen: self.attributes(resource.attributes(), 0, Owner::Resource),
            ..Facts::default()
        }
    }

    /// Leaves that `span` satisfies, beside those of `known`, which are not looked for again.
    pub(super) fn span(&self, span: &Span<'_>, known: u64) -> u64 {
        let status = status_index(span.status_code).map_or(0, |index| self.status[index]);
        if known & self.attributes == self.attributes {
            return status;
        }
        status | self.attributes(span.attributes(), known, Owner::Span)
    }

    fn attributes(&self, attributes: Attributes<'_>, known: u64, owner: Owner) -> u64 {
        let mut seen = 0;
        // Keys are at most as many as leaves, so a bit each.
        let mut met = 0_u64;
        for (name, value) in attributes.raw() {
            if length_bit(name) & self.lengths == 0 {
                continue;
            }
            let known_key = |key: &Key| key.name.as_bytes() == name;
            let Some(index) = self.keys.iter().position(known_key) else {
                continue;
            };
            if met >> index & 1 == 1 {
                continue;
            }
            met |= 1 << index;
            let Some(value) = AnyValue::decode(value) else {
                break;
            };
            let fresh = self.keys[index]
                .tests
                .iter()
                .filter(|(leaf, _)| known & leaf == 0);
            seen |= fresh
                .filter(|(_, test)| test.passes(&value, owner))
                .fold(0, |seen, (leaf, _)| seen | leaf);
        }
        seen
    }

    fn leaf(&mut self) -> Result<u64, TooManyLeaves> {
        if self.leaves == LEAVES_MAX {
            return Err(TooManyLeaves);
        }
        self.leaves += 1;
        Ok(1 << (self.leaves - 1))
    }
}

impl Test {
    fn passes(&self, value: &AnyValue<'_>, owner: Owner) -> bool {
        let text = if let AnyValue::String(text) = value {
            text
        } else {
            ""
        };
        match self {
            Self::Int { min, max } => {
                let number = if let AnyValue::Int(number) = value {
                    *number
                } else {
                    0
                };
                (*min..=*max).contains(&number)
            }
            Self::OneOf(texts) => !text.is_empty() && texts.iter().any(|one| one == text),
            Self::Pattern(_) if text.is_empty() && owner == Owner::Span => false,
            Self::Pattern(patterns) => patterns.iter().any(|pattern| pattern.matches(text)),
            Self::Bool(wanted) => matches!(value, AnyValue::Bool(true)) == *wanted,
        }
    }
}

fn status_index(code: i32) -> Option<usize> {
    usize::try_from(code)
        .ok()
        .filter(|index| *index < STATUS_CODES)
}

fn length_bit(key: &[u8]) -> u64 {
    1 << key.len().min(63)
}
