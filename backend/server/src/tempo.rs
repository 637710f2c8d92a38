//! The HTTP API of Grafana Tempo 3 over the trace store: what its clients (Grafana with streaming off, `tempo-cli`, scripts)
//! send and expect, refusals included. What is served and where it differs: `docs/tempo-api.md`.
//!
//! A handler reads its parameters, has the store asked on a blocking thread, and renders the answer as protobuf, from which
//! the JSON form is made. Nothing is evaluated here.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};

use crate::surface::{self, Refusal, RenderMetrics};
use failure::Failure;
use work::Work;

mod answer;
mod by_id;
mod failure;
mod json;
mod logfmt;
mod metrics;
mod params;
pub(crate) mod proto;
mod schema;
mod search;
mod status;
mod tags;
mod work;

/// The version of Tempo whose API this is. Clients look at it to learn what they may ask.
pub const API_VERSION: &str = "3.0.3";

/// What a router needs besides the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Unix nanoseconds: "the last hour" is relative to it.
    pub now_ns: fn() -> u64,
    /// Reads by id at a time. Default: 16.
    pub lookups_max: usize,
    /// Searches, tag and metrics queries at a time; others wait their turn. Default: the number of cores.
    pub scans_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            now_ns,
            lookups_max: 16,
            scans_max: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// What the handlers share.
struct Tempo {
    store: Arc<traces::Store>,
    now_ns: fn() -> u64,
    work: Work,
}

type Shared = axum::extract::State<Arc<Tempo>>;

/// The routes. Tempo takes any method on its query paths, and parameters from the URL alone.
pub fn router(store: Arc<traces::Store>, options: Options) -> Router {
    Router::new()
        .route("/api/traces/{id}", any(by_id::first))
        .route("/api/v2/traces/{id}", any(by_id::second))
        .route("/api/search", any(search::search))
        .route("/api/search/tags", any(tags::names_v1))
        .route("/api/v2/search/tags", any(tags::names_v2))
        // A tag's name may have slashes, so `/values` is cut off by the handler.
        .route("/api/search/tag/{*tag}", any(tags::values_v1))
        .route("/api/v2/search/tag/{*tag}", any(tags::values_v2))
        .route("/api/metrics/query_range", any(metrics::range))
        .route("/api/metrics/query", any(metrics::instant))
        .route("/api/echo", any(|| async { "echo" }))
        .route("/ready", any(|| async { "ready\n" }))
        .route("/status", get(status::version))
        .route("/status/version", get(status::version))
        .route("/api/status/buildinfo", get(status::build_info))
        .fallback(not_found)
        .with_state(Arc::new(Tempo {
            store,
            now_ns: options.now_ns,
            work: Work::new(options.lookups_max, options.scans_max),
        }))
}

/// How a surface for [`router`] behaves: it refuses in Tempo's words.
pub fn surface_options(metrics: Option<RenderMetrics>) -> surface::Options {
    surface::Options {
        metrics,
        refuse: |refusal| {
            match refusal {
                Refusal::Overloaded => Failure::too_many_requests(),
                Refusal::Timeout => Failure::timeout(),
                Refusal::Panic => Failure::internal(),
            }
            .into_response()
        },
        ..surface::Options::default()
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

async fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}
