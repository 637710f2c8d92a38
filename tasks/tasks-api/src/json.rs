//! Reading a JSON body: which error a broken one gets.

use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// Longest description of what is wrong with a body.
const DETAIL_CHARS_MAX: usize = 300;

/// Reads one JSON object.
///
/// # Errors
/// [`Kind::MalformedJson`] for text that is no JSON or no UTF-8, [`Kind::ValidationFailed`] for JSON of another shape:
/// a wrong type, an unknown or a missing field. Both say where.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(body).map_err(|error| {
        // Not by the error's own category: serde calls a `null` in place of an enum's name a syntax error.
        let is_json = serde_json::from_slice::<serde_json::Value>(body).is_ok();
        let kind = if is_json {
            Kind::ValidationFailed
        } else {
            Kind::MalformedJson
        };
        // Serde quotes what it did not expect, which can be as long as the body.
        Problem::new(kind).detail(
            error
                .to_string()
                .chars()
                .take(DETAIL_CHARS_MAX)
                .collect::<String>(),
        )
    })?;
    // Serde also reads a struct from an array of its fields, which no client should come to rely on.
    if body.trim_ascii_start().starts_with(b"{") {
        Ok(value)
    } else {
        Err(Problem::new(Kind::ValidationFailed).detail("expected a JSON object"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::task::NewTask;

    fn check(body: &[u8], kind: Kind, detail: &str) {
        let problem = parse::<NewTask>(body).unwrap_err();
        assert_eq!(problem.kind, kind);
        assert!(
            problem.detail.as_deref().unwrap().contains(detail),
            "{problem:?}"
        );
    }

    #[test]
    fn a_broken_body_is_told_from_a_wrong_one() {
        check(b"", Kind::MalformedJson, "EOF while parsing");
        check(b"{\"title\": ", Kind::MalformedJson, "line 1 column");
        check(
            b"{\"title\": \"\xff\"}",
            Kind::MalformedJson,
            "invalid unicode",
        );
        check(br#"{"title": 1}"#, Kind::ValidationFailed, "invalid type");
        check(
            br#"{"title": "a", "colour": "red"}"#,
            Kind::ValidationFailed,
            "unknown field `colour`",
        );
        check(br#"{}"#, Kind::ValidationFailed, "missing field `title`");
        check(
            br#"{"title": "a"} x"#,
            Kind::MalformedJson,
            "trailing characters",
        );
        check(
            br#"["a"]"#,
            Kind::ValidationFailed,
            "expected a JSON object",
        );
        check(
            &b"[".repeat(100_000),
            Kind::MalformedJson,
            "expected a string",
        );
    }
}
