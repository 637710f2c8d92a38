//! AWS clients feel faults below the SDK: retries happen, error codes are AWS's, the delay is in the call.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{error::ProvideErrorMetadata, types::AttributeValue};
use axum::{Router, body::Bytes, routing::post};
use serde_json::json;
use tower::ServiceExt;

use crate::{process, served};

/// An endpoint that knows one item, and clients for it. The environment is read once, so there is one test with it.
#[tokio::test]
async fn a_fault_is_felt_inside_the_sdk_call() {
    let answer = |_: Bytes| async {
        (
            [("content-type", "application/x-amz-json-1.0")],
            r#"{"Item": {"pk": {"S": "x"}}}"#,
        )
    };
    let (address, _drain, _task) = served(Router::new().route("/", post(answer)), |_| {});
    let process = process();
    let client = with_endpoint(&process, &format!("http://{address}")).await;
    let get = || async {
        let started = Instant::now();
        let outcome = client
            .get_item()
            .table_name("t")
            .key("pk", AttributeValue::S("x".into()))
            .send()
            .await;
        (outcome, started.elapsed())
    };
    assert!(get().await.0.unwrap().item().is_some());

    order(
        &process,
        json!({"target": "dynamodb:GetItem", "latency_ms": 300, "for_seconds": 60}),
    )
    .await;
    let (outcome, took) = get().await;
    assert!(
        outcome.is_ok() && took >= Duration::from_millis(300),
        "{took:?}"
    );

    order(&process, json!({"target": "dynamodb:*", "error": "ProvisionedThroughputExceededException", "for_seconds": 60})).await;
    let error = get().await.0.unwrap_err();
    assert_eq!(error.code(), Some("ProvisionedThroughputExceededException"));

    order(
        &process,
        json!({"target": "dynamodb:GetItem", "error": "unavailable", "for_seconds": 60}),
    )
    .await;
    let error = get().await.0.unwrap_err();
    assert!(
        matches!(error, aws_sdk_dynamodb::error::SdkError::DispatchFailure(_)),
        "{error:?}"
    );

    order(&process, json!({"target": "dynamodb:GetItem", "error": "InternalServerError", "ratio": 0.5, "for_seconds": 60})).await;
    assert!(
        get().await.0.is_ok() && get().await.0.is_ok(),
        "every second attempt fails, and is tried again"
    );

    order(
        &process,
        json!({"target": "sqs:SendMessage", "error": "unavailable", "for_seconds": 60}),
    )
    .await;
    assert!(get().await.0.is_ok(), "another service is not hit");
}

pub(crate) async fn order(process: &runtime::Process, body: serde_json::Value) {
    let request = axum::http::Request::builder()
        .method("PUT")
        .uri("/faults/test");
    let request = request
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    let response = process.admin_routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// Clients as a process has them, but for the endpoint, which other tests must not see in the environment.
async fn with_endpoint(process: &runtime::Process, endpoint: &str) -> aws_sdk_dynamodb::Client {
    let clients = runtime::aws::clients_at(process, Some(endpoint)).await;
    clients.dynamodb
}
