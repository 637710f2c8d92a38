//! The bounded queue of kept spans, and the thread that exports them: in order, retried with growing pauses.
//!
//! The bound is told, not enforced: whoever takes spans in asks `is_full` first and refuses, so what was accepted always
//! finds room.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use conventions::fields;

use crate::sampler::Kept;

/// Pause after the first failed attempt; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Where kept spans go. Called on a thread of the collector's own.
pub trait Export: Send + Sync + 'static {
    /// `request` is an `ExportTraceServiceRequest` with `spans` spans. To return `Ok` is to answer for them.
    fn export(&self, request: bytes::Bytes, spans: u64) -> Result<(), ExportError>;
}

/// The spans were not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The same request is tried again.
    #[error("the destination cannot take spans now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// To try again is useless: the spans are counted as lost.
    #[error("the destination refuses these spans")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Totals and levels of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    /// Spans that the destination took over.
    pub sent: u64,
    /// Spans that were given up.
    pub lost: u64,
    pub waiting_spans: u64,
    pub waiting_requests: usize,
    pub waiting_bytes: usize,
}

/// Bounds of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub bytes_max: usize,
    /// Attempts on one request end this long after the first.
    pub retry_max: Duration,
}

pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limits: Limits,
}

#[derive(Default)]
struct State {
    /// The first is the one being exported.
    waiting: VecDeque<Kept>,
    exported: Exported,
    /// Nothing more is coming.
    closed: bool,
    /// Nobody waits any longer: what is left counts as lost already.
    abandoned: bool,
}

impl State {
    fn abandon(&mut self) {
        self.abandoned = true;
        self.waiting.clear();
        self.exported = Exported {
            sent: self.exported.sent,
            lost: self.exported.lost + self.exported.waiting_spans,
            ..Exported::default()
        };
    }
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limits,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.has_no_room(&self.lock())
    }

    /// Waits for room; from `until` on there is no more export, and what comes is lost.
    pub(super) fn wait_for_room(&self, until: Instant) {
        let state = self.lock();
        self.wait_while(state, until, |state| self.has_no_room(state));
    }

    pub(super) fn push(&self, kept: Kept) {
        let mut state = self.lock();
        if state.abandoned {
            state.exported.lost += kept.spans;
            return;
        }
        state.exported.waiting_spans += kept.spans;
        state.exported.waiting_requests += 1;
        state.exported.waiting_bytes += kept.request.len();
        state.waiting.push_back(kept);
        self.changed.notify_all();
    }

    pub(super) fn exported(&self) -> Exported {
        self.lock().exported
    }

    /// Waits until all is exported or given up, until `until`; what is left then is lost.
    pub(super) fn close(&self, until: Instant) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        self.wait_while(state, until, |state| !state.waiting.is_empty());
    }

    fn has_no_room(&self, state: &State) -> bool {
        !state.abandoned && state.exported.waiting_bytes >= self.limits.bytes_max
    }

    /// Waits while `condition` holds. If it still does when time is up, nobody waits for the export any longer.
    fn wait_while(
        &self,
        state: MutexGuard<'_, State>,
        until: Instant,
        condition: impl Fn(&State) -> bool,
    ) {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self
            .changed
            .wait_timeout_while(state, left, |state| condition(state));
        let mut state = waited.expect("no holder of the lock panics").0;
        if condition(&state) && !state.abandoned {
            state.abandon();
            self.changed.notify_all();
        }
    }

    /// Exports until the queue is closed and empty, or abandoned. Runs on its own thread.
    pub(super) fn run(&self, export: &dyn Export) {
        while let Some((request, spans)) = self.next() {
            let started = Instant::now();
            let mut pause = BACKOFF_MIN;
            loop {
                match export.export(request.clone(), spans) {
                    Ok(()) => break self.done(true),
                    Err(error) => {
                        let refused = matches!(error, ExportError::Refused(_));
                        let given_up = refused || started.elapsed() >= self.limits.retry_max;
                        log_failure(&error, spans, given_up);
                        if given_up {
                            break self.done(false);
                        }
                    }
                }
                if self.pause(pause) {
                    return;
                }
                pause = (2 * pause).min(BACKOFF_MAX);
            }
        }
    }

    fn next(&self) -> Option<(bytes::Bytes, u64)> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            if let Some(kept) = state.waiting.front() {
                return Some((kept.request.clone(), kept.spans));
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .expect("no holder of the lock panics");
        }
    }

    fn done(&self, sent: bool) {
        let mut state = self.lock();
        if state.abandoned {
            return;
        }
        let kept = state
            .waiting
            .pop_front()
            .expect("only the exporting thread takes requests out");
        let exported = &mut state.exported;
        exported.waiting_spans -= kept.spans;
        exported.waiting_requests -= 1;
        exported.waiting_bytes -= kept.request.len();
        *(if sent {
            &mut exported.sent
        } else {
            &mut exported.lost
        }) += kept.spans;
        self.changed.notify_all();
    }

    /// Waits between two attempts. True if the queue was abandoned meanwhile.
    fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| !state.abandoned)
            .expect("no holder of the lock panics");
        state.abandoned
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

fn log_failure(error: &ExportError, spans: u64, given_up: bool) {
    let reason = reason(error);
    if given_up {
        tracing::error!({ fields::ERROR } = reason, spans, "kept spans are lost");
    } else {
        tracing::warn!(
            { fields::ERROR } = reason,
            spans,
            "kept spans could not be exported, they are tried again"
        );
    }
}

/// The error and its sources in one line.
fn reason(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The exporting thread.
pub(super) fn spawn(
    queue: Arc<Queue>,
    export: Arc<dyn Export>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name("collector-export".to_owned())
        .spawn(move || queue.run(&*export))
}
