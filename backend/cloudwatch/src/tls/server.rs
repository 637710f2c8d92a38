//! Serves routes over TLS, within bounds, until told to stop. What is answered is the routes'.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use conventions::fields;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustls::{ServerConfig, crypto::ring, version};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Authority, AuthorityError};

/// Connections at a time, those that shake hands included; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take to agree on a connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send its headers, the first or the next request's: idle connections end too. Longer than the 90 s
/// after which AWS SDKs drop an idle connection, so that they close first.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(120);
/// Request line and headers together; more is answered 431.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// How long the requests in progress may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the kernel had no more file descriptors for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves with certificates of the authority until `stop`, then until the requests in progress are answered.
///
/// # Errors
/// When TLS cannot be configured; a connection's errors are its own.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    authority: Authority,
    stop: CancellationToken,
) -> Result<(), AuthorityError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(authority));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped at the end, which ends the connections that are still there.
    let cut = CancellationToken::new();
    let _cut_at_end = cut.clone().drop_guard();
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, permit)) => {
                is_failing = false;
                let connection =
                    connection(acceptor.clone(), stream, routes.clone(), graceful.watcher());
                let cut = cut.clone();
                tokio::spawn(async move {
                    cut.run_until_cancelled(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Said once, not twenty times a second for as long as it lasts.
                if !is_failing {
                    tracing::warn!({ fields::ERROR } = %error, "TLS connections cannot be accepted");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("TLS requests in progress are cut off");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

/// A client that breaks off, or speaks no TLS, is its own matter: nothing is logged above debug.
async fn connection(acceptor: TlsAcceptor, stream: TcpStream, routes: Router, watcher: Watcher) {
    // Small answers leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!({ fields::ERROR } = %error, "a TLS connection is gone");
        return;
    }
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!({ fields::ERROR } = %error, "a TLS handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            return;
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        routes.clone().oneshot(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!({ fields::ERROR } = %error, "a TLS connection ended");
    }
}
