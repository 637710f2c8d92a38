//! The server side: a tower layer for `axum::Router::layer`.
//!
//! Around each request: takes the trace up from the headers, makes the span, counts, measures, catches panics, and
//! names the span in the response. Attributes and metrics of one request are in `exchange`.

use std::any::Any;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use opentelemetry::context::FutureExt;
use tower::{Layer, Service};
use tracing::Instrument;

use self::exchange::{Exchange, Metrics};

mod exchange;

#[cfg(test)]
mod tests;

/// A route of the service: its series exist from the start, so that the first error is an increase and not a series
/// out of nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Upper case, such as `GET`.
    pub method: &'static str,
    /// As given to `axum::Router::route`, such as `/v1/tasks/{id}`.
    pub template: &'static str,
    /// The status of a request that went well.
    pub success: u16,
}

/// What [`ServerLayer::new`] must know.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerOptions {
    /// All routes behind the layer.
    pub routes: &'static [Route],
    /// The outside world is in front: our own member of `tracestate` is not believed (see
    /// [`extract_at_edge`](crate::w3c::extract_at_edge)).
    pub edge: bool,
}

/// Response extension by which a handler or an inner layer declares the request failed and names the `error.type`,
/// such as `timeout`. Counts with any status; without it, 5xx has failed and the status is its `error.type`.
///
/// ```
/// use axum::response::IntoResponse;
/// use http::StatusCode;
/// use telemetry::http::ErrorType;
///
/// async fn deadline_passed() -> impl IntoResponse {
///     (StatusCode::SERVICE_UNAVAILABLE, axum::Extension(ErrorType("timeout")))
/// }
/// # let _ = deadline_passed;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorType(
    /// From a small fixed set: it becomes an attribute value.
    pub &'static str,
);

/// Makes a server span and the `http_server_*` metrics of every request.
///
/// Belongs on the router with `Router::layer`, where routes are matched already, outside of all other layers:
/// ```
/// use axum::{Router, routing::get};
/// use telemetry::http::{Route, ServerLayer, ServerOptions};
///
/// const ROUTES: &[Route] = &[Route { method: "GET", template: "/v1/tasks/{id}", success: 200 }];
///
/// let app: Router = Router::new()
///     .route("/v1/tasks/{id}", get(|| async { "a task" }))
///     .layer(ServerLayer::new(ServerOptions { routes: ROUTES, edge: true }));
/// # let _ = app;
/// ```
#[derive(Clone)]
pub struct ServerLayer {
    settings: Settings,
    metrics: Arc<Metrics>,
}

/// The service [`ServerLayer`] makes.
#[derive(Clone)]
pub struct Server<S> {
    inner: S,
    settings: Settings,
    metrics: Arc<Metrics>,
}

#[derive(Clone, Copy)]
struct Settings {
    edge: bool,
    excluded: &'static [&'static str],
    proxies: usize,
    on_panic: fn() -> Response,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl ServerLayer {
    /// Makes the layer and registers the series of all routes, at 0. Call it after [`crate::init`]: what is registered
    /// before there is a recorder counts nothing.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            settings: Settings {
                edge: options.edge,
                excluded: &[],
                proxies: 0,
                on_panic: || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
            metrics: Arc::new(Metrics::new(options.routes)),
        }
    }

    /// No span, no metric and no `traceresponse` for these exact paths: health checks and scrapes, where they are not
    /// on a listener of their own.
    pub fn excluding(mut self, paths: &'static [&'static str]) -> Self {
        self.settings.excluded = paths;
        self
    }

    /// How many trusted proxies are in front. With `n > 0`, `client.address` is the `n`-th entry of `X-Forwarded-For`
    /// from the right, the one the outermost of them wrote, and `url.scheme` is `X-Forwarded-Proto`. Default 0: both
    /// headers are what anybody may send, and are ignored.
    pub fn behind_proxies(mut self, n: usize) -> Self {
        self.settings.proxies = n;
        self
    }

    /// What to answer when a handler panicked, instead of 500 with an empty body. Called inside the request's span.
    pub fn on_panic(mut self, respond: fn() -> Response) -> Self {
        self.settings.on_panic = respond;
        self
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Server<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Server {
            inner,
            settings: self.settings,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S> Service<Request> for Server<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.settings.excluded.contains(&request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let exchange = Exchange::start(&request, &self.settings, Arc::clone(&self.metrics));
        let span = exchange.span().clone();
        let passed_through = exchange.passed_through();
        let called = {
            // Making the future is hardly ever more than that: the ids are enough, entering the span costs ten times.
            let _current = exchange.context().attach();
            catch_unwind(AssertUnwindSafe(|| self.inner.call(request)))
        };
        let on_panic = self.settings.on_panic;
        let answer = async move {
            let response = match called {
                Ok(future) => finished(future).await,
                Err(panic) => Err(panic),
            };
            Ok(match response {
                Ok(response) => exchange.finish(response),
                Err(_reported_by_the_panic_hook) => exchange.finish_panicked(on_panic()),
            })
        };
        let answer = answer.instrument(span);
        match passed_through {
            Some(context) => Box::pin(answer.with_context(context)),
            None => Box::pin(answer),
        }
    }
}

/// The future's response, or its panic.
async fn finished<F>(future: F) -> Result<Response, Box<dyn Any + Send>>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let mut future = pin!(future);
    poll_fn(
        |task| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(never))) => match never {},
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}
