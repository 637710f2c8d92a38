//! Matchers of labels: routes, inhibition rules, silences and the filters of queries are made of them. Their texts are read in
//! `parse`, regular expressions in the crate's `pattern`.

mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use parse::{SyntaxError, parse_matcher, parse_matchers};

use crate::{
    labels::{Labels, Quoted},
    pattern::{Pattern, PatternError},
};

/// How a value is compared. In the order in which Alertmanager sorts matchers of one name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operator {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// One condition on one label. A label that is not there has an empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    pub operator: Operator,
    pub value: String,
    pattern: Option<Pattern>,
}

impl Matcher {
    /// # Errors
    /// If the value of a regular expression is none.
    pub fn new(name: &str, operator: Operator, value: &str) -> Result<Self, PatternError> {
        let pattern = match operator {
            Operator::Equal | Operator::NotEqual => None,
            Operator::Regex | Operator::NotRegex => Some(Pattern::new(value)?),
        };
        Ok(Self {
            name: name.to_owned(),
            operator,
            value: value.to_owned(),
            pattern,
        })
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name))
    }

    pub(crate) fn matches_value(&self, value: &str) -> bool {
        let is_match = match &self.pattern {
            Some(pattern) => pattern.matches(value),
            None => self.value == value,
        };
        is_match == matches!(self.operator, Operator::Equal | Operator::Regex)
    }

    fn key(&self) -> (&str, &str, Operator) {
        (&self.name, &self.value, self.operator)
    }
}

/// The compiled expression follows from the rest.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            operator,
            value,
            ..
        } = self;
        if name.contains(parse::is_reserved) {
            return write!(f, "{}{operator}{}", Quoted(name), Quoted(value));
        }
        write!(f, "{name}{operator}\"")?;
        for character in value.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' => f.write_str("\\\"")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

/// True if all conditions hold.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// As Alertmanager writes a list of them: part of group keys.
pub(crate) fn describe(matchers: &[Matcher]) -> String {
    let texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", texts.join(","))
}
