//! What metrics say about themselves: type, help, unit. In memory only; each scrape says it again.

use std::collections::BTreeMap;

/// Metrics that have metadata.
pub const METADATA_METRICS_MAX: usize = 50_000;
/// Different texts of one metric: targets of different versions may disagree. The oldest goes.
pub const METADATA_PER_METRIC_MAX: usize = 4;
/// Longest help; the rest is cut off.
pub const METADATA_HELP_BYTES_MAX: usize = 1024;
/// Longest name of a type or unit; the rest is cut off.
pub const METADATA_WORD_BYTES_MAX: usize = 128;

/// Of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram` and so on.
    pub kind: Box<str>,
    pub help: Box<str>,
    pub unit: Box<str>,
}

#[derive(Default)]
pub(crate) struct MetadataStore(BTreeMap<Box<str>, Vec<Metadata>>);

impl MetadataStore {
    /// Nothing when there are too many metrics.
    pub(crate) fn set(&mut self, metric: &str, metadata: Metadata) {
        let metadata = Metadata {
            kind: cut(metadata.kind, METADATA_WORD_BYTES_MAX),
            help: cut(metadata.help, METADATA_HELP_BYTES_MAX),
            unit: cut(metadata.unit, METADATA_WORD_BYTES_MAX),
        };
        let count = self.0.len();
        let Some(known) = self.0.get_mut(metric) else {
            if count < METADATA_METRICS_MAX {
                self.0.insert(metric.into(), vec![metadata]);
            }
            return;
        };
        if known.contains(&metadata) {
            return;
        }
        if known.len() >= METADATA_PER_METRIC_MAX {
            known.remove(0);
        }
        known.push(metadata);
    }

    pub(crate) fn all(&self) -> Vec<(Box<str>, Vec<Metadata>)> {
        let pairs = self.0.iter();
        pairs
            .map(|(metric, known)| (metric.clone(), known.clone()))
            .collect()
    }
}

fn cut(text: Box<str>, bytes_max: usize) -> Box<str> {
    match text.len() > bytes_max {
        true => text[..text.floor_char_boundary(bytes_max)].into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn help(text: &str) -> Metadata {
        Metadata {
            kind: "counter".into(),
            help: text.into(),
            unit: "".into(),
        }
    }

    #[test]
    fn a_metric_has_each_text_once_and_the_newest_ones() {
        let mut store = MetadataStore::default();
        for text in ["1", "1", "2", "3", "2", "4", "5"] {
            store.set("m", help(text));
        }
        let expected = ["2", "3", "4", "5"].map(help).to_vec();
        assert_eq!(store.all(), [("m".into(), expected)]);
    }

    #[test]
    fn texts_and_metrics_are_bounded() {
        let mut store = MetadataStore::default();
        store.set("0", help(&"é".repeat(1000)));
        assert_eq!(store.all()[0].1[0].help.len(), METADATA_HELP_BYTES_MAX);
        for number in 0..METADATA_METRICS_MAX + 10 {
            store.set(&number.to_string(), help(""));
        }
        assert_eq!(store.all().len(), METADATA_METRICS_MAX);
    }
}
