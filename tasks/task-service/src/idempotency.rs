//! `Idempotency-Key`: a POST that is sent again has one effect and gets the first answer again.
//!
//! The record of a key is written by `store`, in the transaction of the effect. Here: what makes two requests the same,
//! and when the record is looked up.

use axum::{extract::FromRequestParts, response::Response};
use conventions::headers::IDEMPOTENCY_KEY;
use http::{HeaderMap, Method, request::Parts};
use jiff::Timestamp;
use store::{Fingerprint, Idempotency, Store};
use tasks_api::{Kind, Problem, WorkspaceId, limits::IDEMPOTENCY_KEY_CHARS_MAX};

use crate::{answer, refusal::Refusal};

/// A request's key, if it has one, and the parts of the request that are known before its body.
#[derive(Debug)]
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    method: Method,
    path: String,
}

impl IdempotencyKey {
    /// The request by which its repetitions are known. `If-Match` is no part of it: who repeats a request after a
    /// restart may have read the task anew, and still means the request that was answered.
    pub(crate) fn with_body(self, body: &[u8]) -> Option<Idempotency> {
        let parts = [self.method.as_str().as_bytes(), self.path.as_bytes(), body];
        Some(Idempotency {
            key: self.key?,
            fingerprint: Fingerprint::of(&parts),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let path = parts.uri.path().to_owned();
        Ok(Self {
            key: read(&parts.headers)?,
            method: parts.method.clone(),
            path,
        })
    }
}

/// Does `effect`, unless the request was answered before.
///
/// # Errors
/// What `effect` was refused for, or [`Kind::IdempotencyKeyReused`].
pub(crate) async fn once(
    store: &Store,
    workspace: &WorkspaceId,
    request: Option<&Idempotency>,
    effect: impl Future<Output = Result<Response, Refusal>>,
) -> Result<Response, Refusal> {
    let Some(request) = request else {
        return effect.await;
    };
    if let Some(stored) = store.replay(workspace, request, Timestamp::now()).await? {
        return Ok(answer::replay(stored));
    }
    match effect.await {
        // A twin that was committed meanwhile may be the very reason: it has moved the task on, for one.
        Err(refusal) if refusal.is_callers_fault() => {
            let stored = store.replay(workspace, request, Timestamp::now()).await?;
            stored.map(answer::replay).ok_or(refusal)
        }
        outcome => outcome,
    }
}

fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.filter(|text| is_key(text)) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(Problem::new(Kind::MalformedRequest).detail(format!(
            "Idempotency-Key must be there once, with 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters"
        ))),
    }
}

fn is_key(text: &str) -> bool {
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_printable && (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(values: &[&[u8]]) -> Result<Option<String>, Kind> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, (*value).try_into().unwrap());
        }
        read(&headers).map_err(|problem| problem.kind)
    }

    fn fingerprint(method: Method, path: &str, body: &[u8]) -> Idempotency {
        let key = IdempotencyKey {
            key: Some("k".to_owned()),
            method,
            path: path.to_owned(),
        };
        key.with_body(body).unwrap()
    }

    #[test]
    fn a_key_is_short_and_printable() {
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[b"order 1"]), Ok(Some("order 1".to_owned())));
        assert_eq!(
            check(&[&[b'k'; IDEMPOTENCY_KEY_CHARS_MAX]]).map(|key| key.is_some()),
            Ok(true)
        );
        for wrong in [
            &[&b""[..]][..],
            &[b"\xff"],
            &[b"a\tb"],
            &[b"a", b"a"],
            &[&[b'k'; IDEMPOTENCY_KEY_CHARS_MAX + 1]],
        ] {
            assert_eq!(check(wrong), Err(Kind::MalformedRequest), "{wrong:?}");
        }
    }

    #[test]
    fn requests_are_told_apart_by_method_path_and_body() {
        let first = fingerprint(Method::POST, "/v1/tasks", b"{}");
        assert_eq!(first, fingerprint(Method::POST, "/v1/tasks", b"{}"));
        for other in [
            fingerprint(Method::PATCH, "/v1/tasks", b"{}"),
            fingerprint(Method::POST, "/v1/tasks/", b"{}"),
            fingerprint(Method::POST, "/v1/tasks", b"{ }"),
        ] {
            assert_ne!(first, other);
        }
    }
}
