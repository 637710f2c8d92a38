//! The bounded queue between ended spans and the exporter, and the exact account of what became of each span.
//!
//! `ended = exported + failed + dropped + held` holds at every moment, because every change happens under one lock.
//! Sending, and when to try again, is the exporter's.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use conventions::metrics::{
    OUTCOME, OUTCOME_DROPPED, OUTCOME_EXPORTED, OUTCOME_FAILED, TELEMETRY_SPANS,
};
use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::report::Spans;

/// How long [`SpanProcessor::force_flush`] waits, which has no deadline of its own.
const FORCE_FLUSH: Duration = Duration::from_secs(10);

/// Bounds of the queue and of what is taken from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Spans held, those being sent included.
    pub(crate) queue_max: usize,
    /// Spans that make the exporter start before the delay is over, and the most it sends at once.
    pub(crate) batch_max: usize,
    /// Longest wait for a batch to fill.
    pub(crate) delay: Duration,
}

/// Spans on their way to the collector. Shared by the processor, the exporter thread and the guard.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    /// Something happened: spans to send, a new phase, a batch settled.
    changed: Condvar,
    counters: Counters,
}

/// Ends spans into a [`Queue`].
#[derive(Debug)]
pub(crate) struct Processor(pub(crate) Arc<Queue>);

/// What the collector did with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) exported: usize,
    pub(crate) failed: usize,
}

/// What the exporter does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send.
    GoOn,
    /// Everything is accounted for; nothing more may be sent.
    Stop,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<SpanData>,
    /// Spans in the exporter's hands.
    taken: usize,
    totals: Spans,
    phase: Phase,
    /// Flushes that wait: the exporter does not wait for a batch to fill while there are any.
    flushes: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    /// What is held is still sent, until this moment.
    Draining(Instant),
    Closed,
}

#[derive(Debug)]
struct Counters {
    exported: Counter,
    failed: Counter,
    dropped: Counter,
}

impl Queue {
    /// An empty queue. Its counters are registered at 0 with the recorder that is current now.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            changed: Condvar::new(),
            counters: Counters::registered(),
        }
    }

    pub(crate) fn batch_max(&self) -> usize {
        self.limits.batch_max
    }

    /// Takes an ended span, or drops it if there is no room. Never blocks on the network.
    pub(crate) fn push(&self, span: SpanData) {
        let mut state = self.lock();
        state.totals.ended += 1;
        let no_room = state.spans.len() + state.taken >= self.limits.queue_max;
        if no_room || state.phase == Phase::Closed {
            state.totals.dropped += 1;
            drop(state);
            self.counters.dropped.increment(1);
            return;
        }
        state.spans.push(span);
        let waiting = state.spans.len();
        drop(state);
        // The exporter sleeps until the first span, then until a full batch or the delay: no wake-ups in between.
        if waiting == 1 || waiting == self.limits.batch_max {
            self.changed.notify_all();
        }
    }

    /// Moves all spans that wait to `spans`, which must be empty, once they are due. False when the queue is closed, or
    /// drained to the end. The exporter owes a [`Queue::settle`] for each span.
    pub(crate) fn take(&self, spans: &mut Vec<SpanData>) -> bool {
        let running = |state: &State| state.phase == Phase::Running;
        let state = self.lock();
        let idle = |state: &mut State| state.spans.is_empty() && running(state);
        let state = self.changed.wait_while(state, idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let filling = |state: &mut State| {
            state.spans.len() < self.limits.batch_max && state.flushes == 0 && running(state)
        };
        let waited = self
            .changed
            .wait_timeout_while(state, self.limits.delay, filling);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.spans.is_empty() || state.phase == Phase::Closed {
            state.close(&self.counters);
            self.changed.notify_all();
            return false;
        }
        mem::swap(&mut state.spans, spans);
        state.taken = spans.len();
        true
    }

    /// Accounts for spans that were taken. After the queue closed they are counted already.
    pub(crate) fn settle(&self, settled: Settled) {
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            return;
        }
        let Settled { exported, failed } = settled;
        state.taken -= exported + failed;
        state.totals.exported += exported as u64;
        state.totals.failed += failed as u64;
        drop(state);
        self.counters.exported.increment(exported as u64);
        self.counters.failed.increment(failed as u64);
        self.changed.notify_all();
    }

    /// Waits before the next attempt; shorter when a shutdown begins, for no longer than until its deadline.
    pub(crate) fn pause(&self, pause: Duration) -> Next {
        let state = self.lock();
        let was_running = state.phase == Phase::Running;
        let pause = pause.min(state.remaining().unwrap_or(pause));
        let same = |state: &mut State| match state.phase {
            Phase::Running => true,
            Phase::Draining(_) => !was_running,
            Phase::Closed => false,
        };
        let waited = self.changed.wait_timeout_while(state, pause, same);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.phase {
            Phase::Closed => Next::Stop,
            _ => Next::GoOn,
        }
    }

    /// Time until the deadline of a shutdown under way.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.lock().remaining()
    }

    /// Counts everything held as dropped and takes no more.
    pub(crate) fn close(&self) {
        self.lock().close(&self.counters);
        self.changed.notify_all();
    }

    /// Lets the exporter send what is held, and closes when it is done or `deadline` has passed.
    pub(crate) fn drain(&self, deadline: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Running {
            state.phase = Phase::Draining(deadline);
        }
        self.changed.notify_all();
        let open = |state: &mut State| state.phase != Phase::Closed;
        let timeout = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(state, timeout, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.close(&self.counters);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether every span that had been taken at the call was settled within `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let mut state = self.lock();
        let settled = |totals: &Spans| totals.exported + totals.failed;
        let goal = settled(&state.totals) + (state.spans.len() + state.taken) as u64;
        state.flushes += 1;
        self.changed.notify_all();
        let unsettled =
            |state: &mut State| settled(&state.totals) < goal && state.phase != Phase::Closed;
        let waited = self.changed.wait_timeout_while(state, timeout, unsettled);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.flushes -= 1;
        settled(&state.totals) >= goal
    }

    pub(crate) fn totals(&self) -> Spans {
        self.lock().totals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half changed, so a panic elsewhere is no reason to stop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remaining(&self) -> Option<Duration> {
        match self.phase {
            Phase::Draining(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Phase::Running => None,
            Phase::Closed => Some(Duration::ZERO),
        }
    }

    fn close(&mut self, counters: &Counters) {
        self.phase = Phase::Closed;
        let held = (mem::take(&mut self.spans).len() + mem::take(&mut self.taken)) as u64;
        self.totals.dropped += held;
        counters.dropped.increment(held);
    }
}

impl Counters {
    fn registered() -> Self {
        let of = |outcome: &'static str| metrics::counter!(TELEMETRY_SPANS, OUTCOME => outcome);
        Self {
            exported: of(OUTCOME_EXPORTED),
            failed: of(OUTCOME_FAILED),
            dropped: of(OUTCOME_DROPPED),
        }
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        match self.0.flush(FORCE_FLUSH) {
            true => Ok(()),
            false => Err(OTelSdkError::Timeout(FORCE_FLUSH)),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.drain(Instant::now() + timeout);
        Ok(())
    }
}
