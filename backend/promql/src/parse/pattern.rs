//! Regular expressions of matchers and functions: Go's, anchored at both ends, of bounded size.

use regex::{Regex, RegexBuilder};

/// The largest compiled expression. Repetitions of repetitions grow beyond any memory otherwise.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// The highest count of a repetition, as there.
const REPEATS_MAX: u32 = 1000;

/// Compiles an expression that has to match the whole value.
///
/// # Errors
/// When it is no expression, or too large.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^(?s:{})$", translate(pattern)?))
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "expression is too large".to_owned(),
            // The message draws the pattern over several lines; its last line is the reason.
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        })
}

/// In the syntax of the crate, unless it repeats too often.
fn translate(pattern: &str) -> Result<String, String> {
    let mut excess = None;
    let translated = go_regex::translate_counting(pattern, |counts| {
        if excess.is_none() && counts.split(',').any(is_too_many) {
            excess = Some(format!("invalid repeat count: `{{{counts}}}`"));
        }
    });
    excess.map_or(Ok(translated), Err)
}

fn is_too_many(count: &str) -> bool {
    count
        .parse::<u32>()
        .map_or(!count.is_empty(), |count| count > REPEATS_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(
            compile(pattern).unwrap().is_match(value),
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
    }

    #[test]
    fn classes_are_ascii() {
        check(r"\d+", "12", true);
        check(r"\d+", "१२", false);
        check(r"[\d_]+", "1_2", true);
        check(r"[^\d]+", "ab", true);
        check(r"[\D]+", "ab", true);
        check(r"[\D]+", "a1", false);
        check(r"\w+", "é", false);
        check(r"[[:alpha:]]+", "ab", true);
    }

    #[test]
    fn what_is_literal_there_is_literal_here() {
        check("a{b}", "a{b}", true);
        check("a{2}", "aa", true);
        check("a{2,}", "aaa", true);
        check("a{2", "a{2", true);
        check("a{,2}", "a{,2}", true);
        check("[[a&&]+", "[a&", true);
        check("[]a]+", "]a", true);
        check(r"\Qa.b\Ec", "a.bc", true);
        check(r"\Qa.b\Ec", "axbc", false);
    }

    #[test]
    fn a_bad_or_huge_expression_is_refused() {
        assert!(compile("(").is_err());
        assert!(compile("((a{100}){100}){100}").is_err());
        assert!(compile("a{1000}").is_ok());
        assert!(compile("a{1001}").is_err());
    }
}
