//! From text to a checked query, or to the error with the place and the words that Loki has for it.
//!
//! A recursive descent over the tokens of `lex`, which stops at the first error. What the grammar allows and the meaning
//! forbids is found once the whole text is known to be a query: an outer expression's fault before that of what it holds.

mod check;
mod filter;
mod metric;
mod stage;

use std::sync::Arc;

use regex::Regex;
use tsdb::{Match, Matcher};

use crate::{
    ast::{Condition, Expr, LogExpr, MatchOp, MetricExpr, Selector},
    lex::{Lexer, Place, Token},
};

/// Texts of this many bytes and more are refused.
pub const TEXT_BYTES_MAX: usize = 131_072;

/// How deep expressions may nest, and how many operators one chain may have. Evaluation recurses as deep.
pub const DEPTH_MAX: usize = 200;

/// The most memory that one compiled regular expression may take.
pub(crate) const REGEX_BYTES_MAX: usize = 4 << 20;

const NO_SELECTIVE_MATCHER: &str = "queries require at least one regexp or equality matcher that does not have an \
     empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";

/// Why a text is no query. Its display is the message that Loki gives: `parse error at line 1, col 5: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from one; zero when the error belongs to no place.
    pub line: usize,
    /// In characters, counted from one; zero when the error belongs to no place.
    pub column: usize,
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(place: Place, message: String) -> Self {
        Self {
            line: place.line,
            column: place.column,
            message,
        }
    }

    /// An error of no place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::at(Place::default(), message.into())
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        if (*line, *column) == (0, 0) {
            write!(f, "parse error : {message}")
        } else {
            write!(f, "parse error at line {line}, col {column}: {message}")
        }
    }
}

impl std::error::Error for ParseError {}

/// Parses and checks a query.
///
/// # Errors
/// When the text is no query, or is larger than [`TEXT_BYTES_MAX`] or [`DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    match parse_unchecked(text)? {
        Parsed::Log(log) => match unselective(&log) {
            Some(error) => Err(error),
            None => Ok(Expr::Log(log)),
        },
        Parsed::Metric(metric) => Ok(Expr::Metric(metric)),
        Parsed::Wrong(error) => Err(error),
    }
}

/// Parses a stream selector, as in `match[]`: conditions in braces. It may have none.
///
/// # Errors
/// When the text is anything else.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, ParseError> {
    match parse_unchecked(text)? {
        Parsed::Log(log) if log.is_selector() => Ok(log.matchers().to_vec()),
        Parsed::Wrong(error) => Err(error),
        _ => Err(ParseError::new("only label matchers are supported")),
    }
}

fn parse_unchecked(text: &str) -> Result<Parsed, ParseError> {
    if text.len() >= TEXT_BYTES_MAX {
        return Err(ParseError::new(format!(
            "input size too long ({} > {TEXT_BYTES_MAX})",
            text.len()
        )));
    }
    if text.is_empty() {
        // Nothing has no place.
        return Err(ParseError::new("syntax error: unexpected $end"));
    }
    let mut parser = Parser::new(text)?;
    let parsed = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(parsed),
        _ => Err(parser.unexpected(&[])),
    }
}

/// An expression, or one that the grammar allows and the meaning forbids.
pub(crate) enum Parsed {
    Log(LogExpr),
    Metric(MetricExpr),
    Wrong(ParseError),
}

type Step<T> = Result<T, ParseError>;

pub(crate) struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    place: Place,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Step<Self> {
        let mut lexer = Lexer::new(text);
        let (token, place) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            place,
            depth: 0,
        })
    }

    fn peek(&self) -> &Token {
        &self.token
    }

    fn advance(&mut self) -> Step<Token> {
        let (next, place) = self.lexer.next()?;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(found) if found == word)
    }

    fn eat(&mut self, word: &str) -> Step<bool> {
        let found = self.is(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, word: &'static str) -> Step<()> {
        self.expect_or(word, &[word])
    }

    /// Expects a word where others could stand as well.
    fn expect_or(&mut self, word: &str, expected: &[&str]) -> Step<()> {
        if !self.eat(word)? {
            return Err(self.unexpected(expected));
        }
        Ok(())
    }

    fn identifier(&mut self, expected: &[&str]) -> Step<Box<str>> {
        match self.token {
            Token::Identifier(_) => {}
            _ => return Err(self.unexpected(expected)),
        }
        match self.advance()? {
            Token::Identifier(name) => Ok(name),
            _ => unreachable!("looked at above"),
        }
    }

    fn string(&mut self) -> Step<Box<str>> {
        match self.token {
            Token::Text(_) => {}
            _ => return Err(self.unexpected(&["STRING"])),
        }
        match self.advance()? {
            Token::Text(text) => Ok(text),
            _ => unreachable!("looked at above"),
        }
    }

    /// The error about the current token. What is expected is told when it is one of at most four.
    fn unexpected(&self, expected: &[&str]) -> ParseError {
        let mut message = format!("syntax error: unexpected {}", self.token.name());
        if !expected.is_empty() {
            message.push_str(", expecting ");
            message.push_str(&expected.join(" or "));
        }
        ParseError::at(self.place, message)
    }

    /// Runs something one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        if self.depth >= DEPTH_MAX {
            return Err(ParseError::at(
                self.place,
                format!("expressions nest deeper than {DEPTH_MAX}"),
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Counts the operators of one chain.
    fn chained(&self, count: &mut usize) -> Step<()> {
        *count += 1;
        if *count > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} operators in a chain");
            return Err(ParseError::at(self.place, message));
        }
        Ok(())
    }

    /// `{a="b", c=~"d"}`.
    fn selector(&mut self) -> Step<Arc<Selector>> {
        self.expect("{")?;
        let (mut written, mut compiled) = (Vec::new(), Vec::new());
        if self.eat("}")? {
            return Ok(Arc::new(Selector { written, compiled }));
        }
        let mut expected: &[&str] = &["IDENTIFIER", "}"];
        loop {
            let name = self.identifier(expected)?;
            let op = self.match_op()?;
            let value = self.string()?;
            let (condition, matcher) = condition(name, op, value)?;
            written.push(condition);
            compiled.push(matcher);
            if self.eat("}")? {
                return Ok(Arc::new(Selector { written, compiled }));
            }
            self.expect_or(",", &["}", ","])?;
            expected = &["IDENTIFIER"];
        }
    }

    fn match_op(&mut self) -> Step<MatchOp> {
        let Some(op) = self.peek_match_op() else {
            return Err(self.unexpected(&["=", "=~", "!~", "!="]));
        };
        self.advance()?;
        Ok(op)
    }

    fn peek_match_op(&self) -> Option<MatchOp> {
        match self.token {
            Token::Word("=") => Some(MatchOp::Equal),
            Token::Word("!=") => Some(MatchOp::NotEqual),
            Token::Word("=~") => Some(MatchOp::Regex),
            Token::Word("!~") => Some(MatchOp::NotRegex),
            _ => None,
        }
    }
}

/// A condition, as written and ready for use.
fn condition(name: Box<str>, op: MatchOp, value: Box<str>) -> Step<(Condition, Matcher)> {
    let whole = || {
        let pattern = format!("^(?s:{})$", go_regex::translate(&value));
        compile(&pattern, &value).map_err(ParseError::new)
    };
    let matches = match op {
        MatchOp::Equal => Match::Equal(value.clone()),
        MatchOp::NotEqual => Match::NotEqual(value.clone()),
        MatchOp::Regex => Match::Regex(whole()?),
        MatchOp::NotRegex => Match::NotRegex(whole()?),
    };
    let matcher = Matcher {
        name: name.clone(),
        matches,
    };
    Ok((Condition { name, op, value }, matcher))
}

/// Compiles what `translated` says; messages show what was written.
pub(crate) fn compile(translated: &str, written: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(translated)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| regex_message(&error, written))
}

pub(crate) fn compile_bytes(
    translated: &str,
    written: &str,
) -> Result<regex::bytes::Regex, String> {
    regex::bytes::RegexBuilder::new(translated)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| regex_message(&error, written))
}

fn regex_message(error: &regex::Error, written: &str) -> String {
    let why = error.to_string();
    let why = why.lines().last().unwrap_or_default();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    format!("error parsing regexp: {why}: `{written}`")
}

/// The error of a query that would look at every stream.
fn unselective(log: &LogExpr) -> Option<ParseError> {
    let all = log
        .matchers()
        .iter()
        .all(|matcher| matcher.matches.holds(""));
    all.then(|| ParseError::new(NO_SELECTIVE_MATCHER))
}
