//! Passing a request on to the task-service and its answer back.
//!
//! What goes out is built from nothing: workspace and actor come from the key, and of the client's headers only those
//! of the contract go along. What comes back is taken only if it is an answer of our API; it is read whole, within a
//! bound, so that a client never gets half of one.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use conventions::headers;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tasks_api::{Kind, Problem, problem};
use telemetry::http::{Client, resend};

use crate::auth::Caller;
use crate::refusal::Refusal;
use crate::request::{Body, IDEMPOTENCY_KEY, IdempotencyKey, IfMatch, JSON, Strict};

/// By which the task-service's spans tell the gateway from other callers.
const USER_AGENT: &str = concat!("tripod-gateway/", env!("CARGO_PKG_VERSION"));
/// Time for a connection: the task-service is near, and one that does not accept within this is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Idle connections kept.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long they are kept: less than the task-service does, so that it does not close one in the moment of its use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer: a page of the largest tasks is 6.6 MB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often a GET is sent again when there was no answer, and how long after the try before. A restarting process is
/// often not noticed; one that is really away is told of early.
const GET_RESEND_DELAYS: &[Duration] = &[Duration::from_millis(50), Duration::from_millis(250)];
/// As [`GET_RESEND_DELAYS`], for a POST that its `Idempotency-Key` makes safe to repeat: the client repeats it too.
const POST_RESEND_DELAYS: &[Duration] = &[Duration::from_millis(50)];
/// `Retry-After` when the task-service is away or slow.
const RETRY_AFTER_SECONDS: u32 = 1;
/// Errors that the task-service tells a client: calling it has not failed.
const EXPECTED_STATUSES: &[u16] = &[400, 404, 409, 412, 413, 415, 422, 428];
/// Headers of an answer that a client sees. `traceresponse` is not one: the gateway names its own span.
const ANSWER_HEADERS: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static(headers::IDEMPOTENCY_REPLAYED),
];

static WORKSPACE: HeaderName = HeaderName::from_static(headers::WORKSPACE);
static ACTOR: HeaderName = HeaderName::from_static(headers::ACTOR);

/// Where the task-service is.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) url: Url,
    /// For one request of a client: all tries and the whole answer.
    pub(crate) timeout: Duration,
    /// Shown to the task-service as a bearer token.
    pub(crate) token: Option<HeaderValue>,
}

/// The task-service, as this process reaches it.
#[derive(Clone)]
pub(crate) struct TaskService {
    client: Client,
    options: std::sync::Arc<Options>,
}

/// One request to the task-service.
pub(crate) struct Call {
    method: Method,
    path: Cow<'static, str>,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            method,
            path: path.into(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn query<Q>(self, query: Strict<Q>) -> Self {
        Self {
            query: query.raw,
            ..self
        }
    }

    pub(crate) fn if_match(mut self, version: IfMatch) -> Self {
        self.headers.insert(header::IF_MATCH, version.0);
        self
    }

    pub(crate) fn idempotency_key(mut self, key: IdempotencyKey) -> Self {
        if let Some(key) = key.0 {
            self.headers.insert(&IDEMPOTENCY_KEY, key);
        }
        self
    }

    pub(crate) fn body<T>(mut self, body: Body<T>) -> Self {
        self.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(body.media_type),
        );
        Self {
            body: body.bytes,
            ..self
        }
    }

    /// When to send it again, if there was no answer.
    fn resend_delays(&self) -> &'static [Duration] {
        match self.method {
            Method::GET => GET_RESEND_DELAYS,
            Method::POST if self.headers.contains_key(&IDEMPOTENCY_KEY) => POST_RESEND_DELAYS,
            _ => &[],
        }
    }
}

impl TaskService {
    /// # Errors
    /// If the HTTP client cannot be built.
    pub(crate) fn new(options: Options) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        Ok(Self {
            client: Client::new(client),
            options: options.into(),
        })
    }

    /// Passes a request of this caller on.
    ///
    /// # Errors
    /// If the task-service has no answer for the client.
    pub(crate) async fn send(&self, caller: &Caller, call: Call) -> Result<Response, Refusal> {
        let deadline = Instant::now() + self.options.timeout;
        let mut answer = self
            .answer(caller, &call, deadline)
            .await
            .map_err(no_answer)?;
        check(&answer)?;
        let mut response = Response::new(read(&mut answer).await?.into());
        *response.status_mut() = answer.status();
        for name in &ANSWER_HEADERS {
            if let Some(value) = answer.headers().get(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }

    /// The head of the first answer.
    async fn answer(
        &self,
        caller: &Caller,
        call: &Call,
        deadline: Instant,
    ) -> reqwest::Result<reqwest::Response> {
        let mut delays = call.resend_delays().iter();
        let mut resends = 0;
        loop {
            let request = self.request(caller, call, deadline)?;
            let options = resend(resends).expecting(EXPECTED_STATUSES);
            let error = match self.client.execute_with(request, options).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let has_no_answer = error.is_connect() || error.is_request();
            match delays.next() {
                Some(delay) if has_no_answer && Instant::now() + *delay < deadline => {
                    tokio::time::sleep(*delay).await;
                    resends += 1;
                }
                _ => return Err(error),
            }
        }
    }

    fn request(
        &self,
        caller: &Caller,
        call: &Call,
        deadline: Instant,
    ) -> reqwest::Result<reqwest::Request> {
        let mut url = self.options.url.clone();
        url.set_path(&format!(
            "{}{}",
            url.path().trim_end_matches('/'),
            call.path
        ));
        url.set_query(call.query.as_deref());
        let mut headers = call.headers.clone();
        headers.insert(&WORKSPACE, name_value(caller.workspace.as_str()));
        headers.insert(&ACTOR, name_value(caller.actor.as_str()));
        if let Some(token) = &self.options.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        self.client
            .request(call.method.clone(), url)
            .headers(headers)
            .body(call.body.clone())
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .build()
    }
}

/// Only answers of our own API reach a client: not the page of a proxy, nor of a stranger on the port.
fn check(answer: &reqwest::Response) -> Result<(), Refusal> {
    let status = answer.status();
    if status == StatusCode::UNAUTHORIZED {
        let cause = anyhow!("the task-service refuses the internal token");
        return Err(Refusal::new(Problem::new(Kind::Internal), cause));
    }
    let media_type = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let is_ours = match media_type {
        None => status == StatusCode::NO_CONTENT,
        Some(media_type) if status.is_success() => media_type == JSON.as_bytes(),
        Some(media_type) => {
            media_type == problem::MEDIA_TYPE.as_bytes()
                && (status.is_client_error() || status.is_server_error())
        }
    };
    if is_ours {
        return Ok(());
    }
    let media_type = String::from_utf8_lossy(media_type.unwrap_or_default()).into_owned();
    Err(unavailable(anyhow!(
        "what answers is not the task-service: status {status}, media type {media_type:?}"
    )))
}

async fn read(answer: &mut reqwest::Response) -> Result<Bytes, Refusal> {
    let too_large = || {
        unavailable(anyhow!(
            "the task-service's answer has more than {ANSWER_BYTES_MAX} bytes"
        ))
    };
    if answer
        .content_length()
        .is_some_and(|length| length > ANSWER_BYTES_MAX as u64)
    {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn no_answer(error: reqwest::Error) -> Refusal {
    // The address is in the client span; here it would only be repeated, filters and all.
    let error = error.without_url();
    // Where even connecting took too long, nothing was begun: that one is away.
    if error.is_timeout() && !error.is_connect() {
        let problem = Problem::new(Kind::Timeout).retry_after(RETRY_AFTER_SECONDS);
        return Refusal::new(problem, error);
    }
    unavailable(error)
}

fn unavailable(cause: impl Into<anyhow::Error>) -> Refusal {
    let problem = Problem::new(Kind::Unavailable).retry_after(RETRY_AFTER_SECONDS);
    Refusal::new(problem, cause)
}

/// A workspace or an actor as header.
fn name_value(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).expect("a name has lower-case letters, digits and hyphens only")
}
