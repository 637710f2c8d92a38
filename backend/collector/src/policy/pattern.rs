//! Regular expressions of policies: they match anywhere in a text, in Go's syntax, of bytes.

use regex::bytes::Regex;

/// One compiled expression; matches anywhere in a text unless anchored by itself.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn new(expression: &str) -> Result<Self, regex::Error> {
        Regex::new(&go_regex::translate(expression)).map(Self)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}
