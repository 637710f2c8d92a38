//! `{ $.a = "x*" && ($.n >= 5 || $.b NOT EXISTS) }`: conditions on a JSON message, `&&` before `||`.
//!
//! A message that is no JSON object or array matches no such pattern. A field that is missing meets `NOT EXISTS` and nothing else.

use logql::Hint;
use serde_json::Value as JsonValue;

use super::{
    PatternError,
    condition::{Condition, Number, Operator, Value},
    cursor::Cursor,
    selector::{INDEXED_BYTES_MAX, Selector},
};

/// How deep parentheses nest.
const DEPTH_MAX: usize = 32;

/// A pattern of conditions.
#[derive(Clone, Debug)]
pub(super) struct Json {
    expression: Expression,
    /// Stands in every message that matches, unless it is written there with escapes.
    needed: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Test(Selector, Test),
}

#[derive(Clone, Debug)]
enum Test {
    Compare(Condition),
    IsNull,
    NotExists,
    Is(bool),
}

impl Json {
    /// From what stands between the braces.
    pub(super) fn parse(inside: &str) -> Result<Self, PatternError> {
        let mut cursor = Cursor::new(inside);
        let expression = any(&mut cursor, 0)?;
        cursor.skip_space();
        if cursor.peek().is_some() {
            return Err(cursor.unexpected());
        }
        let mut needed = Vec::new();
        expression.needed(&mut needed);
        Ok(Self { expression, needed })
    }

    pub(super) fn regexes(&self) -> usize {
        self.expression.regexes()
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        // A string of JSON may be written with escapes: only without any does absence from the text mean absence.
        let absent = self.needed.iter().any(|text| !message.contains(&**text));
        if absent && !message.contains('\\') {
            return false;
        }
        match serde_json::from_str::<JsonValue>(message) {
            Ok(root @ (JsonValue::Object(_) | JsonValue::Array(_))) => self.expression.holds(&root),
            _ => false,
        }
    }

    pub(super) fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        self.expression.hints(&mut hints);
        hints
    }
}

impl Expression {
    fn holds(&self, root: &JsonValue) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(root)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(root)),
            Self::Test(selector, Test::NotExists) => !selector.any(root, |_| true),
            Self::Test(selector, test) => selector.any(root, |value| test.holds(value)),
        }
    }

    fn regexes(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::regexes).sum(),
            Self::Test(_, Test::Compare(condition)) => {
                usize::from(matches!(condition.value, Value::Regex(_)))
            }
            Self::Test(..) => 0,
        }
    }

    /// The parts that must hold, alternatives left out.
    fn certain(&self, visit: &mut impl FnMut(&Selector, &Test)) {
        match self {
            Self::All(parts) => parts.iter().for_each(|part| part.certain(visit)),
            Self::Any(_) => {}
            Self::Test(selector, test) => visit(selector, test),
        }
    }

    fn needed(&self, needed: &mut Vec<Box<str>>) {
        self.certain(&mut |_, test| {
            if let Test::Compare(condition) = test
                && condition.operator == Operator::Equal
                // A bare value may be a number, and those have many spellings.
                && let Value::Quoted(glob) = &condition.value
                && !glob.longest_part().is_empty()
            {
                needed.push(glob.longest_part().into());
            }
        });
    }

    fn hints(&self, hints: &mut Vec<Hint>) {
        self.certain(&mut |selector, test| {
            if let Test::Compare(condition) = test
                && condition.operator == Operator::Equal
                && condition.value.number().is_none()
                && let Value::Quoted(glob) | Value::Bare { glob, .. } = &condition.value
                && let Some(value) = glob.literal()
                && !value.is_empty()
                && value.len() <= INDEXED_BYTES_MAX
                && let Some(name) = selector.indexed()
            {
                hints.push(Hint::Field {
                    name: name.into(),
                    value: value.into(),
                });
            }
        });
    }
}

impl Test {
    /// For a field that is there.
    fn holds(&self, value: &JsonValue) -> bool {
        match self {
            Self::IsNull => value.is_null(),
            Self::NotExists => false,
            Self::Is(expected) => value.as_bool() == Some(*expected),
            Self::Compare(condition) => compare(condition, value),
        }
    }
}

/// Text in quotes is compared with strings only; without quotes with numbers and truth values too. Objects, arrays and nulls
/// equal nothing.
fn compare(condition: &Condition, value: &JsonValue) -> bool {
    let differs = condition.operator == Operator::NotEqual;
    match value {
        JsonValue::String(text) => condition.holds_for_text(text),
        JsonValue::Number(number) => match (Number::from_json(number), &condition.value) {
            (Some(number), _) if condition.value.number().is_some() => {
                condition.holds_for_number(number)
            }
            // `4*` and `%^4%` look at a number's digits.
            (_, Value::Bare { .. } | Value::Regex(_)) => {
                condition.holds_for_text(&number.to_string())
            }
            _ => differs,
        },
        JsonValue::Bool(truth) => match condition.value {
            Value::Bare { .. } => condition.holds_for_text(if *truth { "true" } else { "false" }),
            _ => differs,
        },
        JsonValue::Null | JsonValue::Array(_) | JsonValue::Object(_) => differs,
    }
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut parts = vec![all(cursor, depth)?];
    while joined(cursor, "||") {
        parts.push(all(cursor, depth)?);
    }
    Ok(single_or(parts, Expression::Any))
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut parts = vec![one(cursor, depth)?];
    while joined(cursor, "&&") {
        parts.push(one(cursor, depth)?);
    }
    Ok(single_or(parts, Expression::All))
}

fn joined(cursor: &mut Cursor<'_>, operator: &str) -> bool {
    cursor.skip_space();
    cursor.take(operator)
}

fn single_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    cursor.skip_space();
    if !cursor.take("(") {
        let selector = Selector::parse(cursor)?;
        return Ok(Expression::Test(selector, test(cursor)?));
    }
    if depth == DEPTH_MAX {
        return Err(PatternError::new(&format!(
            "Parentheses can nest at most {DEPTH_MAX} deep"
        )));
    }
    let inside = any(cursor, depth + 1)?;
    cursor.skip_space();
    if !cursor.take(")") {
        return Err(cursor.unexpected());
    }
    Ok(inside)
}

fn test(cursor: &mut Cursor<'_>) -> Result<Test, PatternError> {
    cursor.skip_space();
    if cursor.take_word("IS") {
        cursor.skip_space();
        return if cursor.take_word("NULL") {
            Ok(Test::IsNull)
        } else if cursor.take_word("TRUE") {
            Ok(Test::Is(true))
        } else if cursor.take_word("FALSE") {
            Ok(Test::Is(false))
        } else {
            Err(cursor.unexpected())
        };
    }
    if cursor.take_word("NOT") {
        cursor.skip_space();
        return if cursor.take_word("EXISTS") {
            Ok(Test::NotExists)
        } else {
            Err(cursor.unexpected())
        };
    }
    Condition::parse(cursor).map(Test::Compare)
}
