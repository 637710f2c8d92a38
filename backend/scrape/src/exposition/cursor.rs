//! A place in a page and the tokens that both formats are made of. Knows nothing of lines' meaning.

use std::borrow::Cow;

use super::ParseError;

/// Characters of the page in a message.
const QUOTED_CHARS_MAX: usize = 60;

/// What is wrong where the cursor stands.
pub(super) type Fault = Cow<'static, str>;

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    page: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(page: &'a [u8]) -> Self {
        Self { page, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.page.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.page.get(self.at).copied()
    }

    pub(super) fn comes(&self, text: &[u8]) -> bool {
        self.page[self.at..].starts_with(text)
    }

    /// Takes the text if it comes next.
    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        let comes = self.comes(text);
        if comes {
            self.at += text.len();
        }
        comes
    }

    /// Takes bytes as long as they are wanted.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.page[self.at..];
        let length = rest
            .iter()
            .position(|byte| !wanted(*byte))
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Up to the end of the line, which is left.
    pub(super) fn rest_of_line(&mut self) -> &'a [u8] {
        let rest = &self.page[self.at..];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The name of a metric without quotes: empty if none comes.
    pub(super) fn metric_name(&mut self) -> &'a [u8] {
        if self.peek().is_none_or(|byte| byte.is_ascii_digit()) {
            return &[];
        }
        self.take_while(|byte| is_label_byte(byte) || byte == b':')
    }

    /// The name of a label without quotes: empty if none comes.
    pub(super) fn label_name(&mut self) -> &'a [u8] {
        if self.peek().is_none_or(|byte| byte.is_ascii_digit()) {
            return &[];
        }
        self.take_while(is_label_byte)
    }

    /// What stands between quotes, escapes unresolved, if a quote comes.
    pub(super) fn quoted(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        if !self.take(b"\"") {
            return Ok(None);
        }
        let from = self.at;
        loop {
            let rest = &self.page[self.at..];
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = from;
                return Err("a quoted text does not end".into());
            };
            self.at += length;
            if rest[length] == b'"' {
                let text = &self.page[from..self.at];
                self.at += 1;
                return Ok(Some(text));
            }
            if rest.get(length + 1) == Some(&b'\n') {
                return Err("a backslash stands before the end of the line".into());
            }
            // An escape: its second byte cannot end the text.
            self.at = (self.at + 2).min(self.page.len());
        }
    }

    /// Everything since `from` as text.
    pub(super) fn text_since(&self, from: usize) -> Result<&'a str, Fault> {
        text(&self.page[from..self.at])
    }

    /// `expected …` with what stands there instead.
    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        let rest = &self.page[self.at..];
        if rest.is_empty() {
            return format!("expected {expected}, got the end of the page").into();
        }
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.is_empty() {
            return format!("expected {expected}, got the end of the line").into();
        }
        format!("expected {expected}, got {}", quote(line)).into()
    }

    /// The fault with its line.
    pub(super) fn place(&self, fault: Fault) -> ParseError {
        let before = &self.page[..self.at];
        ParseError {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            reason: fault.into_owned(),
        }
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| format!("invalid UTF-8 in {}", quote(bytes)).into())
}

/// For a message: bounded, and of one line.
pub(super) fn quote(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(4 * QUOTED_CHARS_MAX)];
    let text: String = String::from_utf8_lossy(start)
        .chars()
        .take(QUOTED_CHARS_MAX)
        .collect();
    format!("{text:?}")
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
