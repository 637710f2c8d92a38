//! Bodies: what has to be there, in the order in which the real one looks for it, before they are read.

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;

/// What a body is that does not say it.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What is asked of a body before it is read.
pub(super) struct Required {
    /// As it is called in refusals.
    pub(super) name: &'static str,
    /// What it has to be, unless it is `null`.
    pub(super) kind: Kind,
    /// Says what is missing.
    pub(super) check: fn(&Value) -> Result<(), Failure>,
}

/// Of a JSON value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    List,
}

/// # Errors
/// It is no JSON, lacks something, or has another type.
pub(super) fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
    required: &Required,
) -> Result<T, Failure> {
    let name = required.name;
    if body.is_empty() {
        return Err(Failure::required(name));
    }
    check_type(headers)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::required(name));
    }
    let refused = |reason: &str| {
        let text = format!("parsing {name} body from \"\" failed, because {reason}");
        Failure::coded(StatusCode::BAD_REQUEST, 400, text)
    };
    let unreadable = |error: serde_json::Error| match error.is_eof() {
        true => refused("unexpected EOF"),
        false => refused(&error.to_string()),
    };
    let mut value: Value = serde_json::from_slice(body).map_err(unreadable)?;
    let is_kind = match required.kind {
        Kind::Object => value.is_object() || value.is_null(),
        Kind::List => value.is_array() || value.is_null(),
    };
    if !is_kind {
        return Err(refused(&format!("a {} stands there", kind(&value))));
    }
    if value.is_null() && required.kind == Kind::List {
        value = Value::Array(Vec::new());
    }
    (required.check)(&value)?;
    serde_json::from_value(value).map_err(unreadable)
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let text = headers
        .get(header::CONTENT_TYPE)
        .map_or(UNKNOWN_TYPE, |value| value.to_str().unwrap_or_default());
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let text = format!("unsupported media type {text:?}, only [application/json] are allowed");
    Err(Failure::coded(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        415,
        text,
    ))
}

/// Whether something other than `null` stands there.
pub(super) fn has(value: &Value, name: &str) -> bool {
    !value[name].is_null()
}

/// What JSON calls a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
