//! Regular expressions of templates: Go's, bounded, and compiled once for as many evaluations as use them.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::{Regex, RegexBuilder};

/// A longer expression is refused.
const PATTERN_BYTES_MAX: usize = 4 << 10;
/// The largest compiled expression. Repetitions of repetitions grow beyond any memory otherwise.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Compiled expressions of all templates that are kept; templates with more compile anew.
const PATTERNS_MAX: usize = 64;

/// By text, and why one cannot be used: that takes as long to find out.
static KNOWN: LazyLock<Mutex<HashMap<String, Result<Regex, String>>>> =
    LazyLock::new(Mutex::default);

/// The expression of a text, out of those that are kept if it is there.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "regular expression is longer than {PATTERN_BYTES_MAX} bytes"
        ));
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pattern) = known.get(text) {
        return pattern.clone();
    }
    let pattern = compile(text);
    if known.len() >= PATTERNS_MAX {
        known.clear();
    }
    known.insert(text.to_owned(), pattern.clone());
    pattern
}

/// The text with `replacement` in place of each match, groups of the match in it. No longer than a template's text may be.
pub(super) fn replace_all(
    pattern: &Regex,
    text: &str,
    replacement: &str,
) -> Result<String, String> {
    let (mut out, mut from) = (String::new(), 0);
    for groups in pattern.captures_iter(text) {
        let whole = groups.get_match();
        out.push_str(&text[from..whole.start()]);
        groups.expand(replacement, &mut out);
        super::check_length(&out)?;
        from = whole.end();
    }
    out.push_str(&text[from..]);
    Ok(out)
}

fn compile(text: &str) -> Result<Regex, String> {
    let refused = |reason: &str| format!("error parsing regexp: {reason}");
    let translated =
        go_regex::translate_strictly(text).map_err(|error| refused(&error.to_string()))?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => refused("expression is too large"),
            // The message draws the expression over several lines; its last line is the reason.
            other => {
                let text = other.to_string();
                refused(text.lines().last().unwrap_or_default().trim())
            }
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::TEXT_BYTES_MAX, *};

    #[test]
    fn expressions_are_gos() {
        assert!(pattern(r"^\d+$").unwrap().is_match("12"));
        assert!(!pattern(r"^\d+$").unwrap().is_match("١٢"));
        assert!(pattern(r"a{,2}").unwrap().is_match("a{,2}"));
        for (text, reason) in [
            ("(", "error parsing regexp: error: unclosed group"),
            (
                "a{1001}",
                "error parsing regexp: invalid repeat count: `{1001}`",
            ),
            (
                "((a{100}){100}){100}",
                "error parsing regexp: expression is too large",
            ),
            (
                &"a".repeat(PATTERN_BYTES_MAX + 1),
                "regular expression is longer than 4096 bytes",
            ),
        ] {
            // Twice: what is known to be bad stays bad.
            assert_eq!(pattern(text).unwrap_err(), reason);
            assert_eq!(pattern(text).unwrap_err(), reason);
        }
    }

    #[test]
    fn many_expressions_do_not_fill_the_memory() {
        for n in 0..5 * PATTERNS_MAX {
            assert!(pattern(&format!("^{n}$")).unwrap().is_match(&n.to_string()));
            assert!(KNOWN.lock().unwrap().len() <= PATTERNS_MAX);
        }
    }

    #[test]
    fn a_replacement_names_groups_and_has_an_end() {
        let check = |expression: &str, text: &str, replacement: &str, expected: &str| {
            let replaced = replace_all(&pattern(expression).unwrap(), text, replacement);
            assert_eq!(replaced.unwrap(), expected);
        };
        check("(a)(?P<n>b)", "-ab-ab", "${n}$1", "-ba-ba");
        check("x*", "ab", "-", "-a-b-");
        check("$", "a", "$0!", "a!");
        let long = "a".repeat(TEXT_BYTES_MAX);
        let error = replace_all(&pattern("a").unwrap(), &long, &long).unwrap_err();
        assert_eq!(
            error,
            format!("the text is longer than {TEXT_BYTES_MAX} bytes")
        );
    }
}
