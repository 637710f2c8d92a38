//! Filter patterns of CloudWatch Logs: which messages a pattern selects, and what a store may skip by it.
//!
//! Three languages begin with different characters: `{` conditions on fields of JSON, `[` words between spaces, anything else
//! terms of plain text. Parsing and judging only; nothing is read here.

mod condition;
mod cursor;
mod fields;
mod glob;
mod json;
mod regex;
mod selector;
mod terms;

#[cfg(test)]
mod tests;

use logql::Hint;

pub use selector::INDEXED_FIELDS;

/// Bytes of one pattern: the limit of the service.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Expressions in one pattern: the limit of the service.
const REGEXES_MAX: usize = 2;
/// Characters of a refused term that its error repeats.
const SHOWN_CHARS_MAX: usize = 100;

/// A filter pattern, ready to judge messages.
#[derive(Clone, Debug)]
pub struct FilterPattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    All,
    Terms(terms::Terms),
    Fields(fields::Fields),
    Json(json::Json),
}

/// A pattern that is none. Its text is the service's own, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl FilterPattern {
    /// Reads a pattern; an empty one selects every message.
    ///
    /// # Errors
    /// When the text is no pattern, too long, or has more than two expressions.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError(format!(
                "1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: Member must have length less than or equal to {PATTERN_BYTES_MAX}"
            )));
        }
        let text = text.trim();
        let kind = match text.chars().next() {
            None => Kind::All,
            Some('{') => Kind::Json(json::Json::parse(enclosed(text, '{', '}')?)?),
            Some('[') => Kind::Fields(fields::Fields::parse(enclosed(text, '[', ']')?)?),
            Some(_) => terms::Terms::parse(text)?.map_or(Kind::All, Kind::Terms),
        };
        let regexes = match &kind {
            Kind::All => 0,
            Kind::Terms(terms) => terms.regexes(),
            Kind::Fields(fields) => fields.regexes(),
            Kind::Json(json) => json.regexes(),
        };
        if regexes > REGEXES_MAX {
            return Err(PatternError::new(&format!(
                "A filter pattern can have at most {REGEXES_MAX} regular expressions"
            )));
        }
        Ok(Self(kind))
    }

    /// Whether the pattern selects this message.
    #[must_use]
    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Terms(terms) => terms.matches(message),
            Kind::Fields(fields) => fields.matches(message),
            Kind::Json(json) => json.matches(message),
        }
    }

    /// What is true of every message that the pattern selects, provided that messages were stored with [`indexed_fields`].
    #[must_use]
    pub fn hints(&self) -> Vec<Hint> {
        match &self.0 {
            Kind::All | Kind::Fields(_) => Vec::new(),
            Kind::Terms(terms) => terms.hints(),
            Kind::Json(json) => json.hints(),
        }
    }
}

/// The fields of a message by which it is found without reading others: names and values, in the order of names. They are what
/// [`FilterPattern::hints`] relies on.
#[must_use]
pub fn indexed_fields(message: &str) -> Vec<(&'static str, String)> {
    // Most messages that are no JSON are known by their first character.
    if !message.trim_start().starts_with('{') {
        return Vec::new();
    }
    serde_json::from_str(message)
        .map(|value| selector::indexed_fields(&value))
        .unwrap_or_default()
}

impl PatternError {
    fn new(reason: &str) -> Self {
        Self(format!("Invalid filter pattern: {reason}"))
    }

    /// A term that the language does not have, as much of it as is useful.
    fn term(text: &str) -> Self {
        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        Self::new(&format!("Invalid character(s) in term '{shown}'"))
    }

    fn not_a_number() -> Self {
        Self::new("The operators <, <=, > and >= take a number")
    }
}

/// What stands between the brackets.
fn enclosed(text: &str, open: char, close: char) -> Result<&str, PatternError> {
    text.strip_prefix(open)
        .and_then(|inside| inside.strip_suffix(close))
        .ok_or_else(|| {
            PatternError::new(&format!(
                "If a filter pattern starts with '{open}' it must end with '{close}'"
            ))
        })
}
