//! An HTTP server with bounds: connections, header time, requests in flight, body size and time, handler time.
//!
//! [`Stack`] puts the layers around a service's routes in the one right order; [`serve`] runs it until the process drains.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::{Router, extract::ConnectInfo, middleware};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use telemetry::http::ServerLayer;
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::faults::{self, Faults};

mod body;
mod layers;

pub use body::Body;
pub(crate) use layers::method_not_allowed;

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may take to send its headers, the first or the next request's: idle connections end too.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Request line and headers together.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// Pause after the kernel had no more file descriptors for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When a server ends.
#[derive(Debug, Clone)]
pub enum Until {
    /// With its task.
    Forever,
    /// After this is cancelled and the requests in progress are answered, `timeout` at most.
    Drained {
        drain: CancellationToken,
        timeout: Duration,
    },
}

/// Somebody else has the port, or nobody may have it.
#[derive(Debug, thiserror::Error)]
#[error("port {port} of {surface} cannot be used; choose another with {flag}")]
pub(crate) struct PortUnusable {
    port: u16,
    surface: String,
    flag: String,
}

/// What surrounds a service's routes.
#[derive(Clone)]
pub struct Stack {
    pub telemetry: ServerLayer,
    pub faults: Faults,
    /// Requests in progress beyond which new ones get 503 at once.
    pub requests_in_flight_max: usize,
    /// How long a handler may take.
    pub request_timeout: Duration,
}

impl Stack {
    /// The routes with all layers. From outside to inside: telemetry, so that it sees every answer; the trace id in
    /// problems and the request's log line; the load limit, before anything costs; the deadline; faults.
    pub fn around(self, routes: Router) -> Router {
        let room = Arc::new(Semaphore::new(self.requests_in_flight_max));
        routes
            .fallback(layers::not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn_with_state(self.faults, faults::inject))
            .layer(middleware::from_fn_with_state(
                self.request_timeout,
                layers::deadline,
            ))
            .layer(middleware::from_fn_with_state(room, layers::shed))
            .layer(middleware::from_fn(layers::describe))
            .layer(self.telemetry.on_panic(layers::panicked))
    }
}

/// Binds a listener for [`serve`].
///
/// # Errors
/// One line that names port, surface and flag.
pub fn bind(address: SocketAddr, surface: &str, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| PortUnusable {
        port: address.port(),
        surface: surface.to_owned(),
        flag: flag.to_owned(),
    })?;
    listener
        .set_nonblocking(true)
        .context("a listener cannot be made non-blocking")?;
    Ok(listener)
}

/// Serves HTTP/1.1 on the listener.
///
/// # Errors
/// When the listener cannot be used at all.
pub async fn serve(listener: TcpListener, routes: Router, until: Until) -> anyhow::Result<()> {
    let listener =
        tokio::net::TcpListener::from_std(listener).context("the listener cannot be used")?;
    let (drain, timeout) = match until {
        Until::Forever => (CancellationToken::new(), Duration::MAX),
        Until::Drained { drain, timeout } => (drain, timeout),
    };
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    // However serving ends, no connection outlives it.
    let _cut_at_end = cut.clone().drop_guard();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut is_failing = false;
    loop {
        let permit = Arc::clone(&room).acquire_owned();
        let permit = tokio::select! {
            permit = permit => permit.context("the semaphore is never closed")?,
            () = drain.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                is_failing = false;
                let connection = connection(stream, peer, routes.clone(), &graceful);
                let cut = cut.clone();
                tokio::spawn(async move {
                    cut.run_until_cancelled(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Said once, not twenty times a second for as long as it lasts.
                if !is_failing {
                    tracing::warn!({ conventions::fields::ERROR } = %error, "connections cannot be accepted");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            timeout_s = timeout.as_secs(),
            "requests were cut off: they did not end in time"
        );
    }
    Ok(())
}

/// Speaks HTTP on one connection, with the peer's address on every request.
fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    // Small answers must not wait for the acknowledgement of the one before. It is a matter of speed only.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADERS_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    async move {
        // A client that breaks off or sends no HTTP is its own affair; hyper has answered 400 if it could.
        let _ = connection.await;
    }
}
