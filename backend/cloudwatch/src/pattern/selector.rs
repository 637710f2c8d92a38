//! `$.a.b[0]["c d"]`: where in a JSON message a value stands, and which of these places a store indexes.

use serde_json::Value;

use super::{PatternError, cursor::Cursor};

/// Fields of the outermost object that are stored beside a message, so that it is found by them.
pub const INDEXED_FIELDS: [&str; 2] = [conventions::fields::SPAN_ID, conventions::fields::TRACE_ID];
/// Bytes of an indexed value: ids are 16 and 32 long, and a longer one is found by reading.
pub(super) const INDEXED_BYTES_MAX: usize = 64;
/// Steps of one selector.
const STEPS_MAX: usize = 32;

/// A path from the outermost value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Index(usize),
    /// `[*]`: any element.
    Each,
}

impl Selector {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        if !cursor.take("$") {
            return Err(cursor.unexpected());
        }
        let mut steps = Vec::new();
        loop {
            if cursor.take("[") {
                steps.push(bracketed(cursor)?);
            } else if cursor.take(".") {
                steps.push(if cursor.take("[") {
                    bracketed(cursor)?
                } else {
                    key(cursor)?
                });
            } else {
                break;
            }
            if steps.len() > STEPS_MAX {
                return Err(PatternError::new(&format!(
                    "A property selector can have at most {STEPS_MAX} parts"
                )));
            }
        }
        if steps.is_empty() {
            return Err(cursor.unexpected());
        }
        Ok(Self(steps))
    }

    /// Whether `judge` holds for a value at this place.
    pub(super) fn any(&self, root: &Value, mut judge: impl FnMut(&Value) -> bool) -> bool {
        walk(&self.0, root, &mut judge)
    }

    /// The name, when the place is an indexed field.
    pub(super) fn indexed(&self) -> Option<&'static str> {
        match &*self.0 {
            [Step::Key(key)] => INDEXED_FIELDS.into_iter().find(|name| **name == **key),
            _ => None,
        }
    }
}

/// The indexed fields that a message has, as it is parsed for judging: the same value is seen there.
pub(super) fn indexed_fields(root: &Value) -> Vec<(&'static str, String)> {
    let field = |name: &'static str| {
        let value = root.get(name)?.as_str()?;
        let fits = !value.is_empty() && value.len() <= INDEXED_BYTES_MAX;
        fits.then(|| (name, value.to_owned()))
    };
    INDEXED_FIELDS.into_iter().filter_map(field).collect()
}

fn walk(steps: &[Step], value: &Value, judge: &mut impl FnMut(&Value) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return judge(value);
    };
    match step {
        Step::Key(key) => value
            .as_object()
            .and_then(|object| object.get(&**key))
            .is_some_and(|inner| walk(rest, inner, judge)),
        Step::Index(index) => value
            .as_array()
            .and_then(|array| array.get(*index))
            .is_some_and(|inner| walk(rest, inner, judge)),
        Step::Each => value
            .as_array()
            .is_some_and(|array| array.iter().any(|inner| walk(rest, inner, judge))),
    }
}

fn key(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    let key = cursor.take_while(|next| next.is_alphanumeric() || "_-@:".contains(next));
    if key.is_empty() {
        return Err(cursor.unexpected());
    }
    Ok(Step::Key(key.into()))
}

/// What stands after an opening bracket: a number, a star, or a key in quotes.
fn bracketed(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    let step = match cursor.peek() {
        Some(quote @ ('"' | '\'')) => Step::Key(cursor.quoted(quote)?.into()),
        Some('*') => {
            cursor.next();
            Step::Each
        }
        _ => {
            let digits = cursor.take_while(|next| next.is_ascii_digit());
            Step::Index(digits.parse().map_err(|_| cursor.unexpected())?)
        }
    };
    if !cursor.take("]") {
        return Err(cursor.unexpected());
    }
    Ok(step)
}
