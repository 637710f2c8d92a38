//! Regular expressions of matchers and filters: Go's, matching a whole value, of bounded size.

use regex::{Regex, RegexBuilder};

/// The largest compiled expression. Repetitions of repetitions grow beyond any memory otherwise.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// One compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// It is no regular expression, or too large a one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PatternError {
    #[error(transparent)]
    Refused(#[from] go_regex::Refused),
    #[error(transparent)]
    Invalid(#[from] regex::Error),
}

impl Pattern {
    /// # Errors
    /// See [`PatternError`].
    pub fn new(expression: &str) -> Result<Self, PatternError> {
        let translated = go_regex::translate_strictly(expression)?;
        let regex = RegexBuilder::new(&format!("^(?:{translated})$"))
            .size_limit(COMPILED_BYTES_MAX)
            .build()?;
        Ok(Self(regex))
    }

    pub fn matches(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_expression_matches_a_whole_value_in_gos_dialect() {
        let check = |expression, value, expected| {
            let pattern = Pattern::new(expression).unwrap();
            assert_eq!(pattern.matches(value), expected, "{expression} {value}");
        };
        check("a|b", "b", true);
        check("a|b", "ab", false);
        check(r"\d+", "12", true);
        check(r"\d+", "١٢", false);
        check(r"[\w-]+", "a-b", true);
        check(r"[\w-]+", "ä", false);
        check(r"\Bx", "x", false);
        check(r"x\b.*", "x y", true);
        check(r"a\\d", r"a\d", true);
        check("5..", "503", true);
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new("a\\").is_err());
        assert!(Pattern::new("a{1001}").is_err());
        check("{a", "{a", true);
    }
}
