//! The HTTP API of Prometheus 3 over the embedded Prometheus: what its clients (Grafana, `promtool`, remote writers, scripts)
//! send and expect, refusals included. What is served and where it differs: `docs/prometheus-api.md`.
//!
//! A handler reads its parameters, has the store or the engine asked on a blocking thread, and writes JSON straight into the
//! body. Nothing is evaluated or stored here.

use std::{sync::Arc, time::Duration};

use ::prometheus::Prometheus;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::{HeaderMap, Method, StatusCode},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};

use crate::{
    surface::{self, Refusal, RenderMetrics},
    work::Room,
};
use failure::Failure;

mod answer;
mod failure;
mod form;
mod json;
mod layers;
mod management;
mod params;
mod query;
mod rules;
mod series;
mod status;
mod targets;
mod write;

/// The version of Prometheus whose API this is. Clients look at it to learn what they may ask.
pub const API_VERSION: &str = "3.14.0";

/// Bytes of a form, as in Go's standard library.
const FORM_BYTES_MAX: usize = 10 << 20;
/// Looks at rule groups at a time; each may have to wait for an evaluation to end.
const LOOKS_MAX: usize = 4;
/// Longer than a query may take, so that it ends with its own words.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(150);

/// What a router needs besides the Prometheus.
#[derive(Clone, Debug)]
pub struct Options {
    /// Queries at a time; others wait their turn, within their timeout. Default: 20, as in Prometheus.
    pub queries_max: usize,
    /// Remote writes at a time; others wait. Default: 4, since each may hold some 40 MiB.
    pub writes_max: usize,
    /// Whether `/-/reload` is allowed. Default: no, as in Prometheus.
    pub is_lifecycle_enabled: bool,
    /// How long samples are kept, to be shown. Default: 35 days.
    pub retention: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queries_max: 20,
            writes_max: 4,
            is_lifecycle_enabled: false,
            retention: ::prometheus::StorageOptions::default().retention,
        }
    }
}

/// What the handlers share.
struct Api {
    prometheus: Arc<Prometheus>,
    options: Options,
    queries: Room,
    looks: Room,
    writes: Room,
}

type Shared = axum::extract::State<Arc<Api>>;

/// The routes.
pub fn router(prometheus: Arc<Prometheus>, options: Options) -> Router {
    let api = Arc::new(Api {
        prometheus,
        queries: Room::new(options.queries_max),
        looks: Room::new(LOOKS_MAX),
        writes: Room::new(options.writes_max),
        options,
    });
    Router::new()
        .nest("/api/v1", api_routes())
        .route("/-/ready", any(management::ready))
        .route("/-/healthy", any(management::healthy))
        .route("/-/reload", any(management::reload))
        .fallback(not_found)
        .with_state(api)
}

fn api_routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/query", asked(query::instant))
        .route("/query_range", asked(query::range))
        .route("/query_exemplars", asked(query::exemplars))
        .route("/format_query", asked(query::format))
        .route("/series", asked(series::series))
        .route("/labels", asked(series::label_names))
        .route("/label/{name}/values", read(series::label_values))
        .route("/metadata", read(targets::metadata))
        .route("/targets", read(targets::targets))
        .route("/targets/metadata", read(targets::metadata_by_target))
        .route("/scrape_pools", read(targets::scrape_pools))
        .route("/alertmanagers", read(targets::alertmanagers))
        .route("/rules", read(rules::rules))
        .route("/alerts", read(rules::alerts))
        .route("/status/config", read(status::config))
        .route("/status/flags", read(status::flags))
        .route("/status/buildinfo", read(status::build_info))
        .route("/status/runtimeinfo", read(status::runtime_info))
        .route("/status/tsdb", read(status::tsdb))
        .route("/admin/tsdb/delete_series", administered())
        .route("/admin/tsdb/clean_tombstones", administered())
        .route("/admin/tsdb/snapshot", administered())
        .route_layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .route("/write", write::route())
        .route("/{*path}", any(elsewhere))
}

/// How a surface for [`router`] behaves: it refuses in the words of Prometheus.
pub fn surface_options(metrics: Option<RenderMetrics>) -> surface::Options {
    surface::Options {
        metrics,
        request_timeout: REQUEST_TIMEOUT,
        refuse: |refusal| {
            match refusal {
                Refusal::Overloaded => Failure::overloaded(),
                Refusal::Timeout => Failure::timeout("request handling"),
                Refusal::Panic => Failure::internal("unexpected error"),
            }
            .into_response()
        },
        ..surface::Options::default()
    }
}

/// With `GET` alone.
fn read<H: Handler<T, Arc<Api>>, T: 'static>(handler: H) -> MethodRouter<Arc<Api>> {
    served(&[Method::GET], handler)
}

/// With `GET`, or `POST` for parameters that are too long for a URL.
fn asked<H: Handler<T, Arc<Api>>, T: 'static>(handler: H) -> MethodRouter<Arc<Api>> {
    served(&[Method::GET, Method::POST], handler)
}

/// What would change the store from outside.
fn administered() -> MethodRouter<Arc<Api>> {
    let refuse = || async { Failure::unavailable("admin APIs disabled") };
    served(&[Method::POST, Method::PUT], refuse)
}

fn served<H: Handler<T, Arc<Api>>, T: 'static>(
    methods: &'static [Method],
    handler: H,
) -> MethodRouter<Arc<Api>> {
    any(handler).layer(middleware::from_fn(move |request, next| {
        layers::answered(methods, request, next)
    }))
}

/// Any other path of the API.
async fn elsewhere(method: Method, headers: HeaderMap) -> Response {
    match method {
        Method::OPTIONS => layers::preflight(&headers),
        _ => not_found().await,
    }
}

async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found")
}

/// A refusal of what is not the API proper: a line of text.
fn plain(status: StatusCode, text: &str) -> Response {
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ];
    (status, headers, format!("{text}\n")).into_response()
}
