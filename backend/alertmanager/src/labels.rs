//! Label sets as Alertmanager has them: fingerprint, text form and order. What selects them is in `matcher`.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// FNV-1a, 64 bits.
const HASH_START: u64 = 14_695_981_039_346_656_037;
const HASH_PRIME: u64 = 1_099_511_628_211;
/// Never part of UTF-8.
const SEPARATOR: u8 = 0xff;

/// Names and values, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

/// What identifies an alert, and a group in its route: the hash of a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

/// Text in double quotes, escaped as Go's `%q` does it: group keys and ids of routes are made of such texts.
pub(crate) struct Quoted<'a>(pub &'a str);

impl Labels {
    /// The value of a label; a label that is not there has an empty one.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        let pairs = self.0.iter().flat_map(|(name, value)| [name, value]);
        let bytes = pairs.flat_map(|text| text.bytes().chain([SEPARATOR]));
        Fingerprint(bytes.fold(HASH_START, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(HASH_PRIME)
        }))
    }

    /// Fewer labels first; then by the first name, in the order of names, whose values differ.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_value = || {
            let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
            let pairs = names
                .into_iter()
                .map(|name| self.0.get(name).cmp(&other.0.get(name)));
            pairs.reduce(Ordering::then).unwrap_or(Ordering::Equal)
        };
        self.0.len().cmp(&other.0.len()).then_with(by_value)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// As its text: 16 hexadecimal digits.
impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16);
        number.map(Self).map_err(D::Error::custom)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\x07' => f.write_str("\\a")?,
                '\x08' => f.write_str("\\b")?,
                '\x0c' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\x0b' => f.write_str("\\v")?,
                '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(character))?,
                other if is_printable(other) => write!(f, "{other}")?,
                '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => write!(f, "\\U{:08x}", u32::from(character))?,
            }
        }
        f.write_str("\"")
    }
}

/// Rust and Go take the same categories of Unicode for printable. Behind another character, because Rust escapes a
/// combining mark that begins a text.
fn is_printable(character: char) -> bool {
    let text = ['a', character].iter().collect::<String>();
    text.escape_debug().count() == 2 || character == '\''
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_text_of_a_set_is_that_of_go() {
        let check = |value: &str, expected: &str| {
            assert_eq!(
                labels(&[("b", "x"), ("a", value)]).to_string(),
                format!("{{a={expected}, b=\"x\"}}")
            );
        };
        check("plain 'x'", r#""plain 'x'""#);
        check("a\"b\\c\n", r#""a\"b\\c\n""#);
        check("\u{1}\u{7f}", r#""\x01\x7f""#);
        check("größe 日本 e\u{301}", "\"größe 日本 e\u{301}\"");
        check("\u{a0}\u{200b}\u{e0001}", r#""\u00a0\u200b\U000e0001""#);
        assert_eq!(Labels::default().to_string(), "{}");
    }

    #[test]
    fn sets_are_ordered_by_size_and_then_by_the_first_difference() {
        let check = |one, other, expected| assert_eq!(labels(one).order(&labels(other)), expected);
        check(&[("z", "1")], &[("a", "1"), ("b", "1")], Ordering::Less);
        check(&[("a", "1")], &[("a", "2")], Ordering::Less);
        check(&[("a", "1")], &[("b", "1")], Ordering::Greater);
        check(&[("a", "1")], &[("a", "1")], Ordering::Equal);
    }

    #[test]
    fn an_empty_set_has_the_fingerprint_of_nothing() {
        assert_eq!(
            Labels::default().fingerprint().to_string(),
            "cbf29ce484222325"
        );
    }
}
