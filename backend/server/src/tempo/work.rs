//! Where calls of the store run. Reads by id have their own room, so that they do not wait behind searches.

use super::failure::Failure;
use crate::work::{Ending, Room};

pub(super) struct Work {
    lookups: Room,
    scans: Room,
}

impl Work {
    pub(super) fn new(lookups_max: usize, scans_max: usize) -> Self {
        Self {
            lookups: Room::new(lookups_max),
            scans: Room::new(scans_max),
        }
    }

    /// A read that takes milliseconds.
    pub(super) async fn lookup<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.lookups.run(job).await
    }

    /// A walk over many traces.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.scans.run(job).await
    }
}

impl From<Ending> for Failure {
    fn from(Ending: Ending) -> Self {
        Self::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn searches_do_not_hold_up_lookups() {
        let work = Work::new(1, 1);
        let _searching = work.scans.enter().await;
        assert_eq!(work.lookup(|| Ok(3)).await, Ok(3));
    }
}
