//! Blocking calls of the store on threads of their own, a bounded number at once.
//!
//! Reads by id have their own room, so that they do not wait behind searches. Who waits is bounded by the surface: it refuses
//! when too many requests are in progress.

use std::{panic::resume_unwind, sync::Arc};

use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_blocking},
};

use super::failure::Failure;

pub(super) struct Work {
    lookups: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

impl Work {
    pub(super) fn new(lookups_max: usize, scans_max: usize) -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(lookups_max.max(1))),
            scans: Arc::new(Semaphore::new(scans_max.max(1))),
        }
    }

    /// A read that takes milliseconds.
    pub(super) async fn lookup<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        run(&self.lookups, job).await
    }

    /// A walk over many traces.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        run(&self.scans, job).await
    }
}

/// Runs `job` when there is room. When the client leaves before, it never starts; a started one ends by the store's bounds.
async fn run<T: Send + 'static>(
    room: &Arc<Semaphore>,
    job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    let job = spawn_blocking(move || {
        let _permit = permit;
        job()
    });
    let mut job = AbortOnDrop(job);
    match (&mut job.0).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // The surface answers for it.
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending.
            Err(_) => Err(Failure::internal()),
        },
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

    use super::*;

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_allowed_and_searches_do_not_hold_up_lookups() {
        let work = Arc::new(Work::new(1, 1));
        let (release, blocked) = mpsc::channel::<()>();
        let (started, start) = tokio::sync::oneshot::channel();
        let slow = tokio::spawn({
            let work = Arc::clone(&work);
            async move {
                let job = move || {
                    started.send(()).unwrap();
                    blocked.recv().unwrap();
                    Ok(1)
                };
                work.scan(job).await
            }
        });
        start.await.unwrap();
        let mut second = Box::pin(work.scan(|| Ok(2)));
        assert!(polled_once(&mut second).await.is_none());
        assert_eq!(work.lookup(|| Ok(3)).await, Ok(3));
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
