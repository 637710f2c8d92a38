//! The condition that a single comparison gives. Which spans a comparison matches is decided in `literal`; a condition
//! here is never narrower.

use conventions::resource::SERVICE_NAME;

use super::{Condition, Conjunction};
use crate::model::AttributeValue;
use crate::{Comparison, Expr, Field, Intrinsic, Literal, Operator, Pattern};

/// Characters that mean something in a regular expression.
const SYNTAX: &str = r"\.+*?()[]{}^$|";

/// The condition, and whether the matching span itself has to fulfil it.
pub(super) fn of(expr: &Expr) -> Option<(Condition, bool)> {
    match expr {
        Expr::Field(Field::Attribute { key, .. }) => {
            let any_of = vec![AttributeValue::Bool(true)];
            let key = key.clone();
            Some((Condition::Attribute { key, any_of }, true))
        }
        Expr::Binary {
            operator: Operator::Compare(comparison),
            left,
            right,
        } => match (&**left, &**right) {
            (Expr::Field(field), Expr::Literal(literal)) => compared(field, *comparison, literal),
            (Expr::Literal(literal), Expr::Field(field)) => {
                compared(field, comparison.flipped(), literal)
            }
            _ => None,
        },
        Expr::Matches {
            operand,
            pattern,
            negated: false,
        } => match &**operand {
            Expr::Field(field) => matched(field, pattern),
            _ => None,
        },
        Expr::Exists {
            operand,
            negated: false,
        } => match &**operand {
            Expr::Field(Field::Attribute { key, .. }) => {
                Some((Condition::HasAttribute(key.clone()), true))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Adds the alternatives of `other` to `held` when both are one condition about the same thing.
pub(super) fn merge(held: &mut Conjunction, other: &Conjunction) -> bool {
    let ([held], [other]) = (held.as_mut_slice(), other.as_slice()) else {
        return false;
    };
    match (held, other) {
        (
            Condition::Attribute { key, any_of },
            Condition::Attribute {
                key: same,
                any_of: more,
            },
        ) if key == same => any_of.extend_from_slice(more),
        (Condition::Name(any_of), Condition::Name(more)) => any_of.extend_from_slice(more),
        (Condition::Status(any_of), Condition::Status(more)) => any_of.extend_from_slice(more),
        (Condition::Kind(any_of), Condition::Kind(more)) => any_of.extend_from_slice(more),
        _ => return false,
    }
    true
}

/// A guess at how few spans have it.
pub(super) fn weight(condition: &Condition) -> u32 {
    match condition {
        Condition::Attribute { .. } | Condition::Name(_) => 8,
        Condition::Status(_) => 4,
        Condition::Kind(_) | Condition::Duration { .. } => 2,
        Condition::HasAttribute(_) => 1,
    }
}

fn compared(field: &Field, comparison: Comparison, literal: &Literal) -> Option<(Condition, bool)> {
    if comparison == Comparison::NotEqual {
        return None;
    }
    match (field, literal) {
        (Field::Attribute { key, .. }, _) => {
            Some((of_attribute(key.clone(), comparison, literal), true))
        }
        (Field::Intrinsic(Intrinsic::Duration), _) => Some((duration(comparison, literal)?, true)),
        (Field::Intrinsic(intrinsic), Literal::String(text)) if comparison == Comparison::Equal => {
            named(*intrinsic, vec![text.clone()])
        }
        (Field::Intrinsic(Intrinsic::Status), Literal::Status(status)) => {
            Some((Condition::Status(vec![*status]), true))
        }
        (Field::Intrinsic(Intrinsic::Kind), Literal::Kind(kind)) => {
            Some((Condition::Kind(vec![*kind]), true))
        }
        _ => None,
    }
}

fn matched(field: &Field, pattern: &Pattern) -> Option<(Condition, bool)> {
    let literals = alternatives(pattern.source());
    match (field, literals) {
        (Field::Attribute { key, .. }, Some(literals)) => {
            let key = key.clone();
            let any_of = literals.into_iter().map(AttributeValue::String).collect();
            Some((Condition::Attribute { key, any_of }, true))
        }
        (Field::Attribute { key, .. }, None) => Some((Condition::HasAttribute(key.clone()), true)),
        (Field::Intrinsic(intrinsic), Some(literals)) => named(*intrinsic, literals),
        (Field::Intrinsic(_), None) => None,
    }
}

fn of_attribute(key: String, comparison: Comparison, literal: &Literal) -> Condition {
    let value = match literal {
        Literal::String(text) => AttributeValue::String(text.clone()),
        Literal::Int(number) | Literal::Duration(number) => AttributeValue::Int(*number),
        Literal::Float(number) => AttributeValue::Double(*number),
        Literal::Bool(flag) => AttributeValue::Bool(*flag),
        Literal::Nil | Literal::Status(_) | Literal::Kind(_) => {
            return Condition::HasAttribute(key);
        }
    };
    if comparison != Comparison::Equal {
        return Condition::HasAttribute(key);
    }
    let any_of = vec![value];
    Condition::Attribute { key, any_of }
}

/// Intrinsics that are names. Those of the root are had by another span, and by none when the root was not stored: what
/// stands for it then is no name that a span has, so only what looks like one is looked up.
fn named(intrinsic: Intrinsic, any_of: Vec<String>) -> Option<(Condition, bool)> {
    let may_be_absent = |name: &String| name.is_empty() || name.starts_with('<');
    match intrinsic {
        Intrinsic::Name => Some((Condition::Name(any_of), true)),
        _ if any_of.iter().any(may_be_absent) => None,
        Intrinsic::RootName => Some((Condition::Name(any_of), false)),
        Intrinsic::RootServiceName => {
            let key = SERVICE_NAME.to_owned();
            let any_of = any_of.into_iter().map(AttributeValue::String).collect();
            Some((Condition::Attribute { key, any_of }, false))
        }
        _ => None,
    }
}

/// The range a comparison leaves, both ends included. Of a float it is rounded outwards.
fn duration(comparison: Comparison, literal: &Literal) -> Option<Condition> {
    let (below, above, is_whole) = match literal {
        Literal::Int(number) | Literal::Duration(number) => {
            let number = u64::try_from(*number).ok()?;
            (number, number, true)
        }
        // Casts of floats saturate.
        Literal::Float(number) => (number.floor() as u64, number.ceil() as u64, false),
        _ => return None,
    };
    let (min_ns, max_ns) = match comparison {
        Comparison::Equal => (below, above),
        Comparison::Greater if is_whole => (below.saturating_add(1), u64::MAX),
        Comparison::Greater | Comparison::GreaterEqual => (below, u64::MAX),
        Comparison::Less if is_whole => (0, above.saturating_sub(1)),
        Comparison::Less | Comparison::LessEqual => (0, above),
        Comparison::NotEqual => return None,
    };
    Some(Condition::Duration { min_ns, max_ns })
}

/// The texts of an expression that is nothing but texts and `|`.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let plain = |text: &str| (!text.contains(|c| SYNTAX.contains(c))).then(|| text.to_owned());
    pattern.split('|').map(plain).collect()
}
