//! Conditions on labels, after `|`: text, numbers, durations, sizes, addresses, joined by `and`, `or`, a comma or nothing.

use super::{ParseError, Parser, Step, condition};
use crate::{
    ast::{CompareOp, LabelFilter},
    lex::Token,
    stages::ip::IpMatcher,
    units::{parse_float, quote},
};

/// Inside what an operand stands. A comma, or nothing, takes all that follows in any place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    Anything,
    Or,
    And,
}

impl Parser<'_> {
    pub(super) fn label_filter(&mut self) -> Step<LabelFilter> {
        self.label_filters(Within::Anything)
    }

    fn label_filters(&mut self, within: Within) -> Step<LabelFilter> {
        let mut left = self.nested(Self::one_label_filter)?;
        let mut chained = 0;
        loop {
            let (joined, next) = match &self.token {
                Token::Word("and") if within < Within::And => (true, Within::And),
                Token::Word("or") if within < Within::Or => (false, Within::Or),
                Token::Word("," | "(") | Token::Identifier(_) => (true, Within::Anything),
                _ => return Ok(left),
            };
            self.chained(&mut chained)?;
            if matches!(self.token, Token::Word("and" | "or" | ",")) {
                self.advance()?;
            }
            let right = self.nested(|parser| parser.label_filters(next))?;
            let sides = (Box::new(left), Box::new(right));
            left = if joined {
                LabelFilter::And(sides.0, sides.1)
            } else {
                LabelFilter::Or(sides.0, sides.1)
            };
        }
    }

    fn one_label_filter(&mut self) -> Step<LabelFilter> {
        if self.eat("(")? {
            let inner = self.label_filter()?;
            self.expect_or(")", &[])?;
            return Ok(inner);
        }
        let name = self.identifier(&["IDENTIFIER", "("])?;
        let (text_op, op) = (self.peek_match_op(), self.compare_op());
        if text_op.is_none() && op.is_none() {
            return Err(self.unexpected(&[]));
        }
        self.advance()?;
        match (&self.token, text_op, op) {
            (Token::Text(_), Some(op), _) => {
                let (condition, matcher) = condition(name, op, self.string()?)?;
                Ok(LabelFilter::Text { condition, matcher })
            }
            (Token::Word("ip"), Some(_), Some(op)) => {
                self.ip_filter(name, op == CompareOp::NotEqual)
            }
            (_, _, Some(op)) => self.quantity(name, op),
            _ => Err(self.unexpected(&["STRING"])),
        }
    }

    fn compare_op(&self) -> Option<CompareOp> {
        match self.token {
            Token::Word("=" | "==") => Some(CompareOp::Equal),
            Token::Word("!=") => Some(CompareOp::NotEqual),
            Token::Word(">") => Some(CompareOp::Greater),
            Token::Word(">=") => Some(CompareOp::GreaterEqual),
            Token::Word("<") => Some(CompareOp::Less),
            Token::Word("<=") => Some(CompareOp::LessEqual),
            _ => None,
        }
    }

    /// After the operator: a number, a duration or a size.
    fn quantity(&mut self, name: Box<str>, op: CompareOp) -> Step<LabelFilter> {
        let negative = self.is("-");
        if negative || self.is("+") {
            self.advance()?;
            if !matches!(self.token, Token::Number(_)) {
                return Err(self.unexpected(&["NUMBER"]));
            }
        }
        if !matches!(
            self.token,
            Token::Number(_) | Token::Duration(_) | Token::Bytes(_)
        ) {
            return Err(self.unexpected(&[]));
        }
        Ok(match self.advance()? {
            Token::Duration(ns) => LabelFilter::Duration { name, op, ns },
            Token::Bytes(bytes) => LabelFilter::Bytes { name, op, bytes },
            Token::Number(text) => {
                let value = parse_float(&text).map_err(ParseError::new)?;
                let value = if negative { -value } else { value };
                LabelFilter::Number { name, op, value }
            }
            _ => unreachable!("looked at above"),
        })
    }

    /// From `ip` on.
    fn ip_filter(&mut self, name: Box<str>, negated: bool) -> Step<LabelFilter> {
        let written = self.ip_argument()?;
        let ip = IpMatcher::new(&written).map_err(|message| {
            let op = if negated { "!=" } else { "=" };
            let shown = format!("| {name}{op}ip({})", quote(&written));
            ParseError::new(format!("stage '{shown}' : {message}"))
        })?;
        Ok(LabelFilter::Ip {
            name,
            negated,
            written,
            ip,
        })
    }

    /// `ip("…")`.
    pub(super) fn ip_argument(&mut self) -> Step<Box<str>> {
        self.expect("ip")?;
        self.expect("(")?;
        let written = self.string()?;
        self.expect(")")?;
        Ok(written)
    }
}
