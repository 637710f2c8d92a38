//! The start: what is made, what is waited for, and what makes a start impossible.

use std::process::{Command, Stdio};

use http::StatusCode;
use serde_json::json;
use store::KeyText;

use crate::{
    process::{Aws, Process, TABLE, eventually},
    service::{Answer, PROGRAM, System},
};

#[tokio::test]
async fn a_start_without_dynamodb_waits_for_it() {
    let mut aws = Aws::start().await;
    aws.dynamodb.stop().await;
    let service = Process::start(PROGRAM, &aws, &[]).await;
    service.log_line("table is not ready: trying again").await;
    let (status, reason) = service.readiness().await;
    assert_eq!(
        (status, reason.trim()),
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    );
    aws.dynamodb.restart().await;
    service.ready().await;
}

#[tokio::test]
async fn a_start_without_sqs_serves_and_sends_later() {
    let mut aws = Aws::start().await;
    aws.sqs.stop().await;
    let service = Process::start(PROGRAM, &aws, &[]).await;
    let mut system = System::ready(aws, service).await;
    system.create("Early").await;
    system.aws.sqs.restart().await;
    let queue = system.aws.queue().await;
    let sent = async || queue.depth().await.ok().filter(|depth| depth.visible == 1);
    eventually("the message", sent).await;
}

#[tokio::test]
async fn development_keys_are_stored() {
    let keys = [KeyText::generate().unwrap(), KeyText::generate().unwrap()];
    let seed = format!("dev={},other={}", keys[0].reveal(), keys[1].reveal());
    let system = System::start_with(&[("TRIPOD_SEED_API_KEYS", &seed)]).await;
    for (key, workspace) in keys.iter().zip(["dev", "other"]) {
        let stored = system.aws.store().api_key(key.id()).await.unwrap().unwrap();
        assert_eq!(stored.workspace.as_str(), workspace);
        assert!(stored.matches(key));
    }
}

#[tokio::test]
async fn without_permission_nothing_is_made() {
    let aws = Aws::start().await;
    let service = Process::start(PROGRAM, &aws, &[("TRIPOD_PROVISION", "false")]).await;
    service.log_line("queue is not ready: trying again").await;
    let (status, reason) = service.readiness().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.starts_with("table:"), "{reason}");
    let made = aws.sqs_client().list_queues().send().await.unwrap();
    assert_eq!(made.queue_urls(), <[String; 0]>::default());
    assert!(aws.store().ping().await.is_err(), "{TABLE} was made");
}

#[tokio::test]
async fn every_business_metric_is_there_from_the_start() {
    let system = System::start().await;
    for priority in ["low", "normal", "high", "urgent"] {
        let label = format!("priority=\"{priority}\"");
        assert_eq!(
            system
                .service
                .metric("tasks_created_total", &[&label])
                .await,
            Some(0.0)
        );
    }
    let urgent = json!({"title": "Now", "priority": "urgent"});
    assert_eq!(
        Answer::to(system.post("/v1/tasks", &urgent)).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        system
            .service
            .metric("tasks_created_total", &["priority=\"urgent\""])
            .await,
        Some(1.0)
    );
    let created = [
        "http_route=\"/v1/tasks\"",
        "http_response_status_code=\"201\"",
    ];
    assert_eq!(
        system
            .service
            .metric("http_server_request_duration_seconds_count", &created)
            .await,
        Some(1.0)
    );
}

#[test]
fn settings_that_cannot_be_used_end_the_process_with_one_line() {
    for (arguments, expected) in [
        (&["--seed-api-keys", "dev=tpk_wrong"][..], "--seed-api-keys"),
        (&["--relay-interval", "soon"], "--relay-interval"),
        (&["--request-timeout", "-1s"], "--request-timeout"),
        (&["--colour", "red"], "--colour"),
    ] {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(expected) && said.lines().count() == 1,
            "{said}"
        );
        assert!(!said.contains("tpk_wrong"), "{said}");
    }
}
