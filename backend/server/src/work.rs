//! Blocking calls on threads of their own, a bounded number at once.
//!
//! Who waits is bounded by the surface: it refuses when too many requests are in progress.

use std::{panic::resume_unwind, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, spawn_blocking},
};

/// The runtime is ending: nobody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending;

/// Room for so many jobs.
pub(crate) struct Room(Arc<Semaphore>);

/// The right to run one.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(jobs_max.max(1))))
    }

    /// Runs `job` when there is room. When the client leaves before, it never starts; a started one ends by its own bounds.
    pub(crate) async fn run<T: Send + 'static, E: From<Ending> + Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.enter().await.run(job).await
    }

    /// Waits until there is room.
    pub(crate) async fn enter(&self) -> Place {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        Place {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }
}

impl Place {
    /// Runs `job`, which holds the place until it is done, whether somebody waits for it or not.
    pub(crate) async fn run<T: Send + 'static, E: From<Ending> + Send + 'static>(
        self,
        job: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let job = spawn_blocking(move || {
            let _place = self;
            job()
        });
        let mut job = AbortOnDrop(job);
        match (&mut job.0).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                // The surface answers for it.
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Ending.into()),
            },
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_allowed() {
        let room = Arc::new(Room::new(1));
        let (release, blocked) = mpsc::channel::<()>();
        let (started, start) = oneshot::channel();
        let slow = tokio::spawn({
            let room = Arc::clone(&room);
            async move {
                let job = move || {
                    started.send(()).unwrap();
                    blocked.recv().unwrap();
                    Ok::<_, Ending>(1)
                };
                room.run(job).await
            }
        });
        start.await.unwrap();
        let mut second = Box::pin(room.run(|| Ok::<_, Ending>(2)));
        assert!(polled_once(&mut second).await.is_none());
        release.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(1));
        assert_eq!(second.await, Ok(2));
    }

    /// One poll of a future.
    async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut future = std::pin::Pin::new(future);
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
