//! One request and its response: the span's attributes and the samples, however it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::response::Response;
use conventions::{headers, metrics as names, spans};
use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName};
use metrics::Gauge;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{ErrorType, Route, Settings};
use crate::cuts::cuts;
use crate::durations::{Durations, Sample};
use crate::http::message::{bounded, bounded_lossy, default_port, method, method_in_name, version};
use crate::http::redact;
use crate::w3c;

/// Longest `url.path`.
const PATH_BYTES_MAX: usize = 1_024;
/// Longest `user_agent.original`.
const USER_AGENT_BYTES_MAX: usize = 256;
/// Longest `server.address`: what is longer is no DNS name, and is left out.
const HOST_BYTES_MAX: usize = 255;
/// Longest `http.request.method_original`.
const METHOD_BYTES_MAX: usize = 32;
/// Longest `client.address` taken from a header: an IPv6 address with a zone.
const CLIENT_ADDRESS_BYTES_MAX: usize = 64;
/// What [`request_attributes`] can add.
const ATTRIBUTES_MAX: usize = 10;
const SCHEME_PLAIN: &str = "http";
const SCHEMES: &[&str] = &[SCHEME_PLAIN, "https"];

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static TRACERESPONSE: HeaderName = HeaderName::from_static(headers::TRACERESPONSE);

/// Handles shared by all requests of one layer.
pub(super) struct Metrics {
    durations: Durations<3>,
    /// Requests in progress, by the methods of the declared routes.
    active: Vec<(&'static str, Gauge)>,
}

/// A request that was taken up. Dropping it unfinished records that it was cancelled.
pub(super) struct Exchange {
    span: Span,
    otel: Context,
    parent: Context,
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
    active: Gauge,
    metrics: Arc<Metrics>,
    finished: bool,
}

impl Metrics {
    pub(super) fn new(routes: &[Route]) -> Self {
        let durations = Durations::new(
            names::HTTP_SERVER_REQUEST_DURATION,
            [
                names::HTTP_REQUEST_METHOD,
                names::HTTP_ROUTE,
                names::HTTP_RESPONSE_STATUS_CODE,
            ],
        );
        let mut active: Vec<(&'static str, Gauge)> = Vec::new();
        for route in routes {
            let failure = (!cuts().failures_at_start).then_some(500);
            for status in [route.success].into_iter().chain(failure) {
                durations.register([route.method, route.template, &status.to_string()]);
            }
            if active.iter().all(|(method, _)| *method != route.method) {
                active.push((route.method, active_requests(route.method)));
            }
        }
        Self { durations, active }
    }

    fn active(&self, method: &'static str) -> Gauge {
        match self.active.iter().find(|(known, _)| *known == method) {
            Some((_, gauge)) => gauge.clone(),
            None => active_requests(method),
        }
    }
}

impl Exchange {
    pub(super) fn start(request: &Request, settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let method = method(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let path = bounded(request.uri().path(), PATH_BYTES_MAX);
        let in_name = method_in_name(method);
        let span = match &route {
            Some(route) => new_span(format_args!("{in_name} {}", route.as_str()), path),
            None => new_span(format_args!("{in_name}"), path),
        };
        let parent = match settings.edge {
            true => w3c::extract_at_edge(request.headers(), SystemTime::now()),
            false => w3c::extract(request.headers()),
        };
        if parent.span().span_context().is_valid() {
            // Fails only without an OpenTelemetry layer: see `passed_through`.
            let _ = span.set_parent(parent.clone());
        }
        let otel = span.context();
        otel.span().set_attributes(request_attributes(
            request,
            method,
            route.as_ref(),
            settings,
        ));

        let active = metrics.active(method);
        active.increment(1);
        Self {
            span,
            otel,
            parent,
            method,
            route,
            started: Instant::now(),
            active,
            metrics,
            finished: false,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn context(&self) -> Context {
        self.passed_through().unwrap_or_else(|| self.otel.clone())
    }

    /// The caller's context if it has to stand in for the span's: without a recorder of spans, the trace is still passed
    /// through to log lines and to the services that are called.
    pub(super) fn passed_through(&self) -> Option<Context> {
        let recorded = self.otel.span().span_context().is_valid();
        let sent = self.parent.span().span_context().is_valid();
        (sent && !recorded).then(|| self.parent.clone())
    }

    pub(super) fn finish(mut self, mut response: Response) -> Response {
        let status = response.status();
        let named = response
            .extensions()
            .get::<ErrorType>()
            .map(|error| error.0);
        let error = match named {
            None if status.is_server_error() => Some(status.as_str()),
            named => named,
        };
        self.record(status.as_str(), error);
        self.name_span(response.headers_mut());
        response
    }

    pub(super) fn finish_panicked(mut self, mut response: Response) -> Response {
        self.record(response.status().as_str(), Some(spans::ERROR_PANIC));
        self.name_span(response.headers_mut());
        response
    }

    fn record(&mut self, status: &str, error: Option<&str>) {
        self.finished = true;
        self.active.decrement(1);
        if let Ok(status) = status.parse::<i64>() {
            self.otel
                .span()
                .set_attribute(KeyValue::new(spans::HTTP_RESPONSE_STATUS_CODE, status));
        }
        if let Some(error_type) = error {
            crate::mark_error(&self.span, error_type);
        }
        let route = self
            .route
            .as_ref()
            .map_or(spans::ROUTE_UNMATCHED, MatchedPath::as_str);
        let sample = Sample {
            duration: self.started.elapsed(),
            failed: error.is_some(),
        };
        self.metrics
            .durations
            .record(&self.otel, [self.method, route, status], sample);
    }

    /// A tracer that records nothing hands on the caller's ids, and the caller's span did not answer.
    fn name_span(&self, headers: &mut HeaderMap) {
        let span = self.otel.span();
        let own = span.is_recording().then(|| span.span_context());
        if let Some(value) = own.and_then(w3c::traceresponse) {
            headers.insert(&TRACERESPONSE, value);
        }
    }
}

impl Drop for Exchange {
    /// The client went away before the response was there: nobody's failure, so the status stays unset, and there is
    /// no status code.
    fn drop(&mut self) {
        if !self.finished {
            let cancelled = KeyValue::new(spans::ERROR_TYPE, spans::ERROR_CANCELLED);
            self.otel.span().set_attribute(cancelled);
            self.record("", None);
        }
    }
}

/// Only what a reader of log lines wants: the layer that writes them carries these fields on every line.
fn new_span(name: std::fmt::Arguments<'_>, path: &str) -> Span {
    tracing::info_span!(parent: None, "request", otel.name = name, otel.kind = "server", { spans::URL_PATH } = path)
}

fn active_requests(method: &'static str) -> Gauge {
    metrics::gauge!(names::HTTP_SERVER_ACTIVE_REQUESTS, names::HTTP_REQUEST_METHOD => method)
}

fn request_attributes(
    request: &Request,
    method: &'static str,
    route: Option<&MatchedPath>,
    settings: &Settings,
) -> Vec<KeyValue> {
    let headers = request.headers();
    let scheme = scheme(request, settings);
    let mut attributes = Vec::with_capacity(ATTRIBUTES_MAX);
    attributes.push(KeyValue::new(spans::HTTP_REQUEST_METHOD, method));
    attributes.push(KeyValue::new(spans::URL_SCHEME, scheme));
    let mut add = |key, value: Value| attributes.push(KeyValue::new(key, value));
    if method == spans::HTTP_METHOD_OTHER {
        let original = bounded(request.method().as_str(), METHOD_BYTES_MAX).to_owned();
        add(spans::HTTP_REQUEST_METHOD_ORIGINAL, original.into());
    }
    if let Some(route) = route {
        add(spans::HTTP_ROUTE, route.as_str().to_owned().into());
    }
    if let Some(query) = request.uri().query() {
        add(spans::URL_QUERY, redact::query(query).into());
    }
    if let Some(authority) = authority(request) {
        add(spans::SERVER_ADDRESS, host(&authority).to_owned().into());
        if let Some(port) = authority.port_u16().or(default_port(scheme)) {
            add(spans::SERVER_PORT, i64::from(port).into());
        }
    }
    if let Some(version) = version(request.version()) {
        add(spans::NETWORK_PROTOCOL_VERSION, version.into());
    }
    if let Some(agent) = headers.get(USER_AGENT) {
        let agent = bounded_lossy(agent.as_bytes(), USER_AGENT_BYTES_MAX).into_owned();
        add(spans::USER_AGENT_ORIGINAL, agent.into());
    }
    if let Some(address) = client_address(request, settings) {
        add(spans::CLIENT_ADDRESS, address.into());
    }
    attributes
}

/// HTTP/2 says it in the request; HTTP/1.1 leaves it to whoever ends TLS in front.
fn scheme(request: &Request, settings: &Settings) -> &'static str {
    let said = match settings.proxies {
        0 => request.uri().scheme_str(),
        _ => header_text(request.headers(), &FORWARDED_PROTO).or(request.uri().scheme_str()),
    };
    let known = SCHEMES.iter().find(|known| said == Some(**known));
    known.copied().unwrap_or(SCHEME_PLAIN)
}

/// What the client asked for, not what we are called: `:authority` or `Host`.
fn authority(request: &Request) -> Option<Authority> {
    let in_uri = request.uri().authority().cloned();
    let authority = in_uri.or_else(|| header_text(request.headers(), &HOST)?.parse().ok())?;
    (1..=HOST_BYTES_MAX)
        .contains(&authority.host().len())
        .then_some(authority)
}

fn host(authority: &Authority) -> &str {
    authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
}

fn client_address(request: &Request, settings: &Settings) -> Option<String> {
    if let Some(skipped) = settings.proxies.checked_sub(1) {
        let entries = request.headers().get_all(&FORWARDED_FOR).iter().rev();
        let entries = entries
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.rsplit(','));
        if let Some(entry) = entries
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .nth(skipped)
        {
            return Some(bounded(entry, CLIENT_ADDRESS_BYTES_MAX).to_owned());
        }
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip().to_string())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
