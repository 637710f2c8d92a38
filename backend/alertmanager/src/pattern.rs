//! Regular expressions of matchers and filters: they match a whole value, and `\d`, `\w`, `\s` and `\b` are ASCII, as in Go.

use regex::Regex;

/// One compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// If it is no regular expression.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        Regex::new(&format!("^(?:{})$", ascii_classes(expression))).map(Self)
    }

    pub fn matches(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
}

/// Everything but the escapes named above stays as it is. Outside of a class and inside of one, a class in brackets means
/// the same.
fn ascii_classes(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[\t\n\f\r\x20]"),
            Some('S') => out.push_str(r"[^\t\n\f\r\x20]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
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
    }
}
