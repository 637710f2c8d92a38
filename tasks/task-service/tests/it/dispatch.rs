//! A change's job is sent right after the commit, inside the request's trace.

use std::time::Duration;

use conventions::spans;
use opentelemetry::trace::{SpanKind, Status};
use reqwest::Method;
use serde_json::json;
use store::{JobQueue, Payload};
use tasks_api::{Event, JobKind};

use crate::service::{Answer, System, path};

/// The span of a message to the queue.
const SEND: &str = "send jobs";

#[tokio::test]
async fn every_change_leaves_its_job_on_the_queue() {
    let system = System::start().await;
    let store = system.aws.store();
    let queue = system.aws.aged_queue().await;
    let task = system.create("Jobs").await;
    let changes = [
        (
            Method::PATCH,
            "",
            Some(json!({"title": "New", "priority": "low"})),
        ),
        (
            Method::POST,
            "/transitions",
            Some(json!({"to": "in_progress"})),
        ),
        (Method::POST, "/comments", Some(json!({"text": "Seen"}))),
        (Method::DELETE, "", None),
    ];
    for (method, resource, body) in changes {
        let request = system
            .request(method, &path(&task, resource))
            .header("if-match", "*");
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        assert!(Answer::to(request).await.status.is_success());
    }

    let mut events = Vec::new();
    let mut messages = 0;
    while messages < 5 {
        for message in queue
            .receive(10, Duration::from_secs(1))
            .await
            .unwrap()
            .messages
        {
            let named = JobQueue::decode(&message).unwrap();
            let job = store.job(named.job_id).await.unwrap().unwrap();
            assert_eq!(named.kind, job.payload.kind());
            assert_eq!(job.task_id.to_string(), task["id"].as_str().unwrap());
            match job.payload {
                Payload::Activity(entry) => {
                    assert_eq!(entry.actor.as_str(), "somebody");
                    events.push(entry.event);
                }
                Payload::Purge => assert_eq!(named.kind, JobKind::Purge),
            }
            messages += 1;
        }
    }
    assert_eq!(
        system.service.logged("job relayed").len(),
        0,
        "each was sent by its own request"
    );
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events.contains(&Event::Created));
    assert!(
        events.contains(&Event::Updated {
            fields: vec!["title".into(), "priority".into()]
        }),
        "{events:?}"
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Transitioned { .. }))
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Commented { .. }))
    );
}

#[tokio::test]
async fn request_storage_and_message_are_one_trace() {
    let system = System::start().await;
    let answer = Answer::to(system.post("/v1/tasks", &json!({"title": "Traced"}))).await;
    let trace_id = answer.trace_id().to_owned();
    let of_trace = |name: &str| {
        let (name, trace_id) = (name.to_owned(), trace_id.clone());
        move |span: &telemetry::testing::Span| {
            span.name == name && span.trace_id.to_string() == trace_id
        }
    };
    let served = system
        .service
        .span("the server span", of_trace("POST /v1/tasks"))
        .await;
    let written = system
        .service
        .span("the transaction", of_trace("DynamoDB.TransactWriteItems"))
        .await;
    let sent = system.service.span("the message", of_trace(SEND)).await;
    assert!(
        written.is_child_of(&served) && sent.is_child_of(&served),
        "{written:#?} {sent:#?}"
    );
    assert_eq!(sent.kind, SpanKind::Producer);
    assert_eq!(served.text(spans::TRIPOD_WORKSPACE), Some("home"));
    assert!(
        [&served, &written, &sent]
            .iter()
            .all(|span| span.status == Status::Unset)
    );

    let queue = system.aws.queue().await;
    let messages = queue
        .receive(1, Duration::from_secs(5))
        .await
        .unwrap()
        .messages;
    let attributes = messages[0].message_attributes().unwrap();
    let traceparent = attributes["traceparent"].string_value().unwrap();
    assert_eq!(traceparent, format!("00-{trace_id}-{}-01", sent.span_id));
    let named = JobQueue::decode(&messages[0]).unwrap();
    let job = system.aws.store().job(named.job_id).await.unwrap().unwrap();
    let Payload::Activity(entry) = job.payload else {
        panic!("no activity")
    };
    assert_eq!(entry.trace_id, trace_id);

    let line = system.service.log_line("task created").await;
    assert_eq!(
        (&line["trace_id"], &line["service"]),
        (&json!(trace_id), &json!("task-service"))
    );
    assert_eq!(line["fields"]["tripod.task.id"], answer.json()["id"]);
    assert_eq!(line["fields"]["tripod.job.id"], named.job_id.to_string());
}

#[tokio::test]
async fn the_drain_waits_for_messages_that_are_being_sent() {
    let mut system = System::start().await;
    let queue = system.aws.aged_queue().await;
    let slow = json!({"latency_ms": 1500});
    system.service.fault("sqs:SendMessage", slow).await;
    system.create("Drained").await;
    assert!(system.service.stop().await.success());
    let messages = queue.receive(1, Duration::ZERO).await.unwrap().messages;
    assert_eq!(messages.len(), 1, "it was sent before the end");
    assert_eq!(system.service.logged("process drained").len(), 1);
}
