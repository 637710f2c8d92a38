//! Text to tokens, one at a time, so that what is wrong further on is not seen before what is wrong here.
//!
//! Keywords have no case. Names of functions are words like any other unless a parenthesis follows.

use crate::{
    ast::{AggregateOp, RangeOp},
    parse::ParseError,
    units::{parse_bytes, parse_duration, parse_go_duration, unquote},
};

/// Words that are tokens wherever they stand.
const KEYWORDS: [&str; 29] = [
    "by",
    "without",
    "bool",
    "unwrap",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "or",
    "and",
    "unless",
    "json",
    "regexp",
    "logfmt",
    "unpack",
    "pattern",
    "label_format",
    "line_format",
    "decolorize",
    "drop",
    "keep",
    "variants",
    "of",
    "ip",
    "label_replace",
    "bytes",
    "duration",
    "duration_seconds",
];

/// Of `KEYWORDS`, those that are words unless a parenthesis follows.
const CALLED: [&str; 5] = [
    "ip",
    "label_replace",
    "bytes",
    "duration",
    "duration_seconds",
];

/// The longer ones first.
const SYMBOLS: [&str; 29] = [
    "|=",
    "|~",
    "|>",
    "!=",
    "!~",
    "!>",
    "=~",
    "==",
    ">=",
    "<=",
    "|",
    "=",
    "{",
    "}",
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    ">",
    "<",
    ".",
    "]",
    "--strict",
    "--keep-empty",
];

const FLAGS: [&str; 2] = ["--strict", "--keep-empty"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    End,
    Identifier(Box<str>),
    Text(Box<str>),
    Number(Box<str>),
    /// In nanoseconds.
    Duration(i64),
    Bytes(u64),
    /// `[5m]`, in nanoseconds.
    Range(i64),
    Flag(&'static str),
    OverRange(RangeOp),
    Aggregate(AggregateOp),
    Vector,
    /// A keyword or a symbol, in lower case.
    Word(&'static str),
}

impl Token {
    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::End => "$end".into(),
            Self::Identifier(_) => "IDENTIFIER".into(),
            Self::Text(_) => "STRING".into(),
            Self::Number(_) => "NUMBER".into(),
            Self::Duration(_) => "DURATION".into(),
            Self::Bytes(_) => "BYTES".into(),
            Self::Range(_) => "RANGE".into(),
            Self::Flag(_) => "FUNCTION_FLAG".into(),
            Self::OverRange(op) => op.text().to_uppercase(),
            Self::Aggregate(op) => op.text().to_uppercase(),
            Self::Vector => "VECTOR".into(),
            Self::Word("bytes") => "BYTES_CONV".into(),
            Self::Word("duration") => "DURATION_CONV".into(),
            Self::Word("duration_seconds") => "DURATION_SECONDS_CONV".into(),
            Self::Word(word) => (*word).into(),
        }
    }
}

/// Where a token starts, counted from one, in characters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

pub(crate) struct Lexer<'t> {
    rest: &'t str,
    place: Place,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            rest: text,
            place: Place { line: 1, column: 1 },
        }
    }

    /// The next token and where it starts.
    pub(crate) fn next(&mut self) -> Result<(Token, Place), ParseError> {
        self.skip_space()?;
        let place = self.place;
        let failed = |message: String| ParseError::at(place, message);
        let Some(first) = self.rest.chars().next() else {
            return Ok((Token::End, place));
        };
        let token = match first {
            '"' | '`' => self.text(first).map_err(failed)?,
            '[' => self
                .range()
                .map_err(|message| ParseError::at(nowhere(place), message))?,
            '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            '0'..='9' => self.number(),
            '-' => self.minus(),
            _ if is_word(first) => self.word(),
            _ => self.symbol(first),
        };
        let is_moved = match &token {
            Token::Range(_) | Token::Duration(_) | Token::Bytes(_) | Token::Flag(_) => true,
            Token::Word(word) => word.len() == 2 && !word.starts_with(is_word),
            _ => false,
        };
        Ok((token, if is_moved { nowhere(place) } else { place }))
    }

    fn skip_space(&mut self) -> Result<(), ParseError> {
        loop {
            let length = match self.rest.as_bytes() {
                [b' ' | b'\t' | b'\n' | b'\r', ..] => 1,
                [b'#', ..] | [b'/', b'/', ..] => self.rest.find('\n').unwrap_or(self.rest.len()),
                [b'/', b'*', ..] => match self.rest.find("*/") {
                    Some(end) => end + 2,
                    None => {
                        return Err(ParseError::at(self.place, "comment not terminated".into()));
                    }
                },
                _ => return Ok(()),
            };
            self.take(length);
        }
    }

    /// Goes on by some bytes and gives them.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        for character in taken.chars() {
            if character == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        taken
    }

    fn text(&mut self, quote: char) -> Result<Token, String> {
        let mut escaped = false;
        let end = self.rest[1..].char_indices().find(|(_, character)| {
            let ends = *character == quote && !escaped || *character == '\n' && quote == '"';
            escaped = *character == '\\' && !escaped && quote == '"';
            ends
        });
        let Some((at, _)) = end.filter(|(_, character)| *character == quote) else {
            return Err("literal not terminated".into());
        };
        let literal = self.take(at + 2);
        unquote(literal)
            .map(|text| Token::Text(text.into()))
            .ok_or_else(|| "invalid char escape".into())
    }

    fn range(&mut self) -> Result<Token, String> {
        let Some(end) = self.rest.find(']') else {
            return Err("missing closing ']' in duration".into());
        };
        let ns = parse_duration(&self.rest[1..end])?;
        self.take(end + 1);
        Ok(Token::Range(ns))
    }

    /// A number, or one with a unit.
    fn number(&mut self) -> Token {
        let length = number_length(self.rest);
        if let Some(token) = self.with_unit(length) {
            return token;
        }
        Token::Number(self.take(length).into())
    }

    fn with_unit(&mut self, number: usize) -> Option<Token> {
        let until = |is_unit: fn(char) -> bool| {
            let unit = &self.rest[number..];
            let part = |c: char| c.is_numeric() || c == '.' || is_unit(c);
            number + unit.find(|c| !part(c)).unwrap_or(unit.len())
        };
        let duration = until(|c| "nuµmshdwy".contains(c));
        let bytes = until(|c| "BikKMGTP".contains(c));
        if duration > number
            && let Some(ns) = any_duration(&self.rest[..duration])
        {
            self.take(duration);
            return Some(Token::Duration(ns));
        }
        if bytes > number
            && let Ok(size) = parse_bytes(&self.rest[..bytes])
        {
            self.take(bytes);
            return Some(Token::Bytes(size));
        }
        None
    }

    /// A flag, a negative duration, or the sign alone.
    fn minus(&mut self) -> Token {
        if self.rest.starts_with("--") {
            let is_flag = |c: char| c.is_alphabetic() || c == '-';
            let end = self.rest.find(|c| !is_flag(c)).unwrap_or(self.rest.len());
            if let Some(flag) = FLAGS.iter().find(|flag| **flag == &self.rest[..end]) {
                self.take(end);
                return Token::Flag(flag);
            }
        }
        match self.with_unit(1) {
            Some(token @ Token::Duration(_)) => token,
            _ => self.symbol('-'),
        }
    }

    fn symbol(&mut self, first: char) -> Token {
        match SYMBOLS
            .iter()
            .find(|symbol| self.rest.starts_with(**symbol))
        {
            Some(symbol) => {
                self.take(symbol.len());
                Token::Word(symbol)
            }
            // What nothing begins with is taken for a word, and is in the way as one.
            None => Token::Identifier(self.take(first.len_utf8()).into()),
        }
    }

    fn word(&mut self) -> Token {
        let is_part = |c: char| is_word(c) || c.is_numeric();
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let text = self.take(end);
        let lower = text.to_lowercase();
        let called = is_call(self.rest);
        if called && let Some(token) = function(&lower) {
            return token;
        }
        match KEYWORDS.iter().find(|word| **word == lower) {
            Some(word) if called || !CALLED.contains(word) => Token::Word(word),
            _ => Token::Identifier(text.into()),
        }
    }
}

/// Loki loses the line of a token that it has to read on for.
fn nowhere(place: Place) -> Place {
    Place { line: 0, ..place }
}

fn function(name: &str) -> Option<Token> {
    let find_range = RangeOp::ALL.iter().find(|(known, _)| *known == name);
    let find_aggregate = AggregateOp::ALL.iter().find(|(known, _)| *known == name);
    match (find_range, find_aggregate) {
        (Some((_, op)), _) => Some(Token::OverRange(*op)),
        (_, Some((_, op))) => Some(Token::Aggregate(*op)),
        _ => (name == "vector").then_some(Token::Vector),
    }
}

/// Whether what follows a word makes it a call: a parenthesis, at once or after `by` or `without`.
fn is_call(rest: &str) -> bool {
    let rest = rest.trim_start();
    let grouped = ["by", "without"].iter().any(|word| {
        rest.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
            && rest[word.len()..].trim_start().starts_with('(')
    });
    rest.starts_with('(') || grouped
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, part: fn(&u8) -> bool| {
        from + bytes[from..].iter().take_while(|byte| part(byte)).count()
    };
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
    if text.starts_with("0x") || text.starts_with("0X") {
        return run(2, u8::is_ascii_hexdigit);
    }
    let mut end = run(0, is_digit);
    if bytes.get(end) == Some(&b'.') {
        end = run(end + 1, is_digit);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        if bytes.get(exponent).is_some_and(u8::is_ascii_digit) {
            end = run(exponent, is_digit);
        }
    }
    end
}

/// In either of the two dialects.
fn any_duration(text: &str) -> Option<i64> {
    parse_duration(text)
        .or_else(|_| parse_go_duration(text))
        .ok()
}
