//! Series, samples, exemplars and matchers as every query engine sees them, and the one trait that storage answers.
//!
//! Times are Unix milliseconds, values are `f64`, as in Prometheus. No storage here.

use std::{
    fmt,
    ops::{ControlFlow, RangeInclusive},
    sync::Arc,
};

use regex::Regex;

/// Bits of the NaN that says "this series ends here" (Prometheus' staleness marker).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// After each name and value in [`Labels`].
const END: char = '\0';
/// Digits of base 128 that say how long the strings of [`Labels`] are.
const TEXT_SIZE_BYTES: usize = 5;

/// Whether a value is the staleness marker; other NaNs are ordinary values.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A label set: sorted by name, names unique, no empty values. Cheap to clone, one allocation.
///
/// Kept as one text: each name and value followed by a NUL, another NUL, the lengths, and the size of the first part. So
/// comparing texts compares label sets, by name and value from the first (a NUL inside a value sorts as an end does).
/// The empty set is the empty text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<str>);

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub t_ms: i64,
    pub value: f64,
}

/// A series and its samples in time order.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// A sample that names a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub t_ms: i64,
    pub value: f64,
}

/// How one label is compared. A missing label is the empty string; regular expressions match the whole value.
#[derive(Clone, Debug)]
pub enum Match {
    Equal(Box<str>),
    NotEqual(Box<str>),
    Regex(Regex),
    NotRegex(Regex),
}

/// One condition on a label.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: Box<str>,
    pub matches: Match,
}

/// Where a query reads.
pub trait Source: Send + Sync {
    /// All series that satisfy every matcher, with their samples in the range (both ends included), staleness markers
    /// among them. Series without a sample in the range are left out. In label order.
    ///
    /// # Errors
    /// When the samples would exceed `samples_max`, or storage cannot be read.
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError>;

    /// Shows the same series one after the other, for who keeps no samples, until told to stop.
    ///
    /// # Errors
    /// As [`Source::select`]; some series may have been shown before.
    fn visit(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
        each: &mut dyn FnMut(Labels, &[Sample]) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for Series { labels, samples } in self.select(matchers, range_ms, samples_max)? {
            if each(labels, &samples).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the query would load more than {samples_max} samples")]
    TooManySamples { samples_max: usize },
    #[error("cannot read stored samples")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Default for Labels {
    fn default() -> Self {
        Self("".into())
    }
}

impl Labels {
    /// Sorts, drops empty values; the last of several equal names counts.
    pub fn new<N: Into<Box<str>>, V: Into<Box<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut pairs: Vec<(Box<str>, Box<str>)> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.reverse();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs.reverse();
        pairs.retain(|(_, value)| !value.is_empty());
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        Self::from_sorted(&pairs)
    }

    /// From pairs that are what a label set has to be already.
    pub(crate) fn from_sorted(pairs: &[(&str, &str)]) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let strings = || pairs.iter().flat_map(|(name, value)| [*name, *value]);
        let bytes: usize = strings().map(|string| string.len() + 1).sum();
        let mut text = String::with_capacity(bytes + 3 * pairs.len() + TEXT_SIZE_BYTES + 3);
        for string in strings() {
            text.push_str(string);
            text.push(END);
        }
        text.push(END);
        push_number(&mut text, pairs.len());
        strings().for_each(|string| push_number(&mut text, string.len()));
        for shift in (0..TEXT_SIZE_BYTES).rev() {
            text.push(char::from(((bytes >> (7 * shift)) & 0x7f) as u8));
        }
        Self(text.into())
    }

    /// The value, empty when the label is not there.
    pub fn get(&self, name: &str) -> &str {
        self.iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let (text, mut lengths) = self.parts();
        let pairs = number(&mut lengths);
        let mut at = 0;
        (0..pairs).map(move |_| {
            let mut next = || {
                let start = at;
                let end = start + number(&mut lengths);
                at = end + END.len_utf8();
                &text[start..end]
            };
            let name = next();
            (name, next())
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that the set takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The strings, and the numbers after them.
    fn parts(&self) -> (&str, &[u8]) {
        let Some(split) = self.0.len().checked_sub(TEXT_SIZE_BYTES) else {
            return ("", &[]);
        };
        let size = self.0.as_bytes()[split..]
            .iter()
            .fold(0, |size, byte| size << 7 | usize::from(*byte));
        (&self.0[..size], &self.0.as_bytes()[size + 1..split])
    }
}

/// Numbers in a text: six bits a character, the lowest first; the seventh says that more follow.
fn push_number(text: &mut String, mut number: usize) {
    while number >= 1 << 6 {
        text.push(char::from((number & 0x3f | 0x40) as u8));
        number >>= 6;
    }
    text.push(char::from(number as u8));
}

fn number(text: &mut &[u8]) -> usize {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(6) {
        let Some((byte, rest)) = text.split_first() else {
            break;
        };
        *text = rest;
        number |= usize::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            break;
        }
    }
    number
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Matcher {
    /// Whether a label set satisfies it.
    pub fn holds(&self, labels: &Labels) -> bool {
        self.matches.holds(labels.get(&self.name))
    }
}

impl Match {
    /// Whether the value satisfies it.
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => **wanted == *value,
            Self::NotEqual(unwanted) => **unwanted != *value,
            Self::Regex(regex) => regex.is_match(value),
            Self::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn strings() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c]{0,3}",
            "[\\x00\\x01a]{0,3}",
            "\\PC{0,5}",
            "x{60,70}",
            "y{4090,4100}"
        ]
    }

    proptest! {
        #[test]
        fn a_label_set_is_what_was_put_in(
            pairs in prop::collection::vec((strings(), strings()), 0..70),
        ) {
            let labels = Labels::new(pairs.clone());
            let mut expected: BTreeMap<String, String> = pairs.into_iter().collect();
            expected.retain(|_, value| !value.is_empty());
            prop_assert_eq!(labels.iter().len(), expected.len());
            for (name, value) in &expected {
                prop_assert_eq!(labels.get(name), value);
            }
            let pairs: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(pairs, expected.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn label_sets_sort_by_name_and_value(
            a in prop::collection::vec(("[ab]{1,2}", "[ab]{1,2}"), 0..4),
            b in prop::collection::vec(("[ab]{1,2}", "[ab]{1,2}"), 0..4),
        ) {
            let (a, b) = (Labels::new(a), Labels::new(b));
            prop_assert_eq!(a.cmp(&b), a.iter().cmp(b.iter()));
        }
    }

    #[test]
    fn the_same_text_with_other_ends_is_another_set() {
        let one = Labels::new([("a", "b\0c\0d")]);
        let two = Labels::new([("a", "b"), ("c", "d")]);
        assert_ne!(one, two);
        assert_eq!(one.get("a"), "b\0c\0d");
    }
}
