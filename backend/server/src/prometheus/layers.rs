//! What every answer of the API gets: leave for scripts of other origins, and compression for clients that take it.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use tokio::task;

use super::{failure::Failure, plain};

/// What is longer is compressed where it holds up nobody.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// What scripts of any origin may do, as in Prometheus.
const CORS: [(header::HeaderName, &str); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Accept, Authorization, Content-Type, Origin",
    ),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
];

/// How a body is made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
}

/// Around a handler of the API, which serves `methods`, in alphabetical order.
pub(super) async fn answered(methods: &[Method], request: Request, next: Next) -> Response {
    if *request.method() == Method::OPTIONS {
        return preflight(request.headers());
    }
    if !methods.contains(request.method()) {
        return method_not_allowed(methods);
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let encoding = Encoding::accepted(request.headers());
    let response = next.run(request).await;
    let response = match encoding {
        Some(encoding) if response.status() != StatusCode::NO_CONTENT => {
            compressed(response, encoding).await
        }
        _ => response,
    };
    shared(response, origin)
}

/// `OPTIONS` on any path of the API: what a browser asks before it lets a script send its request.
pub(super) fn preflight(headers: &HeaderMap) -> Response {
    let origin = headers.get(header::ORIGIN).cloned();
    shared(StatusCode::NO_CONTENT.into_response(), origin)
}

/// Whether a body is declared to be longer than it may be: then it is not even begun to be read.
pub(super) fn is_too_long(headers: &HeaderMap, bytes_max: usize) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length: usize| length > bytes_max)
}

/// `OPTIONS` is allowed everywhere.
pub(super) fn method_not_allowed(methods: &[Method]) -> Response {
    let mut allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    allowed.push(Method::OPTIONS.as_str());
    allowed.sort_unstable();
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let allowed = HeaderValue::try_from(allowed.join(", "));
    if let Ok(allowed) = allowed {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn shared(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    for varies in ["Accept-Encoding", "Origin"] {
        headers.append(header::VARY, HeaderValue::from_static(varies));
    }
    if let Some(origin) = origin.filter(|origin| !origin.is_empty()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in CORS {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

async fn compressed(response: Response, encoding: Encoding) -> Response {
    let (mut parts, body) = response.into_parts();
    // Answers are whole in memory already.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Failure::internal("the answer cannot be read").into_response();
    };
    let body = match body.len() {
        0..=INLINE_BYTES_MAX => encoding.encode(&body),
        _ => match task::spawn_blocking(move || encoding.encode(&body)).await {
            Ok(body) => body,
            Err(error) => Err(io::Error::other(error)),
        },
    };
    match body {
        Ok(body) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            let name = HeaderValue::from_static(encoding.name());
            parts.headers.insert(header::CONTENT_ENCODING, name);
            Response::from_parts(parts, Body::from(body))
        }
        Err(_) => Failure::internal("the answer cannot be compressed").into_response(),
    }
}

impl Encoding {
    /// The first that is known, by its bare name.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        accepted.split(',').find_map(|name| match name.trim() {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn encode(self, body: &[u8]) -> io::Result<Bytes> {
        let out = Vec::with_capacity(body.len() / 8);
        let encoded = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()?
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(out, Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()?
            }
        };
        Ok(encoded.into())
    }
}
