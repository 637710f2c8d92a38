//! Sending webhooks: attempts, pauses between them, and when one is given up. A peer that is slow holds up nobody but itself:
//! each message is a task of its own, and each URL has its own bound of requests under way.

use std::{
    collections::HashMap,
    fs, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use conventions::metrics as names;
use http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use metrics::{counter, histogram};
use reqwest::{Client, redirect::Policy};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use url::Url;

use crate::{
    config::{Authorization, Secret, Webhook},
    machine::Notification,
};

/// Requests under way to one URL.
const REQUESTS_PER_URL_MAX: usize = 16;
/// A longer file of credentials is refused.
const SECRET_BYTES_MAX: u64 = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait for the next message.
const IDLE_PER_URL_MAX: usize = 2;
const REDIRECTS_MAX: usize = 10;

/// The first pause, how it grows, its bound, and how far it varies: those of the real one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_GROWTH: f64 = 1.5;
const PAUSE_MAX: Duration = Duration::from_secs(60);
const PAUSE_JITTER: f64 = 0.5;

/// Sends messages.
#[derive(Debug)]
pub(crate) struct Sender {
    following: Client,
    direct: Client,
    under_way: Mutex<HashMap<Url, Arc<Semaphore>>>,
}

/// Why an attempt, and in the end a message, failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("webhook answered {0}")]
    Status(StatusCode),
    #[error("webhook did not answer in time")]
    Timeout,
    #[error("cannot reach webhook")]
    Unreachable(#[source] reqwest::Error),
    #[error("cannot read the credentials of a webhook")]
    Credentials(#[source] io::Error),
}

/// The HTTP client cannot be made: no cryptography was installed, or no root certificate was found.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an HTTP client for webhooks")]
pub struct ClientError(#[source] reqwest::Error);

impl DeliveryError {
    /// Another attempt may work: the webhook has trouble of its own, or asks for patience. The real one takes 429 for good.
    fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Timeout | Self::Unreachable(_) => true,
            Self::Credentials(_) => false,
        }
    }

    /// As the real one names it.
    fn reason(&self) -> &'static str {
        match self {
            Self::Status(status) if status.is_client_error() => "clientError",
            Self::Status(status) if status.is_server_error() => "serverError",
            Self::Timeout => "contextDeadlineExceeded",
            Self::Status(_) | Self::Unreachable(_) | Self::Credentials(_) => "other",
        }
    }
}

impl Sender {
    pub(crate) fn new() -> Result<Self, ClientError> {
        let client = |policy| {
            Client::builder()
                .user_agent(concat!("tripod/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(IDLE_PER_URL_MAX)
                .no_proxy()
                .redirect(policy)
                .build()
                .map_err(ClientError)
        };
        Ok(Self {
            following: client(Policy::limited(REDIRECTS_MAX))?,
            direct: client(Policy::none())?,
            under_way: Mutex::new(HashMap::new()),
        })
    }

    /// Forgets the URLs of the configuration before.
    pub(crate) fn reset(&self) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.clear();
    }

    /// Sends until the webhook has taken the message, refuses it for good, or the time that was left at `now_ms` is up.
    pub(crate) async fn deliver(
        &self,
        notification: Notification,
        now_ms: i64,
    ) -> Result<(), DeliveryError> {
        counter!(names::ALERTMANAGER_NOTIFICATIONS, &[integration()]).increment(1);
        let left_ms = notification.deadline_ms.saturating_sub(now_ms);
        let deadline = Instant::now() + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let body = serde_json::to_vec(&notification.message)
            .expect("a message has no key that is not text");
        let sent = self
            .attempts(&notification.webhook, &body.into(), deadline)
            .await;
        if let Err(error) = &sent {
            let labels = [integration(), (names::REASON, error.reason())];
            counter!(names::ALERTMANAGER_NOTIFICATIONS_FAILED, &labels).increment(1);
        }
        sent
    }

    async fn attempts(
        &self,
        webhook: &Webhook,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        let semaphore = self.semaphore(&webhook.url);
        let permit = timeout_at(deadline, semaphore.acquire()).await;
        let _permit = permit.map_err(|_| DeliveryError::Timeout)?;
        let mut pause = PAUSE_FIRST;
        loop {
            let error = match self.attempt(webhook, body, deadline).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_passing() => return Err(error),
                Err(error) => error,
            };
            let jitter = rand::random_range(1.0 - PAUSE_JITTER..=1.0 + PAUSE_JITTER);
            let until = Instant::now() + pause.mul_f64(jitter);
            if until >= deadline {
                return Err(error);
            }
            sleep(until - Instant::now()).await;
            pause = pause.mul_f64(PAUSE_GROWTH).min(PAUSE_MAX);
        }
    }

    async fn attempt(
        &self,
        webhook: &Webhook,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        counter!(names::ALERTMANAGER_NOTIFICATION_REQUESTS, &[integration()]).increment(1);
        let start = Instant::now();
        let timeout = webhook
            .timeout_ms
            .and_then(|timeout_ms| u64::try_from(timeout_ms).ok());
        let timeout = timeout.map(|timeout_ms| start + Duration::from_millis(timeout_ms));
        let until = timeout.map_or(deadline, |timeout| timeout.min(deadline));
        let answer = timeout_at(until, self.post(webhook, body.clone())).await;
        let outcome = answer.unwrap_or(Err(DeliveryError::Timeout));
        histogram!(names::ALERTMANAGER_NOTIFICATION_LATENCY, &[integration()])
            .record(start.elapsed());
        if outcome.is_err() {
            let failed = names::ALERTMANAGER_NOTIFICATION_REQUESTS_FAILED;
            counter!(failed, &[integration()]).increment(1);
        }
        outcome
    }

    async fn post(&self, webhook: &Webhook, body: Bytes) -> Result<(), DeliveryError> {
        let client = match webhook.follow_redirects {
            true => &self.following,
            false => &self.direct,
        };
        let mut request = client
            .post(webhook.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &webhook.authorization {
            let value = header(authorization).map_err(DeliveryError::Credentials)?;
            request = request.header(AUTHORIZATION, value);
        }
        // Neither the address, which may hold a secret, nor the answer's body is kept.
        let answer = request.send().await;
        let answer = answer.map_err(|error| DeliveryError::Unreachable(error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(DeliveryError::Status(status)),
        }
    }

    fn semaphore(&self, url: &Url) -> Arc<Semaphore> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let semaphore = under_way
            .entry(url.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(REQUESTS_PER_URL_MAX)));
        semaphore.clone()
    }
}

/// All messages go to webhooks.
fn integration() -> (&'static str, &'static str) {
    (names::INTEGRATION, names::INTEGRATION_WEBHOOK)
}

fn header(authorization: &Authorization) -> io::Result<HeaderValue> {
    let text = match authorization {
        Authorization::Header {
            scheme,
            credentials,
        } => {
            format!("{scheme} {}", secret(credentials)?)
        }
        Authorization::Basic { username, password } => {
            let pair = format!("{username}:{}", secret(password)?);
            let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pair);
            format!("Basic {encoded}")
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Read for each attempt, as the real one does: what it says may change while this runs.
fn secret(secret: &Secret) -> io::Result<String> {
    match secret {
        Secret::Text(text) => Ok(text.clone()),
        Secret::File(path) if fs::metadata(path)?.len() > SECRET_BYTES_MAX => {
            Err(io::Error::other("the file is too long"))
        }
        Secret::File(path) => Ok(fs::read_to_string(path)?.trim().to_owned()),
    }
}
