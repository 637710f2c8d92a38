//! What the layer makes of requests, seen from outside: spans, metrics, headers.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{any, get};
use axum::{Extension, Router};
use conventions::metrics as names;
use conventions::spans::*;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{SpanKind, Status};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::testing::{Captured, Span, capture, capture_async};
use crate::w3c::Carrier;

const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        template: "/tasks/{id}",
        success: 200,
    },
    Route {
        method: "POST",
        template: "/tasks",
        success: 201,
    },
];
const DURATION_COUNT: &str = "http_server_request_duration_seconds_count";
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

fn layer(edge: bool) -> ServerLayer {
    ServerLayer::new(ServerOptions {
        routes: ROUTES,
        edge,
    })
}

fn app(layer: ServerLayer) -> Router {
    Router::new()
        .route(
            "/tasks/{id}",
            get(|| async {
                tracing::info!("looking");
                "a task"
            }),
        )
        .route("/any", any(|| async {}))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }))
        .route(
            "/late",
            get(|| async {
                (
                    StatusCode::REQUEST_TIMEOUT,
                    Extension(ErrorType(ERROR_TIMEOUT)),
                )
            }),
        )
        .route(
            "/panics",
            get(|| async {
                if true {
                    panic!("a bug")
                }
            }),
        )
        .route("/waits", get(pending::<()>))
        .route(
            "/where",
            get(|| async {
                Carrier::current()
                    .map(|carrier| carrier.traceparent)
                    .unwrap_or_default()
            }),
        )
        .layer(layer)
}

fn request(uri: &str) -> http::request::Builder {
    Request::builder().uri(uri)
}

/// One request to the app behind the layer.
fn ask(layer: fn() -> ServerLayer, request: http::request::Builder) -> Captured<Response> {
    let request = request.body(Body::empty()).unwrap();
    capture_async(async move { app(layer()).oneshot(request).await.unwrap() })
}

fn inner() -> ServerLayer {
    layer(false)
}

fn only(captured: &Captured<Response>) -> &Span {
    let [span] = captured.spans.as_slice() else {
        panic!("one span: {captured:?}")
    };
    assert_eq!(
        span.attributes_sent,
        span.attributes.len(),
        "no attribute twice"
    );
    span
}

/// The future, which is not ready yet.
async fn polled_once<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|task| {
        assert!(future.as_mut().poll(task).is_pending());
        Poll::Ready(())
    })
    .await;
    future
}

#[test]
fn a_request_becomes_one_server_span_with_all_attributes() {
    let peer: SocketAddr = "192.0.2.7:1234".parse().unwrap();
    let request = request("/tasks/7?status=todo&token=secret")
        .header("host", "api.example.com:8080")
        .header("user-agent", "test/1")
        .extension(ConnectInfo(peer));
    let captured = ask(inner, request);
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), &span.kind),
        ("GET /tasks/{id}", &SpanKind::Server)
    );
    assert_eq!((&span.status, span.parent_span_id), (&Status::Unset, None));
    for (name, text) in [
        (HTTP_REQUEST_METHOD, "GET"),
        (HTTP_ROUTE, "/tasks/{id}"),
        (URL_PATH, "/tasks/7"),
        (URL_SCHEME, "http"),
        (URL_QUERY, "status=todo&token=REDACTED"),
        (SERVER_ADDRESS, "api.example.com"),
        (CLIENT_ADDRESS, "192.0.2.7"),
        (NETWORK_PROTOCOL_VERSION, "1.1"),
        (USER_AGENT_ORIGINAL, "test/1"),
    ] {
        assert_eq!(span.text(name), Some(text), "{name}");
    }
    assert_eq!(span.int(HTTP_RESPONSE_STATUS_CODE), Some(200));
    assert_eq!(span.int(SERVER_PORT), Some(8080));
    assert_eq!(
        span.attributes.len(),
        11,
        "and nothing else: {:?}",
        span.attributes
    );

    let line = &captured.logs[0];
    assert_eq!(line["span_id"], span.span_id.to_string());
    assert_eq!(line["span"]["url.path"], "/tasks/7");
    let response = captured.result.headers()["traceresponse"].to_str().unwrap();
    assert_eq!(
        response,
        format!("00-{}-{}-01", span.trace_id, span.span_id)
    );
    let labels = [
        (names::HTTP_REQUEST_METHOD, "GET"),
        (names::HTTP_ROUTE, "/tasks/{id}"),
        (names::HTTP_RESPONSE_STATUS_CODE, "200"),
    ];
    assert_eq!(captured.sample(DURATION_COUNT, &labels), Some(1.0));
}

#[test]
fn the_port_is_the_schemes_when_the_host_names_none() {
    for (host, address, port) in [
        ("example.com", Some("example.com"), Some(80)),
        ("[::1]:8080", Some("::1"), Some(8080)),
        ("[::1]", Some("::1"), Some(80)),
        ("not a host", None, None),
        ("", None, None),
    ] {
        let captured = ask(inner, request("/any").header("host", host));
        let span = only(&captured);
        assert_eq!(
            (span.text(SERVER_ADDRESS), span.int(SERVER_PORT)),
            (address, port),
            "{host}"
        );
    }
    // HTTP/2 has it in the request line.
    let captured = ask(
        inner,
        request("https://example.com/any").version(http::Version::HTTP_2),
    );
    let span = only(&captured);
    assert_eq!(
        (span.text(URL_SCHEME), span.int(SERVER_PORT)),
        (Some("https"), Some(443))
    );
    assert_eq!(span.text(NETWORK_PROTOCOL_VERSION), Some("2"));
}

#[test]
fn an_unmatched_path_makes_no_name_and_no_series() {
    let captured = ask(inner, request("/wp-login.php"));
    let span = only(&captured);
    assert_eq!((span.name.as_str(), span.text(HTTP_ROUTE)), ("GET", None));
    assert_eq!(
        (&span.status, span.int(HTTP_RESPONSE_STATUS_CODE)),
        (&Status::Unset, Some(404))
    );
    let labels = [
        (names::HTTP_ROUTE, ROUTE_UNMATCHED),
        (names::HTTP_RESPONSE_STATUS_CODE, "404"),
    ];
    assert_eq!(captured.sample(DURATION_COUNT, &labels), Some(1.0));
    assert!(!captured.metrics.contains("wp-login"));
}

#[test]
fn an_unknown_method_is_other() {
    let captured = ask(inner, request("/any").method("BREW"));
    let span = only(&captured);
    assert_eq!(span.name, "HTTP /any");
    assert_eq!(span.text(HTTP_REQUEST_METHOD), Some("_OTHER"));
    assert_eq!(span.text(HTTP_REQUEST_METHOD_ORIGINAL), Some("BREW"));
    let labels = [(names::HTTP_REQUEST_METHOD, "_OTHER")];
    assert_eq!(captured.sample(DURATION_COUNT, &labels), Some(1.0));
    assert!(!captured.metrics.contains("BREW"));
}

#[test]
fn only_server_errors_and_what_is_declared_one_are_errors() {
    let cases = [
        ("/missing", 404, None),
        ("/broken", 502, Some("502")),
        ("/late", 408, Some(ERROR_TIMEOUT)),
        ("/panics", 500, Some(ERROR_PANIC)),
    ];
    for (path, status, error_type) in cases {
        let captured = ask(inner, request(path));
        let span = only(&captured);
        assert_eq!(captured.result.status(), status);
        assert_eq!(
            span.int(HTTP_RESPONSE_STATUS_CODE),
            Some(i64::from(status)),
            "{path}"
        );
        assert_eq!(span.text(ERROR_TYPE), error_type, "{path}");
        assert_eq!(span.is_error(), error_type.is_some(), "{path}");
        assert!(
            captured.result.headers().contains_key("traceresponse"),
            "{path}"
        );
        let exemplar = format!("trace_id=\"{}\"", span.trace_id);
        if error_type.is_some() {
            assert!(
                captured.metrics.contains(&exemplar),
                "a failed request leaves its exemplar: {path}"
            );
        }
        let status = status.to_string();
        let labels = [
            (names::HTTP_ROUTE, path),
            (names::HTTP_RESPONSE_STATUS_CODE, &status),
        ];
        assert_eq!(
            captured.sample(DURATION_COUNT, &labels),
            Some(1.0),
            "{path}"
        );
    }
}

#[test]
fn the_answer_to_a_panic_is_made_inside_the_span() {
    let layer = || {
        inner().on_panic(|| {
            let trace = Carrier::current().unwrap().traceparent;
            (StatusCode::INTERNAL_SERVER_ERROR, [("x-trace", trace)]).into_response()
        })
    };
    let captured = ask(layer, request("/panics"));
    let headers = captured.result.headers();
    assert_eq!(headers["x-trace"], headers["traceresponse"]);
    assert!(only(&captured).is_error());
}

#[test]
fn a_panic_before_the_first_await_is_caught_too() {
    let captured = capture_async(async {
        let service = tower::service_fn(|_: Request| {
            assert!(std::hint::black_box(false), "a bug");
            std::future::ready(Ok(Response::default()))
        });
        let request = request("/").body(Body::empty()).unwrap();
        inner().layer(service).oneshot(request).await.unwrap()
    });
    assert_eq!(captured.result.status(), 500);
    assert_eq!(only(&captured).text(ERROR_TYPE), Some(ERROR_PANIC));
}

#[test]
fn a_cancelled_request_is_recorded_without_a_status() {
    let captured = capture_async(async {
        let request = request("/waits").body(Body::empty()).unwrap();
        drop(polled_once(app(inner()).oneshot(request)).await);
    });
    let [span] = captured.spans.as_slice() else {
        panic!("one span: {captured:?}")
    };
    assert_eq!(span.text(ERROR_TYPE), Some(ERROR_CANCELLED));
    assert_eq!(
        (&span.status, span.int(HTTP_RESPONSE_STATUS_CODE)),
        (&Status::Unset, None)
    );
    assert_eq!(
        captured.sample(DURATION_COUNT, &[(names::HTTP_ROUTE, "/waits")]),
        Some(1.0)
    );
    assert!(
        !captured.metrics.contains("http_response_status_code=\"\""),
        "an empty label is left out"
    );
    assert_eq!(
        captured.sample(names::HTTP_SERVER_ACTIVE_REQUESTS, &[]),
        Some(0.0)
    );
}

#[test]
fn requests_in_progress_are_counted() {
    let captured = capture_async(async {
        let request = request("/waits").body(Body::empty()).unwrap();
        let waiting = polled_once(app(inner()).oneshot(request)).await;
        // Still in progress when the page is made.
        std::mem::forget(waiting);
    });
    assert_eq!(
        captured.sample(
            names::HTTP_SERVER_ACTIVE_REQUESTS,
            &[(names::HTTP_REQUEST_METHOD, "GET")]
        ),
        Some(1.0)
    );
}

#[test]
fn known_routes_exist_at_zero_before_any_request() {
    let captured = capture(|| drop(inner()));
    for (method, route, status) in [
        ("GET", "/tasks/{id}", "200"),
        ("GET", "/tasks/{id}", "500"),
        ("POST", "/tasks", "201"),
        ("POST", "/tasks", "500"),
    ] {
        let labels = [
            (names::HTTP_REQUEST_METHOD, method),
            (names::HTTP_ROUTE, route),
            (names::HTTP_RESPONSE_STATUS_CODE, status),
        ];
        assert_eq!(
            captured.sample(DURATION_COUNT, &labels),
            Some(0.0),
            "{method} {route} {status}"
        );
    }
    for method in ["GET", "POST"] {
        let labels = [(names::HTTP_REQUEST_METHOD, method)];
        assert_eq!(
            captured.sample(names::HTTP_SERVER_ACTIVE_REQUESTS, &labels),
            Some(0.0)
        );
    }
}

#[test]
fn excluded_paths_leave_nothing() {
    let layer = || inner().excluding(&["/any"]);
    let captured = ask(layer, request("/any"));
    assert_eq!(captured.result.status(), 200);
    assert!(captured.spans.is_empty());
    assert!(!captured.result.headers().contains_key("traceresponse"));
    assert_eq!(
        captured.sample(DURATION_COUNT, &[(names::HTTP_ROUTE, "/any")]),
        None
    );
    assert_eq!(
        ask(layer, request("/missing")).spans.len(),
        1,
        "other paths are not excluded"
    );
}

#[test]
fn the_callers_trace_is_continued_whatever_its_sampled_flag() {
    for flags in ["00", "01"] {
        let parent = format!("00-12345678901234567890123456789012-1234567890123456-{flags}");
        let captured = ask(inner, request("/any").header("traceparent", parent));
        let span = only(&captured);
        assert_eq!(
            span.trace_id.to_string(),
            "12345678901234567890123456789012"
        );
        assert_eq!(span.parent_span_id.unwrap().to_string(), "1234567890123456");
        assert!(span.parent_is_remote);
    }
}

#[test]
fn what_is_current_around_the_server_is_not_the_parent() {
    let captured = capture_async(async {
        let request = request("/any").body(Body::empty()).unwrap();
        let answer = app(inner()).oneshot(request);
        answer
            .instrument(tracing::info_span!("around"))
            .await
            .unwrap();
    });
    let [span] = captured.spans_named("GET /any")[..] else {
        panic!("one: {captured:?}")
    };
    assert_eq!(span.parent_span_id, None);
}

#[test]
fn only_the_edge_replaces_the_start_of_the_trace() {
    let request = || {
        let request = request("/any").header("traceparent", PARENT);
        request.header("tracestate", "foo=1,tripod=t:1")
    };
    assert_eq!(only(&ask(inner, request())).trace_state, "foo=1,tripod=t:1");

    let captured = ask(|| layer(true), request());
    let span = only(&captured);
    let start = span
        .trace_state
        .strip_prefix("tripod=t:")
        .unwrap()
        .strip_suffix(",foo=1")
        .unwrap();
    let start = u128::from_str_radix(start, 16).unwrap();
    let began = span
        .start
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    assert!(
        start.abs_diff(began) < 10_000,
        "{start} is not about {began}"
    );
}

#[test]
fn forwarded_headers_are_believed_only_from_known_proxies() {
    let request = || {
        let peer: SocketAddr = "10.0.0.1:1".parse().unwrap();
        let request = request("/any").header("x-forwarded-for", "6.6.6.6, 203.0.113.9");
        let request = request
            .header("x-forwarded-for", "10.0.0.2")
            .header("x-forwarded-proto", "https");
        request.extension(ConnectInfo(peer))
    };
    let seen = |layer: fn() -> ServerLayer| {
        let captured = ask(layer, request());
        let span = only(&captured);
        [CLIENT_ADDRESS, URL_SCHEME].map(|name| span.text(name).unwrap().to_owned())
    };
    assert_eq!(seen(inner), ["10.0.0.1", "http"]);
    assert_eq!(seen(|| inner().behind_proxies(1)), ["10.0.0.2", "https"]);
    assert_eq!(seen(|| inner().behind_proxies(2)), ["203.0.113.9", "https"]);
    assert_eq!(seen(|| inner().behind_proxies(4)), ["10.0.0.1", "https"]);
}

#[test]
fn what_strangers_send_is_bounded() {
    let path = format!("/{}", "p".repeat(5_000));
    let request = request(&path)
        .method(&*"M".repeat(100))
        .header("user-agent", "u".repeat(5_000))
        .header("host", "h".repeat(5_000))
        .header("traceparent", "0".repeat(5_000));
    let captured = ask(inner, request);
    let longest = only(&captured)
        .attributes
        .values()
        .map(|value| value.as_str().len())
        .max();
    assert!(longest <= Some(1_024), "{longest:?}");
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let bytes = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let names = [
        "user-agent",
        "host",
        "traceparent",
        "tracestate",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    let request = names.iter().fold(request("/any"), |request, name| {
        request.header(*name, &bytes)
    });
    let captured = ask(|| layer(true).behind_proxies(1), request);
    assert_eq!(
        only(&captured).text(USER_AGENT_ORIGINAL),
        Some("\u{fffd}\u{fffd}")
    );
}

/// What the handler saw as its place in the trace, when nothing records spans.
fn seen_unrecorded() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let request = request("/where")
            .header("traceparent", PARENT)
            .body(Body::empty())
            .unwrap();
        let response = app(inner()).oneshot(request).await.unwrap();
        assert!(
            !response.headers().contains_key("traceresponse"),
            "no span of ours answered"
        );
        let body = axum::body::to_bytes(response.into_body(), PARENT.len())
            .await
            .unwrap();
        String::from_utf8(body.into()).unwrap()
    })
}

#[test]
fn without_a_recorder_of_spans_the_trace_is_passed_through() {
    assert_eq!(seen_unrecorded(), PARENT);

    let nothing = tracing_opentelemetry::layer().with_tracer(NoopTracer::new());
    let subscriber = tracing_subscriber::registry().with(nothing);
    let seen = tracing::subscriber::with_default(subscriber, seen_unrecorded);
    assert_eq!(seen, PARENT);
}
