//! The HTTP API of Alertmanager, version 2, over the embedded one: what its clients (Prometheus, Grafana, `amtool`, scripts)
//! send and expect, refusals included. What is served and where it differs: `docs/alertmanager-api.md`.
//!
//! A handler reads its parameters, asks the manager, and renders the answer. Nothing is decided here.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ::alertmanager::manager::Manager;
use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use crate::surface::{self, Refusal, RenderMetrics};
use failure::Failure;

mod alerts;
mod answer;
mod body;
mod failure;
mod params;
mod silences;
mod status;

/// The version of Alertmanager whose API this is.
pub const API_VERSION: &str = "0.31.1";

/// Bytes of a body; Prometheus posts 256 alerts at a time.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What a router needs besides the manager.
#[derive(Clone, Default)]
pub struct Options {
    /// What `POST /-/reload` does; its error is what is answered. Without it the path says that it is not enabled.
    pub reload: Option<Reload>,
}

/// Reads the configuration again.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the handlers share.
struct Api {
    manager: Manager,
    reload: Option<Reload>,
    started_at_ms: i64,
}

type Shared = axum::extract::State<Arc<Api>>;

/// The routes.
pub fn router(manager: Manager, options: Options) -> Router {
    let v2 = Router::new()
        .route("/status", only(get(status::status), "GET"))
        .route("/receivers", only(get(status::receivers), "GET"))
        .route(
            "/alerts",
            only(get(alerts::list).post(alerts::post), "POST,GET"),
        )
        .route("/alerts/groups", only(get(alerts::groups), "GET"))
        .route(
            "/silences",
            only(get(silences::list).post(silences::set), "POST,GET"),
        )
        .route(
            "/silence/{id}",
            only(get(silences::one).delete(silences::expire), "DELETE,GET"),
        )
        .fallback(|request: Request| async move {
            let path = format!("/api/v2{}", request.uri().path());
            Failure::coded(
                StatusCode::NOT_FOUND,
                404,
                format!("path {path} was not found"),
            )
        })
        .layer(middleware::from_fn(answer::only_json))
        .layer(middleware::from_fn(no_store));
    Router::new()
        .nest("/api/v2", v2)
        .route("/api/v1/{*rest}", axum::routing::any(status::gone))
        .route("/-/ready", get(|| async { "OK" }))
        .route("/-/healthy", get(|| async { "OK" }))
        .route("/-/reload", post(status::reload))
        .with_state(Arc::new(Api {
            manager,
            reload: options.reload,
            started_at_ms: system_ms(),
        }))
}

/// How a surface for [`router`] behaves.
pub fn surface_options(metrics: Option<RenderMetrics>) -> surface::Options {
    surface::Options {
        metrics,
        body_bytes_max: BODY_BYTES_MAX,
        refuse: |refusal| {
            let (status, text) = match refusal {
                // Its own words for a limit on concurrent requests.
                Refusal::Overloaded => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Limit of concurrent GET requests reached, try again later.\n",
                ),
                Refusal::Timeout => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Exceeded configured timeout.\n",
                ),
                Refusal::Panic => (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"),
            };
            (status, text).into_response()
        },
        ..surface::Options::default()
    }
}

/// Any other method is refused with the names of those that are there.
fn only<S: Clone + Send + Sync + 'static>(
    methods: MethodRouter<S>,
    names: &'static str,
) -> MethodRouter<S> {
    methods.fallback(move |method: Method| async move {
        let text = format!("method {method} is not allowed, but [{names}] are");
        let failure = Failure::coded(StatusCode::METHOD_NOT_ALLOWED, 405, text);
        ([("allow", names)], failure).into_response()
    })
}

async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        "cache-control",
        axum::http::HeaderValue::from_static("no-store"),
    );
    response
}

fn system_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
