//! Text split into tokens. What an order of tokens means is the parser's.
//!
//! The language is that of Prometheus 3: keywords in any case, numbers with `_` and hexadecimal digits, durations as
//! numbers, comments to the end of the line. Modes (inside braces, inside brackets) decide what a character may start.

use super::token::{Keyword, Lexeme, Preset, Token, keyword};
use crate::ast::BinaryOp;

/// Why the text stops being tokens, and where.
#[derive(Clone, Debug)]
pub(crate) struct LexError {
    pub(crate) start: usize,
    pub(crate) message: String,
}

/// All lexemes up to the end or to the first error. The list always closes with `Token::End`.
pub(crate) fn lex(text: &str) -> (Vec<Lexeme>, Option<LexError>) {
    let mut lexer = Lexer {
        text,
        at: 0,
        start: 0,
        lexemes: Vec::with_capacity(text.len() / 3 + 2),
        mode: Mode::Expression,
        paren_depth: 0,
        bracket_open: false,
        got_colon: false,
        got_duration: false,
    };
    let error = lexer.run().err().map(|message| LexError {
        start: lexer.start,
        message,
    });
    lexer.start = lexer.at;
    lexer.emit(Token::End);
    (lexer.lexemes, error)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Expression,
    Braces,
    /// Right after `[`, until the first number.
    Range,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    lexemes: Vec<Lexeme>,
    mode: Mode,
    paren_depth: usize,
    bracket_open: bool,
    /// Inside the brackets that are open.
    got_colon: bool,
    /// Inside any brackets so far.
    got_duration: bool,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            self.skip_space();
            self.start = self.at;
            if self.mode != Mode::Range && self.peek() == Some('#') {
                self.accept_while(|c| c != '\n' && c != '\r');
                continue;
            }
            let Some(c) = self.next() else {
                return self.end();
            };
            match self.mode {
                Mode::Expression => self.expression(c)?,
                Mode::Braces => self.braces(c)?,
                Mode::Range => self.range(c)?,
            }
        }
    }

    fn end(&self) -> Result<(), String> {
        match self.mode {
            Mode::Braces => Err("unexpected end of input inside braces".into()),
            Mode::Range => Err("unexpected end of input in duration expression".into()),
            _ if self.paren_depth > 0 => Err("unclosed left parenthesis".into()),
            _ if self.bracket_open => Err("unclosed left bracket".into()),
            Mode::Expression => Ok(()),
        }
    }

    fn expression(&mut self, c: char) -> Result<(), String> {
        let token = match c {
            ',' => Token::Comma,
            '*' => Token::Operator(BinaryOp::Mul),
            '/' => Token::Operator(BinaryOp::Div),
            '%' => Token::Operator(BinaryOp::Mod),
            '+' => Token::Operator(BinaryOp::Add),
            '-' => Token::Operator(BinaryOp::Sub),
            '^' => Token::Operator(BinaryOp::Pow),
            '@' => Token::At,
            '=' | '!' | '<' | '>' => self.comparison(c)?,
            '"' | '\'' => return self.quoted(c),
            '`' => return self.raw(),
            '(' => return self.open_paren(),
            ')' => return self.close_paren(),
            '{' => {
                self.mode = Mode::Braces;
                Token::LeftBrace
            }
            '[' if self.bracket_open => return Err(format!("unexpected left bracket {c:?}")),
            '[' => {
                self.mode = Mode::Range;
                self.bracket_open = true;
                self.got_colon = false;
                Token::LeftBracket
            }
            ']' if self.bracket_open => {
                self.bracket_open = false;
                Token::RightBracket
            }
            ']' => return Err(format!("unexpected right bracket {c:?}")),
            ':' if self.bracket_open => self.colon("unexpected colon ':'")?,
            _ if is_digit(c) || (c == '.' && self.peek().is_some_and(is_digit)) => {
                return self.number_or_duration();
            }
            _ if is_alpha(c) && self.bracket_open => self.preset().ok_or_else(|| {
                let c = quote_char(c);
                format!("unexpected character: {c}, expected ':'")
            })?,
            _ if is_alpha(c) || c == ':' => return self.word(),
            _ => return Err(format!("unexpected character: {}", quote_char(c))),
        };
        self.emit(token);
        Ok(())
    }

    fn comparison(&mut self, c: char) -> Result<Token, String> {
        let next = self.peek();
        if next == Some('=') {
            self.next();
            return Ok(Token::Operator(match c {
                '=' => BinaryOp::Equal,
                '!' => BinaryOp::NotEqual,
                '<' => BinaryOp::LessOrEqual,
                _ => BinaryOp::GreaterOrEqual,
            }));
        }
        match c {
            '=' if next == Some('~') => Err("unexpected character after '=': '~'".into()),
            '=' => Ok(Token::Equal),
            '!' => Err(format!(
                "unexpected character after '!': {}",
                quote_next(next)
            )),
            // Operators on native histograms: the parser refuses them by name.
            '<' if next == Some('/') => {
                self.next();
                Ok(Token::Operator(BinaryOp::TrimUpper))
            }
            '>' if next == Some('/') => {
                self.next();
                Ok(Token::Operator(BinaryOp::TrimLower))
            }
            '<' => Ok(Token::Operator(BinaryOp::Less)),
            _ => Ok(Token::Operator(BinaryOp::Greater)),
        }
    }

    fn braces(&mut self, c: char) -> Result<(), String> {
        let token = match c {
            ',' => Token::Comma,
            '"' | '\'' => return self.quoted(c),
            '`' => return self.raw(),
            '=' if self.peek() == Some('~') => {
                self.next();
                Token::EqualRegex
            }
            '=' => Token::Equal,
            '!' => match self.next() {
                Some('~') => Token::NotEqualRegex,
                Some('=') => Token::Operator(BinaryOp::NotEqual),
                other => {
                    let other = quote_next(other);
                    return Err(format!(
                        "unexpected character after '!' inside braces: {other}"
                    ));
                }
            },
            '{' => return Err(format!("unexpected left brace {c:?}")),
            '}' => {
                self.mode = Mode::Expression;
                Token::RightBrace
            }
            _ if is_alpha(c) => {
                self.accept_while(is_alphanumeric);
                Token::Identifier
            }
            _ => {
                let c = quote_char(c);
                return Err(format!("unexpected character inside braces: {c}"));
            }
        };
        self.emit(token);
        Ok(())
    }

    fn range(&mut self, c: char) -> Result<(), String> {
        let unexpected = || {
            let c = quote_char(c);
            format!("unexpected character in duration expression: {c}")
        };
        let token = match c {
            ']' => {
                self.mode = Mode::Expression;
                self.bracket_open = false;
                Token::RightBracket
            }
            ':' if !self.got_duration => {
                self.start = self.at;
                return Err("unexpected colon before duration in duration expression".into());
            }
            ':' => self.colon("unexpected repeated colon in duration expression")?,
            '(' => return self.open_paren(),
            ')' => return self.close_paren(),
            '+' => Token::Operator(BinaryOp::Add),
            '-' => Token::Operator(BinaryOp::Sub),
            '*' => Token::Operator(BinaryOp::Mul),
            '/' => Token::Operator(BinaryOp::Div),
            '%' => Token::Operator(BinaryOp::Mod),
            '^' => Token::Operator(BinaryOp::Pow),
            ',' => Token::Comma,
            _ if is_digit(c) || (c == '.' && self.peek().is_some_and(is_digit)) => {
                self.mode = Mode::Expression;
                self.got_duration = true;
                return self.number_or_duration();
            }
            _ if is_alpha(c) => self.preset().ok_or_else(unexpected)?,
            _ => return Err(unexpected()),
        };
        self.emit(token);
        Ok(())
    }

    /// The colon between range and step.
    fn colon(&mut self, when_repeated: &str) -> Result<Token, String> {
        if std::mem::replace(&mut self.got_colon, true) {
            return Err(when_repeated.to_owned());
        }
        Ok(Token::Colon)
    }

    /// A word that may stand in brackets.
    fn preset(&mut self) -> Option<Token> {
        self.accept_while(is_alpha);
        match keyword(&self.text[self.start..self.at].to_ascii_lowercase()) {
            Some(Token::Preset(Preset::Start | Preset::End)) => None,
            token @ Some(Token::Preset(_)) => token,
            _ => None,
        }
    }

    fn open_paren(&mut self) -> Result<(), String> {
        self.paren_depth += 1;
        self.emit(Token::LeftParen);
        Ok(())
    }

    fn close_paren(&mut self) -> Result<(), String> {
        if self.paren_depth == 0 {
            self.start = self.at;
            return Err("unexpected right parenthesis ')'".into());
        }
        self.paren_depth -= 1;
        self.emit(Token::RightParen);
        Ok(())
    }

    fn word(&mut self) -> Result<(), String> {
        self.accept_while(|c| is_alphanumeric(c) || c == ':');
        let word = &self.text[self.start..self.at];
        let token = match keyword(&word.to_ascii_lowercase()) {
            // `fill` is a keyword only before its value, so that a metric may carry the name.
            Some(Token::Keyword(Keyword::Fill)) if !self.followed_by_paren() => Token::Identifier,
            Some(token) => token,
            None if word.contains(':') => Token::MetricIdentifier,
            None => Token::Identifier,
        };
        self.emit(token);
        Ok(())
    }

    fn followed_by_paren(&self) -> bool {
        self.text[self.at..]
            .trim_start_matches(is_space)
            .starts_with('(')
    }

    fn quoted(&mut self, quote: char) -> Result<(), String> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".into()),
                Some('\\') => self.escape(quote)?,
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(Token::Text);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), String> {
        loop {
            match self.next() {
                None => return Err("unterminated raw string".into()),
                Some('`') => break,
                Some(_) => {}
            }
        }
        self.emit(Token::Text);
        Ok(())
    }

    /// Checks one escape sequence, without its backslash. Its value is taken later, from the whole literal.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("escape sequence not terminated".into());
        };
        let (digits, base, value_max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => (3, 8, 255),
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x10_ffff),
            'U' => (8, 16, 0x10_ffff),
            c => return Err(format!("unknown escape sequence {}", unicode_name(c))),
        };
        let mut value = u64::from(c.to_digit(8).filter(|_| base == 8).unwrap_or(0));
        for _ in u32::from(base == 8)..digits {
            let Some(c) = self.next() else {
                return Err("escape sequence not terminated".into());
            };
            let Some(digit) = c.to_digit(base) else {
                let name = unicode_name(c);
                return Err(format!("illegal character {name} in escape sequence"));
            };
            value = value * u64::from(base) + u64::from(digit);
        }
        if value > value_max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }

    fn number_or_duration(&mut self) -> Result<(), String> {
        self.at = self.start;
        if self.scan_number() {
            self.emit(Token::Number);
            return Ok(());
        }
        if self.scan_rest_of_duration() {
            self.emit(Token::Duration);
            return Ok(());
        }
        let bad = &self.text[self.start..self.at];
        Err(format!(
            "bad number or duration syntax: {}",
            super::literal::quote(bad)
        ))
    }

    /// A number, or the digits that start a duration. False leaves the position where the scan gave up.
    fn scan_number(&mut self) -> bool {
        let hexadecimal = self.accept("0") && self.accept("xX");
        if hexadecimal {
            self.accept("_");
        }
        let digits = if hexadecimal {
            "0123456789abcdefABCDEF"
        } else {
            "0123456789"
        };
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            match c {
                _ if digits.contains(c) => {
                    self.next();
                }
                '.' => {
                    self.next();
                    if dot || self.accept("_.") || hexadecimal {
                        return false;
                    }
                    dot = true;
                }
                'e' | 'E' => {
                    self.next();
                    if exponent {
                        return false;
                    }
                    exponent = true;
                    self.accept("+-");
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.next();
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ => break,
            }
        }
        self.at > self.start && !self.peek().is_some_and(is_alphanumeric)
    }

    /// After the first digits: a unit, then digits and unit in turn. Whether the order of units is right is decided later.
    fn scan_rest_of_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s"); // The second letter of `ms`.
        while self.accept("0123456789") {
            while self.accept("0123456789") {}
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn emit(&mut self, token: Token) {
        self.lexemes.push(Lexeme {
            token,
            start: self.start,
            end: self.at,
        });
        self.start = self.at;
    }

    fn skip_space(&mut self) {
        self.accept_while(is_space);
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, any_of: &str) -> bool {
        let accepted = self.peek().is_some_and(|c| any_of.contains(c));
        if accepted {
            self.next();
        }
        accepted
    }

    fn accept_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || is_digit(c)
}

fn quote_char(c: char) -> String {
    match c {
        '"' => "'\"'".into(),
        _ => format!("'{}'", c.escape_debug()),
    }
}

fn quote_next(next: Option<char>) -> String {
    // The end of the text prints as the replacement character in Prometheus' messages.
    quote_char(next.unwrap_or('\u{fffd}'))
}

fn unicode_name(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}
