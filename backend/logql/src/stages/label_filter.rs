//! Conditions on labels, evaluated. What is no quantity passes, and says so in the error of the line.

use crate::{
    ast::{CompareOp, LabelFilter},
    labels::{LineLabels, StageError},
    units::{parse_bytes, parse_float, parse_go_duration},
};

impl LabelFilter {
    pub(crate) fn holds(&self, labels: &mut LineLabels) -> bool {
        match self {
            Self::Text { matcher, .. } => matcher.matches.holds(labels.value(&matcher.name)),
            Self::Number { name, op, value } => compare(name, *op, *value, parse_float, labels),
            Self::Duration { name, op, ns } => compare(name, *op, *ns, parse_go_duration, labels),
            Self::Bytes { name, op, bytes } => compare(name, *op, *bytes, parse_bytes, labels),
            Self::Ip {
                name, negated, ip, ..
            } => {
                if labels.has_error() {
                    return true;
                }
                let found = labels.get(name).map(|text| ip.is_in(text));
                found.is_some_and(|found| found != *negated)
            }
            // Both sides, when they are asked, in this order: each may set the error.
            Self::And(left, right) => {
                let left = left.holds(labels);
                right.holds(labels) && left
            }
            Self::Or(left, right) => left.holds(labels) || right.holds(labels),
        }
    }

    /// The labels it looks at.
    pub(crate) fn names(&self, into: &mut Vec<Box<str>>) {
        match self {
            Self::Text { condition, .. } => into.push(condition.name.clone()),
            Self::Number { name, .. }
            | Self::Duration { name, .. }
            | Self::Bytes { name, .. }
            | Self::Ip { name, .. } => into.push(name.clone()),
            Self::And(left, right) | Self::Or(left, right) => {
                left.names(into);
                right.names(into);
            }
        }
    }

    /// The one label it looks at, when parsers may apply it as soon as they find that.
    pub(crate) fn only_name(&self) -> Option<&str> {
        match self {
            Self::Text { condition, .. } => Some(&condition.name),
            Self::Number { name, .. }
            | Self::Duration { name, .. }
            | Self::Bytes { name, .. }
            | Self::Ip { name, .. } => Some(name),
            Self::And(..) | Self::Or(..) => None,
        }
    }
}

fn compare<T: PartialOrd>(
    name: &str,
    op: CompareOp,
    wanted: T,
    parse: fn(&str) -> Result<T, String>,
    labels: &mut LineLabels,
) -> bool {
    let Some(text) = labels.get(name) else {
        return false;
    };
    match parse(text) {
        Ok(value) => op.holds(value, wanted),
        Err(why) => {
            // An earlier error says more.
            if !labels.has_error() {
                labels.set_error(StageError::LabelFilter, Some(&why));
            }
            true
        }
    }
}

/// Whether a label that has just been found passes the filter that the query has for it.
pub(crate) fn passes_at_once(name: &str, labels: &mut LineLabels) -> bool {
    if labels.hints.filters().is_empty() {
        return true;
    }
    let filters = labels.hints.filters().clone();
    let filter = filters.iter().find(|(key, _)| &**key == name);
    filter.is_none_or(|(_, filter)| filter.holds(labels))
}
