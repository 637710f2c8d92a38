//! Paths into JSON: `a.b[0]["c d"]`, the parameters of `json`.

use super::json_text::{Kind, Left, Value, each_member, value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Index(usize),
}

impl JsonPath {
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = written.trim_matches(is_space);
        if rest.is_empty() {
            return Err("syntax error: unexpected $end, expecting FIELD or LSB".into());
        }
        while let Some(first) = rest.chars().next() {
            let (step, after) = match first {
                '[' => bracket(&rest[1..])?,
                '.' if !steps.is_empty() => field(rest[1..].trim_start_matches(is_space))?,
                _ if steps.is_empty() => field(rest)?,
                other => return Err(format!("unexpected char {other}")),
            };
            steps.push(step);
            rest = after.trim_start_matches(is_space);
        }
        Ok(Self(steps))
    }

    /// The value that the path leads to, if the text has one. What is broken elsewhere does not matter.
    pub(crate) fn find<'l>(&self, text: &'l str) -> Option<Value<'l>> {
        let text = text.trim_start_matches(is_space);
        let kind = if text.starts_with('[') {
            Kind::Array
        } else {
            Kind::Object
        };
        let mut found = Value { text, kind };
        for step in &self.0 {
            found = match (step, found.kind) {
                (Step::Key(key), Kind::Object) => member(found.text, key)?,
                (Step::Index(index), Kind::Array) => element(found.text, *index)?,
                _ => return None,
            };
        }
        Some(found)
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n')
}

fn field(text: &str) -> Result<(Step, &str), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let name = &text[..end];
    match text.chars().next() {
        None => Err("syntax error: unexpected $end, expecting FIELD".into()),
        Some(first) if name.is_empty() || first.is_ascii_digit() => {
            Err(format!("unexpected char {first}"))
        }
        Some(_) => Ok((Step::Key(name.into()), &text[end..])),
    }
}

/// After `[`: a quoted key or an index.
fn bracket(text: &str) -> Result<(Step, &str), String> {
    let text = text.trim_start_matches(is_space);
    let (step, after) = if let Some(key_on) = text.strip_prefix('"') {
        let (key, after) = key_on.split_once('"').ok_or("unexpected end of a key")?;
        (Step::Key(key.into()), after)
    } else {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if text[digits..].starts_with('.') {
            return Err("cannot use float as array index".into());
        }
        let index = text[..digits]
            .parse()
            .map_err(|_| match text.chars().next() {
                Some(other) => format!("unexpected char {other}"),
                None => "syntax error: unexpected $end, expecting STRING or INDEX".into(),
            })?;
        (Step::Index(index), &text[digits..])
    };
    let after = after.trim_start_matches(is_space);
    match after.strip_prefix(']') {
        Some(after) => Ok((step, after)),
        None => Err("syntax error: unexpected $end, expecting RSB".into()),
    }
}

fn member<'l>(object: &'l str, wanted: &str) -> Option<Value<'l>> {
    let mut found = None;
    // An object that breaks off has been looked through as far as it goes.
    let _ = each_member(object, &mut |key, value| {
        if key == wanted {
            found = Some(value);
            return Err(Left::Enough);
        }
        Ok(())
    });
    found
}

fn element(array: &str, wanted: usize) -> Option<Value<'_>> {
    let mut rest = array[1..].trim_start_matches(is_space);
    for index in 0.. {
        if rest.starts_with(']') {
            break;
        }
        let (found, after) = value(rest).ok()?;
        if index == wanted {
            return Some(found);
        }
        let next = after.trim_start_matches(is_space).strip_prefix(',')?;
        rest = next.trim_start_matches(is_space);
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LINE: &str = r#"{"a":{"b c":[1,{"d":"x"},"y"]},"e":null}"#;

    fn found(path: &str) -> Option<String> {
        let found = JsonPath::parse(path).unwrap().find(LINE);
        found.map(|value| value.text.to_owned())
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        assert_eq!(found(r#"a["b c"][0]"#).unwrap(), "1");
        assert_eq!(found(r#"["a"]["b c"][1].d"#).unwrap(), "x");
        assert_eq!(found("e").unwrap(), "null");
        assert_eq!(found("e.f"), None);
        assert_eq!(found(r#"a["b c"][9]"#), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "a.", "a[", "a[1.5]", "a[x]", "1a", "a b", "a[0", "é"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
