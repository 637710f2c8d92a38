//! Jobs that fail: tried again later, given up after five receives; and messages that are no jobs.

use std::time::Duration;

use conventions::spans;
use reqwest::Method;
use serde_json::{Value, json};
use store::JobState;

use crate::{
    process::eventually,
    system::{QUICK, System},
};

const PROCESSED: &str = "messaging_process_duration_seconds_count";

#[tokio::test]
async fn a_failed_job_is_tried_again_and_succeeds() {
    let system = System::start_with(QUICK).await;
    system
        .worker
        .fault("job:activity", json!({"error": "gone_wrong"}))
        .await;
    let caused = system.create(1).await;
    let line = system
        .worker
        .log_line("job failed: tried again later")
        .await;
    assert_eq!(
        (&line["level"], &line["trace_id"]),
        (&json!("ERROR"), &json!(caused.trace_id))
    );
    assert_eq!(line["fields"]["tripod.job.id"], caused.job.to_string());
    assert_eq!(
        (
            &line["fields"]["tripod.job.kind"],
            &line["fields"]["tripod.job.attempt"]
        ),
        (&json!("activity"), &json!(1))
    );
    assert!(
        line["fields"]["error"]
            .as_str()
            .unwrap()
            .contains("gone_wrong"),
        "{line}"
    );

    system.worker.heal().await;
    system.done(&caused).await;
    assert_eq!(system.history(caused.task).await, [caused.job]);
    let mut attempts = system.attempts(&caused, 2).await;
    attempts.sort_by_key(|span| span.int(spans::TRIPOD_JOB_ATTEMPT));
    let (last, failed) = attempts.split_last().unwrap();
    for (number, span) in (1..).zip(failed) {
        assert_eq!(span.int(spans::TRIPOD_JOB_ATTEMPT), Some(number));
        assert!(span.is_error());
        assert_eq!(span.text(spans::ERROR_TYPE), Some("gone_wrong"));
    }
    assert!(!last.is_error());
    let retries = system
        .worker
        .metric(PROCESSED, &["outcome=\"retry\""])
        .await;
    assert_eq!(retries, Some(failed.len() as f64));
    let page = system
        .worker
        .admin(Method::GET, "/metrics")
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let page = page.send().await.unwrap().text().await.unwrap();
    let names_it =
        |line: &str| line.contains("outcome=\"retry\"") && line.contains(&caused.trace_id);
    assert!(
        page.lines().any(names_it),
        "a failed attempt is an exemplar, whatever the sampling"
    );
    let latencies = system
        .worker
        .metric("job_queue_latency_seconds_count", &["job=\"activity\""])
        .await;
    assert_eq!(
        latencies,
        Some(1.0),
        "a redelivery has waited for its backoff, not for a worker"
    );
}

#[tokio::test]
async fn a_failed_attempt_puts_off_the_relay() {
    let system = System::start().await;
    system
        .worker
        .fault("job:activity", json!({"error": "gone_wrong"}))
        .await;
    let caused = system.create_unsent(1).await;
    let due = async || match system.store.job(caused.job).await.unwrap().unwrap().state {
        JobState::Pending { due_at } => due_at,
        JobState::Dead { .. } => panic!("dead"),
    };
    let before = due().await;
    system.send(&caused).await;
    eventually("the lease", async || (due().await > before).then_some(())).await;
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_given_up_after_five_receives() {
    let system = System::start_with(QUICK).await;
    system
        .worker
        .fault("job:activity", json!({"error": "gone_wrong"}))
        .await;
    let caused = system.create(1).await;
    let given_up = system
        .worker
        .log_line("job failed too often: given up")
        .await;
    assert_eq!(given_up["fields"]["tripod.job.attempt"], 5);
    // The line is written before the job is marked.
    let dead = async || match system.store.job(caused.job).await.unwrap().unwrap().state {
        JobState::Dead {
            attempts,
            error_type,
            ..
        } => Some((attempts, error_type)),
        JobState::Pending { .. } => None,
    };
    let (attempts, error_type) = eventually("the dead job", dead).await;
    assert_eq!((attempts, error_type.as_str()), (5, "gone_wrong"));

    let moved = async || system.dead_messages().await.pop();
    let message = eventually("the dead letter", moved).await;
    assert!(message.body().unwrap().contains(&caused.job.to_string()));
    let attempts = system.attempts(&caused, 5).await;
    assert_eq!(attempts.len(), 5);
    assert!(attempts.iter().all(|span| span.is_error()));
    assert_eq!(
        system
            .worker
            .metric(PROCESSED, &["outcome=\"retry\""])
            .await,
        Some(4.0)
    );
    assert_eq!(
        system.worker.metric(PROCESSED, &["outcome=\"dead\""]).await,
        Some(1.0)
    );
    assert!(system.history(caused.task).await.is_empty());
}

#[tokio::test]
async fn a_message_that_is_no_job_fails_and_hurts_nobody() {
    let system = System::start_with(QUICK).await;
    let oversized = format!("{{\"job_id\": \"{}\"}}", "x".repeat(100_000));
    let unknown = r#"{"job_id": "0192f0c1-2345-7000-8000-000000000000", "kind": "unheard_of"}"#;
    for text in ["no job", "{}", unknown, &oversized] {
        system.send_text(text).await;
    }
    let caused = system.create(1).await;
    system.done(&caused).await;

    let is_dead = async || {
        let dead = system.queue.dead_depth().await.unwrap();
        (dead.visible + dead.in_flight == 4).then_some(())
    };
    eventually("four dead letters", is_dead).await;
    let spans = system.worker.sink.spans();
    let mut types: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "process jobs" && span.is_error())
        .map(|span| span.text(spans::ERROR_TYPE).unwrap().to_owned())
        .collect();
    types.sort();
    types.dedup();
    assert_eq!(types, [spans::ERROR_MALFORMED, spans::ERROR_OVERSIZED]);
    let unknown = ["job=\"unknown\"", "outcome=\"dead\""];
    let counted =
        async || (system.worker.metric(PROCESSED, &unknown).await == Some(4.0)).then_some(());
    eventually("the count", counted).await;
    for line in system.worker.logged("job failed too often: given up") {
        assert_eq!(line["fields"]["tripod.job.kind"], "unknown");
        assert_eq!(line["fields"].get("tripod.job.id"), None::<&Value>);
        assert!(
            line.to_string().len() < 1_000,
            "what came in is not given back at length"
        );
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_given_up() {
    let system = System::start_with(QUICK).await;
    let caused = system.create_unsent(1).await;
    let message = system
        .store
        .job(caused.job)
        .await
        .unwrap()
        .unwrap()
        .message();
    system.aws.damage_job(caused.job).await;
    system.queue.send(&message, None).await.unwrap();
    let given_up = system
        .worker
        .log_line("job failed too often: given up")
        .await;
    assert!(
        given_up["fields"]["error"]
            .as_str()
            .unwrap()
            .contains("is damaged"),
        "{given_up}"
    );
    let span = system
        .worker
        .span("an attempt", |span| span.name == "process jobs")
        .await;
    assert_eq!(span.text(spans::ERROR_TYPE), Some(spans::ERROR_DAMAGED));
    let dead = async || system.store.oldest_dead_at().await.unwrap();
    eventually("the dead job", dead).await;
}

#[tokio::test]
async fn while_the_storage_is_away_jobs_keep_their_attempts() {
    let mut system = System::start_with(QUICK).await;
    let caused = system.create_unsent(1).await;
    let job = system.store.job(caused.job).await.unwrap().unwrap();
    system.aws.dynamodb.stop().await;
    for _ in 0..3 {
        system
            .queue
            .send(&job.message(), job.carrier.as_ref())
            .await
            .unwrap();
    }
    system
        .worker
        .log_line("the storage is away: no messages are received")
        .await;
    let received = system
        .worker
        .sink
        .spans()
        .iter()
        .filter(|span| span.name == "process jobs")
        .count();
    assert!(received <= 3, "{received}");
    system.aws.dynamodb.restart().await;
    system.worker.log_line("the storage answers again").await;
    system.done(&caused).await;
    assert_eq!(system.history(caused.task).await, [caused.job]);
    assert_eq!(
        system.worker.logged("job failed too often: given up").len(),
        0
    );
}

#[tokio::test]
async fn a_queue_that_is_away_comes_back() {
    let mut system = System::start().await;
    system.aws.sqs.stop().await;
    system
        .worker
        .log_line("no messages can be received: trying again")
        .await;
    let is_told =
        async || Some(system.worker.readiness().await).filter(|(status, _)| *status == 503);
    let (_, reason) = eventually("the end of readiness", is_told).await;
    assert!(reason.starts_with("queue:"), "{reason}");
    system.aws.sqs.restart().await;
    system.queue = store::JobQueue::create(system.aws.sqs_client(), crate::process::QUEUE)
        .await
        .unwrap();
    system.worker.log_line("messages are received again").await;
    let caused = system.create(1).await;
    system.done(&caused).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_removed_comes_again_without_effect() {
    let system = System::start_hidden_for(Duration::from_secs(1), &[]).await;
    system
        .worker
        .fault("sqs:DeleteMessage", json!({"error": "ServiceUnavailable"}))
        .await;
    let caused = system.create(1).await;
    system
        .worker
        .log_line("the message stays hidden until its visibility runs out")
        .await;
    system.worker.heal().await;
    system.empty().await;
    assert_eq!(system.history(caused.task).await, [caused.job]);
    let attempts = system.attempts(&caused, 2).await;
    assert!(
        attempts
            .iter()
            .any(|span| span.int(spans::TRIPOD_JOB_ATTEMPT) == Some(2)),
        "{attempts:#?}"
    );
    assert!(attempts.iter().all(|span| !span.is_error()));
}
