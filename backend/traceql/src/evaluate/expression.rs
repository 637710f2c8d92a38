//! What an expression is of one span.
//!
//! A comparison of a field with several values holds if it holds for one of them; `!=` and `!~` have to hold for all. A
//! field that is not there is nil, and nothing but `= nil` holds for it.

use super::note;
use crate::ast::{Comparison, Expr, Operator, Pattern, UnaryOperator};
use crate::fields::Seen;
use crate::literal::{Datum, Whole};
use crate::model::Trace;
use crate::{Field, Literal};

impl<T: Trace> Seen<'_, T> {
    /// Whether the span is selected.
    pub(super) fn holds(&self, expr: &Expr, index: usize) -> bool {
        OfSpan {
            seen: self,
            index,
            span: self.trace.span(index),
        }
        .holds(expr)
    }

    /// What the span is grouped by.
    pub(super) fn group_of(&self, expr: &Expr, index: usize) -> Whole {
        match expr {
            Expr::Field(field) => self.group(field, index, &self.trace.span(index)),
            other => Whole::One(self.value(other, index)),
        }
    }

    pub(super) fn value(&self, expr: &Expr, index: usize) -> Literal {
        OfSpan {
            seen: self,
            index,
            span: self.trace.span(index),
        }
        .value(expr)
    }
}

struct OfSpan<'s, 't, T: Trace + 't> {
    seen: &'s Seen<'t, T>,
    index: usize,
    span: T::Span<'s>,
}

impl<T: Trace> OfSpan<'_, '_, T> {
    fn holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(literal) => matches!(literal, Literal::Bool(true)),
            Expr::Field(field) => self.any(field, |datum| matches!(datum, Datum::Bool(true))),
            Expr::Binary {
                operator: Operator::And,
                left,
                right,
            } => self.holds(left) && self.holds(right),
            Expr::Binary {
                operator: Operator::Or,
                left,
                right,
            } => self.holds(left) || self.holds(right),
            Expr::Binary {
                operator: Operator::Compare(comparison),
                left,
                right,
            } => self.compare(left, *comparison, right),
            Expr::Matches {
                operand,
                pattern,
                negated,
            } => self.matches(operand, pattern, *negated),
            Expr::Exists { operand, negated } => self.exists(operand) != *negated,
            // A field that is not there is not false either.
            Expr::Unary {
                operator: UnaryOperator::Not,
                operand,
            } => self.value(operand) == Literal::Bool(false),
            Expr::Binary { .. } | Expr::Unary { .. } => false,
        }
    }

    fn value(&self, expr: &Expr) -> Literal {
        match expr {
            Expr::Literal(literal) => literal.clone(),
            Expr::Field(field) => self.seen.first(field, self.index, &self.span),
            Expr::Unary {
                operator: UnaryOperator::Minus,
                operand,
            } => self.value(operand).datum().negated(),
            Expr::Unary {
                operator: UnaryOperator::Not,
                operand,
            } => match self.value(operand) {
                Literal::Bool(flag) => Literal::Bool(!flag),
                _ => Literal::Nil,
            },
            Expr::Binary {
                operator:
                    operator @ (Operator::Add
                    | Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
                    | Operator::Power),
                left,
                right,
            } => self
                .value(left)
                .datum()
                .calculate(*operator, self.value(right).datum()),
            Expr::Binary { .. } | Expr::Matches { .. } | Expr::Exists { .. } => {
                Literal::Bool(self.holds(expr))
            }
        }
    }

    fn compare(&self, left: &Expr, comparison: Comparison, right: &Expr) -> bool {
        let is_for_all = comparison == Comparison::NotEqual;
        match (left, right) {
            (Expr::Field(field), Expr::Literal(literal)) => self.some(field, is_for_all, |datum| {
                datum.compare(comparison, literal.datum())
            }),
            (Expr::Literal(literal), Expr::Field(field)) => self.some(field, is_for_all, |datum| {
                literal.datum().compare(comparison, datum)
            }),
            (Expr::Field(field), other) => {
                let other = self.value(other);
                self.some(field, is_for_all, |datum| {
                    datum.compare(comparison, other.datum())
                })
            }
            (other, Expr::Field(field)) => {
                let other = self.value(other);
                self.some(field, is_for_all, |datum| {
                    other.datum().compare(comparison, datum)
                })
            }
            (left, right) => self
                .value(left)
                .datum()
                .compare(comparison, self.value(right).datum()),
        }
    }

    fn matches(&self, operand: &Expr, pattern: &Pattern, negated: bool) -> bool {
        let matches = |datum: Datum<'_>| match datum {
            Datum::String(text) => pattern.regex.is_match(text) != negated,
            _ => false,
        };
        match operand {
            Expr::Field(field) => self.some(field, negated, matches),
            other => matches(self.value(other).datum()),
        }
    }

    fn exists(&self, operand: &Expr) -> bool {
        match operand {
            Expr::Field(field) => self.any(field, |_| true),
            other => self.value(other) != Literal::Nil,
        }
    }

    /// Whether it holds for some value of the field, or for all of them (and there is one).
    fn some(&self, field: &Field, is_for_all: bool, holds: impl Fn(Datum<'_>) -> bool) -> bool {
        match is_for_all {
            false => self.any(field, holds),
            true => self.all(field, holds),
        }
    }

    /// Stops at the first value for which it does not hold.
    fn all(&self, field: &Field, holds: impl Fn(Datum<'_>) -> bool) -> bool {
        let mut found = false;
        self.seen.each(field, self.index, &self.span, &mut |datum| {
            found = holds(datum);
            !found
        });
        found
    }

    /// Stops at the first value for which it holds.
    fn any(&self, field: &Field, holds: impl Fn(Datum<'_>) -> bool) -> bool {
        let mut found = false;
        self.seen.each(field, self.index, &self.span, &mut |datum| {
            found = holds(datum);
            found
        });
        found
    }
}

impl Expr {
    /// Notes the fields that it reads.
    pub(super) fn fields(&self, fields: &mut Vec<Field>) {
        match self {
            Self::Literal(_) => {}
            Self::Field(field) => note(field, fields),
            Self::Unary { operand, .. }
            | Self::Matches { operand, .. }
            | Self::Exists { operand, .. } => {
                operand.fields(fields);
            }
            Self::Binary { left, right, .. } => {
                left.fields(fields);
                right.fields(fields);
            }
        }
    }
}
