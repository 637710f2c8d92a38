//! What makes a POST safe to repeat: the answer to a request, stored under the client's key for a day.

use jiff::{SignedDuration, Timestamp};
use tasks_api::WorkspaceId;
use tasks_api::limits::IDEMPOTENCY_HOURS;

use crate::attributes::{Item, Reader, bytes, number, text};
use crate::digest::sha256;
use crate::schema::EXPIRES_AT;
use crate::{Error, Store, keys};

const SHAPE: &str = "the record of an idempotency key";

const BODY: &str = "body";
const ETAG: &str = "etag";
const FINGERPRINT: &str = "fingerprint";
const HTTP_STATUS: &str = "http_status";
const LOCATION: &str = "location";

/// A request that names an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// As the client sent it. Only its hash is stored.
    pub key: String,
    pub fingerprint: Fingerprint,
}

/// The answer to such a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub to: Idempotency,
    pub response: StoredResponse,
}

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    pub status: u16,
    pub etag: Option<String>,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

/// Tells requests with the same `Idempotency-Key` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// What is stored under a key.
pub(crate) struct Record {
    /// In seconds.
    expires_at: i64,
    fingerprint: Fingerprint,
    response: StoredResponse,
}

impl Fingerprint {
    /// Of everything that makes a request this request: method, path, body. Not the precondition: a repeat may carry another.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(sha256(parts.iter().copied()))
    }
}

impl Store {
    /// The answer that an earlier request with this key got, unless it has expired.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`] when that was another request.
    pub async fn replay(
        &self,
        workspace: &WorkspaceId,
        request: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Error> {
        let Some(item) = self.get(keys::idempotency(workspace, &request.key)).await? else {
            return Ok(None);
        };
        let record = read(&item)?;
        if record.expires_at <= now.as_second() {
            return Ok(None);
        }
        if record.fingerprint != request.fingerprint {
            return Err(Error::IdempotencyKeyReused);
        }
        Ok(Some(record.response))
    }
}

pub(crate) fn write(workspace: &WorkspaceId, answer: &Answer, now: Timestamp) -> Item {
    let mut item = keys::idempotency(workspace, &answer.to.key);
    // At the end of time nothing expires any more, which no clock will see.
    let expires = now.saturating_add(SignedDuration::from_hours(IDEMPOTENCY_HOURS));
    let expires = expires.expect("hours are no calendar unit");
    let response = &answer.response;
    let attributes = [
        (FINGERPRINT, bytes(answer.to.fingerprint.0)),
        (HTTP_STATUS, number(response.status)),
        (BODY, bytes(response.body.clone())),
        (EXPIRES_AT, number(expires.as_second())),
    ];
    let optional = [(ETAG, &response.etag), (LOCATION, &response.location)];
    let optional = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, text(value.as_ref()?))));
    let all = attributes.into_iter().chain(optional);
    item.extend(all.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn read(item: &Item) -> Result<Record, Error> {
    let item = Reader::new(SHAPE, item);
    let fingerprint = item.bytes(FINGERPRINT)?.try_into();
    Ok(Record {
        expires_at: item.number(EXPIRES_AT)?,
        fingerprint: Fingerprint(
            fingerprint.map_err(|_| item.damaged(FINGERPRINT, "has a wrong length"))?,
        ),
        response: StoredResponse {
            status: item.number(HTTP_STATUS)?,
            etag: item.optional_text(ETAG)?,
            location: item.optional_text(LOCATION)?,
            body: item.bytes(BODY)?.to_vec(),
        },
    })
}
