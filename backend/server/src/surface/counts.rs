//! The golden signals of a surface: requests by route and status, their duration, those in progress.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};
use conventions::{metrics as names, spans};
use metrics::{Gauge, Unit, describe_gauge, describe_histogram, gauge, histogram};

/// Texts of the metrics.
pub(super) fn describe() {
    describe_histogram!(
        names::HTTP_SERVER_REQUEST_DURATION,
        Unit::Seconds,
        "Duration of HTTP server requests."
    );
    describe_gauge!(
        names::HTTP_SERVER_ACTIVE_REQUESTS,
        "HTTP server requests in progress."
    );
}

/// A request in progress. Dropped without [`Self::end`], its client has left, and only the number in progress changes.
pub(super) struct Begun {
    method: &'static str,
    route: String,
    begun: Instant,
    active: Gauge,
}

pub(super) fn begin(request: &Request, now: Instant) -> Begun {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(spans::ROUTE_UNMATCHED, MatchedPath::as_str);
    let active = gauge!(names::HTTP_SERVER_ACTIVE_REQUESTS, names::HTTP_REQUEST_METHOD => method);
    active.increment(1);
    Begun {
        method,
        route: route.to_owned(),
        begun: now,
        active,
    }
}

impl Begun {
    pub(super) fn end(mut self, status: StatusCode) {
        histogram!(
            names::HTTP_SERVER_REQUEST_DURATION,
            names::HTTP_REQUEST_METHOD => self.method,
            names::HTTP_ROUTE => std::mem::take(&mut self.route),
            names::HTTP_RESPONSE_STATUS_CODE => status.as_str().to_owned(),
        )
        .record(self.begun.elapsed());
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.active.decrement(1);
    }
}

/// A label value from a fixed set, whatever the client sends.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => spans::HTTP_METHOD_OTHER,
    }
}
