//! What the filters of blocks know: hashes of streams, labels and metadata, and what a query can ask for of them.

use logql::Hint;
use tsdb::{Match, Matcher};

/// The kinds are kept apart by a letter that no other begins with.
const LABEL: u8 = b'l';
const METADATA: u8 = b'm';

/// `name=value` of a stream's labels.
pub(crate) fn label(name: &str, value: &str) -> u64 {
    hash(LABEL, name, value)
}

/// `name=value` of a line's structured metadata.
pub(crate) fn metadata(name: &str, value: &str) -> u64 {
    hash(METADATA, name, value)
}

fn hash(kind: u8, name: &str, value: &str) -> u64 {
    let mut bytes = Vec::with_capacity(2 + name.len() + value.len());
    bytes.push(kind);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(value.as_bytes());
    blocks::hash(&bytes)
}

/// What a page must have for a query to find something in it: an AND of ORs. Empty if nothing is known. A value that is no label of
/// any stream is looked for in the metadata alone: filters err for each term.
pub(crate) fn wanted(
    matchers: &[Matcher],
    hints: &[Hint],
    is_label: impl Fn(&str, &str) -> bool,
) -> Vec<Vec<Vec<u64>>> {
    let labels = matchers
        .iter()
        .filter_map(|matcher| match &matcher.matches {
            // An empty value is that of a label that is not there.
            Match::Equal(value) if !value.is_empty() => Some(vec![label(&matcher.name, value)]),
            _ => None,
        });
    let fields = hints.iter().filter_map(|hint| match hint {
        Hint::Field { name, value } if !value.is_empty() => {
            let in_labels = is_label(name, value).then(|| label(name, value));
            let terms = in_labels.into_iter().chain([metadata(name, value)]);
            Some(terms.collect())
        }
        _ => None,
    });
    let all: Vec<Vec<u64>> = labels.chain(fields).collect();
    match all.is_empty() {
        true => Vec::new(),
        false => vec![all],
    }
}
