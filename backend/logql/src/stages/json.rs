//! The parsers `json` and `unpack`.

use std::borrow::Cow;

use super::json_text::{DEPTH_MAX, Kind, Left, Value, each_member, unescape};
use crate::{
    ast::JsonParameter,
    labels::{DUPLICATE_SUFFIX, LineLabels, StageError, label_name, label_value},
    stages::label_filter::passes_at_once,
};

/// The key that holds the line in what `unpack` takes apart.
const PACKED_LINE: &str = "_entry";

const NO_OBJECT: &str = "expecting json object(6), but it is not";

/// Every value of the line as a label, of nested ones under their joined keys. False when the line is not wanted.
pub(crate) fn parse_all(line: &str, labels: &mut LineLabels) -> bool {
    if labels.hints.nothing_wanted() {
        return true;
    }
    let result = members(line, "", 1, labels);
    left(result, labels)
}

fn left(result: Result<(), Left>, labels: &mut LineLabels) -> bool {
    match result {
        Ok(()) | Err(Left::Enough) => true,
        Err(Left::Unwanted) => false,
        Err(Left::Broken(why)) => {
            labels.set_parser_error(StageError::Json, Some(why));
            true
        }
    }
}

fn members(text: &str, prefix: &str, depth: usize, labels: &mut LineLabels) -> Result<(), Left> {
    each_member(text, &mut |key, value| {
        match value.kind {
            Kind::Object => {
                let prefix = joined(prefix, key);
                if depth < DEPTH_MAX && labels.hints.wants_prefix(&prefix) {
                    members(value.text, &prefix, depth + 1, labels)?;
                }
                return Ok(());
            }
            Kind::Text | Kind::Number | Kind::Boolean => {
                let name = joined(prefix, key);
                if prefix.is_empty() && name.is_empty() {
                    return Ok(());
                }
                set(&name, value, labels)?;
            }
            Kind::Array | Kind::Null => {}
        }
        if labels.hints.all_extracted() {
            return Err(Left::Enough);
        }
        Ok(())
    })
}

/// The name of a member of an object that has a name itself.
fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        return label_name(key);
    }
    let mut name = prefix.to_owned();
    let key = key.trim();
    if !key.is_empty() {
        name.push('_');
        name.extend(
            key.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
        );
    }
    name
}

fn set(name: &str, value: Value<'_>, labels: &mut LineLabels) -> Result<(), Left> {
    let name = labels.free_name(name);
    if !labels.hints.wants(&name) {
        return Ok(());
    }
    labels.set(name.clone(), text_of(value));
    if passes_at_once(&name, labels) {
        Ok(())
    } else {
        Err(Left::Unwanted)
    }
}

fn text_of(value: Value<'_>) -> Box<str> {
    match value.kind {
        Kind::Text => unescaped(value.text),
        _ => value.text.into(),
    }
}

/// Empty when an escape is broken.
fn unescaped(text: &str) -> Box<str> {
    label_value(&unescape(text).unwrap_or_default())
}

/// `json name="path"`: every parameter is a label afterwards, an empty one where the line has nothing.
pub(crate) fn parse_parameters(line: &str, parameters: &[JsonParameter], labels: &mut LineLabels) {
    if line.is_empty() || labels.hints.nothing_wanted() {
        return;
    }
    if !line.starts_with(['"', '{', '[']) {
        labels.set_parser_error(StageError::Json, None);
        return;
    }
    for parameter in parameters {
        if let Some(value) = parameter.path.find(line) {
            let text = match value.kind {
                Kind::Null => "".into(),
                Kind::Object => value.text.into(),
                _ => unescaped(value.text),
            };
            let name = labels.free_name(&parameter.name);
            labels.set(name, text);
        }
    }
    for parameter in parameters {
        let taken = format!("{}{DUPLICATE_SUFFIX}", parameter.name);
        if labels.get(&parameter.name).is_none() && labels.get(&taken).is_none() {
            labels.set(parameter.name.clone(), "".into());
        }
    }
}

/// Texts of an object as labels, and one of them as the line. None when the line is not wanted.
pub(crate) fn unpack<'l>(line: Cow<'l, str>, labels: &mut LineLabels) -> Option<Cow<'l, str>> {
    if line.is_empty() || labels.hints.nothing_wanted() {
        return Some(line);
    }
    if !line.starts_with('{') {
        labels.set_parser_error(StageError::Json, Some(NO_OBJECT));
        return Some(line);
    }
    let mut packed = None;
    let mut found: Vec<(Box<str>, Box<str>)> = Vec::new();
    let result = each_member(&line, &mut |key, value| {
        if value.kind != Kind::Text {
            return Ok(());
        }
        if key == PACKED_LINE {
            let text = unescape(value.text).ok_or(Left::Broken(super::json_text::BAD_ESCAPE))?;
            packed = Some(text.into_owned());
            return Ok(());
        }
        let name = labels.free_name(key);
        if labels.hints.wants(&name) {
            found.push((label_name(&name).into(), unescaped(value.text)));
        }
        Ok(())
    });
    if let Err(Left::Broken(why)) = result {
        labels.set_parser_error(StageError::Json, Some(why));
        return Some(line);
    }
    let Some(packed) = packed else {
        return Some(line);
    };
    for (name, value) in found {
        labels.set(name.clone(), value);
        if !passes_at_once(&name, labels) {
            return None;
        }
    }
    Some(Cow::Owned(packed))
}
