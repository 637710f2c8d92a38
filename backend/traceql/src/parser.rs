//! Text to [`Query`]: recursive descent over the tokens of the whole text. This file owns the ways in, the errors and the
//! cursor; stages, expressions and metrics are parsed beside it. Types are checked in `check`, once the tree stands.

mod expressions;
mod metrics;
mod pattern;
mod stages;

use crate::lexer::{self, Placed, Token};
use crate::{Field, Query, check};

/// The longest query, as in Tempo.
pub const QUERY_BYTES_MAX: usize = 128 << 10;
/// How deep parentheses, prefix operators and right sides of operators may stand inside of each other.
pub const NESTING_MAX: usize = 100;
/// Operators of a query: they bound the depth of its tree, which everything that walks it relies on.
pub const OPERATORS_MAX: usize = 500;
/// Entries of a `select`, of a `with` and of the quantiles.
pub const LIST_MAX: usize = 100;
/// Regular expressions of a query.
pub const PATTERNS_MAX: usize = 32;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("parse error : syntax error: unexpected $end")]
    Empty,
    /// What cannot be read. The first line and the first column are 1.
    #[error("parse error at line {line}, col {column}: {reason}")]
    Syntax {
        line: usize,
        column: usize,
        reason: String,
    },
    /// What can be read and makes no sense, is not supported, or is too large.
    #[error("{0}")]
    Invalid(String),
}

/// # Errors
/// When the text is no query, or one beyond the bounds above.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let mut parser = Parser::new(text)?;
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    let query = parser.query()?;
    check::query(&query)?;
    Ok(query)
}

/// A field as a query writes it: `span.http.route`, `.key`, `resource."a b"`, `name`, `event:name`.
///
/// # Errors
/// When the text is anything but a field.
pub fn parse_field(text: &str) -> Result<Field, ParseError> {
    let mut parser = Parser::new(text)?;
    let field = parser.field()?;
    parser.end()?;
    Ok(field)
}

struct Parser<'q> {
    text: &'q str,
    tokens: Vec<Placed<'q>>,
    next: usize,
    nesting: usize,
    operators: usize,
    patterns: usize,
}

impl<'q> Parser<'q> {
    fn new(text: &'q str) -> Result<Self, ParseError> {
        if text.len() > QUERY_BYTES_MAX {
            let bytes = text.len();
            return Err(invalid(format!(
                "query of {bytes} bytes is longer than {QUERY_BYTES_MAX}"
            )));
        }
        Ok(Self {
            text,
            tokens: lexer::tokens(text),
            next: 0,
            nesting: 0,
            operators: 0,
            patterns: 0,
        })
    }

    fn peek(&self) -> &Token<'q> {
        &self.tokens[self.next].token
    }

    /// The next token; the last one stays.
    fn bump(&mut self) -> Token<'q> {
        let token = self.peek().clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.bump();
        }
        is_next
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Word(found) if *found == word);
        if is_next {
            self.bump();
        }
        is_next
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.eat_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(Some(symbol)))
    }

    fn end(&self) -> Result<(), ParseError> {
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(self.unexpected(None)),
        }
    }

    /// `(entry, entry, …)`, at least one.
    fn list<T>(
        &mut self,
        entry: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect("(")?;
        let entries = self.entries(entry)?;
        self.expect(")")?;
        Ok(entries)
    }

    fn entries<T>(
        &mut self,
        entry: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut entries = vec![entry(self)?];
        while self.eat_symbol(",") {
            if entries.len() == LIST_MAX {
                return Err(invalid(format!("list of more than {LIST_MAX} entries")));
            }
            entries.push(entry(self)?);
        }
        Ok(entries)
    }

    /// Parses one level deeper.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.nesting == NESTING_MAX {
            return Err(invalid(format!("nested deeper than {NESTING_MAX}")));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// Called for each operator that makes the tree deeper.
    fn count_operator(&mut self) -> Result<(), ParseError> {
        if self.operators == OPERATORS_MAX {
            return Err(invalid(format!("more than {OPERATORS_MAX} operators")));
        }
        self.operators += 1;
        Ok(())
    }

    /// The next token cannot stand here.
    fn unexpected(&self, expected: Option<&str>) -> ParseError {
        let found = match self.peek() {
            Token::Invalid(reason) => return self.syntax(self.next, reason.clone()),
            Token::End => "$end",
            Token::String(_) => "STRING",
            Token::Int(_) => "INTEGER",
            Token::Float(_) => "FLOAT",
            Token::Duration(_) => "DURATION",
            Token::Attribute { .. } | Token::Parent | Token::IntrinsicScope(_) => self.scope(),
            Token::Word(word) | Token::Symbol(word) => word,
        };
        let mut reason = format!("syntax error: unexpected {found}");
        if let Some(expected) = expected {
            reason.push_str(", expecting ");
            reason.push_str(expected);
        }
        self.syntax(self.next, reason)
    }

    /// What stands in front of the next token's key: `.`, `span.`, `span:`.
    fn scope(&self) -> &'q str {
        let rest = &self.text[self.tokens[self.next].at..];
        let end = rest.find(['.', ':']).map_or(rest.len(), |at| at + 1);
        &rest[..end]
    }

    fn syntax(&self, token: usize, reason: String) -> ParseError {
        let before = &self.text[..self.tokens[token].at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ParseError::Syntax {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason,
        }
    }
}

fn invalid(reason: impl Into<String>) -> ParseError {
    ParseError::Invalid(reason.into())
}
