//! What it is, whom it tells, and management.

use ::alertmanager::view::VersionInfo;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::task;

use super::{API_VERSION, Shared, answer};

const GONE: &str = "{\"status\":\"deprecated\",\"error\":\"The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the equivalent route in the v2 API\"}\n";

pub(super) async fn status(State(api): Shared) -> Response {
    let version = VersionInfo {
        version: API_VERSION.to_owned(),
        ..VersionInfo::default()
    };
    let status = api
        .manager
        .ask(|machine, _| machine.server_status(version, api.started_at_ms));
    answer::ok(&status)
}

pub(super) async fn receivers(State(api): Shared) -> Response {
    let receivers = api.manager.ask(|machine, _| machine.receivers());
    answer::ok(&receivers)
}

pub(super) async fn gone() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::GONE, headers, GONE).into_response()
}

/// What cannot be used changes nothing.
pub(super) async fn reload(State(api): Shared) -> Response {
    let Some(reload) = api.reload.clone() else {
        return (
            StatusCode::FORBIDDEN,
            "reloading over HTTP is not enabled\n",
        )
            .into_response();
    };
    // It reads files.
    let reloaded = task::spawn_blocking(move || reload());
    match reloaded
        .await
        .expect("reading a configuration does not panic")
    {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reason) => {
            let text = format!("failed to reload config: {reason}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
