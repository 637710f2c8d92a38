//! Errors on the wire: RFC 9457 problem details, one kind per thing a client can act on.

use std::fmt;

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// What `type` starts with; the rest is the kind's own name. A URN, since nothing has to be fetched to understand it.
const TYPE_PREFIX: &str = "urn:tripod:problem:";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:tripod:problem:not-found")]
    pub kind: Kind,
    /// The kind in words, always the same.
    pub title: String,
    pub status: u16,
    /// This occurrence in words. Never holds internals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's trace: the key to its spans and log lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Becomes the `Retry-After` header.
    #[serde(skip)]
    pub retry_after_seconds: Option<u32>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    pub field: String,
    pub reason: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The last part of `type`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not valid JSON";
    MalformedRequest = "malformed-request", BAD_REQUEST, "The request is malformed";
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "The cursor is not one of this list's";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid API key is needed";
    /// On operators' listeners only: what clients may not see is not there.
    Forbidden = "forbidden", FORBIDDEN, "This process does not allow that";
    /// Also everything of another workspace: existence is not confirmed.
    NotFound = "not-found", NOT_FOUND, "There is no such resource";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource has no such method";
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request did not arrive in time";
    TransitionNotAllowed = "transition-not-allowed", CONFLICT, "The status cannot change like this";
    /// Two requests with one `Idempotency-Key` at the same time.
    Conflict = "conflict", CONFLICT, "The resource is being changed by another request";
    VersionMismatch = "version-mismatch", PRECONDITION_FAILED, "The resource has changed since it was read";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON";
    ValidationFailed = "validation-failed", UNPROCESSABLE_ENTITY, "The request does not make sense";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request";
    IfMatchRequired = "if-match-required", PRECONDITION_REQUIRED, "A write needs If-Match";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something failed on our side";
    /// A dependency is away, slow or throttling.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service cannot answer now";
    /// More requests at once than this process takes.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too many requests at once";
    Timeout = "timeout", GATEWAY_TIMEOUT, "The service did not answer in time";
}

impl Problem {
    /// A problem of a kind, without particulars.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: None,
            trace_id: None,
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// # Errors
    /// [`Kind::ValidationFailed`] with these errors, if there are any.
    pub fn unless_empty(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        Err(Self {
            errors,
            ..Self::new(Kind::ValidationFailed)
        })
    }
}

impl FieldError {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// Adds an error if the text has more characters than it may.
    pub fn check_text(field: &str, text: &str, chars_max: usize, errors: &mut Vec<Self>) {
        // Every character has at least one byte: the common short text is not counted.
        if text.len() > chars_max && text.chars().count() > chars_max {
            errors.push(Self::new(
                field,
                format!("must be at most {chars_max} characters"),
            ));
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem has string keys only");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.kind.status();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the layer that knows the trace and fills it in.
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.kind.name())?;
        self.detail
            .iter()
            .try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{TYPE_PREFIX}{}", self.name()))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let kind = text
            .strip_prefix(TYPE_PREFIX)
            .and_then(|name| Self::ALL.iter().find(|kind| kind.name() == name));
        kind.copied()
            .ok_or_else(|| serde::de::Error::custom("unknown problem type"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_problem_survives_the_wire() {
        for kind in Kind::ALL {
            let problem = Problem::new(*kind).detail("d").trace_id("t");
            let text = serde_json::to_string(&problem).unwrap();
            assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
        }
    }

    #[test]
    fn the_response_carries_media_type_and_retry_after() {
        let response = Problem::new(Kind::Unavailable)
            .retry_after(2)
            .into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
