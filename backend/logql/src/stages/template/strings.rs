//! Functions of texts.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{OUTPUT_BYTES_MAX, functions::Arguments, value::Value};
use crate::stages::json_text::{self, Kind, Left};

/// What stands for itself in a query of a URL.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(super) fn call(name: &str, arguments: &Arguments) -> Result<Value, String> {
    let text = match name {
        "ToLower" | "lower" => arguments.text(0)?.to_lowercase(),
        "ToUpper" | "upper" => arguments.text(0)?.to_uppercase(),
        "TrimSpace" | "trim" => arguments.text(0)?.trim().into(),
        "title" => title(arguments.text(0)?),
        "Trim" => trimmed(arguments.text(0)?, arguments.text(1)?, (true, true)),
        "TrimLeft" => trimmed(arguments.text(0)?, arguments.text(1)?, (true, false)),
        "TrimRight" => trimmed(arguments.text(0)?, arguments.text(1)?, (false, true)),
        "trimAll" => trimmed(arguments.text(1)?, arguments.text(0)?, (true, true)),
        "TrimPrefix" => without_prefix(arguments.text(0)?, arguments.text(1)?),
        "TrimSuffix" => without_suffix(arguments.text(0)?, arguments.text(1)?),
        "trimPrefix" => without_prefix(arguments.text(1)?, arguments.text(0)?),
        "trimSuffix" => without_suffix(arguments.text(1)?, arguments.text(0)?),
        "Replace" => {
            let count = usize::try_from(arguments.int(3)?).unwrap_or(usize::MAX);
            let (text, from) = (arguments.text(0)?, arguments.text(1)?);
            replaced(text, from, arguments.text(2)?, count)?
        }
        "replace" => {
            let (from, to) = (arguments.text(0)?, arguments.text(1)?);
            replaced(arguments.text(2)?, from, to, usize::MAX)?
        }
        "repeat" => {
            let count = usize::try_from(arguments.int(0)?).map_err(|_| "negative Repeat count")?;
            let text = arguments.text(1)?;
            bounded(text.len().saturating_mul(count))?;
            text.repeat(count)
        }
        "trunc" => truncated(arguments.int(0)?, arguments.text(1)?),
        "substr" => part(arguments.int(0)?, arguments.int(1)?, arguments.text(2)?)?,
        "indent" | "nindent" => {
            let spaces = usize::try_from(arguments.int(0)?).map_err(|_| "negative Repeat count")?;
            let text = arguments.text(1)?;
            let lines = text.matches('\n').count() + 1;
            bounded(spaces.saturating_mul(lines).saturating_add(text.len()))?;
            let pad = " ".repeat(spaces);
            let start = if name == "nindent" { "\n" } else { "" };
            format!("{start}{pad}{}", text.replace('\n', &format!("\n{pad}")))
        }
        "alignLeft" => aligned(arguments.int(0)?, arguments.text(1)?, false)?,
        "alignRight" => aligned(arguments.int(0)?, arguments.text(1)?, true)?,
        "b64enc" => STANDARD.encode(arguments.text(0)?),
        "b64dec" => match STANDARD.decode(arguments.text(0)?) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("illegal base64 data: {error}"),
        },
        "urlencode" => url_encoded(arguments.text(0)?),
        "urldecode" => url_decoded(arguments.text(0)?)?,
        "contains" => return Ok(Value::Bool(arguments.text(1)?.contains(arguments.text(0)?))),
        "hasPrefix" => {
            return Ok(Value::Bool(
                arguments.text(1)?.starts_with(arguments.text(0)?),
            ));
        }
        "hasSuffix" => {
            return Ok(Value::Bool(
                arguments.text(1)?.ends_with(arguments.text(0)?),
            ));
        }
        _ => return Err("no such function".into()),
    };
    Ok(text.into())
}

fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > OUTPUT_BYTES_MAX {
        return Err(format!("the text is longer than {OUTPUT_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.push(character);
        } else {
            out.extend(character.to_uppercase());
        }
        inside = character.is_alphanumeric() || matches!(character, '_' | '\'');
    }
    out
}

fn trimmed(text: &str, set: &str, (start, end): (bool, bool)) -> String {
    let in_set = |c: char| set.contains(c);
    let mut text = text;
    if start {
        text = text.trim_start_matches(in_set);
    }
    if end {
        text = text.trim_end_matches(in_set);
    }
    text.into()
}

fn without_prefix(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).into()
}

fn without_suffix(text: &str, suffix: &str) -> String {
    text.strip_suffix(suffix).unwrap_or(text).into()
}

fn replaced(text: &str, from: &str, to: &str, count: usize) -> Result<String, String> {
    let times = text.matches(from).count().min(count);
    bounded(text.len().saturating_add(times.saturating_mul(to.len())))?;
    Ok(text.replacen(from, to, count))
}

/// The first characters, or the last ones of a negative count.
fn truncated(count: i64, text: &str) -> String {
    let length = text.chars().count();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= length {
        return text.into();
    }
    if count < 0 {
        text.chars().skip(length - wanted).collect()
    } else {
        text.chars().take(wanted).collect()
    }
}

fn part(start: i64, end: i64, text: &str) -> Result<String, String> {
    let length = text.len();
    let at = |index: i64| usize::try_from(index).ok().map(|index| index.min(length));
    let range = match (at(start), at(end)) {
        (None, end) => 0..end.unwrap_or(length),
        (Some(start), None) => start..length,
        (Some(start), Some(end)) => start..end,
    };
    text.get(range)
        .map(str::to_owned)
        .ok_or_else(|| "slice bounds out of range".into())
}

fn aligned(count: i64, text: &str, right: bool) -> Result<String, String> {
    let length = text.chars().count();
    let Ok(count) = usize::try_from(count) else {
        return Ok(text.into());
    };
    bounded(count)?;
    let pad = " ".repeat(count.saturating_sub(length));
    Ok(match (right, count < length) {
        (true, true) => text.chars().skip(length - count).collect(),
        (false, true) => text.chars().take(count).collect(),
        (true, false) => pad + text,
        (false, false) => text.to_owned() + &pad,
    })
}

pub(super) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY)
        .to_string()
        .replace("%20", "+")
}

fn url_decoded(text: &str) -> Result<String, String> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let escape = &rest[at..];
        let valid = escape
            .get(1..3)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !valid {
            let shown: String = escape.chars().take(3).collect();
            return Err(format!("invalid URL escape \"{shown}\""));
        }
        rest = &escape[3..];
    }
    let spaced = text.replace('+', " ");
    Ok(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '\'' | '"' => out.extend(['\\', character]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(character))),
            other if other.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(other))),
            other => out.push(other),
        }
    }
    out
}

/// A JSON text as a value; nothing when it is none.
pub(super) fn from_json(text: &str) -> Result<Value, String> {
    Ok(json(text, 1).unwrap_or(Value::Nil))
}

fn json(text: &str, depth: usize) -> Option<Value> {
    if depth > json_text::DEPTH_MAX {
        return None;
    }
    let (found, after) = json_text::value(text).ok()?;
    if depth == 1 && !after.trim_matches(json_text::is_space).is_empty() {
        return None;
    }
    Some(match found.kind {
        Kind::Text => Value::Text(json_text::unescape(found.text)?.into()),
        Kind::Number => Value::Float(found.text.parse().ok()?),
        Kind::Boolean => Value::Bool(found.text == "true"),
        Kind::Null => Value::Nil,
        Kind::Object => {
            let mut map = std::collections::BTreeMap::new();
            let read = json_text::each_member(found.text, &mut |key, member| {
                // A text has lost its quotes.
                let value = match member.kind {
                    Kind::Text => {
                        json_text::unescape(member.text).map(|text| Value::Text(text.into()))
                    }
                    _ => json(member.text, depth + 1),
                };
                let value = value.ok_or(Left::Enough)?;
                map.insert(key.into(), value);
                Ok(())
            });
            read.ok()?;
            Value::Map(map)
        }
        Kind::Array => {
            let mut list = Vec::new();
            let mut rest = found.text[1..].trim_start_matches(json_text::is_space);
            while !rest.starts_with(']') {
                let (_, after) = json_text::value(rest).ok()?;
                list.push(json(&rest[..rest.len() - after.len()], depth + 1)?);
                let after = after.trim_start_matches(json_text::is_space);
                rest = match after.strip_prefix(',') {
                    Some(next) => next.trim_start_matches(json_text::is_space),
                    None => after,
                };
                if rest.is_empty() {
                    return None;
                }
            }
            Value::List(list)
        }
    })
}
