//! Cuts: links between signals that a process leaves out on purpose, so that whoever claims to prove the links can be seen to
//! notice. None in production; which process is cut, and whether it may be, is the caller's.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

static PROCESS_CUTS: OnceLock<Cuts> = OnceLock::new();

/// What is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Requests carry no `traceparent`.
    pub http_traceparent: bool,
    /// Messages carry no `traceparent`.
    pub sqs_traceparent: bool,
    /// Log lines have ids of zeros.
    pub log_ids: bool,
    /// No sample names its trace.
    pub exemplars: bool,
    /// Series of failed requests are there from the first failure on, and not from the start.
    pub failures_at_start: bool,
    /// How much spans and log lines are ahead of the time of the machine.
    pub ahead: Duration,
}

/// The cuts of this process; none before [`crate::init`].
pub(crate) fn cuts() -> Cuts {
    PROCESS_CUTS.get().copied().unwrap_or_default()
}

/// A time as this process tells it.
pub(crate) fn told(time: SystemTime) -> SystemTime {
    time + cuts().ahead
}

/// Sets the cuts of this process. The first call wins.
pub(crate) fn set(cuts: Cuts) {
    // A second one is that of a test in the same process.
    let _ = PROCESS_CUTS.set(cuts);
}
