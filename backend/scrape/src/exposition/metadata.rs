//! What `# HELP`, `# TYPE` and `# UNIT` have in common: a family's name, quoted or not, and the rest of the line.

use std::borrow::Cow;

use super::{
    Entry, Kind,
    cursor::{Cursor, Fault, quote, text},
    label_block::unescape,
};

/// The name after the keyword and its blank.
pub(super) fn family<'a>(cursor: &mut Cursor<'a>, keyword: &str) -> Result<Cow<'a, str>, Fault> {
    let name = match cursor.quoted()? {
        Some(name) => unescape(text(name)?),
        None => text(cursor.metric_name())?.into(),
    };
    if name.is_empty() {
        return Err(cursor.unexpected(&format!("the name of a metric after {keyword}")));
    }
    Ok(name)
}

pub(super) fn kind<'a>(
    family: Cow<'a, str>,
    written: &[u8],
    known: &[(&str, Kind)],
) -> Result<Entry<'a>, Fault> {
    match known.iter().find(|(name, _)| name.as_bytes() == written) {
        Some((_, kind)) => Ok(Entry::Kind {
            family,
            kind: *kind,
        }),
        None => Err(format!("invalid metric type {}", quote(written)).into()),
    }
}
