//! The client against a real server on loopback: spans, metrics, and what the server got.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::any;
use conventions::metrics as names;
use conventions::spans::*;
use http::HeaderMap;
use opentelemetry::trace::{SpanKind, Status};
use tokio::net::TcpListener;

use super::*;
use crate::testing::{Captured, Span, capture_async};

const DURATION_COUNT: &str = "http_client_request_duration_seconds_count";

/// Answers with the status in the path, and with the trace headers it got as body; never answers `/hang`. The base URL.
async fn server() -> String {
    async fn answer(Path(status): Path<String>, headers: HeaderMap) -> (StatusCode, String) {
        if status == "hang" {
            std::future::pending::<()>().await;
        }
        let text = |name| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let got = format!("{} {}", text("traceparent"), text("tracestate"));
        (status.parse().unwrap(), got)
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/{status}", any(answer));
    tokio::spawn(axum::serve(listener, app).into_future());
    base
}

fn client() -> Client {
    // No TLS in these tests, so any provider will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

/// Sends a GET to this path of the server.
fn get(path: &'static str, options: CallOptions) -> Captured<(StatusCode, String)> {
    capture_async(async move {
        let client = client();
        let request = client.get(server().await + path);
        let response = client.send_with(request, options).await.unwrap();
        (response.status(), response.text().await.unwrap())
    })
}

fn only<R: std::fmt::Debug>(captured: &Captured<R>) -> &Span {
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

#[test]
fn a_request_becomes_one_client_span_and_carries_it() {
    let captured = get("/200?cursor=c&token=secret", resend(2));
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), &span.kind, &span.status),
        ("GET", &SpanKind::Client, &Status::Unset)
    );
    assert_eq!(span.text(HTTP_REQUEST_METHOD), Some("GET"));
    assert_eq!(span.text(SERVER_ADDRESS), Some("127.0.0.1"));
    assert_eq!(span.text(NETWORK_PROTOCOL_VERSION), Some("1.1"));
    assert_eq!(span.int(HTTP_RESPONSE_STATUS_CODE), Some(200));
    assert_eq!(span.int(HTTP_REQUEST_RESEND_COUNT), Some(2));
    let port = span.int(SERVER_PORT).unwrap();
    let url = format!("http://127.0.0.1:{port}/200?cursor=c&token=REDACTED");
    assert_eq!(span.text(URL_FULL), Some(url.as_str()));
    assert_eq!(
        span.attributes.len(),
        7,
        "and nothing else: {:?}",
        span.attributes
    );

    let got = format!(
        "00-{}-{}-01 {}",
        span.trace_id, span.span_id, span.trace_state
    );
    assert_eq!(captured.result.1, got);
    let port = port.to_string();
    let labels = [
        (names::HTTP_REQUEST_METHOD, "GET"),
        (names::SERVER_ADDRESS, "127.0.0.1"),
        (names::SERVER_PORT, &port),
        (names::HTTP_RESPONSE_STATUS_CODE, "200"),
    ];
    assert_eq!(captured.sample(DURATION_COUNT, &labels), Some(1.0));
    assert!(!captured.metrics.contains("error_type=\"\""));
}

#[test]
fn the_span_is_a_child_of_the_current_one() {
    let captured = capture_async(async {
        let client = client();
        let call = client.send(client.get(server().await + "/204"));
        call.instrument(tracing::info_span!("around"))
            .await
            .unwrap();
    });
    let [call, around] = captured.spans.as_slice() else {
        panic!("two spans: {captured:?}")
    };
    assert!(call.is_child_of(around));
}

#[test]
fn error_statuses_are_errors_unless_they_are_expected() {
    let cases: &[(&str, CallOptions, Option<&str>)] = &[
        ("/404", CallOptions::default(), Some("404")),
        ("/503", CallOptions::default(), Some("503")),
        ("/404", expecting(&[404, 409]), None),
        ("/500", expecting(&[404, 409]), Some("500")),
        ("/304", CallOptions::default(), None),
    ];
    for (path, options, error_type) in cases {
        let captured = get(path, *options);
        let span = only(&captured);
        assert_eq!(
            (span.text(ERROR_TYPE), span.is_error()),
            (*error_type, error_type.is_some()),
            "{path}"
        );
        let mut labels = vec![(names::HTTP_RESPONSE_STATUS_CODE, &path[1..])];
        labels.extend(error_type.map(|error_type| (names::ERROR_TYPE, error_type)));
        assert_eq!(
            captured.sample(DURATION_COUNT, &labels),
            Some(1.0),
            "{path}"
        );
    }
}

#[test]
fn a_client_may_expect_statuses_of_all_its_requests() {
    let captured = capture_async(async {
        let client = client().expecting(&[412]);
        client
            .send_with(client.get(server().await + "/412"), expecting(&[404]))
            .await
            .unwrap();
    });
    assert_eq!(only(&captured).status, Status::Unset);
}

#[test]
fn failures_before_a_response_have_a_name_and_no_status() {
    let refused = || async {
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let client = client();
        client
            .send(client.get(format!("http://{closed}/")))
            .await
            .unwrap_err()
    };
    let broken = || async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        let client = client();
        client
            .send(client.get(format!("http://{address}/")))
            .await
            .unwrap_err()
    };
    let slow = || async {
        let client = client();
        let request = client
            .get(server().await + "/hang")
            .timeout(Duration::from_millis(20));
        client.send(request).await.unwrap_err()
    };
    let check = |captured: Captured<reqwest::Error>, error_type| {
        let span = only(&captured);
        assert_eq!(
            (span.text(ERROR_TYPE), span.is_error()),
            (Some(error_type), true),
            "{captured:?}"
        );
        assert_eq!(span.int(HTTP_RESPONSE_STATUS_CODE), None);
        assert_eq!(
            captured.sample(DURATION_COUNT, &[(names::ERROR_TYPE, error_type)]),
            Some(1.0)
        );
        assert!(
            captured.metrics.contains(&span.trace_id.to_string()),
            "a failed call leaves its exemplar"
        );
    };
    check(capture_async(refused()), ERROR_CONNECT);
    check(capture_async(broken()), ERROR_CONNECT);
    check(capture_async(slow()), ERROR_TIMEOUT);
}

#[test]
fn a_cancelled_call_is_recorded_and_no_error() {
    let captured = capture_async(async {
        let client = client();
        let call = client.send(client.get(server().await + "/hang"));
        tokio::time::timeout(Duration::from_millis(20), call)
            .await
            .unwrap_err();
    });
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), &span.status),
        (Some(ERROR_CANCELLED), &Status::Unset)
    );
    assert_eq!(
        captured.sample(DURATION_COUNT, &[(names::ERROR_TYPE, ERROR_CANCELLED)]),
        Some(1.0)
    );
}

#[test]
fn a_suppressed_request_leaves_nothing_and_carries_nothing() {
    let captured = capture_async(async {
        let client = client();
        let call = client.send(client.get(server().await + "/200"));
        crate::suppress(call).await.unwrap().text().await.unwrap()
    });
    assert!(captured.spans.is_empty());
    assert_eq!(captured.result, " ");
    assert_eq!(captured.sample(DURATION_COUNT, &[]), None);
}

#[test]
fn an_unknown_method_is_other() {
    let captured = capture_async(async {
        let client = client();
        let method = Method::from_bytes(b"BREW").unwrap();
        client
            .send(client.request(method, server().await + "/200"))
            .await
            .unwrap();
    });
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), span.text(HTTP_REQUEST_METHOD)),
        ("HTTP", Some("_OTHER"))
    );
    assert_eq!(span.text(HTTP_REQUEST_METHOD_ORIGINAL), Some("BREW"));
}

#[test]
fn a_request_that_cannot_be_built_is_an_error_and_no_call() {
    let captured = capture_async(async {
        let client = client();
        client.send(client.get("not a url")).await.unwrap_err()
    });
    assert!(captured.result.is_builder());
    assert!(captured.spans.is_empty());
}
