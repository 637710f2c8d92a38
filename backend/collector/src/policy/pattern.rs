//! Regular expressions as the Collector understands them: Go's syntax, where `\d`, `\w`, `\s` and `\b` are ASCII, a backslash
//! makes any punctuation literal, a class knows neither nesting nor set operations, and `{,3}` is text.
//!
//! Translated into the syntax of the `regex` crate, whose matching is linear in the text as well. What both know differs in
//! nothing; what only one of them knows is an error in one of them, at its start.

use regex::bytes::Regex;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\f\r\x20";

/// One compiled expression; matches anywhere in a text unless anchored by itself.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn new(expression: &str) -> Result<Self, regex::Error> {
        Regex::new(&translate(expression)).map(Self)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}

fn translate(expression: &str) -> String {
    let mut translation = Translation {
        rest: expression,
        out: String::new(),
    };
    while !translation.rest.is_empty() {
        translation.item();
    }
    translation.out
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
}

impl Translation<'_> {
    fn item(&mut self) {
        match self.next() {
            Some('[') => self.class(),
            Some('{') if !is_repetition(self.rest) => self.literal('{'),
            Some('\\') if self.take("Q") => self.quoted(),
            Some('\\') if self.take("b") => self.out.push_str(r"(?-u:\b)"),
            Some('\\') if self.take("B") => self.out.push_str(r"(?-u:\B)"),
            Some('\\') => drop(self.escape()),
            Some(other) => self.out.push(other),
            None => {}
        }
    }

    /// After `[`.
    fn class(&mut self) {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        if self.take("]") {
            self.literal(']');
        }
        while !self.take("]") {
            if self.rest.is_empty() {
                // Left open, as it is: an error when it is compiled.
                return;
            }
            let single = self.class_item();
            if single && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.rest = &self.rest[1..];
                self.out.push('-');
                self.class_item();
            }
        }
        self.out.push(']');
    }

    /// True if the item is one character, which may begin a range.
    fn class_item(&mut self) -> bool {
        let named = self
            .rest
            .strip_prefix("[:")
            .and_then(|name| name.find(":]"));
        if let Some(length) = named {
            let (name, rest) = self.rest.split_at(length + 4);
            self.out.push_str(name);
            self.rest = rest;
            return false;
        }
        match self.next() {
            Some('\\') => return self.escape(),
            Some(other) => self.literal(other),
            None => {}
        }
        true
    }

    /// After a backslash. True if what it makes is one character.
    fn escape(&mut self) -> bool {
        let Some(escaped) = self.next() else {
            self.out.push('\\');
            return true;
        };
        let (set, negated) = match escaped {
            'd' | 'D' => (DIGIT, escaped == 'D'),
            'w' | 'W' => (WORD, escaped == 'W'),
            's' | 'S' => (SPACE, escaped == 'S'),
            'p' | 'P' | 'x' => {
                self.out.extend(['\\', escaped]);
                self.braces();
                return escaped == 'x';
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => {
                self.literal(other);
                return true;
            }
            other => {
                self.out.extend(['\\', other]);
                return true;
            }
        };
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(set);
        self.out.push(']');
        false
    }

    /// The argument of `\x` or `\p`: in braces, or else of two digits or one letter.
    fn braces(&mut self) {
        let bare = if self.out.ends_with('x') { 2 } else { 1 };
        let length = match self.rest.strip_prefix('{') {
            Some(inner) => inner.find('}').map_or(self.rest.len(), |end| end + 2),
            None => self
                .rest
                .char_indices()
                .nth(bare)
                .map_or(self.rest.len(), |(index, _)| index),
        };
        let (argument, rest) = self.rest.split_at(length);
        self.out.push_str(argument);
        self.rest = rest;
    }

    /// After `\Q`: literal up to `\E` or the end.
    fn quoted(&mut self) {
        let (text, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
        text.chars().for_each(|character| self.literal(character));
        self.rest = rest;
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            self.out
                .push_str(&format!(r"\x{:02x}", u32::from(character)));
        } else {
            self.out.push(character);
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// After `{`: a count, or a range with a lower end.
fn is_repetition(rest: &str) -> bool {
    let Some((counts, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(expression: &str, matching: &[&str], other: &[&str]) {
        let pattern = Pattern::new(expression).unwrap();
        for text in matching {
            assert!(
                pattern.matches(text),
                "{expression} should match {text:?}; translated: {}",
                translate(expression)
            );
        }
        for text in other {
            assert!(
                !pattern.matches(text),
                "{expression} should not match {text:?}; translated: {}",
                translate(expression)
            );
        }
    }

    #[test]
    fn an_expression_matches_anywhere_unless_anchored() {
        check("b+", &["abbc"], &["ac"]);
        check("^b+$", &["bb"], &["abb", "bb\n"]);
    }

    #[test]
    fn letters_digits_and_spaces_are_ascii() {
        check(r"^\d+$", &["12"], &["١٢"]);
        check(r"^\w+$", &["a_1"], &["é"]);
        check(r"^\s$", &[" ", "\t"], &["\u{b}", "\u{a0}"]);
        check(r"^\D\W\S$", &["é\u{b}\u{b}"], &["1aa"]);
        check(r"a\b", &["aé"], &["ab"]);
        check(r"a\B", &["ab"], &["aé"]);
    }

    #[test]
    fn escaped_punctuation_is_literal() {
        check(r"^\<\>\-\/\_$", &["<>-/_"], &["-/_"]);
        check(r"^\Qa.b\E.$", &["a.bc"], &["axbc"]);
    }

    #[test]
    fn a_class_knows_no_nesting_and_no_operators() {
        check("^[[]$", &["["], &["]"]);
        check("^[]a]$", &["]", "a"], &["b"]);
        check("^[^]a]$", &["b"], &["]", "a"]);
        check("^[a&&b]$", &["a", "&", "b"], &["c"]);
        check("^[!--]$", &["!", "+", "-"], &["."]);
        check("^[--/]$", &["-", ".", "/"], &["a"]);
        check("^[a~~b-]$", &["~", "-"], &["c"]);
        check(r"^[\d-z]$", &["5", "-", "z"], &["a"]);
        check("^[[:alpha:]é]$", &["q", "é"], &["1", ":"]);
        check(r"^[^\s\]]$", &["a"], &["]", " "]);
    }

    #[test]
    fn a_brace_that_is_no_repetition_is_text() {
        check("^a{,2}$", &["a{,2}"], &["aa", ""]);
        check("^a{2}b{1,}c{0,1}$", &["aabbc"], &["aab{1,}c"]);
        check(r"^\x{61}\x62\pL\p{Nd}{2}$", &["abq12"], &["abq1"]);
    }

    #[test]
    fn what_cannot_be_compiled_is_an_error() {
        for expression in ["(", "[a", "[]", r"\", r"\p{Nope}", "a{100000}{100000}"] {
            assert!(Pattern::new(expression).is_err(), "{expression}");
        }
    }
}
