//! What must be there before work can be done: the table, the development keys, the queue. Made where that is allowed,
//! waited for where it is not; a dependency that is away at the start delays it and ends nothing.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use conventions::fields;
use jiff::Timestamp;
use store::{ApiKey, Error, JobQueue, KeyText, Store};
use tasks_api::WorkspaceId;

/// Pause before the second attempt, doubled with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The queue, once it is found. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue(Arc<OnceLock<JobQueue>>);

/// What to make or find.
#[derive(Debug, Clone)]
pub(crate) struct Provision {
    pub(crate) store: Store,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) queue_name: String,
    /// Whether what is missing is made.
    pub(crate) is_allowed: bool,
    pub(crate) keys: Vec<(WorkspaceId, KeyText)>,
}

impl Queue {
    pub(crate) fn get(&self) -> Option<&JobQueue> {
        self.0.get()
    }

    /// Nothing changes if it was found before: a queue that is made again has the same address.
    pub(crate) fn found(&self, queue: JobQueue) {
        let _ = self.0.set(queue);
    }
}

impl Provision {
    /// Table and keys, tried until they are there.
    pub(crate) async fn table(&self) {
        until_done("table", || self.try_table()).await;
    }

    /// The queue, tried until it is there.
    pub(crate) async fn queue(&self) -> JobQueue {
        until_done("queue", || self.try_queue()).await
    }

    /// The queue, made if it is missing and that is allowed.
    pub(crate) async fn try_queue(&self) -> Result<JobQueue, Error> {
        let client = self.sqs.clone();
        if self.is_allowed {
            JobQueue::create(client, &self.queue_name).await
        } else {
            JobQueue::connect(client, &self.queue_name).await
        }
    }

    async fn try_table(&self) -> Result<(), Error> {
        if self.is_allowed {
            self.store.create_table().await?;
        }
        for (workspace, key) in &self.keys {
            let key = ApiKey::new(key, workspace.clone(), Timestamp::now());
            self.store.put_api_key(&key).await?;
        }
        Ok(())
    }
}

/// Tries until it works. No spans: a table that exists already is no event in anybody's trace.
async fn until_done<T, F>(what: &'static str, attempt: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match telemetry::suppress(attempt()).await {
            Ok(done) => {
                tracing::info!("{what} is ready");
                return done;
            }
            Err(error) => anyhow::Error::from(error),
        };
        tracing::warn!(
            { fields::ERROR } = format!("{error:#}"),
            "{what} is not ready: trying again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
