//! Regular expressions as Go's programs understand them (RE2), in the syntax of the `regex` crate.
//!
//! In Go `\d`, `\w`, `\s` and `\b` are ASCII, a backslash makes any punctuation literal, a class knows neither nesting nor set
//! operations, and a brace that counts nothing (`{,3}`, `/users/{id}`) is text. What both syntaxes know differs in nothing; what
//! only one of them knows is an error in one of them, and [`translate_strictly`] refuses it in either case. Anchors and sizes
//! are the matter of whoever compiles.

mod strict;

pub use strict::Refused;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const OCTAL: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];
const SPACE: &str = r"\t\n\f\r\x20";

/// The same expression in the syntax of the `regex` crate. What is none in Go's syntax is none in this one either, but for
/// what only this crate knows.
pub fn translate(expression: &str) -> String {
    translate_counting(expression, |_| {})
}

/// The same of what Go takes as well.
///
/// # Errors
/// Go refuses what the crate would take.
pub fn translate_strictly(expression: &str) -> Result<String, Refused> {
    strict::check(expression)?;
    Ok(translate(expression))
}

/// The same, and every repetition's counts (`2`, `2,`, `2,3`) in their order: Go refuses more than 1,000.
pub fn translate_counting<'e>(expression: &'e str, counts: impl FnMut(&'e str)) -> String {
    let mut translation = Translation {
        rest: expression,
        out: String::with_capacity(expression.len()),
        counts,
    };
    while !translation.rest.is_empty() {
        translation.item();
    }
    translation.out
}

struct Translation<'e, F> {
    rest: &'e str,
    out: String,
    counts: F,
}

impl<'e, F: FnMut(&'e str)> Translation<'e, F> {
    fn item(&mut self) {
        match self.next() {
            Some('[') => self.class(),
            Some('{') => self.brace(),
            Some('\\') if self.take("Q") => self.quoted(),
            Some('\\') if self.take("b") => self.out.push_str(r"(?-u:\b)"),
            Some('\\') if self.take("B") => self.out.push_str(r"(?-u:\B)"),
            Some('\\') => drop(self.escape()),
            Some(other) => self.out.push(other),
            None => {}
        }
    }

    /// After `{`: a repetition, or the brace itself.
    fn brace(&mut self) {
        match counts(self.rest) {
            Some(counts) => {
                (self.counts)(counts);
                self.out.push('{');
            }
            None => self.literal('{'),
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
            '0'..='7' if escaped == '0' || self.rest.starts_with(OCTAL) => {
                self.octal(escaped);
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

    /// After a backslash and a digit: up to two more. One other than zero alone would be a backreference, which nobody has.
    fn octal(&mut self, first: char) {
        let more = self.rest.bytes().take(2);
        let length = more
            .take_while(|digit| (b'0'..=b'7').contains(digit))
            .count();
        let (digits, rest) = self.rest.split_at(length);
        let number = u32::from_str_radix(&format!("{first}{digits}"), 8);
        self.out.push_str(&format!(
            r"\x{{{:x}}}",
            number.expect("three octal digits are a number")
        ));
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
fn counts(rest: &str) -> Option<&str> {
    let (counts, _) = rest.split_once('}')?;
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(counts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use regex::bytes::Regex;

    use super::*;

    fn check(expression: &str, matching: &[&str], other: &[&str]) {
        let pattern = Regex::new(&translate(expression)).unwrap();
        for text in matching {
            assert!(
                pattern.is_match(text.as_bytes()),
                "{expression} should match {text:?}; translated: {}",
                translate(expression)
            );
        }
        for text in other {
            assert!(
                !pattern.is_match(text.as_bytes()),
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
    fn octal_digits_are_a_character() {
        check(r"^\101\60a\0$", &["A0a\0"], &[]);
        check(r"^[\101-\103]\1411$", &["Ba1"], &["Da1"]);
        assert!(Regex::new(&translate(r"(a)\1")).is_err());
        assert!(Regex::new(&translate(r"a\8")).is_err());
    }

    #[test]
    fn what_cannot_be_compiled_is_an_error() {
        for expression in ["(", "[a", "[]", r"\", r"\p{Nope}", "a{100000}{100000}"] {
            assert!(Regex::new(&translate(expression)).is_err(), "{expression}");
        }
    }

    #[test]
    fn counts_are_told_in_their_order() {
        let mut counts = Vec::new();
        translate_counting(r"a{2}[{3}]b{1001,}\{4}\Q{5}\Ec{,6}d{7,8}", |found| {
            counts.push(found)
        });
        assert_eq!(counts, ["2", "1001,", "7,8"]);
    }
}
