//! Path, query and body of a request, read strictly by the rules of `tasks-api`, whatever the gateway let pass.
//!
//! Media types and content codings are the gateway's: only JSON comes through it.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use conventions::spans;
use http::{Uri, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use tasks_api::{
    Kind, NewComment, NewTask, PageQuery, Problem, TaskFilter, TaskId, TaskPatch, Transition, json,
};

use crate::{caller::describe_span, refusal::Refusal};

/// The task that a path names. Text that is no identifier names none.
pub(crate) struct TaskPath(pub(crate) TaskId);

/// A query in which each parameter is known, given once and within its bounds.
pub(crate) struct Strict<Q>(pub(crate) Q);

/// A body that is a valid `T`, and its bytes: they tell requests with one `Idempotency-Key` apart.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    pub(crate) bytes: bytes::Bytes,
}

/// The query of an operation that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

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
/// Whether it is allowed depends on the task.
impl Validate for Transition {}
impl Validate for NoQuery {}

impl<Q: DeserializeOwned + Validate> Strict<Q> {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let Query(query) = Query::<Q>::try_from_uri(uri).map_err(|error| {
            Problem::new(Kind::ValidationFailed)
                .detail(format!("query string: {}", error.body_text()))
        })?;
        query.validate()?;
        Ok(Self(query))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await.ok();
        let id: Option<TaskId> = path.and_then(|Path(text)| text.parse().ok());
        let id = id.ok_or_else(|| Problem::new(Kind::NotFound))?;
        describe_span(spans::TRIPOD_TASK_ID, id.to_string());
        Ok(Self(id))
    }
}

impl<Q: DeserializeOwned + Validate, S: Sync> FromRequestParts<S> for Strict<Q> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(&parts.uri)?)
    }
}

impl<T: DeserializeOwned + Validate, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let runtime::server::Body(bytes) =
            runtime::server::Body::from_request(request, state).await?;
        let value: T = json::parse(&bytes)?;
        value.validate()?;
        Ok(Self { value, bytes })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refused<Q: DeserializeOwned + Validate>(query: &str) -> Option<Kind> {
        let uri = format!("/v1/tasks?{query}").parse().unwrap();
        Strict::<Q>::read(&uri).err().map(|problem| problem.kind)
    }

    #[test]
    fn a_query_is_read_strictly() {
        for query in [
            "",
            "limit=1",
            "status=in_progress&label=a%20b&due_before=2026-01-02T03:04:05Z",
        ] {
            assert_eq!(refused::<TaskFilter>(query), None, "{query}");
        }
        for query in [
            "colour=red",
            "limit=1&limit=2",
            "limit=0",
            "limit=101",
            "limit=x",
            "status=finished",
        ] {
            assert_eq!(
                refused::<TaskFilter>(query),
                Some(Kind::ValidationFailed),
                "{query}"
            );
        }
        assert_eq!(refused::<NoQuery>("limit=1"), Some(Kind::ValidationFailed));
        assert_eq!(refused::<NoQuery>(""), None);
    }
}
