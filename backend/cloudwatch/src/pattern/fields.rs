//! `[ip, user, status = 4* && status != 404, ...]`: conditions on the words of a message.
//!
//! Words stand between spaces; what is in quotes or square brackets is one word. Without `...` a message must have as many words
//! as the pattern has fields.

use super::{
    PatternError,
    condition::{Condition, Value},
    cursor::Cursor,
};

/// Fields of one pattern, and the words of a message that are looked at.
const FIELDS_MAX: usize = 64;

/// A pattern of fields.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    before: Vec<Field>,
    /// After `...`, counted from the end; `None` without one.
    after: Option<Vec<Field>>,
}

/// The alternatives of a field, each a list of what must hold; empty when any word will do.
type Field = Vec<Vec<Condition>>;

impl Fields {
    /// From what stands between the square brackets.
    pub(super) fn parse(inside: &str) -> Result<Self, PatternError> {
        let mut cursor = Cursor::new(inside);
        let mut fields = Self {
            before: Vec::new(),
            after: None,
        };
        loop {
            cursor.skip_space();
            if cursor.take("...") {
                if fields.after.replace(Vec::new()).is_some() {
                    return Err(PatternError::new("An ellipsis (...) can stand once"));
                }
            } else {
                let field = field(&mut cursor)?;
                fields
                    .after
                    .as_mut()
                    .unwrap_or(&mut fields.before)
                    .push(field);
            }
            if fields.count() > FIELDS_MAX {
                return Err(PatternError::new(&format!(
                    "A pattern can have at most {FIELDS_MAX} fields"
                )));
            }
            cursor.skip_space();
            match cursor.peek() {
                None => return Ok(fields),
                Some(',') => cursor.next(),
                Some(_) => return Err(cursor.unexpected()),
            };
        }
    }

    fn count(&self) -> usize {
        self.before.len() + self.after.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn regexes(&self) -> usize {
        let conditions = self.before.iter().chain(self.after.iter().flatten());
        conditions
            .flatten()
            .flatten()
            .filter(|condition| matches!(condition.value, Value::Regex(_)))
            .count()
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let words: Vec<&str> = match self.after {
            // One word more than fields tells that there are too many.
            None => Words(message).take(self.count() + 1).collect(),
            Some(_) => Words(message).collect(),
        };
        let enough = match self.after {
            None => words.len() == self.count(),
            Some(_) => words.len() >= self.count(),
        };
        let after = self.after.as_deref().unwrap_or_default();
        enough
            && all_hold(&self.before, &words)
            && all_hold(after, &words[words.len() - after.len()..])
    }
}

fn all_hold(fields: &[Field], words: &[&str]) -> bool {
    fields.iter().zip(words).all(|(field, word)| {
        field.is_empty()
            || field.iter().any(|alternative| {
                alternative
                    .iter()
                    .all(|condition| condition.holds_for_text(word))
            })
    })
}

/// A name, alone or with conditions that repeat it.
fn field(cursor: &mut Cursor<'_>) -> Result<Field, PatternError> {
    let name = name(cursor)?;
    cursor.skip_space();
    if matches!(cursor.peek(), None | Some(',')) {
        return Ok(Vec::new());
    }
    let mut alternatives = vec![vec![Condition::parse(cursor)?]];
    loop {
        cursor.skip_space();
        let and = cursor.take("&&");
        if !and && !cursor.take("||") {
            return Ok(alternatives);
        }
        cursor.skip_space();
        let again = self::name(cursor)?;
        if again != name {
            return Err(PatternError::new(&format!(
                "The conditions of field '{name}' cannot name field '{again}'"
            )));
        }
        let condition = Condition::parse(cursor)?;
        match alternatives.last_mut() {
            Some(last) if and => last.push(condition),
            _ => alternatives.push(vec![condition]),
        }
    }
}

fn name<'p>(cursor: &mut Cursor<'p>) -> Result<&'p str, PatternError> {
    let name = cursor.take_while(|next| next.is_alphanumeric() || "_-".contains(next));
    if name.is_empty() {
        return Err(cursor.unexpected());
    }
    Ok(name)
}

/// The words of a message, without the quotes or brackets around them.
struct Words<'m>(&'m str);

impl<'m> Iterator for Words<'m> {
    type Item = &'m str;

    fn next(&mut self) -> Option<&'m str> {
        let rest = self.0.trim_start();
        let close = match rest.chars().next()? {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        // Without its closing character an opening one is part of an ordinary word.
        if let Some(close) = close
            && let Some(end) = rest[1..].find(close)
        {
            self.0 = &rest[end + 2..];
            return Some(&rest[1..=end]);
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        self.0 = &rest[end..];
        Some(&rest[..end])
    }
}
