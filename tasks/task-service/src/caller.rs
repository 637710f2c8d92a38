//! On whose behalf a request comes: the gateway has checked the client's key and names workspace and actor.
//!
//! Here only the gateway itself is checked, by the internal token; without one configured, whoever reaches the port.

use anyhow::ensure;
use axum::extract::{FromRef, FromRequestParts};
use conventions::{headers, spans};
use http::{HeaderMap, header, request::Parts};
use opentelemetry::{Context, KeyValue, trace::TraceContextExt};
use runtime::Secret;
use subtle::ConstantTimeEq;
use tasks_api::{ActorId, Kind, Problem, WorkspaceId};

use crate::refusal::Refusal;

const BEARER: &str = "Bearer ";

/// What the gateway must show, if anything.
#[derive(Debug, Clone)]
pub(crate) struct InternalToken(Option<Secret>);

/// Whose request it is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
    pub(crate) actor: ActorId,
}

impl InternalToken {
    /// # Errors
    /// When it is empty: that would be shown by everybody.
    pub(crate) fn new(token: Option<Secret>) -> anyhow::Result<Self> {
        let is_empty = token
            .as_ref()
            .is_some_and(|token| token.reveal().is_empty());
        ensure!(
            !is_empty,
            "internal_token is empty; leave it out to ask for none"
        );
        Ok(Self(token))
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.0 else { return Ok(()) };
        let shown = headers
            .get(header::AUTHORIZATION)
            .map_or(&b""[..], |value| value.as_bytes());
        let shown = shown.strip_prefix(BEARER.as_bytes()).unwrap_or_default();
        // Takes the same time for every wrong token of this length; the length is no secret.
        if token.reveal().as_bytes().ct_eq(shown).into() {
            Ok(())
        } else {
            Err(Problem::new(Kind::Unauthenticated).detail("this service answers the gateway only"))
        }
    }
}

impl Caller {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            workspace: name(headers, headers::WORKSPACE)?,
            actor: name(headers, headers::ACTOR)?,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller
where
    InternalToken: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        InternalToken::from_ref(state).check(&parts.headers)?;
        let caller = Self::read(&parts.headers)?;
        describe_span(spans::TRIPOD_WORKSPACE, caller.workspace.to_string());
        Ok(caller)
    }
}

/// Adds an attribute to the request's span, by which it can be searched for.
pub(crate) fn describe_span(name: &'static str, value: String) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(name, value)));
}

fn name<T: std::str::FromStr>(headers: &HeaderMap, header: &'static str) -> Result<T, Problem> {
    let mut values = headers.get_all(header).iter();
    let value = values
        .next()
        .filter(|_| values.next().is_none())
        .and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(Kind::MalformedRequest)
            .detail(format!("{header} must be there once and valid"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_token_must_be_the_configured_one() {
        let token = InternalToken(Some(Secret::new("s3cret")));
        let check = |pairs: &[(&'static str, &str)]| {
            token.check(&headers(pairs)).map_err(|problem| problem.kind)
        };
        assert_eq!(check(&[("authorization", "Bearer s3cret")]), Ok(()));
        for wrong in [
            "s3cret",
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer ",
            "Basic s3cret",
            "",
        ] {
            assert_eq!(
                check(&[("authorization", wrong)]),
                Err(Kind::Unauthenticated),
                "{wrong}"
            );
        }
        assert_eq!(check(&[]), Err(Kind::Unauthenticated));
    }

    #[test]
    fn an_empty_token_is_no_token() {
        assert!(InternalToken::new(Some(Secret::new(""))).is_err());
        assert!(InternalToken::new(Some(Secret::new("a"))).is_ok());
        assert!(InternalToken::new(None).is_ok());
    }

    #[test]
    fn without_a_configured_token_none_is_asked_for() {
        let token = InternalToken(None);
        assert!(token.check(&headers(&[])).is_ok());
        assert!(
            token
                .check(&headers(&[("authorization", "Bearer x")]))
                .is_ok()
        );
    }

    #[test]
    fn workspace_and_actor_must_be_there_once_and_valid() {
        let check = |pairs: &[(&'static str, &str)]| {
            Caller::read(&headers(pairs)).map_err(|problem| problem.kind)
        };
        let workspace = (headers::WORKSPACE, "team");
        let actor = (headers::ACTOR, "key-1");
        let caller = check(&[workspace, actor]).unwrap();
        assert_eq!(
            (caller.workspace.as_str(), caller.actor.as_str()),
            ("team", "key-1")
        );
        for wrong in [
            &[workspace][..],
            &[actor],
            &[workspace, workspace, actor],
            &[(headers::WORKSPACE, "a#b"), actor],
            &[(headers::WORKSPACE, ""), actor],
        ] {
            assert_eq!(
                check(wrong).unwrap_err(),
                Kind::MalformedRequest,
                "{wrong:?}"
            );
        }
    }
}
