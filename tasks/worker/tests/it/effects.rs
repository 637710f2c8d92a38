//! A job has its effect once: written, traced, counted; however often and in whatever order it is delivered.

use conventions::spans;
use opentelemetry::trace::{SpanKind, Status};
use serde_json::json;
use tasks_api::PageQuery;

use crate::{
    process::eventually,
    system::{System, workspace},
};

#[tokio::test]
async fn a_job_writes_its_entry_and_is_gone() {
    let system = System::start().await;
    let caused = system.create(1).await;
    system.done(&caused).await;
    system.empty().await;
    let page = system
        .store
        .activity(&workspace(), caused.task, &PageQuery::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(
        (page.items[0].id, page.items[0].trace_id.as_str()),
        (caused.job, caused.trace_id.as_str())
    );

    let count = async |name: &str, labels: &[&str]| system.worker.metric(name, labels).await;
    let success = ["job=\"activity\"", "outcome=\"success\""];
    let counted = async || {
        (count("messaging_process_duration_seconds_count", &success).await == Some(1.0))
            .then_some(())
    };
    eventually("the count", counted).await;
    assert_eq!(
        count("job_queue_latency_seconds_count", &["job=\"activity\""]).await,
        Some(1.0)
    );
    for labels in [
        ["job=\"activity\"", "outcome=\"dead\""],
        ["job=\"unknown\"", "outcome=\"retry\""],
    ] {
        let series = count("messaging_process_duration_seconds_count", &labels).await;
        assert_eq!(
            series,
            Some(0.0),
            "a series is there before its first event"
        );
    }
}

#[tokio::test]
async fn the_job_goes_on_in_the_trace_that_caused_it() {
    let system = System::start().await;
    let caused = system.create(1).await;
    let attempts = system.attempts(&caused, 1).await;
    let [process] = attempts.as_slice() else {
        panic!("one attempt: {attempts:#?}")
    };
    assert_eq!(
        (&process.kind, &process.status),
        (&SpanKind::Consumer, &Status::Unset)
    );
    assert_eq!(
        process.text(spans::TRIPOD_JOB_ID),
        Some(caused.job.to_string().as_str())
    );
    assert_eq!(process.text(spans::TRIPOD_JOB_KIND), Some("activity"));
    assert_eq!(
        process.text(spans::TRIPOD_TASK_ID),
        Some(caused.task.to_string().as_str())
    );
    assert_eq!(process.text(spans::TRIPOD_WORKSPACE), Some("home"));
    assert_eq!(process.int(spans::TRIPOD_JOB_ATTEMPT), Some(1));
    // The test has no spans, so what it sent names the place of the carrier itself.
    assert_eq!(
        process.parent_span_id.unwrap().to_string(),
        "00f067aa0ba902b7"
    );
    let receive = system
        .worker
        .span("the receive", |span| span.name == "receive jobs")
        .await;
    assert!(process.links_to(&receive), "{process:#?}");
    assert!(
        process
            .links
            .iter()
            .any(|link| Some(link.span_id) == process.parent_span_id),
        "{process:#?}"
    );

    for name in [
        "DynamoDB.GetItem",
        "DynamoDB.TransactWriteItems",
        "settle jobs",
    ] {
        let child = system.worker.span(name, |span| span.name == name).await;
        assert!(child.is_child_of(process), "{child:#?}");
        assert_eq!(child.status, Status::Unset);
    }
    let line = system.worker.log_line("job done").await;
    assert_eq!(
        (&line["trace_id"], &line["span_id"]),
        (&json!(caused.trace_id), &json!(process.span_id.to_string()))
    );
    assert_eq!(line["fields"]["tripod.job.id"], caused.job.to_string());
    assert_eq!(
        (
            &line["fields"]["outcome"],
            &line["fields"]["tripod.job.attempt"]
        ),
        (&json!("success"), &json!(1))
    );
}

#[tokio::test]
async fn a_message_delivered_twice_has_one_effect() {
    let system = System::start().await;
    let caused = system.create_unsent(1).await;
    let job = system.store.job(caused.job).await.unwrap().unwrap();
    for _ in 0..5 {
        system
            .queue
            .send(&job.message(), job.carrier.as_ref())
            .await
            .unwrap();
    }
    system.empty().await;
    assert_eq!(system.history(caused.task).await, [caused.job]);
    let duplicates = ["job=\"activity\"", "outcome=\"duplicate\""];
    let name = "messaging_process_duration_seconds_count";
    let counted =
        async || (system.worker.metric(name, &duplicates).await == Some(4.0)).then_some(());
    eventually("the count", counted).await;
    let attempts = system.attempts(&caused, 5).await;
    assert!(
        attempts.iter().all(|span| span.status == Status::Unset),
        "{attempts:#?}"
    );
}

#[tokio::test]
async fn jobs_may_come_in_any_order() {
    let system = System::start().await;
    let mut caused = Vec::new();
    for number in 0..20 {
        caused.push(system.create_unsent(number).await);
    }
    for caused in caused.iter().rev() {
        system.send(caused).await;
    }
    system.empty().await;
    for caused in caused {
        assert_eq!(system.history(caused.task).await, [caused.job]);
    }
}

#[tokio::test]
async fn a_job_of_a_deleted_task_ends_without_effect() {
    let system = System::start().await;
    let caused = system.create_unsent(1).await;
    let purge = system.delete_unsent(caused.task, 2).await;
    system.send(&caused).await;
    system.done(&caused).await;
    system.send(&purge).await;
    system.done(&purge).await;
    system.empty().await;
    assert_eq!(
        system.worker.logged("job failed: tried again later").len(),
        0
    );
}

#[tokio::test]
async fn a_purge_removes_all_that_belonged_to_the_task() {
    let system = System::start().await;
    let caused = system.create(1).await;
    system.done(&caused).await;
    for number in 0..60 {
        system.comment(caused.task, number).await;
    }
    let purge = system.delete_unsent(caused.task, 2).await;
    system.send(&purge).await;
    system.done(&purge).await;
    let attempts = system.attempts(&purge, 1).await;
    assert_eq!(attempts[0].text(spans::TRIPOD_JOB_KIND), Some("purge"));
    let batches = system.worker.sink.spans();
    let batches = batches
        .iter()
        .filter(|span| span.name == "DynamoDB.BatchWriteItem");
    assert_eq!(
        batches.count(),
        3,
        "60 comments and one entry, 25 at a time"
    );
}
