//! The worker: takes jobs from the queue and does them, each with one effect however often it is delivered.
//!
//! A job is an item of the table, written with the change that caused it; the message only names it. How a job lives,
//! fails, waits and dies is told in `docs/jobs.md`. Nothing here answers clients; the admin listener shows dead letters.

mod attempt;
mod dead_letters;
mod jobs;
mod metrics;
mod process;
mod queue_metrics;
mod receive;
mod settings;

use std::{sync::Arc, time::Duration};

use conventions::{fields, resource::WORKER};
use runtime::{CancellationToken, Process, Service, aws};
use store::{JobQueue, Store};
use tokio_util::task::TaskTracker;

use attempt::Backoff;
use dead_letters::DeadLetters;
use jobs::Jobs;
use process::Processor;
use receive::{Receiver, Storage};
pub use settings::Settings;

/// Pause before the second look for the queue, doubled with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A heart that beats faster does nothing else.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// The end of the drain, kept free to give back the messages of jobs that did not finish.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// The process.
#[derive(Debug)]
pub struct Worker;

impl Service for Worker {
    const NAME: &'static str = WORKER;
    const ADMIN_LISTEN: &'static str = "127.0.0.1:9103";
    type Settings = Settings;

    async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
        metrics::register();
        let clients = aws::clients(&process).await;
        let store = Store::new(clients.dynamodb, &settings.table);
        let find = find_queue(clients.sqs, &settings.queue);
        let Some(queue) = process.drain.run_until_cancelled(find).await else {
            return Ok(());
        };
        let letters = DeadLetters::new(store.clone(), queue.clone());
        process.admin(dead_letters::router(Arc::new(letters)));
        check_readiness(&process, &store, &queue);

        let storage = Arc::new(Storage::default());
        let cut_off = CancellationToken::new();
        let running = TaskTracker::new();
        let processor = Processor {
            store: store.clone(),
            queue: queue.clone(),
            jobs: Jobs {
                store: store.clone(),
                faults: process.faults.clone(),
            },
            backoff: Backoff {
                first: settings.backoff_min.get(),
                max: settings.backoff_max.get(),
            },
            heartbeat: settings.heartbeat.get().max(HEARTBEAT_MIN),
            cut_off: cut_off.clone(),
            storage: Arc::clone(&storage),
        };
        let receiver = Receiver {
            queue: queue.clone(),
            store: store.clone(),
            processor: Arc::new(processor),
            storage,
            concurrency: settings.concurrency.get().into(),
            running: running.clone(),
        };
        process.readiness.serve();
        let counting = queue_metrics::run(store, queue, process.drain.clone());
        tokio::join!(receiver.run(process.drain.clone()), counting);
        drain(&running, &cut_off, process.common.drain_timeout.get()).await;
        Ok(())
    }
}

/// Lets running jobs finish, and takes back the messages of those that do not.
async fn drain(running: &TaskTracker, cut_off: &CancellationToken, timeout: Duration) {
    running.close();
    let give_back = GIVE_BACK.min(timeout / 2);
    if tokio::time::timeout(timeout - give_back, running.wait())
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!(
        "{} jobs did not finish in time: they are given back",
        running.len()
    );
    cut_off.cancel();
    if tokio::time::timeout(give_back, running.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            "{} jobs come back when their messages' visibility runs out",
            running.len()
        );
    }
}

/// Waits for the queue, which the task-service or an operator makes.
async fn find_queue(sqs: aws_sdk_sqs::Client, name: &str) -> JobQueue {
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match telemetry::suppress(JobQueue::connect(sqs.clone(), name)).await {
            Ok(queue) => return queue,
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        tracing::warn!(
            { fields::ERROR } = error,
            "the queue is not there: trying again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn check_readiness(process: &Process, store: &Store, queue: &JobQueue) {
    let store = store.clone();
    process.readiness.register("table", move || {
        let store = store.clone();
        async move { store.ping().await.map_err(|error| error.to_string()) }
    });
    let queue = queue.clone();
    process.readiness.register("queue", move || {
        let queue = queue.clone();
        async move {
            queue
                .created_at()
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        }
    });
}
