//! `POST /write`: remote write 1.0, the receiving side. What a request means is `scrape::remote_write`'s matter.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use conventions::fields;
use scrape::{
    remote_write::{self, COMPRESSED_BYTES_MAX},
    sink::Sink,
};
use tsdb::Store;

use super::{Api, Shared, layers, plain};
use crate::{chain::Chain, work::Ending};

/// The endpoint, whose bodies may be longer than those of others.
pub(super) fn route() -> MethodRouter<Arc<Api>> {
    any(write).layer(DefaultBodyLimit::max(COMPRESSED_BYTES_MAX))
}

async fn write(State(api): Shared, headers: HeaderMap, request: Request) -> Response {
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return layers::preflight(&headers),
        _ => return layers::method_not_allowed(&[Method::POST]),
    }
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let checked = remote_write::check_headers(
        header(header::CONTENT_ENCODING),
        header(header::CONTENT_TYPE).filter(|text| !text.is_empty()),
    );
    if let Err(error) = checked {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error.to_string());
    }
    if layers::is_too_long(&headers, COMPRESSED_BYTES_MAX) {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "request body too large");
    }
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => return plain(rejection.status(), &rejection.body_text()),
    };
    let now_ms = api.prometheus.now_ms();
    let store = Arc::clone(api.prometheus.store());
    match api.writes.run(move || stored(&store, &body, now_ms)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused { status, reason }) => plain(status, &reason),
    }
}

struct Refused {
    status: StatusCode,
    reason: String,
}

impl Refused {
    fn internal(reason: &str) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            reason: reason.to_owned(),
        }
    }

    fn bad_request(reason: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason,
        }
    }
}

impl From<Ending> for Refused {
    fn from(Ending: Ending) -> Self {
        Self::internal("the process is ending")
    }
}

fn stored(store: &Store, body: &[u8], now_ms: i64) -> Result<(), Refused> {
    let decoded = remote_write::decode(body, now_ms);
    let decoded = decoded.map_err(|error| Refused::bad_request(error.to_string()))?;
    if decoded.samples_invalid > 0 {
        tracing::warn!(
            samples = decoded.samples_invalid,
            "samples of a remote write are left out: their labels are invalid"
        );
    }
    let report = Sink::append(store, &decoded.batch).map_err(|error| {
        tracing::error!({ fields::ERROR } = %Chain(&error), "a remote write cannot be stored");
        Refused::internal("samples cannot be stored")
    })?;
    match remote_write::answer(&decoded.batch, &report) {
        Some(reason) => Err(Refused::bad_request(reason)),
        None => Ok(()),
    }
}
