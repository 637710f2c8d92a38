//! What a request must look like before it is passed on: extractors for path, query, headers and body, each refusing
//! with a problem.
//!
//! The rules about tasks themselves are those of `tasks-api`, which the task-service applies again.

use std::error::Error as _;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use conventions::headers;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;
use runtime::server;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tasks_api::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use tasks_api::{
    Kind, NewComment, NewTask, PageQuery, Problem, TaskFilter, TaskId, TaskPatch, Transition, json,
};

use crate::refusal::Refusal;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The only content coding a body may have; none is taken off here.
const IDENTITY: &str = "identity";
/// Longest part of a parser's message that is given back: it may quote what the client sent.
const DETAIL_CHARS_MAX: usize = 300;

pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(headers::IDEMPOTENCY_KEY);

/// The task that a path names. Text that is no identifier names none.
pub(crate) struct TaskPath(TaskId);

/// A query that was read strictly: each parameter is known, given once, and within its bounds.
pub(crate) struct Strict<Q> {
    /// As it came, without the question mark.
    pub(crate) raw: Option<String>,
    _read: PhantomData<Q>,
}

/// The query of an operation that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// `If-Match`, present and well-formed. Whether it matches, only the task-service knows.
pub(crate) struct IfMatch(pub(crate) HeaderValue);

/// `Idempotency-Key`, well-formed if present.
pub(crate) struct IdempotencyKey(pub(crate) Option<HeaderValue>);

/// A body that is a valid `T`, as it came.
pub(crate) struct Body<T> {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
    _read: PhantomData<T>,
}

/// What `tasks-api` checks of a value beyond its shape.
pub(crate) trait Validate {
    fn validate(&self) -> Result<(), Problem> {
        Ok(())
    }
}

macro_rules! validated_by_tasks_api {
    ($($value:ty),*) => {
        $(impl Validate for $value {
            fn validate(&self) -> Result<(), Problem> {
                <$value>::validate(self)
            }
        })*
    };
}

validated_by_tasks_api!(NewTask, TaskPatch, NewComment, PageQuery, TaskFilter);
/// Whether the step is in the table depends on the task, which is not here.
impl Validate for Transition {}
impl Validate for NoQuery {}

/// What a body can be, and the media types it may come as.
pub(crate) trait Content: DeserializeOwned + Validate {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON];
}

impl Content for NewTask {}
impl Content for NewComment {}
impl Content for Transition {}
impl Content for TaskPatch {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON, MERGE_PATCH];
}

impl TaskPath {
    /// The path of a route below this task.
    pub(crate) fn within(&self, template: &str) -> String {
        template.replacen("{task_id}", &self.0.to_string(), 1)
    }
}

impl<Q: DeserializeOwned + Validate> Strict<Q> {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let raw = uri.query();
        if percent_decode_str(raw.unwrap_or_default())
            .decode_utf8()
            .is_err()
        {
            return Err(malformed("the query string is not UTF-8"));
        }
        let Query(query) = Query::<Q>::try_from_uri(uri).map_err(|error| {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            let reason: String = reason.chars().take(DETAIL_CHARS_MAX).collect();
            Problem::new(Kind::ValidationFailed).detail(format!("query string: {reason}"))
        })?;
        query.validate()?;
        Ok(Self {
            raw: raw.map(str::to_owned),
            _read: PhantomData,
        })
    }
}

impl IfMatch {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = single(headers, &header::IF_MATCH)? else {
            let advice =
                "send the ETag that the task was read with as If-Match, or * for any version";
            return Err(Problem::new(Kind::IfMatchRequired).detail(advice));
        };
        match value.to_str() {
            Ok(text) if is_if_match(text) => Ok(Self(value.clone())),
            _ => Err(malformed(
                "If-Match is neither * nor a list of entity tags in quotes",
            )),
        }
    }
}

impl IdempotencyKey {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = single(headers, &IDEMPOTENCY_KEY)? else {
            return Ok(Self(None));
        };
        let is_printable = value
            .as_bytes()
            .iter()
            .all(|byte| (b' '..=b'~').contains(byte));
        if is_printable && (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&value.len()) {
            return Ok(Self(Some(value.clone())));
        }
        Err(malformed(format!(
            "Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters"
        )))
    }
}

impl<T: Content> Body<T> {
    async fn read(request: Request) -> Result<Self, Problem> {
        let media_type = media_type(request.headers(), T::MEDIA_TYPES)?;
        let server::Body(bytes) = server::Body::from_request(request, &()).await?;
        json::parse::<T>(&bytes)?.validate()?;
        Ok(Self {
            media_type,
            bytes,
            _read: PhantomData,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = path.and_then(|Path(text)| text.parse().ok());
        Ok(Self(id.ok_or_else(|| Problem::new(Kind::NotFound))?))
    }
}

impl<Q: DeserializeOwned + Validate, S: Sync> FromRequestParts<S> for Strict<Q> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(&parts.uri)?)
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(&parts.headers)?)
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(&parts.headers)?)
    }
}

impl<T: Content, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(request).await?)
    }
}

/// Which of the allowed media types the body has. Parameters mean nothing to JSON.
fn media_type(headers: &HeaderMap, allowed: &[&'static str]) -> Result<&'static str, Problem> {
    let refused = |detail: String| Problem::new(Kind::UnsupportedMediaType).detail(detail);
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.any(|coding| coding != IDENTITY) {
        return Err(refused("Content-Encoding is not supported".to_owned()));
    }
    let value = single(headers, &header::CONTENT_TYPE)?.and_then(|value| value.to_str().ok());
    let essence = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let known = allowed
        .iter()
        .find(|allowed| allowed.eq_ignore_ascii_case(essence));
    known
        .copied()
        .ok_or_else(|| refused(format!("Content-Type must be {}", allowed.join(" or "))))
}

/// A header that may be sent once. Twice, two readers could believe two different values.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(malformed(format!("{name} is there more than once"))),
    }
}

/// `*` or a list of entity tags, by RFC 9110 sections 8.8.3 and 13.1.1.
fn is_if_match(text: &str) -> bool {
    const BLANKS: [char; 2] = [' ', '\t'];
    if text == "*" {
        return true;
    }
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(BLANKS);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let Some((tag, after)) = quoted else {
            return false;
        };
        if !tag.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
            return false;
        }
        let after = after.trim_start_matches(BLANKS);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty(),
        }
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::MalformedRequest).detail(detail)
}

#[cfg(test)]
mod tests;
