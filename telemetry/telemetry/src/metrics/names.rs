//! What metrics and labels are called on the page: legal characters, bounded lengths, no clash with a name that is
//! taken.
//!
//! A series' labels become text once, when it is registered; both formats write the same bytes. Owns no metric.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metrics::Key;

use super::cells::Kind;

/// Longest metric name in bytes; the rest is cut.
pub(super) const METRIC_NAME_BYTES_MAX: usize = 200;
/// Longest label name in bytes; the rest is cut.
const LABEL_NAME_BYTES_MAX: usize = 128;
/// Longest label value in bytes; the rest is cut, at a character.
pub(super) const LABEL_VALUE_BYTES_MAX: usize = 256;
/// Most labels of one series, beside the global ones; a series with more is counted in its metric's overflow series.
pub(super) const LABELS_PER_SERIES_MAX: usize = 32;

/// The upper bound of a histogram's bucket, a label that both formats own.
pub(super) const LE: &str = "le";
/// What Prometheus itself puts before a scraped label whose name is taken.
const TAKEN_PREFIX: &str = "exported_";
/// Prometheus keeps such label names for itself.
const INTERNAL_PREFIX: &str = "__";
/// Suffix of a counter's samples.
pub(super) const TOTAL: &str = "_total";

/// Labels that stand first on every series.
#[derive(Debug, Default)]
pub(super) struct GlobalLabels {
    names: Vec<String>,
    text: String,
}

impl GlobalLabels {
    pub(super) fn new(labels: &BTreeMap<String, String>, first: &str) -> Self {
        let mut global = Self::default();
        let (leading, others): (Vec<_>, Vec<_>) =
            labels.iter().partition(|(name, _)| *name == first);
        for (name, value) in leading.into_iter().chain(others) {
            write_label(&mut global.text, name, cut(value, LABEL_VALUE_BYTES_MAX));
            global.names.push(name.clone());
        }
        global
    }

    /// The text of these labels and one more.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut text = self.text.clone();
        write_label(&mut text, name, value);
        text
    }

    /// The text of these labels alone.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A series' whole label text: the global labels, then its own in the order of their names. A label without a
    /// value is left out, since Prometheus reads it as absent; of two labels that end up with one name the last
    /// stands. `None`: more labels than [`LABELS_PER_SERIES_MAX`].
    pub(super) fn series(&self, key: &Key, kind: Kind) -> Option<String> {
        if key.labels().len() > LABELS_PER_SERIES_MAX {
            return None;
        }
        let labels: BTreeMap<String, &str> = key
            .labels()
            .map(|label| (self.label_name(label.key(), kind), label.value()))
            .collect();
        let mut text = self.text.clone();
        for (name, value) in &labels {
            write_label(&mut text, name, cut(value, LABEL_VALUE_BYTES_MAX));
        }
        Some(text)
    }

    fn label_name(&self, name: &str, kind: Kind) -> String {
        let name = label_name(name);
        let is_taken = is_reserved(&name)
            || (kind == Kind::Histogram && name == LE)
            || self.names.contains(&name);
        if is_taken {
            return format!("{TAKEN_PREFIX}{name}");
        }
        name
    }
}

/// A label name in legal characters.
pub(super) fn label_name(name: &str) -> String {
    legal(cut(name, LABEL_NAME_BYTES_MAX), |char| {
        char.is_ascii_alphanumeric() || char == '_'
    })
}

/// Whether callers may not set this label on any metric.
pub(super) fn is_reserved(name: &str) -> bool {
    name == conventions::metrics::OVERFLOW || name.starts_with(INTERNAL_PREFIX)
}

/// The name of the family: in legal characters, and of a counter without the `_total` that its samples end in.
pub(super) fn family_name(name: &str, kind: Kind) -> String {
    let mut name = legal(cut(name, METRIC_NAME_BYTES_MAX), |char| {
        char.is_ascii_alphanumeric() || char == '_' || char == ':'
    });
    if kind == Kind::Counter
        && let Some(base) = name.strip_suffix(TOTAL)
        && !base.is_empty()
    {
        name.truncate(base.len());
    }
    name
}

/// Every name that samples of the family may have in one of the formats, so that no other family may have it.
pub(super) fn sample_names(family: &str, kind: Kind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", TOTAL, "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
    };
    suffixes
        .iter()
        .map(|suffix| format!("{family}{suffix}"))
        .collect()
}

/// The longest start of `text` that is at most `bytes_max` long and ends at a character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Appends `name="value"`, after a comma where something precedes it; nothing when the value is empty.
fn write_label(text: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push(',');
    }
    write!(text, "{name}=\"").expect("a String takes every write");
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            char => text.push(char),
        }
    }
    text.push('"');
}

/// Each illegal character becomes an underscore, as does a leading digit; an empty name is one underscore.
fn legal(name: &str, is_legal: impl Fn(char) -> bool) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    name.chars()
        .enumerate()
        .map(|(index, char)| {
            let leads_with_digit = index == 0 && char.is_ascii_digit();
            if is_legal(char) && !leads_with_digit {
                char
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    fn check_series(labels: &[(&'static str, &'static str)], kind: Kind, expected: &str) {
        let global = BTreeMap::from([
            ("region".to_owned(), "eu".to_owned()),
            ("service".to_owned(), "gateway".to_owned()),
        ]);
        let labels: Vec<Label> = labels.iter().map(Label::from).collect();
        let text =
            GlobalLabels::new(&global, "service").series(&Key::from_parts("m", labels), kind);
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn global_labels_come_first_and_the_rest_in_order() {
        check_series(
            &[("b", "2"), ("a", "1")],
            Kind::Counter,
            r#"service="gateway",region="eu",a="1",b="2""#,
        );
    }

    #[test]
    fn a_name_that_is_taken_is_moved_aside() {
        check_series(
            &[
                ("service", "other"),
                ("otel_metric_overflow", "x"),
                ("__name__", "y"),
                ("le", "5"),
            ],
            Kind::Histogram,
            r#"service="gateway",region="eu",exported___name__="y",exported_le="5",exported_otel_metric_overflow="x",exported_service="other""#,
        );
        check_series(
            &[("le", "5")],
            Kind::Counter,
            r#"service="gateway",region="eu",le="5""#,
        );
    }

    #[test]
    fn empty_values_are_left_out_and_special_characters_escaped() {
        check_series(
            &[("a", ""), ("b", "say \"hi\"\n\\n"), ("c.d", "ü")],
            Kind::Gauge,
            r#"service="gateway",region="eu",b="say \"hi\"\n\\n",c_d="ü""#,
        );
    }

    #[test]
    fn names_become_legal_and_counters_lose_their_suffix() {
        let check = |name, kind, expected: &str| assert_eq!(family_name(name, kind), expected);
        check("http.requests-total", Kind::Counter, "http_requests");
        check("a_total_total", Kind::Counter, "a_total");
        check("_total", Kind::Counter, "_total");
        check("depth_total", Kind::Gauge, "depth_total");
        check("1st:é", Kind::Gauge, "_st:_");
        check("", Kind::Gauge, "_");
        assert_eq!(label_name("a:b"), "a_b");
    }

    #[test]
    fn long_names_and_values_are_cut_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        let name = family_name(&"m".repeat(500), Kind::Gauge);
        assert_eq!(name.len(), METRIC_NAME_BYTES_MAX);
        let key = Key::from_parts("m", vec![Label::new("a", "é".repeat(500))]);
        let text = GlobalLabels::default().series(&key, Kind::Gauge);
        assert_eq!(
            text.map(|text| text.len()),
            Some(LABEL_VALUE_BYTES_MAX + "a=\"\"".len())
        );
    }

    #[test]
    fn too_many_labels_have_no_text() {
        let labels = |count| {
            (0..count)
                .map(|n| Label::new(format!("l{n}"), "v"))
                .collect::<Vec<_>>()
        };
        let text = |count| {
            GlobalLabels::default().series(&Key::from_parts("m", labels(count)), Kind::Gauge)
        };
        assert!(text(LABELS_PER_SERIES_MAX).is_some());
        assert!(text(LABELS_PER_SERIES_MAX + 1).is_none());
    }
}
