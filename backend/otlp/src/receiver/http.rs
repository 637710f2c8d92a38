//! OTLP over HTTP: `POST /v1/traces` and `/v1/logs`, protobuf or JSON, plain or gzip.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    body,
    budget::Share,
    connections::{self, Answer, Protocol},
    counts::{Outcome, Transport},
    failure::Failure,
    intake::{self, Intake, Signal},
};
use crate::{Accepted, json};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What a request is written in; its answer is, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, intake: Arc<Intake>, stop: CancellationToken) {
    let headers_timeout = intake.options.headers_timeout;
    let service = move |request| answer(Arc::clone(&intake), request);
    connections::serve(listener, Protocol::Http1, headers_timeout, service, stop).await;
}

async fn answer(intake: Arc<Intake>, request: Request<Incoming>) -> Answer {
    let (head, mut body) = request.into_parts();
    let (outcome, answer) = match route(&intake, &head) {
        Ok((signal, format)) => match take(&intake, signal, format, &head.headers, &mut body).await
        {
            Ok(accepted) => (Outcome::Accepted, success(signal, format, &accepted)),
            Err(failure) => (failure.outcome(), failed(format, &failure)),
        },
        Err((status, text)) => (Outcome::Unsupported, response(status, TEXT, text.into())),
    };
    intake.counts.request(Transport::Http, outcome);
    if !body.is_end_stream() {
        body::drain(body);
    }
    answer
}

/// The checks and texts of the Collector, and of Go's HTTP server for unknown paths.
fn route(intake: &Intake, head: &Parts) -> Result<(Signal, Format), (StatusCode, &'static str)> {
    let signal = match head.uri.path() {
        "/v1/traces" => Signal::Traces,
        "/v1/logs" if intake.takes(Signal::Logs) => Signal::Logs,
        _ => return Err((StatusCode::NOT_FOUND, "404 page not found\n")),
    };
    if head.method != Method::POST {
        let text = "405 method not allowed, supported: [POST]";
        return Err((StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    let format = format(&head.headers).ok_or((StatusCode::UNSUPPORTED_MEDIA_TYPE, text))?;
    Ok((signal, format))
}

fn format(headers: &HeaderMap) -> Option<Format> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        PROTOBUF => Some(Format::Protobuf),
        JSON => Some(Format::Json),
        _ => None,
    }
}

async fn take(
    intake: &Intake,
    signal: Signal,
    format: Format,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Accepted, Failure> {
    let is_gzip = is_gzip(headers)?;
    let mut share = intake.budget.share()?;
    let bytes_max = intake.options.http_request_bytes_max;
    let body = body::read(body, bytes_max, intake.options.body_timeout, &mut share).await?;
    let (message, _share) = if is_gzip || format == Format::Json {
        let decode = move || decode(body, is_gzip, signal, format, bytes_max, share);
        let decoded = tokio::task::spawn_blocking(decode).await;
        decoded.expect("decoding does not panic")?
    } else {
        (body, share)
    };
    intake.accept(Transport::Http, signal, message)
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Failure> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(other) => Err(Failure::Encoding(
            String::from_utf8_lossy(other).into_owned(),
        )),
    }
}

/// To plain protobuf. Not for a thread of the runtime.
fn decode(
    mut body: Bytes,
    is_gzip: bool,
    signal: Signal,
    format: Format,
    bytes_max: usize,
    mut share: Share,
) -> Result<(Bytes, Share), Failure> {
    if is_gzip {
        body = body::gunzip(&body, bytes_max, &mut share)?;
    }
    if format == Format::Json {
        // Protobuf is never longer than the JSON that it was made from.
        share.grow(2 * body.len())?;
        let transcoded = match signal {
            Signal::Traces => json::traces(&body),
            Signal::Logs => json::logs(&body),
        };
        body = transcoded
            .map_err(|error| Failure::Malformed(error.to_string()))?
            .into();
    }
    Ok((body, share))
}

fn success(signal: Signal, format: Format, accepted: &Accepted) -> Answer {
    match format {
        Format::Protobuf => response(StatusCode::OK, PROTOBUF, intake::response(accepted).into()),
        Format::Json => response(
            StatusCode::OK,
            JSON,
            intake::response_json(signal, accepted).into(),
        ),
    }
}

fn failed(format: Format, failure: &Failure) -> Answer {
    let status = failure.http_status();
    let mut response = match format {
        Format::Protobuf => response(status, PROTOBUF, failure.protobuf().into()),
        Format::Json => response(status, JSON, failure.json().into()),
    };
    if let Some(seconds) = failure.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut response = Answer::new(tonic::body::Body::new(Full::new(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
