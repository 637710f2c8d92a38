//! Terms of plain text: all of them, one of them (`?`), none of them (`-`), quoted phrases, and one `%regex%`.
//!
//! A term stands anywhere in a message, inside words too, and its case counts.

use logql::Hint;

use super::{PatternError, cursor::Cursor, regex::Expression};

/// A pattern of terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    required: Vec<Box<str>>,
    /// One is enough. As in the service, these count only when nothing else is asked for.
    optional: Vec<Box<str>>,
    excluded: Vec<Box<str>>,
    regexes: Vec<Expression>,
}

impl Terms {
    /// `None` when every message has what the pattern asks for, such as a blank phrase.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, PatternError> {
        // The documented pattern for every message.
        if text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .is_some_and(|inside| !inside.is_empty() && inside.trim().is_empty())
        {
            return Ok(None);
        }
        let mut terms = Self::default();
        let mut cursor = Cursor::new(text);
        loop {
            cursor.skip_space();
            let Some(next) = cursor.peek() else {
                break;
            };
            terms.read(next, &mut cursor)?;
            if cursor.peek().is_some_and(|next| !next.is_whitespace()) {
                return Err(cursor.unexpected());
            }
        }
        Ok(Some(terms))
    }

    fn read(&mut self, next: char, cursor: &mut Cursor<'_>) -> Result<(), PatternError> {
        if next == '%' {
            self.regexes.push(Expression::parse(cursor.percents()?)?);
            return Ok(());
        }
        let kind = match next {
            '?' => &mut self.optional,
            '-' => &mut self.excluded,
            _ => &mut self.required,
        };
        if matches!(next, '?' | '-') {
            cursor.next();
        }
        kind.push(term(cursor)?);
        Ok(())
    }

    pub(super) fn regexes(&self) -> usize {
        self.regexes.len()
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let all = |terms: &[Box<str>]| terms.iter().all(|term| message.contains(&**term));
        let any = |terms: &[Box<str>]| terms.iter().any(|term| message.contains(&**term));
        all(&self.required)
            && !any(&self.excluded)
            && self.regexes.iter().all(|regex| regex.is_match(message))
            && (!self.optional_counts() || any(&self.optional))
    }

    fn optional_counts(&self) -> bool {
        self.required.is_empty()
            && self.excluded.is_empty()
            && self.regexes.is_empty()
            && !self.optional.is_empty()
    }

    pub(super) fn hints(&self) -> Vec<Hint> {
        let only = match &*self.optional {
            [only] if self.optional_counts() => Some(only),
            _ => None,
        };
        let certain = self.required.iter().chain(only);
        certain.cloned().map(Hint::Contains).collect()
    }
}

/// A phrase in quotes, or letters and digits.
fn term(cursor: &mut Cursor<'_>) -> Result<Box<str>, PatternError> {
    if cursor.peek() == Some('"') {
        let phrase = cursor.quoted('"')?;
        if phrase.is_empty() {
            return Err(PatternError::term("\"\""));
        }
        return Ok(phrase.into());
    }
    // The underscore counts as a letter, as it does in the service.
    let word = cursor.take_while(|next| next.is_alphanumeric() || next == '_');
    if word.is_empty() {
        return Err(cursor.unexpected());
    }
    Ok(word.into())
}
