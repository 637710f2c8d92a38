//! Accepting connections, within bounds, until told to stop. What is answered on them is the caller's.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use conventions::fields;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// Connections at a time and listener; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// Requests at a time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 128;
/// How often an idle peer on HTTP/2 is asked whether it still lives, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the requests under way may take when the receiver stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the kernel had no more file descriptors for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Of both transports: tonic's body can be any.
pub(super) type Answer = Response<tonic::body::Body>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What all connections of one listener share.
struct Connections<S> {
    builder: Builder<TokioExecutor>,
    headers_timeout: Duration,
    service: S,
    graceful: GracefulShutdown,
}

/// Serves until `stop`, then until the requests under way are answered.
pub(super) async fn serve<S, F>(
    listener: TcpListener,
    protocol: Protocol,
    headers_timeout: Duration,
    service: S,
    stop: CancellationToken,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let connections = Connections {
        builder: builder(protocol, headers_timeout),
        headers_timeout,
        service,
        graceful: GracefulShutdown::new(),
    };
    let cut = CancellationToken::new();
    // However serving ends, no connection outlives it.
    let _cut_at_end = cut.clone().drop_guard();
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
                let connection = connections.connection(stream);
                let cut = cut.clone();
                tokio::spawn(async move {
                    cut.run_until_cancelled(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Said once, not twenty times a second for as long as it lasts.
                if !is_failing {
                    tracing::warn!({ fields::ERROR } = %error, "OTLP connections cannot be accepted");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let end = connections.graceful.shutdown();
    if tokio::time::timeout(STOP_TIMEOUT, end).await.is_err() {
        tracing::warn!("OTLP requests were cut off: they did not end in time");
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

impl<S, F> Connections<S>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    /// Serves one connection until it ends. A client that breaks off, stays silent or sends no HTTP is its own affair.
    fn connection(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<S, F> {
        // Small answers must not wait for the acknowledgement of the one before. It is a matter of speed only.
        let _ = stream.set_nodelay(true);
        let service = self.service.clone();
        let has_begun = Arc::new(AtomicBool::new(false));
        let begin = Arc::clone(&has_begun);
        let service = service_fn(move |request| {
            begin.store(true, Ordering::Relaxed);
            let answer = service(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection.into_owned());
        let headers_timeout = self.headers_timeout;
        async move {
            tokio::pin!(connection);
            let begun = tokio::time::timeout(headers_timeout, &mut connection).await;
            // HTTP/2 has no such timeout of its own.
            if begun.is_err() && has_begun.load(Ordering::Relaxed) {
                let _ = connection.await;
            }
        }
    }
}

fn builder(protocol: Protocol, headers_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}
