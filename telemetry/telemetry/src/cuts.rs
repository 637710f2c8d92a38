//! Cuts: links between signals that a process leaves out on purpose, so that whoever claims to prove the links can be seen to
//! notice. None in production; which process is cut, and whether it may be, is the caller's.

use std::sync::OnceLock;

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
}

/// The cuts of this process; none before [`crate::init`].
pub(crate) fn cuts() -> Cuts {
    PROCESS_CUTS.get().copied().unwrap_or_default()
}

/// Sets the cuts of this process. The first call wins.
pub(crate) fn set(cuts: Cuts) {
    // A second one is that of a test in the same process.
    let _ = PROCESS_CUTS.set(cuts);
}
