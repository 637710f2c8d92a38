//! One HTTP listener with bounds: connections, header time, requests in progress, body size, handler time.
//!
//! Every surface of the backend is served by this, whatever API it speaks: it counts and measures requests, answers for
//! handlers that panic, serves `GET /metrics`, and stops gracefully. It makes no spans: the backend would trace itself.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::header,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

mod connections;
mod counts;
mod layers;
mod refusal;

pub use refusal::Refusal;

/// How a surface behaves. The defaults fit APIs that are asked by people and dashboards.
#[derive(Clone)]
pub struct Options {
    /// Requests in progress beyond which new ones are refused at once. Default: 256.
    pub requests_in_flight_max: usize,
    /// How long a handler may take, reading the body included. Default: 2 minutes, as the Tempo and Prometheus servers have.
    pub request_timeout: Duration,
    /// Longer bodies are refused. Default: 1 MiB, plenty for a form with a query.
    pub body_bytes_max: usize,
    /// What `GET /metrics` answers; without it the path is one that does not exist.
    pub metrics: Option<RenderMetrics>,
    /// How refusals look in the API of this surface. Default: plain text.
    pub refuse: fn(Refusal) -> Response,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            requests_in_flight_max: 256,
            request_timeout: Duration::from_secs(120),
            body_bytes_max: 1 << 20,
            metrics: None,
            refuse: refusal::plain,
        }
    }
}

/// Renders the process's metrics for an `Accept` header.
pub type RenderMetrics = Arc<dyn Fn(Option<&str>) -> MetricsPage + Send + Sync>;

/// The process's metrics, rendered.
#[derive(Clone, Debug)]
pub struct MetricsPage {
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// The exposition.
    pub body: Bytes,
}

/// A surface cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{surface} cannot listen on {address}")]
pub struct Error {
    surface: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// A listener that serves. Dropped without [`Surface::stop`], it ends at once.
#[derive(Debug)]
pub struct Surface {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _cut: DropGuard,
}

impl Surface {
    /// Binds `address` and serves `routes`. `surface` names the API in messages.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        surface: &'static str,
        address: SocketAddr,
        routes: Router,
        options: Options,
    ) -> Result<Self, Error> {
        let cannot_listen = |source| Error {
            surface,
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(connections::serve(
            surface,
            listener,
            layered(routes, options),
            stop.clone(),
            cut.clone(),
        ));
        Ok(Self {
            address,
            stop,
            task,
            _cut: cut.drop_guard(),
        })
    }

    /// Where it listens: the port is known although 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further request and waits, within a bound, for those in progress.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends by itself, and a panic of it has been said already.
        let _ = self.task.await;
    }
}

/// The routes with all layers. From outside to inside: counting, so that it sees every answer; the load limit, before
/// anything costs; the deadline; panics; the body limit.
fn layered(mut routes: Router, options: Options) -> Router {
    if let Some(render) = options.metrics {
        let page = move |request: Request| async move { metrics_page(&render, &request) };
        routes = routes.route("/metrics", get(page));
    }
    let refuse = options.refuse;
    let room = Arc::new(Semaphore::new(options.requests_in_flight_max));
    counts::describe();
    routes
        .layer(DefaultBodyLimit::max(options.body_bytes_max))
        .layer(middleware::from_fn(move |request, next| {
            layers::catch_panic(refuse, request, next)
        }))
        .layer(middleware::from_fn(move |request, next| {
            layers::deadline(options.request_timeout, refuse, request, next)
        }))
        .layer(middleware::from_fn(move |request, next| {
            layers::shed(Arc::clone(&room), refuse, request, next)
        }))
        .layer(middleware::from_fn(
            |request, next: middleware::Next| async {
                let begun = counts::begin(&request, Instant::now());
                let response = next.run(request).await;
                begun.end(response.status());
                response
            },
        ))
}

fn metrics_page(render: &RenderMetrics, request: &Request) -> Response {
    // Several headers of one name are one list (RFC 9110, section 5.3).
    let accepted: Vec<&str> = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let accepted = (!accepted.is_empty()).then(|| accepted.join(", "));
    let page = render(accepted.as_deref());
    ([(header::CONTENT_TYPE, page.content_type)], page.body).into_response()
}
