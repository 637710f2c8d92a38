//! Strings: Go's interpreted and raw ones, and the quoted parts of attribute keys, which know two escapes only.

use super::{Lexer, Token};

const NOT_TERMINATED: &str = "literal not terminated";
const BAD_ESCAPE: &str = "invalid char escape";

impl<'q> Lexer<'q> {
    pub(super) fn string(&mut self) -> Result<Token<'q>, String> {
        self.bump();
        // Escapes can give single bytes.
        let mut bytes = Vec::new();
        loop {
            match self.bump() {
                None | Some('\n') => return Err(NOT_TERMINATED.to_owned()),
                Some('"') => break,
                Some('\\') => self.escape(&mut bytes)?,
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(bytes)
            .map(Token::String)
            .map_err(|_| "string is not valid UTF-8".to_owned())
    }

    /// No escapes; carriage returns are dropped.
    pub(super) fn raw_string(&mut self) -> Result<Token<'q>, String> {
        self.bump();
        let end = self.rest().find('`').ok_or(NOT_TERMINATED)?;
        let text = self.take(end).replace('\r', "");
        self.bump();
        Ok(Token::String(text))
    }

    pub(super) fn quoted_key(&mut self) -> Result<String, String> {
        self.bump();
        let mut key = String::new();
        loop {
            match self.bump() {
                None => return Err("unexpected EOF, expecting \"".to_owned()),
                Some('"') => return Ok(key),
                Some('\\') => match self.bump() {
                    Some(c @ ('\\' | '"')) => key.push(c),
                    _ => return Err("invalid escape sequence".to_owned()),
                },
                Some(c) => key.push(c),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let c = self.bump().ok_or(NOT_TERMINATED)?;
        match c {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            '\\' | '"' => bytes.push(c as u8),
            'x' => bytes.push(self.byte(2, 16)?),
            '0'..='7' => {
                self.at -= 1;
                bytes.push(self.byte(3, 8)?);
            }
            'u' => self.code_point(4, bytes)?,
            'U' => self.code_point(8, bytes)?,
            _ => return Err(BAD_ESCAPE.to_owned()),
        }
        Ok(())
    }

    fn byte(&mut self, digits: usize, radix: u32) -> Result<u8, String> {
        let number = self.escaped_number(digits, radix)?;
        u8::try_from(number).map_err(|_| BAD_ESCAPE.to_owned())
    }

    fn code_point(&mut self, digits: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        let c = char::from_u32(self.escaped_number(digits, 16)?).ok_or(BAD_ESCAPE)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// Exactly so many digits, at most eight.
    fn escaped_number(&mut self, digits: usize, radix: u32) -> Result<u32, String> {
        let mut number = 0;
        for _ in 0..digits {
            let digit = self.bump().and_then(|c| c.to_digit(radix));
            number = number * radix + digit.ok_or(BAD_ESCAPE)?;
        }
        Ok(number)
    }
}
