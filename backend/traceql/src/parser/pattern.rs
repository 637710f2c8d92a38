//! The regular expressions of a query: from Go's dialect to that of the `regex` crate, anchored at both ends, of bounded
//! size.
//!
//! What differs: `\d`, `\w`, `\s` and `\b` mean ASCII in Go; a brace that counts nothing is itself (`/users/{id}`); a set
//! may hold `[`, `&&` and the like as they are; `\Q…\E` quotes; `\<` is no word boundary.

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
    let regex = RegexBuilder::new(&format!("^(?s:{})$", translated(&source)))
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

fn translated(mut rest: &str) -> String {
    let mut out = String::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(after, false, &mut out),
            '[' => set(after, &mut out),
            '{' if !is_repetition(after) => {
                out.push_str("\\{");
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// What follows a backslash. Gives the rest.
fn escape<'p>(rest: &'p str, in_set: bool, out: &mut String) -> &'p str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    let (negated, members) = match c {
        'd' => (false, "0-9"),
        'w' => (false, "0-9A-Za-z_"),
        's' => (false, r"\t\n\f\r "),
        'D' => (true, "0-9"),
        'W' => (true, "0-9A-Za-z_"),
        'S' => (true, r"\t\n\f\r "),
        'Q' if !in_set => {
            let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        'b' | 'B' if !in_set => {
            out.push_str(&format!(r"(?-u:\{c})"));
            return after;
        }
        '<' | '>' => {
            out.push(c);
            return after;
        }
        _ => {
            out.extend(['\\', c]);
            return after;
        }
    };
    match (negated, in_set) {
        (false, true) => out.push_str(members),
        (false, false) => out.push_str(&format!("[{members}]")),
        (true, _) => out.push_str(&format!("[^{members}]")),
    }
    after
}

/// A set, after its opening bracket. Gives the rest.
fn set<'p>(mut rest: &'p str, out: &mut String) -> &'p str {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // A bracket that has nothing to close is a member.
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = after;
    }
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            ']' => {
                out.push(']');
                return after;
            }
            '\\' => escape(after, true, out),
            '[' => match named_class(rest) {
                Some((class, after)) => {
                    out.push_str(class);
                    after
                }
                None => {
                    out.push_str(r"\[");
                    after
                }
            },
            '&' | '~' | '-' if after.starts_with(c) => {
                out.extend(['\\', c]);
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    rest
}

/// `[:alpha:]`.
fn named_class(rest: &str) -> Option<(&str, &str)> {
    let end = rest.strip_prefix("[:")?.find(":]")?;
    rest.split_at_checked("[:".len() + end + ":]".len())
}

/// Whether what follows a brace counts: `2}`, `2,}`, `2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !from.is_empty() && digits(from) && digits(to)
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
