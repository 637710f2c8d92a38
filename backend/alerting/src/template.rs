//! Templates of labels and annotations: the part of Go's text templates that alerts use, with Prometheus' functions.
//!
//! Parsed when the file is read, so that what is not supported is an error there; expanded at each evaluation. Not there:
//! `define`, `template`, `block`, `break`, `continue`, and the functions that make HTML.

mod expand;
mod functions;
mod numbers;
mod parse;
mod pattern;

use tsdb::Labels;

use crate::Surroundings;
pub(crate) use functions::url_escape;

/// Longest text that an expansion, and each function in it, may give, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Actions and texts of one expansion: loops in loops over what queries give have an end.
const STEPS_MAX: usize = 100_000;

/// A template and its source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    source: String,
    nodes: Vec<parse::Node>,
}

/// A text that is no template, or one that uses what is not supported.
#[derive(Debug, thiserror::Error)]
#[error("error parsing template: {0}")]
pub struct TemplateError(String);

/// What a template sees.
pub(crate) struct Scope<'s> {
    pub(crate) labels: &'s Labels,
    pub(crate) value: f64,
    pub(crate) t_ms: i64,
    pub(crate) with: &'s Surroundings<'s>,
}

impl Template {
    pub(crate) fn parse(source: &str) -> Result<Self, TemplateError> {
        let nodes = parse::parse(source).map_err(TemplateError)?;
        Ok(Self {
            source: source.to_owned(),
            nodes,
        })
    }

    /// A text without actions.
    pub(crate) fn plain(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            nodes: vec![parse::Node::Text(source.to_owned())],
        }
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The text; an error in it stands in its place, as in Prometheus: an alert is not lost for its words.
    pub(crate) fn expand(&self, scope: &Scope<'_>) -> String {
        expand::expand(&self.nodes, scope).unwrap_or_else(|error| {
            tracing::warn!(
                template = self.source,
                error,
                "a template cannot be expanded"
            );
            format!("<error expanding template: {error}>")
        })
    }
}

fn check_length(text: &str) -> Result<(), String> {
    match text.len() > TEXT_BYTES_MAX {
        true => Err(format!("the text is longer than {TEXT_BYTES_MAX} bytes")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
