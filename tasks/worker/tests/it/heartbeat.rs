//! A long job is kept from other workers, and from the relay, for as long as it runs.

use std::time::Duration;

use conventions::spans;
use serde_json::json;

use crate::{
    process::{Process, eventually},
    system::{PROGRAM, System},
};

const HEARTBEAT: &[(&str, &str)] = &[("TRIPOD_HEARTBEAT", "300ms")];

#[tokio::test]
async fn a_job_longer_than_its_visibility_runs_once() {
    let system = System::start_hidden_for(Duration::from_secs(1), HEARTBEAT).await;
    let other = Process::start(PROGRAM, &system.aws, HEARTBEAT).await;
    other.ready().await;
    for worker in [&system.worker, &other] {
        worker
            .fault("job:activity", json!({"latency_ms": 4000}))
            .await;
    }

    let caused = system.create(1).await;
    system.done(&caused).await;
    system.empty().await;
    assert_eq!(system.history(caused.task).await, [caused.job]);
    let is_attempt = |span: &telemetry::testing::Span| span.name == "process jobs";
    let by_either = async || {
        let spans = [system.worker.sink.spans(), other.sink.spans()].concat();
        spans.into_iter().find(is_attempt)
    };
    let attempt = eventually("the attempt", by_either).await;
    assert_eq!(attempt.int(spans::TRIPOD_JOB_ATTEMPT), Some(1));
    let done = system.worker.logged("job done").len() + other.logged("job done").len();
    assert_eq!(done, 1);
    let page = system.store.backlog().await.unwrap();
    assert_eq!(page.pending, 0);
}
