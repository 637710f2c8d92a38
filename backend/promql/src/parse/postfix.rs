//! What may follow an operand: a range or subquery in brackets, `offset`, `@`.

use super::token::{Keyword, Lexeme, Preset, Token};
use super::{Context, Parsed, Parser};
use crate::ast::{At, BinaryOp, Kind, Node, Selector, Subquery, When};
use crate::length::Length;
use crate::number::format_value;

const IN_BRACKETS: Context = Context::new(
    "subquery or range selector",
    "number, duration, step(), or range()",
);
const AFTER_RANGE: Context = Context::new("subquery or range", "\":\" or \"]\"");
const AFTER_COLON: Context = Context::new(
    "subquery selector",
    "number, duration, step(), range(), or \"]\"",
);
const AFTER_STEP: Context = Context::new("subquery selector", "\"]\"");
const IN_OFFSET: Context = Context::new("offset", "number, duration, step(), or range()");
const IN_AT: Context = Context::new("@", "timestamp");

impl Parser<'_> {
    pub(super) fn postfix(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            node = match self.peek() {
                Token::LeftBracket => self.brackets(node)?,
                Token::Keyword(Keyword::Offset) => self.offset(node)?,
                Token::At => self.at(node)?,
                Token::Keyword(Keyword::Anchored | Keyword::Smoothed) => {
                    let word = self.slice(self.here()).to_ascii_lowercase();
                    let message = format!("{word} modifier is experimental and not enabled");
                    return Err(self.error(node.span.start, &message));
                }
                _ => return Ok(node),
            };
        }
    }

    fn brackets(&mut self, node: Node) -> Parsed<Node> {
        let open = self.advance();
        let contexts = self.contexts.len();
        self.contexts.push(IN_BRACKETS);
        let range = self.positive_length()?;
        self.contexts.push(AFTER_RANGE);
        if self.peek() == Token::RightBracket {
            let close = self.advance();
            self.contexts.truncate(contexts);
            return self.range_selector(node, range, open, close.end);
        }
        self.expect(Token::Colon)?;
        self.contexts.push(AFTER_COLON);
        let mut step = Length::default();
        if self.peek() != Token::RightBracket {
            step = self.positive_length()?;
            self.contexts.push(AFTER_STEP);
        }
        let end = self.expect(Token::RightBracket)?.end;
        self.contexts.truncate(contexts);
        let mut span = node.span;
        span.end = end;
        let kind = Kind::Subquery(Subquery {
            inner: Box::new(node),
            range,
            step,
            when: When::default(),
        });
        self.node(span, kind)
    }

    fn range_selector(&self, node: Node, range: Length, open: Lexeme, end: usize) -> Parsed<Node> {
        let mut span = node.span;
        span.end = end;
        let reason = match node.kind {
            Kind::Selector(selector) if selector.when.offset.ms != 0 => {
                "no offset modifiers allowed before range"
            }
            Kind::Selector(Selector {
                when:
                    When {
                        at: Some(At::Ms(_)),
                        ..
                    },
                ..
            }) => "no @ modifiers allowed before range",
            Kind::Selector(selector) => {
                let kind = Kind::Range { selector, range };
                return self.node(span, kind);
            }
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(open.start, reason))
    }

    fn offset(&mut self, mut node: Node) -> Parsed<Node> {
        self.advance();
        self.contexts.push(IN_OFFSET);
        let length = self.offset_length()?;
        self.contexts.pop();
        let (start, end) = (node.span.start, self.lexemes[self.at - 1].end);
        let Some(when) = when_of(&mut node.kind) else {
            return Err(self.error(
                start,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ));
        };
        if !when.offset.is_unset() {
            return Err(self.error(start, "offset may not be set multiple times"));
        }
        when.offset = length;
        node.span.end = end;
        Ok(node)
    }

    fn at(&mut self, mut node: Node) -> Parsed<Node> {
        self.advance();
        self.contexts.push(IN_AT);
        let at = match self.peek() {
            Token::Preset(preset @ (Preset::Start | Preset::End)) => {
                self.advance();
                self.expect(Token::LeftParen)?;
                self.expect(Token::RightParen)?;
                match preset {
                    Preset::Start => At::Start,
                    _ => At::End,
                }
            }
            _ => {
                let seconds = self.signed_literal()?;
                if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
                    let message = out_of_bounds(seconds);
                    return Err(self.error(node.span.start, &message));
                }
                At::Ms((seconds * 1000.0).round() as i64)
            }
        };
        self.contexts.pop();
        let (start, end) = (node.span.start, self.lexemes[self.at - 1].end);
        let Some(when) = when_of(&mut node.kind) else {
            return Err(self.error(
                start,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ));
        };
        if when.at.is_some() {
            return Err(self.error(start, "@ <timestamp> may not be set multiple times"));
        }
        when.at = Some(at);
        node.span.end = end;
        Ok(node)
    }

    /// A number or a duration with an optional sign, in seconds.
    fn signed_literal(&mut self) -> Parsed<f64> {
        let sign = match self.peek() {
            Token::Operator(BinaryOp::Add) => Some(1.0),
            Token::Operator(BinaryOp::Sub) => Some(-1.0),
            _ => None,
        };
        if sign.is_some() {
            self.advance();
        }
        if !matches!(self.peek(), Token::Number | Token::Duration) {
            return Err(self.unexpected());
        }
        let lexeme = self.advance();
        let (value, _) = self.number_value(lexeme)?;
        Ok(value * sign.unwrap_or(1.0))
    }
}

fn out_of_bounds(seconds: f64) -> String {
    let seconds = if seconds.is_finite() {
        format!("{seconds:.6}")
    } else {
        format_value(seconds)
    };
    format!("timestamp out of bounds for @ modifier: {seconds}")
}

fn when_of(kind: &mut Kind) -> Option<&mut When> {
    match kind {
        Kind::Selector(selector) | Kind::Range { selector, .. } => Some(&mut selector.when),
        Kind::Subquery(subquery) => Some(&mut subquery.when),
        _ => None,
    }
}
