//! The loop that receives messages, at most as many as there is room for, and starts a task for each.
//!
//! While the storage is away nothing is received: each try would cost a job one of its attempts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use conventions::fields;
use store::{JobQueue, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::process::Processor;

/// How long a receive waits for messages: the longest SQS allows, so an idle worker costs least.
const WAIT: Duration = Duration::from_secs(20);
/// Messages one receive can bring (SQS).
const MESSAGES_MAX: usize = 10;
/// Pause after the first failure, doubled with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Whether the storage answered when it was last needed.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    is_suspect: AtomicBool,
}

/// The loop.
pub(crate) struct Receiver {
    pub(crate) queue: JobQueue,
    pub(crate) store: Store,
    pub(crate) processor: Arc<Processor>,
    pub(crate) storage: Arc<Storage>,
    /// Jobs at the same time.
    pub(crate) concurrency: usize,
    /// The tasks that it starts.
    pub(crate) running: TaskTracker,
}

impl Storage {
    /// It did not answer.
    pub(crate) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }
}

impl Receiver {
    /// Receives until the process drains, and then at once no more: what SQS was about to hand out comes back when its
    /// visibility runs out.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.concurrency));
        let receive = async {
            let mut failures = 0;
            loop {
                let permits = take_all(&room).await;
                self.until_storage_answers().await;
                match self
                    .queue
                    .receive(u32::try_from(permits.num_permits()).unwrap_or(1), WAIT)
                    .await
                {
                    Ok(received) => {
                        self.start(received, permits);
                        if failures > 0 {
                            tracing::info!("messages are received again");
                        }
                        failures = 0;
                    }
                    Err(error) => {
                        if failures == 0 {
                            let error = format!("{:#}", anyhow::Error::from(error));
                            tracing::warn!(
                                { fields::ERROR } = error,
                                "no messages can be received: trying again"
                            );
                        }
                        tokio::time::sleep(pause(failures)).await;
                        failures += 1;
                    }
                }
            }
        };
        drain.run_until_cancelled(receive).await;
    }

    /// One task for each message; each holds a part of the room.
    fn start(&self, received: store::Received, mut permits: OwnedSemaphorePermit) {
        for message in received.messages {
            let permit = permits.split(1);
            let processor = Arc::clone(&self.processor);
            let span = received.span.clone();
            self.running.spawn(async move {
                processor.process(message, span).await;
                drop(permit);
            });
        }
    }

    /// Returns at once unless an attempt found the storage away.
    async fn until_storage_answers(&self) {
        if !self.storage.is_suspect.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut failures = 0;
        while let Err(error) = telemetry::suppress(self.store.ping()).await {
            if failures == 0 {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(
                    { fields::ERROR } = error,
                    "the storage is away: no messages are received"
                );
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
        if failures > 0 {
            tracing::info!("the storage answers again");
        }
    }
}

/// Waits for room for one message and takes what else is free, up to what one receive can fill.
async fn take_all(room: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let closed = "the semaphore is never closed";
    let mut permits = Arc::clone(room).acquire_owned().await.expect(closed);
    let further = room.available_permits().min(MESSAGES_MAX - 1);
    if let Ok(further) = u32::try_from(further)
        && let Ok(further) = Arc::clone(room).try_acquire_many_owned(further)
    {
        permits.merge(further);
    }
    permits
}

fn pause(failures: u32) -> Duration {
    PAUSE_FIRST
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn one_receive_asks_for_what_there_is_room_for() {
        let check = async |free: usize, expected: usize| {
            let room = Arc::new(Semaphore::new(free));
            assert_eq!(take_all(&room).await.num_permits(), expected);
            assert_eq!(room.available_permits(), free);
        };
        check(1, 1).await;
        check(8, 8).await;
        check(100, MESSAGES_MAX).await;
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let milliseconds = [0, 1, 2, 5, 6, u32::MAX].map(|failures| pause(failures).as_millis());
        assert_eq!(milliseconds, [250, 500, 1_000, 8_000, 10_000, 10_000]);
    }
}
