//! The control of a virtual clock: `GET /clock` says what time it is, `PUT /clock` advances it. For whoever proves the system;
//! it is served only when the system was started with such a clock.
//!
//! Time stands still between two advances. An advance scrapes every target and evaluates every rule at the new instant, once,
//! and is answered when that is done; the Alertmanager begins with what is due then.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ::alertmanager::manager::Manager;
use ::prometheus::Prometheus;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// One advance goes no further: what lies between would never be scraped.
const ADVANCE_MS_MAX: i64 = 3_600_000;

/// A clock that stands still until it is told.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<AtomicI64>);

/// Body of both requests' answers, and of `PUT`. Unix milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    now_ms: i64,
}

struct Control {
    clock: VirtualClock,
    prometheus: Arc<Prometheus>,
    manager: Manager,
    /// One advance at a time.
    advancing: Mutex<()>,
}

impl VirtualClock {
    pub fn starting_at(now_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// `clock` must be the one that both run on.
pub fn router(clock: VirtualClock, prometheus: Arc<Prometheus>, manager: Manager) -> Router {
    Router::new()
        .route("/clock", get(show).put(advance))
        .with_state(Arc::new(Control {
            clock,
            prometheus,
            manager,
            advancing: Mutex::default(),
        }))
}

async fn show(State(control): State<Arc<Control>>) -> Json<Shown> {
    Json(Shown {
        now_ms: control.clock.now_ms(),
    })
}

async fn advance(State(control): State<Arc<Control>>, Json(asked): Json<Shown>) -> Response {
    let _only = control.advancing.lock().await;
    let length_ms = asked.now_ms.saturating_sub(control.clock.now_ms());
    if !(1..=ADVANCE_MS_MAX).contains(&length_ms) {
        let text = format!("the clock advances by 1 to {ADVANCE_MS_MAX} ms, not by {length_ms}\n");
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    control.clock.0.store(asked.now_ms, Ordering::SeqCst);
    control.prometheus.scrape_once(asked.now_ms).await;
    control.prometheus.evaluate(asked.now_ms).await;
    control.manager.wake();
    Json(asked).into_response()
}
