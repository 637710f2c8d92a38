//! Relabelling: rules that rewrite a label set or drop what has it. Pure; which rules are allowed is checked when the
//! configuration is read.

mod pattern;
#[cfg(test)]
mod tests;

use md5::{Digest, Md5};
use tsdb::Labels;

pub use pattern::{Pattern, PatternError};

/// Labels while they are changed. Names are unique; an empty value is no label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(Vec<(Box<str>, Box<str>)>);

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Their values, joined by the separator, are what the rule looks at.
    pub source_labels: Vec<String>,
    pub separator: String,
    pub action: Action,
}

/// What a rule does with the joined values.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Both texts may name groups of the pattern, as in `$1`. An empty result removes the label.
    Replace {
        pattern: Pattern,
        target: String,
        replacement: String,
    },
    Keep(Pattern),
    Drop(Pattern),
    KeepEqual {
        target: String,
    },
    DropEqual {
        target: String,
    },
    HashMod {
        target: String,
        modulus: u64,
    },
    /// Copies labels whose name matches to another name.
    LabelMap {
        pattern: Pattern,
        replacement: String,
    },
    LabelDrop(Pattern),
    LabelKeep(Pattern),
    Lowercase {
        target: String,
    },
    Uppercase {
        target: String,
    },
}

/// Applies the rules in order. Whether what has these labels is kept.
pub fn apply(rules: &[Rule], labels: &mut LabelSet) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    fn apply(&self, labels: &mut LabelSet) -> bool {
        let values: Vec<&str> = self
            .source_labels
            .iter()
            .map(|name| labels.get(name))
            .collect();
        let value = values.join(&self.separator);
        match &self.action {
            Action::Keep(pattern) => return pattern.matches(&value),
            Action::Drop(pattern) => return !pattern.matches(&value),
            Action::KeepEqual { target } => return labels.get(target) == value,
            Action::DropEqual { target } => return labels.get(target) != value,
            Action::Replace {
                pattern,
                target,
                replacement,
            } => {
                let Some(texts) = pattern.expand(&value, [target, replacement]) else {
                    return true;
                };
                let [target, replacement] = texts;
                if !target.is_empty() {
                    labels.set(&target, &replacement);
                }
            }
            Action::HashMod { target, modulus } => {
                labels.set(target, &hash_modulo(&value, *modulus).to_string());
            }
            Action::LabelMap {
                pattern,
                replacement,
            } => labels.map_names(pattern, replacement),
            Action::LabelDrop(pattern) => labels.retain(|name| !pattern.matches(name)),
            Action::LabelKeep(pattern) => labels.retain(|name| pattern.matches(name)),
            Action::Lowercase { target } => labels.set(target, &value.to_lowercase()),
            Action::Uppercase { target } => labels.set(target, &value.to_uppercase()),
        }
        true
    }
}

impl LabelSet {
    /// The value, empty when the label is not there.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| **known == *name);
        found.map_or("", |(_, value)| value)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.retain(|(known, _)| **known != *name);
            return;
        }
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }

    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_empty() {
            self.set(name, value);
        }
    }

    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| wanted(name));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn into_labels(self) -> Labels {
        Labels::new(self.0)
    }

    fn map_names(&mut self, pattern: &Pattern, replacement: &str) {
        let before = self.0.clone();
        for (name, value) in before {
            if let Some([mapped]) = pattern.expand(&name, [replacement]) {
                self.set(&mapped, &value);
            }
        }
    }
}

impl<N: Into<Box<str>>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    /// The first of several equal names counts.
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.set_default(&name.into(), value.as_ref());
        }
        labels
    }
}

/// The last eight bytes of the MD5 sum, as Prometheus has always done it: shards stay where they are.
fn hash_modulo(value: &str, modulus: u64) -> u64 {
    let sum: [u8; 16] = Md5::digest(value).into();
    let [.., a, b, c, d, e, f, g, h] = sum;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) % modulus
}
