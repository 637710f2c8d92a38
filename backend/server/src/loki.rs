//! The HTTP API of Grafana Loki 3 over the log store: what its clients (Grafana, `logcli`, shippers, scripts) send and expect,
//! refusals included. What is served and where it differs: `docs/loki-api.md`.
//!
//! A handler reads its parameters, has the store or the engine asked on a blocking thread, and renders the answer. Nothing is
//! evaluated or stored here.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use logql::Engine;
use logs::Store;

use crate::{
    surface::{self, Refusal, RenderMetrics},
    work::Room,
};
use failure::Failure;

mod answer;
mod detected;
mod failure;
mod index;
mod params;
mod push;
mod query;
mod tail;

/// The version of Loki whose API this is. Clients look at it to learn what they may ask.
pub const API_VERSION: &str = "3.7.6";

/// Bytes of a push on the wire, and of what it unpacks to.
const PUSH_BYTES_MAX: usize = 16 << 20;
const UNPACKED_BYTES_MAX: usize = 64 << 20;
/// Pushes that are stored at a time; others wait.
const PUSHES_MAX: usize = 4;

/// What a router needs besides the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Unix nanoseconds: "the last hour" is relative to it.
    pub now_ns: fn() -> i64,
    pub engine: logql::Options,
    /// Queries at a time; others wait their turn. Default: the number of cores, two at least.
    pub queries_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            now_ns,
            engine: logql::Options::default(),
            queries_max: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
        }
    }
}

/// What the handlers share.
struct Loki {
    store: Arc<Store>,
    engine: Engine,
    now_ns: fn() -> i64,
    queries: Room,
    pushes: Room,
    tails: tail::Tails,
}

type Shared = axum::extract::State<Arc<Loki>>;

/// The routes.
pub fn router(store: Arc<Store>, options: Options) -> Router {
    let v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/labels", get(index::labels).post(index::labels))
        .route("/label", get(index::labels).post(index::labels))
        .route(
            "/label/{name}/values",
            get(index::values).post(index::values),
        )
        .route("/series", get(index::series).post(index::series))
        .route("/index/stats", get(index::stats).post(index::stats))
        .route("/index/volume", get(index::volume).post(index::volume))
        .route(
            "/detected_labels",
            get(detected::labels).post(detected::labels),
        )
        .route(
            "/detected_fields",
            get(detected::fields).post(detected::fields),
        )
        .route(
            "/index/volume_range",
            get(index::volume_range).post(index::volume_range),
        )
        .route("/tail", get(tail::tail))
        .route("/format_query", get(query::format).post(query::format))
        .route("/status/buildinfo", get(answer::build_info))
        .route(
            "/push",
            post(push::push).layer(DefaultBodyLimit::max(PUSH_BYTES_MAX)),
        );
    Router::new()
        .nest("/loki/api/v1", v1)
        .route("/ready", any(|| async { "ready\n" }))
        .fallback(not_found)
        .with_state(Arc::new(Loki {
            store,
            engine: Engine::new(options.engine),
            now_ns: options.now_ns,
            queries: Room::new(options.queries_max),
            pushes: Room::new(PUSHES_MAX),
            tails: tail::Tails::new(),
        }))
}

/// How a surface for [`router`] behaves: it refuses in Loki's words.
pub fn surface_options(metrics: Option<RenderMetrics>) -> surface::Options {
    surface::Options {
        metrics,
        body_bytes_max: PUSH_BYTES_MAX,
        refuse: |refusal| {
            match refusal {
                Refusal::Overloaded => Failure::overloaded(),
                Refusal::Timeout => Failure::timeout(),
                Refusal::Panic => Failure::internal("internal error"),
            }
            .into_response()
        },
        ..surface::Options::default()
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

async fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}
