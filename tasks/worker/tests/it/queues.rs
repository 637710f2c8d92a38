//! Depth and age of both queues as metrics, without spans; and the start without a queue.

use conventions::spans;
use serde_json::json;
use store::JobQueue;

use crate::{
    process::{Aws, Process, QUEUE, eventually},
    system::{PROGRAM, QUICK, System},
};

#[tokio::test]
async fn depth_and_age_of_both_queues_are_counted() {
    let system = System::start_with(QUICK).await;
    let metric = async |name: &str, labels: &[&str]| system.worker.metric(name, labels).await;
    let depth = async |queue: &str, state: &str| {
        metric(
            "queue_depth",
            &[&format!("queue=\"{queue}\""), &format!("state=\"{state}\"")],
        )
        .await
    };
    let age = async |queue: &str| {
        metric(
            "queue_oldest_message_age_seconds",
            &[&format!("queue=\"{queue}\"")],
        )
        .await
    };
    eventually("a count", async || depth("jobs-dlq", "visible").await).await;
    for state in ["visible", "in_flight", "delayed"] {
        assert_eq!(
            (depth("jobs", state).await, depth("jobs-dlq", state).await),
            (Some(0.0), Some(0.0))
        );
    }
    assert_eq!(
        (age("jobs").await, age("jobs-dlq").await),
        (Some(0.0), Some(0.0))
    );

    let waiting = system.create_unsent(1).await;
    system
        .worker
        .fault("job:activity", json!({"error": "gone_wrong"}))
        .await;
    system.create(2).await;
    let has_both = async || {
        let is_dead = depth("jobs-dlq", "visible").await? == 1.0 && age("jobs-dlq").await? > 0.0;
        (is_dead && age("jobs").await? > 0.0).then_some(())
    };
    eventually("a dead letter and an old job", has_both).await;
    system.worker.heal().await;
    system.send(&waiting).await;
    eventually("nothing old", async || {
        (age("jobs").await? == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_worker_leaves_no_spans() {
    let mut system = System::start().await;
    eventually("a count", async || {
        system.worker.metric("queue_depth", &[]).await
    })
    .await;
    assert!(system.worker.stop().await.success());
    let names: Vec<_> = system
        .worker
        .sink
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, [spans::SERVICE_START]);
}

#[tokio::test]
async fn a_start_without_a_queue_waits_for_it() {
    let aws = Aws::start().await;
    aws.store().create_table().await.unwrap();
    let mut worker = Process::start(PROGRAM, &aws, &[]).await;
    worker
        .log_line("the queue is not there: trying again")
        .await;
    let (status, reason) = worker.readiness().await;
    assert_eq!((status.as_u16(), reason.trim()), (503, "starting"));
    JobQueue::create(aws.sqs_client(), QUEUE).await.unwrap();
    worker.ready().await;
    assert!(worker.stop().await.success());
}
