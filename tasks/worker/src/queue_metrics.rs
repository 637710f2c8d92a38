//! Counts both queues at an interval, without spans.
//!
//! While counting fails the gauges keep their last values, which is what Prometheus shows for a scrape that brings
//! nothing new; that they are stale is said by one log line, by readiness, and by the error counts of the calls.

use std::time::Duration;

use conventions::fields;
use jiff::Timestamp;
use store::{Error, JobQueue, Store};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// How often.
const INTERVAL: Duration = Duration::from_secs(5);

/// Counts until the process drains.
pub(crate) async fn run(store: Store, queue: JobQueue, drain: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    while drain.run_until_cancelled(ticks.tick()).await.is_some() {
        match telemetry::suppress(count(&store, &queue)).await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(
                    { fields::ERROR } = error,
                    "queues cannot be counted: their metrics are stale"
                );
            }
            Err(_) => {}
        }
    }
}

/// Depths as SQS has them. Ages come from the jobs' items: SQS does not tell them, and a job whose message is lost gets
/// older as well.
async fn count(store: &Store, queue: &JobQueue) -> Result<(), Error> {
    let (depth, dead_depth) = (queue.depth().await?, queue.dead_depth().await?);
    let (pending, dead) = (store.backlog().await?, store.oldest_dead_at().await?);
    metrics::queue(queue.name(), depth, age(pending.oldest_at));
    metrics::queue(queue.dead_name(), dead_depth, age(dead));
    Ok(())
}

fn age(oldest: Option<Timestamp>) -> Duration {
    let age = oldest.map(|at| Timestamp::now().duration_since(at));
    // A clock that was set back makes nothing older than it is, nor younger than new.
    age.and_then(|age| age.try_into().ok()).unwrap_or_default()
}
