//! The admin listener: `/livez`, `/readyz`, `/metrics`, `/faults`, and what a service adds. None of it makes spans.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tasks_api::{Kind, Problem};
use telemetry::MetricsHandle;
use tower::ServiceExt;

use crate::{
    faults::{self, Faults},
    readiness::Readiness,
    server,
};

/// Bodies on the admin listener are small: a fault, a job id.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What is served. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    metrics: MetricsHandle,
    readiness: Readiness,
    faults: Faults,
    /// Routes of the service, which starts after the listener.
    service: Arc<Mutex<Router>>,
}

impl Admin {
    pub(crate) fn new(metrics: MetricsHandle, readiness: Readiness, faults: Faults) -> Self {
        Self {
            metrics,
            readiness,
            faults,
            service: Arc::default(),
        }
    }

    pub(crate) fn add(&self, routes: Router) {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        *service = std::mem::take(&mut *service).merge(routes);
    }

    /// Serves until the task is aborted: metrics and health are wanted while the process drains.
    pub(crate) async fn serve(self, listener: TcpListener) {
        if let Err(error) = server::serve(listener, self.routes(), server::Until::Forever).await {
            tracing::error!(
                { conventions::fields::ERROR } = format!("{error:#}"),
                "admin listener failed"
            );
        }
    }

    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .merge(faults::routes(self.faults.clone()))
            .fallback(service)
            .method_not_allowed_fallback(server::method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    // Several headers of one name are one list (RFC 9110, section 5.3).
    let accepted: Vec<_> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let accepted = (!accepted.is_empty()).then(|| accepted.join(", "));
    let page = admin.metrics.render(accepted.as_deref());
    ([(header::CONTENT_TYPE, page.content_type)], page.body).into_response()
}

/// The service's routes; what it does not have either is 404.
async fn service(State(admin): State<Admin>, request: Request) -> Response {
    let routes = admin
        .service
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let routes = routes.fallback(|| async { Problem::new(Kind::NotFound) });
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
