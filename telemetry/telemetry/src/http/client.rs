//! The client side: a thin wrapper around `reqwest::Client`.
//!
//! Around each request: makes the span, carries the trace on, measures. Retries, time limits and redirects are the
//! wrapped client's and the caller's.

use std::sync::Arc;
use std::time::Instant;

use conventions::{metrics as names, spans};
use http::StatusCode;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use reqwest::{IntoUrl, Method, Request, RequestBuilder, Response};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::message::{method, method_in_name, version};
use super::redact;
use crate::cuts::cuts;
use crate::durations::{Durations, Sample};
use crate::w3c;

#[cfg(test)]
mod tests;

/// A `reqwest::Client` whose requests are spans, carry the trace on and are measured.
///
/// ```no_run
/// use telemetry::http::{Client, expecting, resend};
///
/// # async fn example() -> Result<(), reqwest::Error> {
/// let client = Client::new(reqwest::Client::new());
/// let task = client.send(client.get("http://127.0.0.1:8081/v1/tasks/1")).await?;
///
/// // The second try, of a caller who knows what to do when there is no such task.
/// let options = resend(1).expecting(&[404]);
/// let task = client.send_with(client.get("http://127.0.0.1:8081/v1/tasks/2"), options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    expected: &'static [u16],
    durations: Arc<Durations<5>>,
}

/// What the caller knows about one request: made by [`resend`] and [`expecting`].
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOptions {
    expected: &'static [u16],
    resend_count: u32,
}

/// This request was sent `count` times before: `http.request.resend_count`.
pub fn resend(count: u32) -> CallOptions {
    CallOptions::default().resend(count)
}

/// These error statuses are answers the caller handles: they leave the span's status unset.
pub fn expecting(statuses: &'static [u16]) -> CallOptions {
    CallOptions::default().expecting(statuses)
}

impl CallOptions {
    /// See [`resend`].
    pub fn resend(self, count: u32) -> Self {
        Self {
            resend_count: count,
            ..self
        }
    }

    /// See [`expecting`].
    pub fn expecting(self, statuses: &'static [u16]) -> Self {
        Self {
            expected: statuses,
            ..self
        }
    }
}

impl Client {
    /// Wraps a client, which brings its time limits, its connection pool and its redirect policy.
    pub fn new(inner: reqwest::Client) -> Self {
        let labels = [
            names::HTTP_REQUEST_METHOD,
            names::SERVER_ADDRESS,
            names::SERVER_PORT,
            names::HTTP_RESPONSE_STATUS_CODE,
            names::ERROR_TYPE,
        ];
        Self {
            inner,
            expected: &[],
            durations: Arc::new(Durations::new(names::HTTP_CLIENT_REQUEST_DURATION, labels)),
        }
    }

    /// As [`expecting`], for all requests of this client.
    pub fn expecting(mut self, statuses: &'static [u16]) -> Self {
        self.expected = statuses;
        self
    }

    /// The wrapped client. What is sent with it directly has no span.
    pub fn inner(&self) -> &reqwest::Client {
        &self.inner
    }

    /// Begins a request, to be given to [`send`](Self::send).
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Begins a GET request, to be given to [`send`](Self::send).
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a POST request, to be given to [`send`](Self::send).
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// [`send_with`](Self::send_with) default options.
    ///
    /// # Errors
    /// As [`execute_with`](Self::execute_with), and if the request could not be built.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        self.send_with(request, CallOptions::default()).await
    }

    /// Builds and executes a request.
    ///
    /// # Errors
    /// As [`execute_with`](Self::execute_with), and if the request could not be built.
    pub async fn send_with(
        &self,
        request: RequestBuilder,
        options: CallOptions,
    ) -> Result<Response, reqwest::Error> {
        self.execute_with(request.build()?, options).await
    }

    /// [`execute_with`](Self::execute_with) default options.
    ///
    /// # Errors
    /// As [`execute_with`](Self::execute_with).
    pub async fn execute(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.execute_with(request, CallOptions::default()).await
    }

    /// Sends a request as a child of the current span and waits for the head of its response.
    ///
    /// # Errors
    /// Those of `reqwest::Client::execute`. A status is none, also if the span counts it as one.
    pub async fn execute_with(
        &self,
        mut request: Request,
        options: CallOptions,
    ) -> Result<Response, reqwest::Error> {
        if Context::map_current(Context::is_telemetry_suppressed) {
            return self.inner.execute(request).await;
        }
        let call = Call::start(self, &mut request, options);
        let span = call.span.clone();
        async move {
            let result = self.inner.execute(request).await;
            call.finish(&result);
            result
        }
        .instrument(span)
        .await
    }
}

/// A request on its way. Dropping it unfinished records that it was cancelled.
struct Call<'a> {
    client: &'a Client,
    options: CallOptions,
    span: Span,
    otel: Context,
    method: &'static str,
    address: String,
    port: String,
    started: Instant,
    finished: bool,
}

impl<'a> Call<'a> {
    fn start(client: &'a Client, request: &mut Request, options: CallOptions) -> Self {
        let method = method(request.method());
        let url = request.url();
        let address = url.host_str().unwrap_or_default();
        let address = address
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = url.port_or_known_default();
        let span = tracing::info_span!(
            "http call",
            otel.name = method_in_name(method),
            otel.kind = "client",
            { spans::SERVER_ADDRESS } = address,
        );
        let mut attributes = vec![
            KeyValue::new(spans::HTTP_REQUEST_METHOD, method),
            KeyValue::new(spans::URL_FULL, redact::url(url)),
        ];
        if method == spans::HTTP_METHOD_OTHER {
            let original = request.method().as_str().to_owned();
            attributes.push(KeyValue::new(spans::HTTP_REQUEST_METHOD_ORIGINAL, original));
        }
        if let Some(port) = port {
            attributes.push(KeyValue::new(spans::SERVER_PORT, i64::from(port)));
        }
        if options.resend_count > 0 {
            let count = i64::from(options.resend_count);
            attributes.push(KeyValue::new(spans::HTTP_REQUEST_RESEND_COUNT, count));
        }
        let otel = span.context();
        otel.span().set_attributes(attributes);
        if !cuts().http_traceparent {
            w3c::inject(&w3c::context_to_send(&span), request.headers_mut());
        }
        Self {
            client,
            options,
            span,
            otel,
            method,
            address,
            port: port.map(|port| port.to_string()).unwrap_or_default(),
            started: Instant::now(),
            finished: false,
        }
    }

    fn finish(mut self, result: &Result<Response, reqwest::Error>) {
        match result {
            Ok(response) => {
                if let Some(version) = version(response.version()) {
                    self.set(spans::NETWORK_PROTOCOL_VERSION, version);
                }
                let status = response.status();
                self.set(spans::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
                let failed = self.is_failure(status).then_some(status.as_str());
                self.record(status.as_str(), failed);
            }
            Err(error) => self.record("", Some(error_type(error))),
        }
    }

    fn is_failure(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        let expected =
            self.options.expected.contains(&code) || self.client.expected.contains(&code);
        (status.is_client_error() || status.is_server_error()) && !expected
    }

    fn record(&mut self, status: &str, error: Option<&str>) {
        self.finished = true;
        let failed = error.is_some_and(|error| error != spans::ERROR_CANCELLED);
        match error {
            Some(error_type) if failed => crate::mark_error(&self.span, error_type),
            Some(error_type) => self.set(spans::ERROR_TYPE, error_type.to_owned()),
            None => {}
        }
        let labels = [
            self.method,
            &self.address,
            &self.port,
            status,
            error.unwrap_or_default(),
        ];
        let sample = Sample {
            duration: self.started.elapsed(),
            failed,
        };
        self.client.durations.record(&self.otel, labels, sample);
    }

    fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        self.otel.span().set_attribute(KeyValue::new(key, value));
    }
}

impl Drop for Call<'_> {
    /// The caller did not wait: its own decision, so the status stays unset.
    fn drop(&mut self) {
        if !self.finished {
            self.record("", Some(spans::ERROR_CANCELLED));
        }
    }
}

fn error_type(error: &reqwest::Error) -> &'static str {
    match error {
        error if error.is_timeout() => spans::ERROR_TIMEOUT,
        error if error.is_connect() || error.is_request() => spans::ERROR_CONNECT,
        _ => spans::ERROR_OTHER,
    }
}
