//! The adoption example does what it promises: one trace through every hop, counted, and errors told apart.

use std::net::Ipv4Addr;

use axum::Router;
use opentelemetry::trace::SpanKind;
use serde_json::json;
use telemetry::metrics::RecorderBuilder;
use telemetry::testing::{Captured, capture_async};
use tokio::net::TcpListener;

#[path = "../../examples/relay.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod relay;

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    base
}

/// Posts what `targets` makes of the relay's own URL to it, with a caller's trace, and returns status and body.
fn relayed(targets: fn(&str) -> serde_json::Value) -> Captured<(u16, serde_json::Value)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    capture_async(async move {
        let metrics = RecorderBuilder::new("relay").build().unwrap().handle();
        let url = serve(relay::app(metrics).unwrap()).await + "/relay";
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(&url).json(&targets(&url));
        let parent = "00-12345678901234567890123456789012-1234567890123456-00";
        let response = request.header("traceparent", parent).send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or_default(),
        )
    })
}

#[test]
fn a_request_that_is_relayed_twice_is_one_trace() {
    let captured =
        relayed(|url| json!([{ "url": url, "arguments": [{ "url": url, "arguments": [] }] }]));
    assert_eq!(captured.result.0, 200, "{captured:?}");
    let kinds: Vec<_> = captured.spans.iter().map(|span| &span.kind).collect();
    let (server, client) = (&SpanKind::Server, &SpanKind::Client);
    assert_eq!(
        kinds,
        [server, client, server, client, server],
        "innermost first"
    );
    for [inner, outer] in captured.spans.array_windows() {
        assert!(inner.is_child_of(outer));
    }
    let outermost = &captured.spans[4];
    assert_eq!(
        outermost.trace_id.to_string(),
        "12345678901234567890123456789012"
    );
    assert_eq!(outermost.name, "POST /relay");
    let count = "http_server_request_duration_seconds_count";
    assert_eq!(
        captured.sample(count, &[("http_route", "/relay")]),
        Some(3.0)
    );
}

#[test]
fn a_target_that_does_not_answer_is_a_502_with_its_log_line() {
    let captured = relayed(
        |url| json!([{ "url": url, "arguments": [] }, { "url": "http://127.0.0.1:1/?token=secret", "arguments": 1 }]),
    );
    let (status, outcomes) = &captured.result;
    assert_eq!(
        (*status, &outcomes[0]["status"], &outcomes[1]["status"]),
        (502, &json!(200), &json!(null))
    );
    assert_eq!(
        captured.spans.iter().filter(|span| span.is_error()).count(),
        2,
        "the call and the request"
    );
    let [line] = captured.logs.as_slice() else {
        panic!("one line: {captured:?}")
    };
    assert_eq!(line["trace_id"], "12345678901234567890123456789012");
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[test]
fn what_is_no_list_of_targets_is_refused() {
    for (targets, status) in [
        ((|_| json!({})) as fn(&str) -> serde_json::Value, 422),
        (|_| json!([{ "url": 7, "arguments": [] }]), 422),
        (
            |url| vec![json!({ "url": url, "arguments": [] }); 33].into(),
            422,
        ),
        (|_| json!([{ "url": "not a url", "arguments": [] }]), 502),
    ] {
        assert_eq!(relayed(targets).result.0, status);
    }
}
