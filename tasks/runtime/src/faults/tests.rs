#![allow(clippy::unwrap_used)]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// Sends a request to the faults' routes.
async fn send(faults: &Faults, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let routes: Router = routes(faults.clone());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = routes.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 100_000).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn put(faults: &Faults, body: Value) -> (StatusCode, Value) {
    send(faults, Method::PUT, "/faults/test", body).await
}

fn hits(faults: &Faults, calls: usize) -> usize {
    (0..calls)
        .filter(|_| faults.hit(|target| target.is_job("activity")).is_some())
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_ratio_hits_exactly_its_share_evenly() {
    for (ratio, expected) in [
        (0.1, 100),
        (0.5, 500),
        (1.0, 1_000),
        (0.108, 108),
        (0.001, 1),
    ] {
        let faults = Faults::new(true);
        let order =
            json!({"target": "job:activity", "error": "x", "ratio": ratio, "for_seconds": 60});
        assert_eq!(put(&faults, order).await.0, StatusCode::OK);
        assert_eq!(hits(&faults, 1_000), expected, "ratio {ratio}");
    }
    let faults = Faults::new(true);
    put(
        &faults,
        json!({"target": "job:activity", "error": "x", "ratio": 0.25, "for_seconds": 60}),
    )
    .await;
    let pattern: Vec<_> = (0..8).map(|_| hits(&faults, 1)).collect();
    assert_eq!(pattern, [0, 0, 0, 1, 0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_by_itself() {
    let faults = Faults::new(true);
    put(
        &faults,
        json!({"target": "job:*", "error": "x", "for_seconds": 5}),
    )
    .await;
    assert_eq!(hits(&faults, 3), 3);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(hits(&faults, 3), 0);
    assert_eq!(
        send(&faults, Method::GET, "/faults", Value::Null).await.1,
        json!([])
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_listed_with_what_it_did_and_can_be_removed() {
    let faults = Faults::new(true);
    let order = json!({"target": "http:GET /v1/tasks", "error": 500, "latency_ms": 20, "ratio": 0.5, "for_seconds": 60});
    assert_eq!(put(&faults, order).await.0, StatusCode::OK);
    for _ in 0..4 {
        faults.hit(|target| target.is_http("GET", "/v1/tasks"));
    }
    let (_, list) = send(&faults, Method::GET, "/faults", Value::Null).await;
    let expected = json!([{"name": "test", "target": "http:GET /v1/tasks", "error": "500", "latency_ms": 20, "ratio": 0.5, "ends_in_seconds": 60.0, "calls": 4, "hits": 2}]);
    assert_eq!(list, expected);
    assert_eq!(
        send(&faults, Method::DELETE, "/faults/test", Value::Null)
            .await
            .0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        send(&faults, Method::DELETE, "/faults/test", Value::Null)
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    assert!(faults.hit(|_| true).is_none());
}

#[tokio::test]
async fn a_process_that_does_not_allow_faults_takes_none() {
    let faults = Faults::new(false);
    let order = json!({"target": "job:activity", "error": "x", "for_seconds": 60});
    assert_eq!(put(&faults, order).await.0, StatusCode::FORBIDDEN);
    assert_eq!(hits(&faults, 3), 0);
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused_by_field() {
    let faults = Faults::new(true);
    let check = async |order: Value, field: &str| {
        let (status, problem) = put(&faults, order.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{order}");
        assert_eq!(problem["errors"][0]["field"], field, "{order}");
    };
    check(
        json!({"target": "moon:landing", "error": "x", "for_seconds": 1}),
        "target",
    )
    .await;
    check(
        json!({"target": "http:GET", "error": "500", "for_seconds": 1}),
        "target",
    )
    .await;
    check(
        json!({"target": "http:GET /", "error": "x", "for_seconds": 1}),
        "error",
    )
    .await;
    check(
        json!({"target": "http:GET /", "error": 200, "for_seconds": 1}),
        "error",
    )
    .await;
    check(json!({"target": "job:purge", "for_seconds": 1}), "error").await;
    check(
        json!({"target": "job:purge", "latency_ms": 60_001, "for_seconds": 1}),
        "latency_ms",
    )
    .await;
    check(
        json!({"target": "job:purge", "error": "x", "ratio": 0, "for_seconds": 1}),
        "ratio",
    )
    .await;
    check(
        json!({"target": "job:purge", "error": "x", "ratio": 1.1, "for_seconds": 1}),
        "ratio",
    )
    .await;
    check(
        json!({"target": "job:purge", "error": "x", "for_seconds": 0}),
        "for_seconds",
    )
    .await;
    check(
        json!({"target": "job:purge", "error": "x", "for_seconds": 1e300}),
        "for_seconds",
    )
    .await;
    let (status, _) = send(
        &faults,
        Method::PUT,
        "/faults/test",
        json!({"target": "job:purge", "colour": 1}),
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_no_call_could_ever_meet_is_refused() {
    let faults = Faults::new(true);
    for target in [
        "http:get /v1/tasks",
        "http:GET /a\u{7}",
        "dynamodb:Get Item",
        "sqs:Send-Message",
        "job:activty",
    ] {
        let (status, problem) = put(
            &faults,
            json!({"target": target, "error": "500", "for_seconds": 1}),
        )
        .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{target}");
        assert_eq!(problem["errors"][0]["field"], "target", "{target}");
    }
    for error in ["", "two words", "a\nb"] {
        let (status, _) = put(
            &faults,
            json!({"target": "dynamodb:*", "error": error, "for_seconds": 1}),
        )
        .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{error:?}");
    }
}

#[test]
fn every_answer_of_a_route_has_a_kind_of_its_own_status() {
    for kind in http::KINDS {
        assert_eq!(http::kind(kind.status().as_str()), Some(kind));
    }
    assert_eq!(http::kind("418"), None);
}

#[tokio::test]
async fn there_is_room_for_so_many_faults_and_no_more() {
    let faults = Faults::new(true);
    let order = json!({"target": "job:purge", "error": "x", "for_seconds": 60});
    for number in 0..FAULTS_MAX {
        let path = format!("/faults/{number}");
        assert_eq!(
            send(&faults, Method::PUT, &path, order.clone()).await.0,
            StatusCode::OK
        );
    }
    assert_eq!(put(&faults, order.clone()).await.0, StatusCode::CONFLICT);
    assert_eq!(
        send(&faults, Method::PUT, "/faults/0", order).await.0,
        StatusCode::OK,
        "replacing needs no room"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_and_fails_as_told() {
    let faults = Faults::new(true);
    put(
        &faults,
        json!({"target": "job:purge", "error": "refused", "latency_ms": 300, "for_seconds": 60}),
    )
    .await;
    assert_eq!(faults.job("activity").await, Ok(()));
    let started = Instant::now();
    assert_eq!(
        faults.job("purge").await,
        Err(Injected {
            error: "refused".to_owned()
        })
    );
    assert_eq!(started.elapsed(), Duration::from_millis(300));
}

#[test]
fn a_target_survives_being_printed_and_matches_what_it_says() {
    for text in [
        "http:GET /v1/tasks/{task_id}",
        "dynamodb:GetItem",
        "sqs:*",
        "job:purge",
    ] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
    let dynamodb: Target = "dynamodb:GetItem".parse().unwrap();
    assert!(dynamodb.is_sdk("DynamoDB_20120810.GetItem"));
    assert!(!dynamodb.is_sdk("DynamoDB_20120810.PutItem"));
    assert!(!dynamodb.is_sdk("AmazonSQS.GetItem"));
    let sqs: Target = "sqs:*".parse().unwrap();
    assert!(sqs.is_sdk("AmazonSQS.SendMessage"));
    assert!(!sqs.is_sdk("SendMessage"));
}
