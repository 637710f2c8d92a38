//! Accepting connections, within bounds, until told to stop. What is answered on them is the caller's.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use conventions::fields;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may take to send its headers, the first or the next request's: idle connections end too.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Request line and headers together; more is answered 431. The longest URL that hyper takes fits (64 KiB, then 414).
const HEADERS_BYTES_MAX: usize = 128 << 10;
/// How long the requests in progress may take when the surface stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the kernel had no more file descriptors for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then until the requests in progress are answered; `cut` ends everything at once.
pub(super) async fn serve(
    surface: &'static str,
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    cut.clone()
        .run_until_cancelled(accept_until(surface, listener, routes, stop, &cut))
        .await;
    // Requests that did not end in time.
    cut.cancel();
}

async fn accept_until(
    surface: &'static str,
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
    cut: &CancellationToken,
) {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, permit)) => {
                is_failing = false;
                let connection = connection(stream, routes.clone(), stop.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    cut.run_until_cancelled(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Said once, not twenty times a second for as long as it lasts.
                if !is_failing {
                    tracing::warn!({ fields::ERROR } = %error, surface, "connections cannot be accepted");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(STOP_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(surface, "requests were cut off: they did not end in time");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

/// Speaks HTTP/1.1 on one connection, until `stop` no longer than the request in progress. When the client leaves, the handler of
/// its request is dropped. What a connection becomes by an upgrade is the handler's.
async fn connection(stream: TcpStream, routes: Router, stop: CancellationToken) {
    // Small answers must not wait for the acknowledgement of the one before. It is a matter of speed only.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        routes.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // A client that breaks off or sends no HTTP is its own affair; hyper has answered 400 if it could.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
