//! Who sends a request: the API key in `Authorization`, looked up in the table.
//!
//! Nothing here prints a key, and every way of not being let in looks the same from outside. What a key looks like and
//! how two are compared is `store`'s.

mod key_cache;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use store::{ApiKey, KeyText, Store};
use tasks_api::{ActorId, Kind, Problem, WorkspaceId};

use self::key_cache::{KeyCache, Memory};
use crate::Api;
use crate::refusal::Refusal;

/// Compared without regard to case.
const SCHEME: &str = "Bearer";

/// The owner of a key that was presented and is right: only this module makes one.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
    pub(crate) actor: ActorId,
}

/// The keys of the table.
pub(crate) struct Keys {
    store: Store,
    cache: Mutex<KeyCache<ApiKey>>,
    /// Compared when there is no key, so that an unknown id takes as long as a wrong secret.
    nobody: ApiKey,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        api.keys.caller(&parts.headers).await
    }
}

impl Keys {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            cache: Mutex::new(KeyCache::new()),
            nobody: ApiKey {
                actor: "nobody".parse().expect("a name"),
                workspace: "nobody".parse().expect("a name"),
                secret_sha256: [0; 32],
                created_at: Default::default(),
            },
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let presented = presented(headers).ok_or_else(unauthenticated)?;
        let key = self.key(presented.id()).await?;
        let is_right = key.as_ref().unwrap_or(&self.nobody).matches(&presented);
        match key {
            Some(key) if is_right => Ok(Caller {
                workspace: key.workspace,
                actor: key.actor,
            }),
            _ => Err(unauthenticated()),
        }
    }

    /// What the table says of an id, now or a short time ago.
    async fn key(&self, id: &ActorId) -> Result<Option<ApiKey>, Refusal> {
        match self.cache().get(id.as_str(), Instant::now()) {
            Memory::Known(key) => return Ok(Some(key)),
            Memory::Unknown => return Ok(None),
            Memory::None => {}
        }
        let key = self.store.api_key(id).await.map_err(not_looked_up)?;
        self.cache().put(id.as_str(), key.clone(), Instant::now());
        Ok(key)
    }

    fn cache(&self) -> MutexGuard<'_, KeyCache<ApiKey>> {
        // A panic in between could at worst have lost an entry.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one key in the headers, if it is well-formed.
fn presented(headers: &HeaderMap) -> Option<KeyText> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    key.trim_start_matches(' ').parse().ok()
}

fn unauthenticated() -> Refusal {
    Problem::new(Kind::Unauthenticated).into()
}

fn not_looked_up(error: store::Error) -> Refusal {
    let problem = match &error {
        store::Error::Unavailable { retry_after, .. } => {
            Problem::new(Kind::Unavailable).retry_after(whole_seconds(*retry_after))
        }
        _ => Problem::new(Kind::Internal),
    };
    Refusal::new(
        problem,
        anyhow::Error::new(error).context("the API key cannot be looked up"),
    )
}

/// Rounded up: 0 would ask for another try at once.
fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

    fn check(values: &[&str], id: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let found = presented(&headers).map(|key| key.id().to_string());
        assert_eq!(found.as_deref(), id, "{values:?}");
    }

    #[test]
    fn one_well_formed_bearer_key_is_taken() {
        let key = format!("tpk_dev-1_{SECRET}");
        check(&[&format!("Bearer {key}")], Some("dev-1"));
        check(&[&format!("bearer  {key}")], Some("dev-1"));
        check(&[], None);
        check(&[&key], None);
        check(&[&format!("Basic {key}")], None);
        check(&[&format!("Bearer {key} ")], None);
        check(&["Bearer tpk_"], None);
        check(&[&format!("Bearer tpk_DEV_{SECRET}")], None);
        check(&[&format!("Bearer {key}"), &format!("Bearer {key}")], None);
    }

    #[test]
    fn a_short_wait_is_not_no_wait() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
    }
}
