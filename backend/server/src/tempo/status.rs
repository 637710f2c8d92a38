//! What is said about the process itself. `version` is that of the API: clients decide by it what they may ask.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::API_VERSION;

/// `GET /status` and `/status/version`.
pub(super) async fn version() -> Response {
    let text = format!(
        "GET /status/version\ntempo, version {API_VERSION} (branch: , revision: tripod {})\n",
        env!("CARGO_PKG_VERSION")
    );
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain")], text).into_response()
}

/// `GET /api/status/buildinfo`.
pub(super) async fn build_info() -> Response {
    let text = format!(
        "{{\"version\":\"{API_VERSION}\",\"revision\":\"tripod {}\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}}",
        env!("CARGO_PKG_VERSION")
    );
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
