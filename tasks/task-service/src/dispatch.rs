//! Sends a job's message right after the commit, behind the answer's back but inside the request's trace.
//!
//! Only the quick way: what fails here, or never starts because the process dies, the relay finds in the outbox.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use conventions::{fields, spans};
use jiff::Timestamp;
use store::{NewJob, Store};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::provision::Queue;

/// Sends in progress at once. What is over this waits for the relay, so a slow queue cannot fill the memory.
const SENDS_MAX: usize = 256;

/// Sends messages in the background. Clones share the bound and the drain.
#[derive(Clone)]
pub(crate) struct Dispatcher(Arc<Shared>);

struct Shared {
    store: Store,
    queue: Queue,
    room: Arc<Semaphore>,
    /// Whether it was said that there is no room.
    is_full: AtomicBool,
    tasks: TaskTracker,
}

impl Dispatcher {
    pub(crate) fn new(store: Store, queue: Queue) -> Self {
        Self(Arc::new(Shared {
            store,
            queue,
            room: Arc::new(Semaphore::new(SENDS_MAX)),
            is_full: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }))
    }

    /// Sends a committed job's message, or leaves it to the relay.
    pub(crate) fn dispatch(&self, job: NewJob) {
        let Ok(permit) = Arc::clone(&self.0.room).try_acquire_owned() else {
            if !self.0.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!("{SENDS_MAX} messages are being sent: the relay sends further ones");
            }
            return;
        };
        self.0.is_full.store(false, Ordering::Relaxed);
        let shared = Arc::clone(&self.0);
        let send = async move {
            shared.send(&job).await;
            drop(permit);
        };
        telemetry::spawn(self.0.tasks.track_future(send));
    }

    /// Waits for the sends in progress. Each ends within the time limits of the SDK.
    pub(crate) async fn drain(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Shared {
    async fn send(&self, job: &NewJob) {
        let sent = match self.queue.get() {
            // The current span is the request's own: its carrier would name the same place.
            Some(queue) => queue
                .send(&job.message(), None)
                .await
                .map_err(anyhow::Error::from),
            None => Err(anyhow::anyhow!("the queue was not found yet")),
        };
        let Err(error) = sent else { return };
        tracing::warn!(
            { spans::TRIPOD_JOB_ID } = %job.id(),
            { fields::ERROR } = format!("{error:#}"),
            "job was not sent: left to the relay"
        );
        // If that fails too, the job is due by itself a little later.
        let _ = self.store.make_due(job.id(), Timestamp::now()).await;
    }
}
