//! The regular expressions of a query: Go's, anchored at both ends, of bounded size and number.

use regex::RegexBuilder;

use super::{PATTERNS_MAX, ParseError, invalid};
use crate::{Literal, Pattern};

/// The largest compiled expression. Repetitions of repetitions grow beyond any memory otherwise.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles one more pattern.
pub(super) fn compile(source: String, patterns: &mut usize) -> Result<Pattern, ParseError> {
    if *patterns == PATTERNS_MAX {
        return Err(invalid(format!(
            "more than {PATTERNS_MAX} regular expressions"
        )));
    }
    *patterns += 1;
    let regex = RegexBuilder::new(&format!("^(?s:{})$", go_regex::translate(&source)))
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    match regex {
        Ok(regex) => Ok(Pattern { source, regex }),
        Err(regex::Error::CompiledTooBig(_)) => Err(refused("regex is too large", source)),
        Err(_) => Err(refused("invalid regex", source)),
    }
}

fn refused(what: &str, source: String) -> ParseError {
    invalid(format!("{what}: {}", Literal::String(source)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        let compiled = compile(pattern.to_owned(), &mut 0).unwrap();
        assert_eq!(
            compiled.regex.is_match(value),
            expected,
            "{pattern} on {value}"
        );
    }

    #[test]
    fn the_whole_value_must_match() {
        check("a.c", "abc", true);
        check("a.c", "xabc", false);
        check("a|b", "ab", false);
        check(".*", "two\nlines", true);
        check("", "", true);
        check("", "a", false);
    }

    #[test]
    fn classes_are_ascii() {
        check(r"\d+", "12", true);
        check(r"\d+", "१२", false);
        check(r"[\d_]+", "1_2", true);
        check(r"[\D]+", "ab", true);
        check(r"[^\D]+", "a1", false);
        check(r"\w+", "é", false);
        check(r"\S\s\W", "é \n", true);
        check(r".*\bé", "xé", true);
        check("[[:alpha:]]+", "ab", true);
    }

    #[test]
    fn what_is_literal_in_go_is_literal_here() {
        check("/users/{id}", "/users/{id}", true);
        check("a{2}b{1,}c{0,1}", "aabb", true);
        check("a{,2}", "a{,2}", true);
        check("[[a&&~~]+", "[a&~", true);
        check("[]a]+", "]a", true);
        check("[^]a]", "]", false);
        check(r"\Qa.b\Ec", "a.bc", true);
        check(r"\Qa.b\Ec", "axbc", false);
        check(r"\<a\>", "<a>", true);
    }

    #[test]
    fn a_wrong_or_huge_expression_is_refused() {
        for pattern in [
            "(",
            "[",
            "a\\",
            "*",
            "((a{100}){100}){100}",
            r"\pL{60}",
            r"\y",
        ] {
            assert!(compile(pattern.to_owned(), &mut 0).is_err(), "{pattern}");
        }
    }
}
