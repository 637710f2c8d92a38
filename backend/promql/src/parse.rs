//! From text to a checked expression, or to an error with the place and the words that Prometheus has for it.
//!
//! A recursive descent over the tokens of `lex`. It stops at the first error. What types may stand where is decided
//! afterwards, in `check`. Written here because errors and annotations must name a line and a column, which no parser
//! crate keeps.

mod aggregation;
mod check;
mod length;
mod lex;
pub(crate) mod literal;
mod pattern;
mod postfix;
mod selector;
mod token;

use std::sync::Arc;

use tsdb::{Matcher, duration};

use crate::ast::{Binary, BinaryOp, Cardinality, Expr, Kind, Matching, Node, Span};
use crate::functions;
use lex::LexError;
use token::{Keyword, Lexeme, Token};

pub(crate) use pattern::compile as compile_pattern;

/// The longest text that is parsed.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How deep expressions may nest. Evaluation recurses as deep, on stacks of 2 MiB.
pub const DEPTH_MAX: usize = 200;

/// Why a text is no expression. Its display is the message that Prometheus gives: `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// Counted from one.
    pub line: usize,
    /// In bytes, counted from one.
    pub column: usize,
    pub message: String,
}

/// Parses and checks an expression.
///
/// # Errors
/// When the text is no expression, its types do not fit, or it is larger than [`TEXT_BYTES_MAX`] or [`DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    if parser.peek() == Token::End && parser.lex_error.is_none() {
        return Err(parser.error(0, "no expression found in input"));
    }
    let root = parser.expression(0)?;
    parser.finish()?;
    check::check(&root).map_err(|(at, message)| parser.error(at, &message))?;
    Ok(Expr {
        text: text.into(),
        has_formulas: parser.has_formulas,
        root: Arc::new(root),
    })
}

/// Parses a series selector, as in `match[]`: a name, conditions in braces, or both.
///
/// # Errors
/// When the text is anything else.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    let node = parser.metric_selector()?;
    parser.finish()?;
    match &node.kind {
        Kind::Selector(selector) => Ok(selector.conditions()),
        _ => Err(parser.unexpected()),
    }
}

/// The line and column, counted from one, of a place in a text.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    (line, at - line_start + 1)
}

type Parsed<T> = Result<T, ParseError>;

/// Where the parser is, for the message about a token that does not fit there.
#[derive(Clone, Copy)]
struct Context {
    within: &'static str,
    expected: &'static str,
}

impl Context {
    const fn new(within: &'static str, expected: &'static str) -> Self {
        Self { within, expected }
    }
}

struct Parser<'a> {
    text: &'a str,
    lexemes: Vec<Lexeme>,
    at: usize,
    lex_error: Option<LexError>,
    /// Innermost last.
    contexts: Vec<Context>,
    depth: usize,
    has_formulas: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parsed<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ParseError {
                line: 1,
                column: 1,
                message: format!("expression is longer than {TEXT_BYTES_MAX} bytes"),
            });
        }
        let (lexemes, lex_error) = lex::lex(text);
        Ok(Self {
            text,
            lexemes,
            at: 0,
            lex_error,
            contexts: Vec::new(),
            depth: 0,
            has_formulas: false,
        })
    }

    fn finish(&self) -> Parsed<()> {
        if self.peek() != Token::End || self.lex_error.is_some() {
            return Err(self.unexpected());
        }
        Ok(())
    }

    /// An expression whose operators bind at least as tightly as `precedence_min`.
    fn expression(&mut self, precedence_min: u8) -> Parsed<Node> {
        self.deeper()?;
        let mut left = self.operand()?;
        while let Token::Operator(op) = self.peek() {
            if op.precedence() < precedence_min {
                break;
            }
            left = self.binary(left, op)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Counts one more level of the text, which the caller takes back.
    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        self.check_depth(self.depth)
    }

    fn check_depth(&self, depth: usize) -> Parsed<()> {
        if depth > DEPTH_MAX {
            let message = format!("expression nests deeper than {DEPTH_MAX}");
            return Err(self.error(self.here().start, &message));
        }
        Ok(())
    }

    /// Builds a node. A chain of operators is a tree as deep as the chain is long, which `deeper` does not see.
    fn node(&self, span: Span, kind: Kind) -> Parsed<Node> {
        let node = Node::new(span, kind);
        self.check_depth(node.height)?;
        Ok(node)
    }

    fn binary(&mut self, left: Node, op: BinaryOp) -> Parsed<Node> {
        let op_at = self.advance().start;
        let returns_bool = self.eat(Token::Keyword(Keyword::Bool));
        let matching = self.matching()?;
        let fill_at = self.here();
        let fills = self.eat_fill()?;
        // Powers bind to the right.
        let tighter = u8::from(op != BinaryOp::Pow);
        let right = self.expression(op.precedence() + tighter)?;
        let span = Span {
            start: left.span.start,
            end: right.span.end,
        };
        if fills {
            let at = fill_at.start.min(span.start);
            return Err(self.error(at, "binop fill modifiers are experimental and not enabled"));
        }
        let kind = Kind::Binary(Binary {
            op,
            op_at,
            left: Box::new(left),
            right: Box::new(right),
            returns_bool,
            matching,
        });
        self.node(span, kind)
    }

    fn matching(&mut self) -> Parsed<Matching> {
        let mut matching = Matching::default();
        matching.on = match self.peek() {
            Token::Keyword(Keyword::On) => true,
            Token::Keyword(Keyword::Ignoring) => false,
            _ => return Ok(matching),
        };
        self.advance();
        matching.labels = self.grouping_labels()?;
        matching.cardinality = match self.peek() {
            Token::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Token::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(matching),
        };
        self.advance();
        if self.peek() == Token::LeftParen {
            matching.include = self.grouping_labels()?;
        }
        Ok(matching)
    }

    /// Skips `fill(…)`, an experimental modifier, and tells whether there was one.
    fn eat_fill(&mut self) -> Parsed<bool> {
        let mut found = false;
        while self.eat(Token::Keyword(Keyword::Fill)) {
            found = true;
            self.expect(Token::LeftParen)?;
            while matches!(
                self.peek(),
                Token::Operator(BinaryOp::Add | BinaryOp::Sub) | Token::Number | Token::Duration
            ) {
                self.advance();
            }
            self.expect(Token::RightParen)?;
        }
        Ok(found)
    }

    fn operand(&mut self) -> Parsed<Node> {
        let negate = match self.peek() {
            Token::Operator(BinaryOp::Add) => false,
            Token::Operator(BinaryOp::Sub) => true,
            _ => {
                let primary = self.primary()?;
                return self.postfix(primary);
            }
        };
        let start = self.advance().start;
        // A sign binds like a product: only powers bind tighter.
        let inner = self.expression(BinaryOp::Pow.precedence())?;
        let span = Span {
            start,
            end: inner.span.end,
        };
        let kind = match inner.kind {
            Kind::Number { value, duration } => Kind::Number {
                value: if negate { -value } else { value },
                duration,
            },
            _ => Kind::Unary {
                negate,
                inner: Box::new(inner),
            },
        };
        self.node(span, kind)
    }

    fn primary(&mut self) -> Parsed<Node> {
        let next = self.peek_second();
        match self.peek() {
            Token::Number | Token::Duration => self.number(),
            Token::Text => {
                let lexeme = self.advance();
                let value = self.unquoted(lexeme)?;
                self.node(lexeme.span(), Kind::Text(value.into()))
            }
            Token::LeftParen => {
                let open = self.advance();
                let inner = self.expression(0)?;
                let close = self.expect(Token::RightParen)?;
                let span = Span {
                    start: open.start,
                    end: close.end,
                };
                self.node(span, Kind::Paren(Box::new(inner)))
            }
            Token::Aggregator(op)
                if matches!(
                    next,
                    Some(Token::LeftParen | Token::Keyword(Keyword::By | Keyword::Without))
                ) =>
            {
                self.aggregation(op)
            }
            Token::Identifier | Token::Preset(_) if next == Some(Token::LeftParen) => self.call(),
            Token::Identifier
            | Token::MetricIdentifier
            | Token::LeftBrace
            | Token::Preset(_)
            | Token::Aggregator(_)
            | Token::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
            | Token::Keyword(
                Keyword::By
                | Keyword::Without
                | Keyword::Offset
                | Keyword::Smoothed
                | Keyword::Anchored
                | Keyword::Fill,
            ) => self.metric_selector(),
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Parsed<Node> {
        let lexeme = self.advance();
        let (value, duration) = self.number_value(lexeme)?;
        self.node(lexeme.span(), Kind::Number { value, duration })
    }

    /// A number, or a duration in seconds.
    fn number_value(&self, lexeme: Lexeme) -> Parsed<(f64, bool)> {
        let text = self.slice(lexeme);
        let value = if lexeme.token == Token::Duration {
            duration::parse(text)
                .map(|ms| (seconds(ms), true))
                .map_err(|error| error.to_string())
        } else {
            literal::number(text).map(|value| (value, false))
        };
        value.map_err(|message| self.error(lexeme.start, &message))
    }

    fn call(&mut self) -> Parsed<Node> {
        let name = self.advance();
        let text = self.slice(name);
        let (args, end) = self.arguments()?;
        let Some(function) = functions::find(text) else {
            let text = literal::quote(text);
            return Err(self.error(name.start, &format!("unknown function with name {text}")));
        };
        if function.experimental {
            let text = literal::quote(text);
            return Err(self.error(name.start, &format!("function {text} is not enabled")));
        }
        let span = Span {
            start: name.start,
            end,
        };
        self.node(span, Kind::Call { function, args })
    }

    /// `(a, b)`, and where it ends.
    fn arguments(&mut self) -> Parsed<(Vec<Node>, usize)> {
        self.expect(Token::LeftParen)?;
        let mut args = Vec::new();
        if self.peek() != Token::RightParen {
            args.push(self.expression(0)?);
            while self.peek() == Token::Comma {
                let comma = self.advance();
                if self.peek() == Token::RightParen {
                    return Err(self.error(
                        comma.start,
                        "trailing commas not allowed in function call args",
                    ));
                }
                args.push(self.expression(0)?);
            }
        }
        Ok((args, self.expect(Token::RightParen)?.end))
    }

    fn unquoted(&self, lexeme: Lexeme) -> Parsed<String> {
        literal::unquote(self.slice(lexeme)).map_err(|message| self.error(lexeme.start, &message))
    }

    fn here(&self) -> Lexeme {
        self.lexemes[self.at]
    }

    fn peek(&self) -> Token {
        self.here().token
    }

    fn peek_second(&self) -> Option<Token> {
        self.lexemes.get(self.at + 1).map(|lexeme| lexeme.token)
    }

    fn advance(&mut self) -> Lexeme {
        let lexeme = self.here();
        if lexeme.token != Token::End {
            self.at += 1;
        }
        lexeme
    }

    fn eat(&mut self, token: Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, token: Token) -> Parsed<Lexeme> {
        if self.peek() != token {
            return Err(self.unexpected());
        }
        Ok(self.advance())
    }

    fn slice(&self, lexeme: Lexeme) -> &'a str {
        &self.text[lexeme.start..lexeme.end]
    }

    /// The error about the current token, which does not fit where the parser is.
    fn unexpected(&self) -> ParseError {
        let lexeme = self.here();
        if let (Token::End, Some(error)) = (lexeme.token, &self.lex_error) {
            return self.error(error.start, &error.message);
        }
        let mut message = format!("unexpected {}", describe(lexeme.token, self.slice(lexeme)));
        if let Some(context) = self.contexts.last() {
            message.push_str(&format!(" in {}", context.within));
            if !context.expected.is_empty() {
                message.push_str(&format!(", expected {}", context.expected));
            }
        }
        self.error(lexeme.start, &message)
    }

    fn error(&self, at: usize, message: &str) -> ParseError {
        let (line, column) = line_and_column(self.text, at);
        ParseError {
            line,
            column,
            message: message.to_owned(),
        }
    }
}

/// Milliseconds as seconds, the whole and the fraction converted apart as Prometheus does.
pub(crate) fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + ((ms % 1000) * 1_000_000) as f64 / 1e9
}

/// A token, as messages name it.
fn describe(token: Token, text: &str) -> String {
    match token {
        Token::End => "end of input".into(),
        Token::Identifier => format!("identifier {}", literal::quote(text)),
        Token::MetricIdentifier => format!("metric identifier {}", literal::quote(text)),
        Token::Text => format!("string {}", quote_start(text)),
        Token::Number => format!("number {}", quote_start(text)),
        Token::Duration => format!("duration {}", quote_start(text)),
        Token::Keyword(_) => format!("<{text}>"),
        Token::Operator(_) | Token::At | Token::EqualRegex | Token::NotEqualRegex => {
            format!("<op:{text}>")
        }
        Token::Aggregator(_) => format!("<aggr:{text}>"),
        _ => quote_start(text),
    }
}

/// At most ten characters of a token, quoted.
fn quote_start(text: &str) -> String {
    if text.len() <= 10 {
        return literal::quote(text);
    }
    let start: String = text.chars().take(10).collect();
    format!("{}...", literal::quote(&start))
}
