//! Regular expressions: from the dialect of Prometheus (RE2) to that of the `regex` crate, anchored at both ends.
//!
//! What differs: `\d`, `\w`, `\s` and `\b` mean ASCII there; a set may hold `[`, `&&` and the like as they are; a brace
//! that counts nothing is itself; `\Q…\E` quotes.

use std::iter::Peekable;
use std::str::Chars;

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

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out, false),
            '[' => set(&mut chars, &mut out),
            '{' if !counts(chars.clone())? => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Whether what follows a brace is a repetition: `2}`, `2,}` or `2,3}`.
fn counts(chars: Peekable<Chars<'_>>) -> Result<bool, String> {
    let ahead: String = chars.take(16).collect();
    let Some((inside, _)) = ahead.split_once('}') else {
        return Ok(false);
    };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if from.is_empty() || !digits(from) || !digits(to) {
        return Ok(false);
    }
    let too_many = |text: &str| {
        text.parse::<u32>()
            .map_or(!text.is_empty(), |count| count > REPEATS_MAX)
    };
    if too_many(from) || too_many(to) {
        return Err(format!("invalid repeat count: `{{{inside}}}`"));
    }
    Ok(true)
}

/// What follows a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String, in_set: bool) {
    let Some(c) = chars.next() else {
        out.push('\\');
        return;
    };
    let ascii = match c {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\f\\r ",
        'D' => "^0-9",
        'W' => "^0-9A-Za-z_",
        'S' => "^\\t\\n\\f\\r ",
        'b' if !in_set => return out.push_str("(?-u:\\b)"),
        'B' if !in_set => return out.push_str("(?-u:\\B)"),
        'Q' if !in_set => return quoted(chars, out),
        _ => {
            out.push('\\');
            out.push(c);
            return;
        }
    };
    if in_set && !ascii.starts_with('^') {
        out.push_str(ascii);
    } else {
        out.push('[');
        out.push_str(ascii);
        out.push(']');
    }
}

/// Text up to `\E`, taken as it is.
fn quoted(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            break;
        }
        text.push(c);
    }
    out.push_str(&regex::escape(&text));
}

/// A set, after its opening bracket.
fn set(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // A bracket that closes nothing yet is a member.
    if chars.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(c) = chars.next() {
        match c {
            ']' => {
                out.push(']');
                return;
            }
            '\\' => escape(chars, out, true),
            '[' if chars.peek() == Some(&':') => named_class(chars, out),
            '[' => out.push_str("\\["),
            '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if chars.peek() == Some(&'-') => out.push_str("\\-"),
            _ => out.push(c),
        }
    }
}

/// `[:alpha:]` inside a set, after its bracket.
fn named_class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let rest: String = chars.clone().collect();
    let Some(end) = rest.find(":]") else {
        out.push_str("\\[");
        return;
    };
    out.push('[');
    for c in chars.by_ref().take(rest[..end + 2].chars().count()) {
        out.push(c);
    }
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
