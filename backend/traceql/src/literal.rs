//! Values: of literals in a query, of labels, of groups. Comparison and arithmetic across types are here; no text is parsed.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::model::{AttributeValue, Kind, Status, Value};
use crate::{Comparison, Operator};

/// An owned value. `Nil` is what a span without the attribute gives; no literal of a query is `Nil`.
#[derive(Clone, Debug)]
pub enum Literal {
    Nil,
    Int(i64),
    Float(f64),
    String(String),
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    Status(Status),
    Kind(Kind),
}

/// The whole value of a field. An array of one element is that element, as in Tempo.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whole {
    One(Literal),
    Array(Vec<Literal>),
}

/// The same as a [`Literal`], borrowed: what evaluation passes around.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Datum<'a> {
    Nil,
    Int(i64),
    Float(f64),
    String(&'a str),
    Bool(bool),
    Duration(i64),
    Status(Status),
    Kind(Kind),
}

impl Literal {
    pub(crate) fn datum(&self) -> Datum<'_> {
        match self {
            Self::Nil => Datum::Nil,
            Self::Int(number) => Datum::Int(*number),
            Self::Float(number) => Datum::Float(*number),
            Self::String(text) => Datum::String(text),
            Self::Bool(flag) => Datum::Bool(*flag),
            Self::Duration(ns) => Datum::Duration(*ns),
            Self::Status(status) => Datum::Status(*status),
            Self::Kind(kind) => Datum::Kind(*kind),
        }
    }

    /// Of an int, a float or a duration (in nanoseconds).
    pub fn as_number(&self) -> Option<f64> {
        self.datum().number()
    }

    /// What distinguishes values: their type, and floats by their bits. Unlike a comparison in a query, `1` is not `1.0`.
    fn identity(&self) -> (u8, u64, &str) {
        match self {
            Self::Nil => (0, 0, ""),
            Self::Int(number) => (1, *number as u64, ""),
            Self::Float(number) => (2, number.to_bits(), ""),
            Self::String(text) => (3, 0, text),
            Self::Bool(flag) => (4, u64::from(*flag), ""),
            Self::Duration(ns) => (5, *ns as u64, ""),
            Self::Status(status) => (6, *status as u64, ""),
            Self::Kind(kind) => (7, *kind as u64, ""),
        }
    }

    /// A total order: by type, then by value.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let values = match (self, other) {
            (Self::Int(left), Self::Int(right)) | (Self::Duration(left), Self::Duration(right)) => {
                left.cmp(right)
            }
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right),
            _ => Ordering::Equal,
        };
        let kinds = self.identity().0.cmp(&other.identity().0);
        kinds
            .then(values)
            .then_with(|| self.identity().cmp(&other.identity()))
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Literal {}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl Whole {
    pub(crate) fn is_nil(&self) -> bool {
        *self == Self::One(Literal::Nil)
    }

    pub(crate) fn shown(&self) -> AttributeValue {
        match self {
            Self::One(value) => value.shown(),
            Self::Array(values) => {
                AttributeValue::Array(values.iter().map(Literal::shown).collect())
            }
        }
    }
}

impl<'a> From<Value<'a>> for Datum<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::String(text) => Self::String(text),
            Value::Int(number) => Self::Int(number),
            Value::Double(number) => Self::Float(number),
            Value::Bool(flag) => Self::Bool(flag),
        }
    }
}

impl From<Datum<'_>> for Literal {
    fn from(datum: Datum<'_>) -> Self {
        match datum {
            Datum::Nil => Self::Nil,
            Datum::Int(number) => Self::Int(number),
            Datum::Float(number) => Self::Float(number),
            Datum::String(text) => Self::String(text.to_owned()),
            Datum::Bool(flag) => Self::Bool(flag),
            Datum::Duration(ns) => Self::Duration(ns),
            Datum::Status(status) => Self::Status(status),
            Datum::Kind(kind) => Self::Kind(kind),
        }
    }
}

impl Datum<'_> {
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// Values that cannot be compared (nil, a string with a number, an order of statuses) compare false, `!=` included.
    pub(crate) fn compare(self, comparison: Comparison, other: Datum<'_>) -> bool {
        if let (
            Self::Bool(_) | Self::Status(_) | Self::Kind(_),
            Comparison::Greater
            | Comparison::GreaterEqual
            | Comparison::Less
            | Comparison::LessEqual,
        ) = (self, comparison)
        {
            return false;
        }
        match self.order(other) {
            Compared::Ordered(order) => comparison.accepts(order),
            // A NaN differs from everything.
            Compared::Unordered => comparison == Comparison::NotEqual,
            Compared::Unrelated => false,
        }
    }

    fn order(self, other: Datum<'_>) -> Compared {
        let order = match (self, other) {
            (Self::String(left), Datum::String(right)) => left.cmp(right),
            (Self::Bool(left), Datum::Bool(right)) => left.cmp(&right),
            (Self::Status(left), Datum::Status(right)) => left.cmp(&right),
            (Self::Kind(left), Datum::Kind(right)) => left.cmp(&right),
            (
                Self::Int(left) | Self::Duration(left),
                Datum::Int(right) | Datum::Duration(right),
            ) => left.cmp(&right),
            _ => return self.order_of_numbers(other),
        };
        Compared::Ordered(order)
    }

    fn order_of_numbers(self, other: Datum<'_>) -> Compared {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => left
                .partial_cmp(&right)
                .map_or(Compared::Unordered, Compared::Ordered),
            _ => Compared::Unrelated,
        }
    }

    /// Ints stay ints (wrapping, division truncates), everything else is a float; durations count as nanoseconds. `Nil` when
    /// an operand is no number, and for an int divided by zero.
    pub(crate) fn calculate(self, operator: Operator, other: Datum<'_>) -> Literal {
        if let (Self::Int(left), Datum::Int(right)) = (self, other) {
            return calculate_ints(operator, left, right).map_or(Literal::Nil, Literal::Int);
        }
        let (Some(left), Some(right)) = (self.number(), other.number()) else {
            return Literal::Nil;
        };
        Literal::Float(match operator {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
            Operator::Modulo => left % right,
            Operator::Power => left.powf(right),
            Operator::And | Operator::Or | Operator::Compare(_) => return Literal::Nil,
        })
    }

    pub(crate) fn negated(self) -> Literal {
        match self {
            Self::Int(number) => Literal::Int(number.wrapping_neg()),
            Self::Float(number) => Literal::Float(-number),
            Self::Duration(ns) => Literal::Duration(ns.wrapping_neg()),
            _ => Literal::Nil,
        }
    }
}

enum Compared {
    Ordered(Ordering),
    Unordered,
    Unrelated,
}

fn calculate_ints(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Add => Some(left.wrapping_add(right)),
        Operator::Subtract => Some(left.wrapping_sub(right)),
        Operator::Multiply => Some(left.wrapping_mul(right)),
        Operator::Divide if right != 0 => Some(left.wrapping_div(right)),
        Operator::Modulo if right != 0 => Some(left.wrapping_rem(right)),
        Operator::Power => Some((left as f64).powf(right as f64) as i64),
        _ => None,
    }
}
