//! Reads a filter pattern character by character. Owns position, white space, quoted strings and `%regex%`; knows no grammar.

use super::PatternError;

/// A place in a pattern.
pub(super) struct Cursor<'p> {
    text: &'p str,
    at: usize,
}

impl<'p> Cursor<'p> {
    pub(super) fn new(text: &'p str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let found = self.peek()?;
        self.at += found.len_utf8();
        Some(found)
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Takes this text when it stands here.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Takes this word, in upper case as it is documented or in any other, when it stands here and ends here.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let stands = rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word));
        let ends = stands
            && !rest[word.len()..]
                .chars()
                .next()
                .is_some_and(|next| next.is_alphanumeric() || next == '_');
        if ends {
            self.at += word.len();
        }
        ends
    }

    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'p str {
        let rest = self.rest();
        let end = rest.find(|next: char| !belongs(next)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The inside of a string that opens here with `quote`; a backslash keeps the next character from closing it.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, PatternError> {
        let start = self.at;
        self.next();
        let mut inside = String::new();
        while let Some(next) = self.next() {
            match next {
                '\\' if matches!(self.peek(), Some('\\')) || self.peek() == Some(quote) => {
                    inside.extend(self.next());
                }
                _ if next == quote => return Ok(inside),
                _ => inside.push(next),
            }
        }
        Err(PatternError::term(&self.text[start..]))
    }

    /// The inside of `%regex%`, which opens here.
    pub(super) fn percents(&mut self) -> Result<&'p str, PatternError> {
        let start = self.at;
        self.next();
        let inside_start = self.at;
        while let Some(next) = self.next() {
            match next {
                '\\' => {
                    self.next();
                }
                '%' => return Ok(&self.text[inside_start..self.at - 1]),
                _ => {}
            }
        }
        Err(PatternError::term(&self.text[start..]))
    }

    /// What stands here cannot stand here.
    pub(super) fn unexpected(&self) -> PatternError {
        PatternError::term(self.rest().split_whitespace().next().unwrap_or(""))
    }
}
