//! What a service adopts, on one page: traces, metrics and logs with the same ids, and the trace carried on.
//!
//! `POST /relay` takes `[{"url": …, "arguments": …}, …]` and posts each `arguments` as JSON to its `url`, in order. It
//! calls whatever it is told to, so it listens on loopback only. Port: first argument, or `PORT`, or 8090.
//!
//! ```sh
//! cargo run -p telemetry --example relay
//! curl -i 127.0.0.1:8090/relay -H 'content-type: application/json' -d '[{"url":"http://127.0.0.1:8090/relay","arguments":[]}]'
//! curl 127.0.0.1:8090/metrics
//! ```

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use telemetry::Config;
use telemetry::http::{Client, Route, ServerLayer, ServerOptions};
use telemetry::metrics::MetricsHandle;
use tokio::signal::unix::{SignalKind, signal};

const ROUTES: &[Route] = &[Route {
    method: "POST",
    template: "/relay",
    success: 200,
}];
const PORT_DEFAULT: u16 = 8090;
/// Targets of one request; the rest is refused, not cut off.
const TARGETS_MAX: usize = 32;
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Target {
    url: String,
    arguments: serde_json::Value,
}

#[derive(Serialize)]
struct Outcome {
    url: String,
    status: Option<u16>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init(Config::from_env("relay", env!("CARGO_PKG_VERSION"))?)?;

    let app = app(guard.metrics())?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port()?)).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
    };
    // With the peer's address, for `client.address`.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await?;

    let report = tokio::task::spawn_blocking(move || guard.shutdown(SHUTDOWN_DEADLINE)).await?;
    writeln!(std::io::stderr(), "{report}")?;
    Ok(())
}

pub(crate) fn app(metrics: MetricsHandle) -> Result<Router, reqwest::Error> {
    let no_redirects = reqwest::redirect::Policy::none();
    let calls = reqwest::Client::builder()
        .timeout(CALL_TIMEOUT)
        .redirect(no_redirects);
    let server = ServerLayer::new(ServerOptions {
        routes: ROUTES,
        edge: true,
    });
    Ok(Router::new()
        .route("/relay", post(relay))
        .with_state(Client::new(calls.build()?))
        .route(
            "/metrics",
            get(move |headers| page(metrics.clone(), headers)),
        )
        .layer(server.excluding(&["/metrics"])))
}

async fn relay(
    State(client): State<Client>,
    Json(targets): Json<Vec<Target>>,
) -> Result<(StatusCode, Json<Vec<Outcome>>), (StatusCode, &'static str)> {
    if targets.len() > TARGETS_MAX {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "more than 32 targets"));
    }
    let mut outcomes = Vec::with_capacity(targets.len());
    for Target { url, arguments } in targets {
        let status = match client.send(client.post(&url).json(&arguments)).await {
            Ok(response) => Some(response.status().as_u16()),
            Err(error) => {
                // Without the URL, which may hold a secret; the span has it, redacted.
                let error = error.without_url();
                tracing::error!(error = &error as &dyn Error, "target did not answer");
                None
            }
        };
        outcomes.push(Outcome { url, status });
    }
    let answered = outcomes.iter().all(|outcome| outcome.status.is_some());
    let status = if answered {
        StatusCode::OK
    } else {
        StatusCode::BAD_GATEWAY
    };
    Ok((status, Json(outcomes)))
}

async fn page(metrics: MetricsHandle, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let page = metrics.render(accept);
    ([(header::CONTENT_TYPE, page.content_type)], page.body)
}

fn port() -> Result<u16, Box<dyn Error>> {
    let given = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("PORT").ok());
    given.map_or(Ok(PORT_DEFAULT), |port| {
        Ok(port.parse().map_err(|_| format!("not a port: {port}"))?)
    })
}
