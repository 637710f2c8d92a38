//! The one HTTP endpoint: accepts connections, reads bounded requests and hands each to the service
//! its `X-Amz-Target` names. Owns connection, body and time limits. Does not know any operation.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use conventions::fields;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Refusal, identified};
use crate::{Further, dynamodb, sqs};

/// Connections at a time; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 1024;
/// For a request's head, and for an idle connection: more than the 90 s after which AWS SDKs drop
/// an idle connection, so that they close first.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// For a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies in memory at a time, of all requests together, in KiB.
const BODIES_KIB_MAX: u32 = 256 * 1024;
/// How much of an oversized body is read and thrown away, so that its sender gets to read the
/// refusal.
const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// After a failed `accept` (out of file descriptors): rest, rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests may go on once the endpoint stops; long polls are cut off then.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What is behind the endpoint.
#[derive(Debug)]
pub(crate) struct Services {
    dynamodb: Arc<dynamodb::Engine>,
    sqs: sqs::Queues,
    further: Option<Further>,
    /// One permit per KiB of request body.
    bodies: Arc<Semaphore>,
}

/// Accepts until `stopping`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    services: Arc<Services>,
    stopping: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&services), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!({ fields::ERROR } = %error, "accepting a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Dropping the set aborts what is left.
    let _ = tokio::time::timeout(DRAIN_MAX, drained).await;
}

impl Services {
    pub(crate) fn new(
        dynamodb: Arc<dynamodb::Engine>,
        sqs: sqs::Queues,
        further: Option<Further>,
    ) -> Services {
        Services {
            dynamodb,
            sqs,
            further,
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX as usize)),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut routed = pin!(self.route(request));
        // A panic of an engine on odd input costs that request alone.
        let outcome = poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| routed.as_mut().poll(context))) {
                Ok(poll) => poll,
                Err(_) => std::task::Poll::Ready(Err(Refusal::internal())),
            }
        })
        .await;
        identified(outcome.unwrap_or_else(Refusal::into_answer))
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(unknown_operation(
                StatusCode::NOT_FOUND,
                "operations are sent by POST",
            ));
        }
        let target = parts
            .headers
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok());
        match target.and_then(|target| target.split_once('.')) {
            Some((dynamodb::TARGET, operation)) => {
                let (body, _held) = self.read(body, dynamodb::BODY_BYTES_MAX).await?;
                self.dynamodb.call(operation, &parts, body).await
            }
            Some((sqs::TARGET, _)) => {
                let (body, _held) = self.read(body, sqs::BODY_BYTES_MAX).await?;
                self.sqs.call(&parts.headers, body).await
            }
            other => {
                let further = other.and_then(|(target, _)| self.further(target));
                let further = further.ok_or_else(|| {
                    let message = "X-Amz-Target names no service of this endpoint";
                    unknown_operation(StatusCode::BAD_REQUEST, message)
                })?;
                let (body, _held) = self.read(body, further.body_bytes_max).await?;
                let answer = (further.answer)(Request::from_parts(parts, body)).await;
                Ok(answer.map(Full::from))
            }
        }
    }

    fn further(&self, target: &str) -> Option<Further> {
        let further = self.further.as_ref();
        further.filter(|further| further.target == target).cloned()
    }

    /// The whole body, and the share of [`BODIES_KIB_MAX`] it holds.
    async fn read(
        &self,
        body: Incoming,
        bytes_max: usize,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let expected = usize::try_from(body.size_hint().upper().unwrap_or(u64::MAX))
            .unwrap_or(usize::MAX)
            .min(bytes_max);
        let kib = u32::try_from(expected / 1024).unwrap_or(BODIES_KIB_MAX) + 1;
        let held = Arc::clone(&self.bodies)
            .acquire_many_owned(kib)
            .await
            .map_err(|_| Refusal::internal())?;
        match tokio::time::timeout(BODY_TIMEOUT, collect(body, bytes_max)).await {
            Ok(collected) => Ok((utf8(collected?)?, held)),
            Err(_) => {
                let message = format!("the body did not arrive within {BODY_TIMEOUT:?}");
                Err(Refusal::with_status(
                    StatusCode::REQUEST_TIMEOUT,
                    "RequestTimeoutException",
                    message,
                ))
            }
        }
    }
}

fn unknown_operation(status: StatusCode, message: &str) -> Refusal {
    Refusal::with_status(
        status,
        "com.amazon.coral.service#UnknownOperationException",
        message,
    )
}

async fn connection(stream: TcpStream, services: Arc<Services>, stopping: CancellationToken) {
    // Without it an answer of several segments waits for a delayed acknowledgement. It fails only
    // on a dead socket.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let services = Arc::clone(&services);
        async move { Ok::<_, Infallible>(services.answer(request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    // What ends a connection early (garbage, a reset) is answered or already gone: nothing an
    // operator could act on.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = stopping.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// JSON is UTF-8 throughout; the engines look only at what they read of it.
fn utf8(body: Bytes) -> Result<Bytes, Refusal> {
    match std::str::from_utf8(&body) {
        Ok(_) => Ok(body),
        Err(_) => Err(Refusal::unreadable("the body is not valid UTF-8")),
    }
}

async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut kept = BytesMut::new();
    let mut bytes = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::unreadable("the body ended early"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        bytes = bytes.saturating_add(data.len());
        if bytes <= bytes_max {
            kept.extend_from_slice(&data);
        } else {
            kept = BytesMut::new();
        }
        if bytes > DISCARD_BYTES_MAX {
            break;
        }
    }
    if bytes > bytes_max {
        let message = format!("the request body is larger than {bytes_max} bytes");
        return Err(Refusal::with_status(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            message,
        ));
    }
    Ok(kept.freeze())
}
