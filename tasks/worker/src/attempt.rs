//! What becomes of a message after an attempt: pure decisions, from the outcome and how often it was received.

use std::time::Duration;

use conventions::{metrics, spans};
use store::{Completion, Error, JobQueue};

/// How long failed attempts wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// Longest wait after the first attempt.
    pub(crate) first: Duration,
    /// Longest wait after any.
    pub(crate) max: Duration,
}

/// The longest wait grows by this with each attempt.
const BACKOFF_FACTOR: u32 = 3;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the message names no job")]
    Malformed(#[source] Error),
    #[error("the message has {bytes} bytes, more than any that names a job")]
    Oversized { bytes: usize },
    #[error(transparent)]
    Injected(runtime::faults::Injected),
    #[error("the job's storage failed")]
    Storage(#[from] Error),
    #[error("the job took longer than {0:?}")]
    TimedOut(Duration),
    #[error("the job panicked")]
    Panicked,
    #[error("the process ends")]
    CutOff,
}

/// What to do with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing is owed any more: remove it.
    Settle,
    /// Try again after this time.
    Retry(Duration),
    /// Give the job up; the queue moves the message to the dead-letter queue.
    Bury,
}

impl Failure {
    /// The failure in one word, for spans and dead letters.
    pub(crate) fn error_type(&self) -> &str {
        match self {
            Self::Malformed(_) => spans::ERROR_MALFORMED,
            Self::Oversized { .. } => spans::ERROR_OVERSIZED,
            Self::Injected(injected) => &injected.error,
            Self::Storage(Error::Unavailable { .. }) => spans::ERROR_UNAVAILABLE,
            Self::Storage(Error::Conflict) => spans::ERROR_CONFLICT,
            Self::Storage(Error::Refused { .. }) => spans::ERROR_REFUSED,
            Self::Storage(Error::Corrupt { .. }) => spans::ERROR_DAMAGED,
            Self::Storage(_) => spans::ERROR_OTHER,
            Self::TimedOut(_) => spans::ERROR_TIMEOUT,
            Self::Panicked => spans::ERROR_PANIC,
            Self::CutOff => spans::ERROR_CANCELLED,
        }
    }

    /// Whether the storage is to blame, so that further messages would fail the same way.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Storage(Error::Unavailable { .. }))
    }
}

impl Step {
    /// The step after the `receives`th attempt; `random` in 0..1 spreads retries.
    pub(crate) fn after(
        outcome: &Result<Completion, Failure>,
        receives: u32,
        backoff: Backoff,
        random: f64,
    ) -> Self {
        match outcome {
            Ok(_) => Self::Settle,
            // Not the job's fault: whoever receives it next starts at once.
            Err(Failure::CutOff) => Self::Retry(Duration::ZERO),
            Err(_) if receives >= JobQueue::RECEIVES_MAX => Self::Bury,
            Err(_) => Self::Retry(backoff.delay(receives, random)),
        }
    }

    /// The value of the outcome label.
    pub(crate) fn outcome(self, outcome: &Result<Completion, Failure>) -> &'static str {
        match (self, outcome) {
            (Self::Settle, Ok(Completion::Duplicate)) => metrics::OUTCOME_DUPLICATE,
            (Self::Settle, _) => metrics::OUTCOME_SUCCESS,
            (Self::Retry(_), _) => metrics::OUTCOME_RETRY,
            (Self::Bury, _) => metrics::OUTCOME_DEAD,
        }
    }
}

impl Backoff {
    /// Exponential with full jitter: any time up to the longest one, so that jobs that failed together come back apart.
    fn delay(self, receives: u32, random: f64) -> Duration {
        let factor = BACKOFF_FACTOR.saturating_pow(receives.saturating_sub(1));
        self.first
            .saturating_mul(factor)
            .min(self.max)
            .mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(2),
        max: Duration::from_secs(60),
    };

    fn check(outcome: Result<Completion, Failure>, receives: u32, step: Step, label: &str) {
        let decided = Step::after(&outcome, receives, BACKOFF, 1.0);
        assert_eq!(decided, step, "{outcome:?} after {receives}");
        assert_eq!(
            decided.outcome(&outcome),
            label,
            "{outcome:?} after {receives}"
        );
    }

    fn panicked() -> Result<Completion, Failure> {
        Err(Failure::Panicked)
    }

    #[test]
    fn what_is_done_is_settled_however_often_it_was_received() {
        for receives in [1, 5, 9] {
            check(Ok(Completion::Done), receives, Step::Settle, "success");
            check(
                Ok(Completion::TaskDeleted),
                receives,
                Step::Settle,
                "success",
            );
            check(
                Ok(Completion::Duplicate),
                receives,
                Step::Settle,
                "duplicate",
            );
        }
    }

    #[test]
    fn a_failure_is_retried_later_and_later_and_then_buried() {
        for (receives, seconds) in [(1, 2), (2, 6), (3, 18), (4, 54)] {
            check(
                panicked(),
                receives,
                Step::Retry(Duration::from_secs(seconds)),
                "retry",
            );
        }
        for receives in [5, 6, u32::MAX] {
            check(panicked(), receives, Step::Bury, "dead");
        }
    }

    #[test]
    fn a_job_that_was_cut_off_is_never_buried() {
        for receives in [1, 5] {
            check(
                Err(Failure::CutOff),
                receives,
                Step::Retry(Duration::ZERO),
                "retry",
            );
        }
    }

    #[test]
    fn the_wait_is_spread_from_nothing_to_the_longest_and_bounded() {
        assert_eq!(BACKOFF.delay(2, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.delay(2, 0.5), Duration::from_secs(3));
        assert_eq!(BACKOFF.delay(0, 1.0), Duration::from_secs(2));
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0), Duration::from_secs(60));
    }

    #[test]
    fn only_an_absent_storage_is_an_outage() {
        let unavailable = Error::Unavailable {
            operation: "GetItem",
            retry_after: Duration::ZERO,
            source: "away".into(),
        };
        assert!(Failure::Storage(unavailable).is_outage());
        assert!(!Failure::Storage(Error::Conflict).is_outage());
        assert!(!Failure::Panicked.is_outage());
    }
}
