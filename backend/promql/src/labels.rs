//! Label sets during evaluation: a stored set plus the decision to leave the metric's name out, taken late because
//! building a set is dear and most are grouped away.

use std::collections::HashMap;

use tsdb::Labels;

use crate::parse::literal::quote;

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";

/// The label that holds the upper bound of a bucket.
pub(crate) const BUCKET: &str = "le";

/// Labels that describe what the metric is: they go when a computation changes that.
const DESCRIPTIVE: [&str; 3] = [NAME, "__type__", "__unit__"];

/// No label name of `DESCRIPTIVE` sorts after it.
const AFTER_DESCRIPTIVE: &str = "__v";

/// Separates names and values in keys. No UTF-8 text contains it.
const SEPARATOR: u8 = 0xff;

/// A label set, with or without the labels that describe the metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metric {
    labels: Labels,
    nameless: bool,
}

impl Metric {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            nameless: false,
        }
    }

    /// Leaves out the labels that describe the metric.
    pub(crate) fn drop_name(&mut self) {
        self.nameless = true;
    }

    /// The value, empty when the label is not there.
    pub(crate) fn get(&self, label: &str) -> &str {
        if self.nameless && DESCRIPTIVE.contains(&label) {
            return "";
        }
        self.labels.get(label)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let nameless = self.nameless;
        self.labels
            .iter()
            .filter(move |(name, _)| !nameless || !DESCRIPTIVE.contains(name))
    }

    /// The name, and whether leaving it out would also leave out another label. All stand among the first labels, so that
    /// this is cheaper than looking for them.
    pub(crate) fn description(&self) -> (&str, bool) {
        let leading = self
            .iter()
            .take_while(|(name, _)| *name < AFTER_DESCRIPTIVE);
        leading.fold(("", false), |(name, more), (label, value)| match label {
            NAME => (value, more),
            _ => (name, more || DESCRIPTIVE.contains(&label)),
        })
    }

    pub(crate) fn to_labels(&self) -> Labels {
        if self.nameless
            && DESCRIPTIVE
                .iter()
                .any(|name| !self.labels.get(name).is_empty())
        {
            return Labels::new(self.iter());
        }
        self.labels.clone()
    }

    /// The labels that `keep` wants.
    pub(crate) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self::new(Labels::new(self.iter().filter(|(name, _)| keep(name))))
    }

    /// With some labels set. An empty value removes the label.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> Self {
        let kept = self
            .iter()
            .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        Self::new(Labels::new(kept.chain(changes.iter().copied())))
    }

    /// Replaces `key` by the bytes of names and values of the labels that `keep` wants.
    pub(crate) fn key_of(&self, keep: impl Fn(&str) -> bool, key: &mut Vec<u8>) {
        key.clear();
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            key.extend_from_slice(name.as_bytes());
            key.push(SEPARATOR);
            key.extend_from_slice(value.as_bytes());
            key.push(SEPARATOR);
        }
    }

    /// Replaces `key` by the bytes of the values of these labels.
    pub(crate) fn key_of_values(&self, labels: &[Box<str>], key: &mut Vec<u8>) {
        key.clear();
        for label in labels {
            key.extend_from_slice(self.get(label).as_bytes());
            key.push(SEPARATOR);
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        format_labels(f, self.iter())
    }
}

/// `{a="b", c="d"}`, the name among them, as Prometheus writes label sets in messages.
pub(crate) fn format_labels<'a>(
    f: &mut impl std::fmt::Write,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> std::fmt::Result {
    f.write_char('{')?;
    for (index, (name, value)) in labels.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{name}={}", quote(value))?;
    }
    f.write_char('}')
}

/// Whether the sets stay distinct when their names are left out, without looking at all labels: they do when all have
/// one name. `see` is shown each name that differs from the one before.
pub(crate) fn distinct_without_names(metrics: &[Metric], mut see: impl FnMut(&str)) -> bool {
    let mut distinct = true;
    let mut before = None;
    for metric in metrics {
        let (name, more) = metric.description();
        if before != Some(name) {
            distinct &= before.is_none();
            before = Some(name);
            see(name);
        }
        distinct &= !more;
    }
    distinct
}

/// Gives equal byte strings one number, from zero up.
#[derive(Default)]
pub(crate) struct Numbering {
    numbers: HashMap<Box<[u8]>, usize>,
    last_key: Vec<u8>,
    last_number: Option<usize>,
}

impl Numbering {
    /// The key's number. A new key gets the next one.
    pub(crate) fn number(&mut self, key: &[u8]) -> usize {
        // Series come sorted, so that neighbours often share a key.
        if let Some(number) = self.last_number.filter(|_| self.last_key == key) {
            return number;
        }
        let next = self.numbers.len();
        let number = match self.numbers.get(key) {
            Some(number) => *number,
            None => {
                self.numbers.insert(key.into(), next);
                next
            }
        };
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.last_number = Some(number);
        number
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}
