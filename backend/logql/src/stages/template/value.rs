//! Values of templates, and how they are taken for one another.

use std::{cmp::Ordering, collections::BTreeMap};

use super::calendar;
use crate::units::format_general;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    List(Vec<Value>),
    Map(BTreeMap<Box<str>, Value>),
    /// The labels: looked up where they are.
    Labels,
    Time(jiff::Zoned),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Value {
    /// What it is, in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Labels => "map[string]string",
            Self::Time(_) => "time.Time",
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Labels | Self::Time(_) => true,
        }
    }

    /// As it is printed.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Nil => "<no value>".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => format_general(*value),
            Self::Text(text) => text.to_string(),
            Self::List(list) => {
                let items: Vec<String> = list.iter().map(Self::item_text).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(map) => {
                let items = map
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.item_text()));
                format!("map[{}]", items.collect::<Vec<_>>().join(" "))
            }
            Self::Labels => "map[]".into(),
            Self::Time(time) => calendar::default_text(time),
        }
    }

    fn item_text(&self) -> String {
        match self {
            Self::Nil => "<nil>".into(),
            other => other.text(),
        }
    }

    /// A whole number, zero for what is none.
    pub(super) fn to_int(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            Self::Float(value) => *value as i64,
            Self::Bool(value) => i64::from(*value),
            Self::Text(text) => int(text).unwrap_or(0),
            _ => 0,
        }
    }

    /// A number, zero for what is none.
    pub(super) fn to_float(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Text(text) => text.parse().unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// Compares what is of one kind.
    pub(super) fn compare(&self, other: &Self) -> Result<Ordering, String> {
        let ordered = match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.timestamp().cmp(&b.timestamp())),
            _ => return Err("incompatible types for comparison".into()),
        };
        Ok(ordered.unwrap_or(Ordering::Greater))
    }

    pub(super) fn equals(&self, other: &Self) -> Result<bool, String> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(a == b),
            (Self::Nil, other) | (other, Self::Nil) => Ok(*other == Self::Nil),
            (Self::Float(a), Self::Float(b)) => Ok(a == b),
            _ => Ok(self.compare(other)? == Ordering::Equal),
        }
    }
}

/// Decimal, with a prefix hexadecimal, octal or binary; decimals may follow and are dropped.
fn int(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole.strip_prefix('+').unwrap_or(whole)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}
