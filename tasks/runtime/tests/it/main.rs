//! The runtime as a process sees it: a served router, the admin listener, AWS clients that feel faults.

#![allow(clippy::unwrap_used)]

mod admin;
mod process;
mod sdk;
mod server;

use std::net::SocketAddr;

use axum::Router;
use runtime::{
    CancellationToken, Faults, Process,
    server::{Stack, Until},
    settings::Common,
};
use telemetry::{
    http::{ServerLayer, ServerOptions},
    metrics::RecorderBuilder,
};

/// Longest wait for something that takes milliseconds.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// A process without listeners, with faults allowed.
fn process() -> Process {
    let recorder = RecorderBuilder::new("test").build().unwrap();
    let common = Common {
        allow_faults: true,
        ..Common::default()
    };
    Process::detached(common, recorder.handle())
}

/// Serves these routes with all layers; the address, and what ends it.
fn served(
    routes: Router,
    change: impl FnOnce(&mut Stack),
) -> (
    SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<anyhow::Result<()>>,
) {
    let mut stack = Stack {
        telemetry: ServerLayer::new(ServerOptions::default()),
        faults: Faults::new(false),
        requests_in_flight_max: 16,
        request_timeout: DEADLINE,
    };
    change(&mut stack);
    let listener = runtime::server::bind(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        "the test",
        "--listen",
    )
    .unwrap();
    let address = listener.local_addr().unwrap();
    let drain = CancellationToken::new();
    let until = Until::Drained {
        drain: drain.clone(),
        timeout: std::time::Duration::from_secs(1),
    };
    let task = tokio::spawn(runtime::server::serve(
        listener,
        stack.around(routes),
        until,
    ));
    (address, drain, task)
}
