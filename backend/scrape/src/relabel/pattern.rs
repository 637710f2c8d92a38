//! Regular expressions of relabelling rules: Go's, anchored at both ends, of bounded size.

use regex::{Captures, Regex, RegexBuilder};

/// The largest compiled expression. Repetitions of repetitions grow beyond any memory otherwise.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// An expression that remembers how it was written.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// It is none, or it is too large.
#[derive(Clone, Debug, thiserror::Error)]
#[error("invalid regular expression: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// # Errors
    /// See [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let translated =
            go_regex::translate_strictly(text).map_err(|error| PatternError(error.to_string()))?;
        let regex = RegexBuilder::new(&format!("^(?s:{translated})$"))
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| PatternError(reason(&error)))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The templates with the groups of a match in them, if the value matches.
    pub(super) fn expand<const N: usize>(
        &self,
        value: &str,
        templates: [&str; N],
    ) -> Option<[String; N]> {
        let captures = self.regex.captures(value)?;
        Some(templates.map(|template| expand(&captures, template)))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn expand(captures: &Captures<'_>, template: &str) -> String {
    let mut out = String::new();
    captures.expand(template, &mut out);
    out
}

/// The message draws the expression over several lines; its last line is the reason.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => {
            let text = other.to_string();
            text.lines().last().unwrap_or_default().trim().to_owned()
        }
    }
}
