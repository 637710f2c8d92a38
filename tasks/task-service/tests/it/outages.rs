//! DynamoDB away, slow or throttling: said early, with a problem and an error span, and nothing acknowledged is lost.

use http::StatusCode;
use serde_json::json;
use telemetry::testing::Span;

use crate::service::{Answer, System};

/// A 503 that says when to come back, in a trace with the failed call.
async fn assert_unavailable(system: &System, answer: &Answer, error_type: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.problem(), "unavailable");
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            >= 1
    );
    let trace_id = answer.trace_id();
    let failed = |span: &Span| {
        span.trace_id.to_string() == trace_id
            && span.name.starts_with("DynamoDB.")
            && span.is_error()
    };
    let call = system.service.span("the failed call", failed).await;
    assert_eq!(call.text("error.type"), Some(error_type));
    let served = |span: &Span| span.trace_id.to_string() == trace_id && span.name.contains("/v1/");
    assert!(
        system
            .service
            .span("the server span", served)
            .await
            .is_error()
    );
    let lines = system.service.logged("request failed");
    let line = lines
        .iter()
        .find(|line| line["trace_id"] == trace_id && line["fields"]["error"].is_string());
    let line = line.unwrap_or_else(|| panic!("no cause in {lines:?}"));
    assert_eq!(line["level"], "ERROR");
}

#[tokio::test]
async fn a_dynamodb_that_is_away_is_unavailable_and_comes_back() {
    let mut system = System::start().await;
    system.create("Before").await;
    system.aws.dynamodb.stop().await;
    let create = || {
        system
            .post("/v1/tasks", &json!({"title": "During"}))
            .header("idempotency-key", "one")
    };
    let create_again = create();
    for request in [create(), system.get("/v1/tasks")] {
        let answer = Answer::to(request).await;
        assert_unavailable(&system, &answer, "connect").await;
    }
    let (status, reason) = system.service.readiness().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.starts_with("table:"), "{reason}");

    system.aws.dynamodb.restart().await;
    assert_eq!(Answer::to(create_again).await.status, StatusCode::CREATED);
    assert_eq!(system.titles().await, ["During", "Before"]);
    system.service.ready().await;
}

#[tokio::test]
async fn a_throttling_dynamodb_is_unavailable() {
    let system = System::start().await;
    for (operation, code) in [
        (
            "TransactWriteItems",
            "ProvisionedThroughputExceededException",
        ),
        ("TransactWriteItems", "ThrottlingException"),
        ("TransactWriteItems", "InternalServerError"),
    ] {
        system
            .service
            .fault(&format!("dynamodb:{operation}"), json!({"error": code}))
            .await;
        let answer = Answer::to(system.post("/v1/tasks", &json!({"title": "Throttled"}))).await;
        assert_unavailable(&system, &answer, code).await;
        system.service.heal().await;
    }
    assert!(system.titles().await.is_empty());
}

#[tokio::test]
async fn a_storage_that_refuses_is_our_own_fault() {
    let system = System::start().await;
    system
        .service
        .fault(
            "dynamodb:GetItem",
            json!({"error": "AccessDeniedException"}),
        )
        .await;
    let target = format!("/v1/tasks/{}", tasks_api::TaskId::new());
    let answer = Answer::to(system.get(&target)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (500, "internal")
    );
    assert!(
        !answer.text.contains("AccessDenied") && !answer.text.contains("GetItem"),
        "{answer:?}"
    );
}
