//! One comparison: an operator and the value beside it, for fields of JSON and for words between spaces. Where the field comes
//! from is not known here.

use std::cmp::Ordering;

use super::{PatternError, cursor::Cursor, glob::Glob, regex::Expression};

/// Characters of a value without quotes besides letters and digits: enough for addresses, paths, dates and wildcards.
const BARE_SYMBOLS: &str = "*._-+:/@#%$?";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a field is compared with.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// In quotes: text and nothing else.
    Quoted(Glob),
    /// Without quotes: text, which may read as a number.
    Bare {
        glob: Glob,
        number: Option<Number>,
    },
    Regex(Expression),
}

/// A number as it was written: integers keep all their digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) value: Value,
}

impl Condition {
    /// An operator and a value, which stand here.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        cursor.skip_space();
        let operator = Operator::parse(cursor).ok_or_else(|| cursor.unexpected())?;
        cursor.skip_space();
        let value = Value::parse(cursor)?;
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && value.number().is_none() {
            return Err(PatternError::not_a_number());
        }
        Ok(Self { operator, value })
    }

    /// For a field that is text: the words between spaces, and strings of JSON.
    pub(super) fn holds_for_text(&self, text: &str) -> bool {
        match self.operator {
            Operator::Equal => self.value.equals_text(text),
            Operator::NotEqual => !self.value.equals_text(text),
            _ => Number::parse(text).is_some_and(|number| self.holds_for_number(number)),
        }
    }

    pub(super) fn holds_for_number(&self, number: Number) -> bool {
        let Some(bound) = self.value.number() else {
            return self.operator == Operator::NotEqual;
        };
        let order = number.order(bound);
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
            Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

impl Operator {
    fn parse(cursor: &mut Cursor<'_>) -> Option<Self> {
        // The longer ones first: `<` begins `<=`.
        [
            ("!=", Self::NotEqual),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ]
        .into_iter()
        .find_map(|(text, operator)| cursor.take(text).then_some(operator))
    }
}

impl Value {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        match cursor.peek() {
            Some('"') => cursor
                .quoted('"')
                .map(|text| Self::Quoted(Glob::new(&text))),
            Some('%') => Expression::parse(cursor.percents()?).map(Self::Regex),
            _ => {
                let text =
                    cursor.take_while(|next| next.is_alphanumeric() || BARE_SYMBOLS.contains(next));
                if text.is_empty() {
                    return Err(cursor.unexpected());
                }
                Ok(Self::Bare {
                    glob: Glob::new(text),
                    number: Number::parse(text),
                })
            }
        }
    }

    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Self::Bare { number, .. } => *number,
            Self::Quoted(_) | Self::Regex(_) => None,
        }
    }

    fn equals_text(&self, text: &str) -> bool {
        match self {
            Self::Quoted(glob) => glob.matches(text),
            Self::Regex(expression) => expression.is_match(text),
            Self::Bare { glob, number } => {
                glob.matches(text)
                    || number.is_some_and(|bound| {
                        Number::parse(text).and_then(|found| found.order(bound))
                            == Some(Ordering::Equal)
                    })
            }
        }
    }
}

impl Number {
    /// Decimal, with or without sign, point and exponent; no names of numbers.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if !digits {
            return None;
        }
        let integer = text.parse().ok().map(Self::Integer);
        integer.or_else(|| {
            let float = text.parse::<f64>().ok()?;
            float.is_finite().then_some(Self::Float(float))
        })
    }

    pub(super) fn from_json(number: &serde_json::Number) -> Option<Self> {
        let integer = number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from));
        integer
            .map(Self::Integer)
            .or_else(|| number.as_f64().map(Self::Float))
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}
