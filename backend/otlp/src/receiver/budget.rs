//! How many bytes the requests under way hold together: a bound on memory that slow clients cannot use up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

/// A request counts as much from its start: most are smaller. It bounds their number, too.
const REQUEST_BYTES_MIN: usize = 64 << 10;
/// What a sender is asked to wait when the budget is used up: the requests under way are answered in less.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bytes that are still free.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// What one request holds. Given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    held: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// For a request whose body has not been read yet.
    pub(super) fn share(&self) -> Result<Share, Failure> {
        let held = self.take(REQUEST_BYTES_MIN)?;
        Ok(Share {
            budget: self.clone(),
            held,
        })
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let permits = u32::try_from(bytes).ok();
        permits
            .and_then(|permits| Arc::clone(&self.0).try_acquire_many_owned(permits).ok())
            .ok_or_else(|| Failure::Overloaded {
                retry_after: RETRY_AFTER,
                message: "too many requests under way".to_owned(),
            })
    }
}

impl Share {
    /// Makes it `bytes`, unless it is that much already.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let missing = bytes.saturating_sub(self.held.num_permits());
        if missing > 0 {
            self.held.merge(self.budget.take(missing)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_a_share_is_given_back() {
        let budget = Budget::new(3 * REQUEST_BYTES_MIN);
        let mut first = budget.share().unwrap();
        first.grow(1).unwrap();
        let second = budget.share().unwrap();
        first.grow(2 * REQUEST_BYTES_MIN).unwrap();
        assert!(matches!(budget.share(), Err(Failure::Overloaded { .. })));
        assert!(matches!(
            first.grow(2 * REQUEST_BYTES_MIN + 1),
            Err(Failure::Overloaded { .. })
        ));
        drop(second);
        first.grow(3 * REQUEST_BYTES_MIN).unwrap();
        drop(first);
        budget.share().unwrap();
    }
}
