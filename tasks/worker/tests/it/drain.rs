//! The end in order: nothing new is taken, what runs may finish, what does not is given back at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::system::System;

#[tokio::test]
async fn a_running_job_finishes_before_the_end() {
    let mut system = System::start().await;
    system
        .worker
        .fault("job:activity", json!({"latency_ms": 1500}))
        .await;
    let caused = system.create(1).await;
    let is_running = async || (system.queue.depth().await.unwrap().in_flight == 1).then_some(());
    crate::process::eventually("the job to run", is_running).await;
    system.worker.terminate();
    let later = system.create(2).await;
    assert!(system.worker.ended().await.success());
    assert_eq!(system.history(caused.task).await, [caused.job]);
    assert!(
        system.history(later.task).await.is_empty(),
        "nothing new was taken"
    );
    assert_eq!(system.queue.depth().await.unwrap().visible, 1);
}

#[tokio::test]
async fn a_job_that_does_not_finish_is_given_back_at_once() {
    let mut system = System::start_with(&[("TRIPOD_DRAIN_TIMEOUT", "2s")]).await;
    system
        .worker
        .fault("job:activity", json!({"latency_ms": 50_000}))
        .await;
    let caused = system.create(1).await;
    let is_running = async || (system.queue.depth().await.unwrap().in_flight == 1).then_some(());
    crate::process::eventually("the job to run", is_running).await;
    let started = Instant::now();
    assert!(system.worker.stop().await.success());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );

    let received = system
        .queue
        .receive(1, Duration::ZERO)
        .await
        .unwrap()
        .messages;
    assert_eq!(
        received.len(),
        1,
        "it is visible again, long before its visibility runs out"
    );
    let attempts = system.attempts(&caused, 1).await;
    assert_eq!(attempts[0].text("error.type"), Some("cancelled"));
    assert!(system.history(caused.task).await.is_empty());
}
