//! `/-/…`: whether it lives, and reading the configuration again.

use std::sync::Arc;

use ::prometheus::Prometheus;
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use conventions::fields;

use super::{Shared, layers, plain};
use crate::chain::Chain;

/// `GET, HEAD /-/healthy`.
pub(super) async fn healthy(method: Method) -> Response {
    said(&method, "Prometheus Server is Healthy.\n")
}

/// `GET, HEAD /-/ready`: what is being started does not listen yet.
pub(super) async fn ready(method: Method) -> Response {
    said(&method, "Prometheus Server is Ready.\n")
}

/// `POST, PUT /-/reload`.
pub(super) async fn reload(State(api): Shared, method: Method) -> Response {
    match method {
        Method::POST | Method::PUT if !api.options.is_lifecycle_enabled => {
            (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.").into_response()
        }
        Method::POST | Method::PUT => reloaded(&api.prometheus).await,
        Method::GET => {
            let text = "Only POST or PUT requests allowed";
            (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
        }
        _ => layers::method_not_allowed(&[Method::GET, Method::POST, Method::PUT]),
    }
}

async fn reloaded(prometheus: &Arc<Prometheus>) -> Response {
    match prometheus.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => {
            let reason = Chain(&error).to_string();
            tracing::error!({ fields::ERROR } = %reason, "the configuration cannot be loaded; the earlier one goes on");
            let text = format!("failed to reload config: {reason}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
    }
}

fn said(method: &Method, text: &'static str) -> Response {
    match *method {
        Method::GET => text.into_response(),
        Method::HEAD => StatusCode::OK.into_response(),
        _ => layers::method_not_allowed(&[Method::GET, Method::HEAD]),
    }
}
