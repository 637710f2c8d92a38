//! Bodies: what has to be there, in the order in which the real one looks for it, before they are read.

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;

/// What is asked of a body before it is read.
pub(super) struct Required {
    /// As it is called in refusals.
    pub(super) name: &'static str,
    /// Says what is missing.
    pub(super) check: fn(&Value) -> Result<(), Failure>,
}

/// # Errors
/// It is no JSON, lacks something, or has another type.
pub(super) fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
    required: &Required,
) -> Result<T, Failure> {
    check_type(headers)?;
    let name = required.name;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::required(name));
    }
    let unreadable = |error: serde_json::Error| {
        let reason = match error.is_eof() {
            true => "unexpected EOF".to_owned(),
            false => error.to_string(),
        };
        let text = format!("parsing {name} body from \"\" failed, because {reason}");
        Failure::coded(StatusCode::BAD_REQUEST, 400, text)
    };
    let value: Value = serde_json::from_slice(body).map_err(unreadable)?;
    (required.check)(&value)?;
    serde_json::from_value(value).map_err(unreadable)
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default();
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
