//! Lengths of time: the range and the step in brackets, the offset. A literal, or a formula of literals, `step()` and
//! `range()`.

use super::token::{Lexeme, Preset, Token};
use super::{Parsed, Parser};
use crate::ast::{BinaryOp, Span};
use crate::length::{Formula, Length, Term, is_out_of_range};

const OUT_OF_RANGE: &str = "duration out of range";

impl Parser<'_> {
    /// The length of a range or a step.
    pub(super) fn positive_length(&mut self) -> Parsed<Length> {
        let depth = self.depth;
        let formula = self.formula(0)?;
        self.depth = depth;
        let Term::Seconds { value, .. } = formula.term else {
            self.has_formulas = true;
            return Ok(Length::of(formula));
        };
        if value <= 0.0 {
            return Err(self.error(formula.span.start, "duration must be greater than 0"));
        }
        Ok(Length::of_seconds(value))
    }

    /// The length of an offset: what follows a literal or a call there is no longer part of it.
    pub(super) fn offset_length(&mut self) -> Parsed<Length> {
        let depth = self.depth;
        let formula = match (self.peek(), self.peek_second()) {
            (sign @ Token::Operator(BinaryOp::Add | BinaryOp::Sub), Some(next))
                if next == Token::LeftParen || starts_atom(next) =>
            {
                let lexeme = self.advance();
                let inner = self.formula_atom()?;
                self.signed(lexeme, sign == Token::Operator(BinaryOp::Sub), inner)?
            }
            (token, _) if starts_atom(token) => self.formula_atom()?,
            _ => self.formula(0)?,
        };
        self.depth = depth;
        if let Term::Seconds { value, .. } = formula.term {
            return Ok(Length::of_seconds(value));
        }
        self.has_formulas = true;
        Ok(Length::of(formula))
    }

    /// A formula whose operators bind at least as tightly as `precedence_min`. Whoever asks for a whole one takes the depth
    /// back, so that every operator in it counts.
    fn formula(&mut self, precedence_min: u8) -> Parsed<Formula> {
        self.deeper()?;
        let mut left = self.signed_atom()?;
        while let Token::Operator(op) = self.peek() {
            if op.precedence() < precedence_min || !is_arithmetic(op) {
                break;
            }
            let at = self.advance();
            // Powers bind to the right.
            let tighter = u8::from(op != BinaryOp::Pow);
            let right = self.formula(op.precedence() + tighter)?;
            let is_zero = matches!(right.term, Term::Seconds { value: 0.0, .. });
            match op {
                BinaryOp::Div if is_zero => return Err(self.error(at.start, "division by zero")),
                BinaryOp::Mod if is_zero => return Err(self.error(at.start, "modulo by zero")),
                _ => {}
            }
            left = Formula {
                span: joined(&left, &right),
                term: Term::Operation(op, Box::new([left, right])),
            };
        }
        Ok(left)
    }

    fn signed_atom(&mut self) -> Parsed<Formula> {
        let negate = match self.peek() {
            Token::Operator(BinaryOp::Add) => false,
            Token::Operator(BinaryOp::Sub) => true,
            _ => return self.formula_atom(),
        };
        let sign = self.advance();
        // A sign binds like a product: only powers bind tighter.
        let inner = self.formula(BinaryOp::Pow.precedence())?;
        if !negate && !matches!(inner.term, Term::Seconds { .. }) {
            return Ok(inner);
        }
        self.signed(sign, negate, inner)
    }

    fn signed(&self, sign: Lexeme, negate: bool, inner: Formula) -> Parsed<Formula> {
        let span = Span {
            start: sign.start,
            end: inner.span.end,
        };
        let term = match inner.term {
            Term::Seconds { value, duration } => {
                if is_out_of_range(value) {
                    return Err(self.error(sign.start, OUT_OF_RANGE));
                }
                let value = if negate { -value } else { value };
                Term::Seconds { value, duration }
            }
            _ => Term::Signed {
                negate,
                inner: Box::new(inner),
            },
        };
        Ok(Formula { span, term })
    }

    /// A literal, a call, or a formula in parentheses.
    fn formula_atom(&mut self) -> Parsed<Formula> {
        let first = self.here();
        let term = match first.token {
            Token::Number | Token::Duration => {
                self.advance();
                let (value, duration) = self.number_value(first)?;
                if is_out_of_range(value) {
                    return Err(self.error(first.start, OUT_OF_RANGE));
                }
                Term::Seconds { value, duration }
            }
            Token::Preset(preset @ (Preset::Step | Preset::Range)) => {
                self.advance();
                self.expect(Token::LeftParen)?;
                self.expect(Token::RightParen)?;
                match preset {
                    Preset::Step => Term::Step,
                    _ => Term::Range,
                }
            }
            Token::Preset(preset @ (Preset::MaxOf | Preset::MinOf)) => {
                self.advance();
                return self.extreme(preset == Preset::MaxOf);
            }
            Token::LeftParen => {
                self.advance();
                let inner = self.formula(0)?;
                self.expect(Token::RightParen)?;
                return Ok(match inner.term {
                    Term::Seconds { .. } | Term::Paren(_) => inner,
                    _ => Formula {
                        span: inner.span,
                        term: Term::Paren(Box::new(inner)),
                    },
                });
            }
            _ => return Err(self.unexpected()),
        };
        let span = Span {
            start: first.start,
            end: self.lexemes[self.at - 1].end,
        };
        Ok(Formula { span, term })
    }

    fn extreme(&mut self, largest: bool) -> Parsed<Formula> {
        self.expect(Token::LeftParen)?;
        let left = self.formula(0)?;
        self.expect(Token::Comma)?;
        let right = self.formula(0)?;
        self.expect(Token::RightParen)?;
        Ok(Formula {
            span: joined(&left, &right),
            term: Term::Extreme {
                largest,
                of: Box::new([left, right]),
            },
        })
    }
}

fn joined(left: &Formula, right: &Formula) -> Span {
    Span {
        start: left.span.start,
        end: right.span.end,
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
    )
}

/// Whether a literal or a call starts with it.
fn starts_atom(token: Token) -> bool {
    matches!(
        token,
        Token::Number
            | Token::Duration
            | Token::Preset(Preset::Step | Preset::Range | Preset::MaxOf | Preset::MinOf)
    )
}
