//! One OTLP/HTTP request: posts an encoded batch and reads what the collector says
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Trying again is the exporter's.
//!
//! The client is `reqwest`'s blocking one, on the exporter's own thread: an asynchronous client would need the
//! service's runtime, which is gone or blocked just when the last spans are flushed.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use thiserror::Error;

use super::batch::Queue;
use super::encode::Encoder;
use crate::config::ExportGate;

use super::exporter::{BACKOFF_MIN, Exporter, Pace, SendError, Transport};

/// How much of an answer is read: a partial success is some hundred bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Where and how batches are posted.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    /// Bound of one request.
    pub(crate) timeout: Duration,
    pub(crate) gate: Option<ExportGate>,
}

/// The exporter could not be started.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot start the span exporter's thread")]
    Thread(#[source] std::io::Error),
    #[error("the span exporter's thread ended before it was ready")]
    Died,
    #[error("cannot make the span exporter's HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Starts the thread that empties `queue`, and returns when it is ready.
pub(crate) fn start(queue: Arc<Queue>, target: Target, encoder: Encoder) -> Result<(), StartError> {
    let (ready, made) = mpsc::channel();
    let run = move || {
        // Here, because a blocking client must not be made or dropped on a thread that drives a runtime.
        let client = match http_client(&target.url) {
            Ok(client) => client,
            Err(error) => {
                let _ = ready.send(Err(StartError::Client(error)));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let pace = Pace {
            timeout: target.timeout,
            backoff_min: BACKOFF_MIN,
        };
        Exporter::new(queue, Http { client, target }, encoder, pace).run();
    };
    let spawned = thread::Builder::new()
        .name("telemetry-spans".to_owned())
        .spawn(run);
    spawned.map_err(StartError::Thread)?;
    made.recv().unwrap_or(Err(StartError::Died))
}

struct Http {
    client: Client,
    target: Target,
}

impl Transport for Http {
    fn send(&mut self, body: Bytes, timeout: Duration) -> Result<usize, SendError> {
        if let Some(reason) = self.target.gate.as_ref().and_then(|gate| (gate.0)()) {
            return Err(SendError::Unavailable {
                reason,
                retry_after: None,
            });
        }
        let request = self
            .client
            .post(&self.target.url)
            .headers(self.target.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .timeout(timeout)
            .body(body);
        match request.send() {
            Ok(response) => answer(response),
            Err(error) if error.is_builder() => Err(SendError::Refused {
                reason: chain(&error),
            }),
            Err(error) => Err(SendError::Unavailable {
                reason: chain(&error),
                retry_after: None,
            }),
        }
    }
}

/// No proxy and no redirect: spans go where the configuration says and nowhere else. Certificates are loaded only
/// if they will be used, since that reads the system's whole store.
fn http_client(url: &str) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .user_agent(concat!("tripod-telemetry/", env!("CARGO_PKG_VERSION")));
    match url.starts_with("https:") {
        true => builder.build(),
        false => builder.tls_certs_only([]).build(),
    }
}

fn answer(response: Response) -> Result<usize, SendError> {
    let status = response.status();
    if status.is_success() {
        return Ok(rejected(response));
    }
    let reason = format!("collector answered {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(SendError::Unavailable {
            retry_after: response.headers().get(RETRY_AFTER).and_then(seconds),
            reason,
        }),
        _ => Err(SendError::Refused { reason }),
    }
}

/// Spans of an accepted batch that the collector rejected. An answer that cannot be read accepts all.
fn rejected(response: Response) -> usize {
    let mut body = Vec::new();
    let read = response.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
    let answer = read.ok().and_then(|_| {
        ExportTraceServiceResponse::decode(body.as_slice())
            .ok()?
            .partial_success
    });
    answer.map_or(0, |partial| {
        usize::try_from(partial.rejected_spans).unwrap_or(0)
    })
}

/// `Retry-After` in seconds; its date form is rare and the backoff serves as well.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// An error and what caused it, in one line. Carries no header, so no secret.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
