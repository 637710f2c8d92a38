//! Exemplars: which sample may name its trace, and the slot that remembers the last one.
//!
//! The rule: only a trace that will be found is named, that is one the collector's predicate keeps or one in which
//! something failed ([`error_scope`]). Ids are read from the current OpenTelemetry context and stored as bytes; the
//! text is made when the page is. Recording never waits: a slot that is busy is passed over, and that is counted.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};

/// How long an exemplar of an error is safe from successes: four scrapes at the usual 15 s, so that the one
/// failure among thousands of successes is still there when somebody looks.
const ERROR_KEPT: Duration = Duration::from_secs(60);

thread_local! {
    static ERROR_DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A trace that is worth naming, seen from where the sample was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) value: f64,
    pub(super) at: SystemTime,
    pub(super) is_error: bool,
}

/// What the current context has to offer.
pub(super) enum Candidate {
    /// There is no recorded span.
    None,
    /// The trace succeeded so far and the collector will drop it.
    NotKept,
    /// The trace will be found.
    Kept(Origin),
}

/// Where a kept sample comes from.
pub(super) struct Origin {
    trace_id: TraceId,
    span_id: SpanId,
    is_error: bool,
}

/// Room for one exemplar. Another thread holds it for some nanoseconds at most.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many exemplars were ever stored here; under the lock anyway, so it costs no atomic of its own.
    stored: u64,
    exemplar: Option<Exemplar>,
}

/// Restores the depth also when the scope panics.
struct ErrorScope;

/// Runs `f` as part of an operation that failed.
///
/// The trace of a failed operation is kept by the collector whatever its id, so samples recorded inside may carry
/// an exemplar, counters included. Call it while the operation's span is current and has been marked as failed.
///
/// ```
/// use telemetry::metrics::exemplars::error_scope;
///
/// let started = std::time::Instant::now();
/// # fn work() -> Result<(), std::fmt::Error> { Err(std::fmt::Error) }
/// if work().is_err() {
///     error_scope(|| metrics::histogram!("work_duration_seconds").record(started.elapsed()));
/// }
/// ```
pub fn error_scope<R>(f: impl FnOnce() -> R) -> R {
    ERROR_DEPTH.set(ERROR_DEPTH.get() + 1);
    let _scope = ErrorScope;
    f()
}

impl Drop for ErrorScope {
    fn drop(&mut self) {
        ERROR_DEPTH.set(ERROR_DEPTH.get() - 1);
    }
}

/// Whether this thread is inside an [`error_scope`].
pub(super) fn in_error_scope() -> bool {
    ERROR_DEPTH.get() > 0
}

/// Applies the exemplar rule to the current context. An unsampled context belongs to a trace nobody records.
pub(super) fn candidate() -> Candidate {
    let ids = Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| (span.trace_id(), span.span_id()))
    });
    let Some((trace_id, span_id)) = ids else {
        return Candidate::None;
    };
    if crate::cuts::cuts().exemplars {
        return Candidate::None;
    }
    let is_error = in_error_scope();
    if !is_error && !crate::sampling::predicate().keeps(trace_id) {
        return Candidate::NotKept;
    }
    Candidate::Kept(Origin {
        trace_id,
        span_id,
        is_error,
    })
}

impl Origin {
    /// The exemplar for a sample recorded now.
    pub(super) fn exemplar(self, value: f64) -> Exemplar {
        Exemplar {
            trace_id: self.trace_id,
            span_id: self.span_id,
            value,
            at: now(),
            is_error: self.is_error,
        }
    }
}

/// The time of the kernel's last tick, some milliseconds ago at most. A third of the price of the exact time, which
/// would be the largest part of a record with an exemplar; who looks for the trace has its id.
#[cfg(target_os = "linux")]
fn now() -> SystemTime {
    let tick = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let since_epoch = Duration::try_from(tick).unwrap_or_default();
    SystemTime::UNIX_EPOCH + since_epoch
}

#[cfg(not(target_os = "linux"))]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Slot {
    /// Stores the exemplar unless a fresh error is there already. False when another thread holds the slot.
    pub(super) fn offer(&self, exemplar: Exemplar) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if !state.exemplar.is_some_and(|held| held.outranks(&exemplar)) {
            state.stored += 1;
            state.exemplar = Some(exemplar);
        }
        true
    }

    /// The last exemplar.
    pub(super) fn read(&self) -> Option<Exemplar> {
        self.lock().exemplar
    }

    /// How many exemplars were stored so far.
    pub(super) fn stored(&self) -> u64 {
        self.lock().stored
    }

    /// Waits, so it is for the page only; recorders that come meanwhile pass by.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exemplar {
    /// A fresh error stays when a success arrives.
    fn outranks(&self, other: &Exemplar) -> bool {
        self.is_error && !other.is_error && self.is_fresh(other.at)
    }

    /// After a clock jump in either direction nothing is fresh.
    fn is_fresh(&self, now: SystemTime) -> bool {
        let apart = now.duration_since(self.at);
        apart.unwrap_or_else(|earlier| earlier.duration()) < ERROR_KEPT
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::metrics::fixtures::{dropped_trace, in_span, kept_trace, remote_unsampled};

    fn exemplar(at_ms: u32, is_error: bool) -> Exemplar {
        Exemplar {
            trace_id: TraceId::from_bytes([1; 16]),
            span_id: SpanId::from_bytes([2; 8]),
            value: f64::from(at_ms),
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms.into()),
            is_error,
        }
    }

    #[test]
    fn a_success_never_replaces_a_fresh_error_but_an_error_replaces_anything() {
        let slot = Slot::default();
        let offers = [
            (exemplar(1_000, false), true),
            (exemplar(2_000, true), true),
            (exemplar(61_999, false), false),
            (exemplar(62_000, false), true),
            (exemplar(62_001, true), true),
            (exemplar(62_002, true), true),
        ];
        let mut stored = 0;
        for (offered, is_stored) in offers {
            assert!(slot.offer(offered));
            stored += u64::from(is_stored);
            assert_eq!(slot.read() == Some(offered), is_stored, "{offered:?}");
        }
        assert_eq!(slot.stored(), stored);
    }

    #[test]
    fn after_a_clock_jump_backwards_an_old_error_is_not_fresh() {
        let slot = Slot::default();
        slot.offer(exemplar(10_000_000, true));
        slot.offer(exemplar(1_000, false));
        assert_eq!(slot.read(), Some(exemplar(1_000, false)));
    }

    #[test]
    fn a_held_slot_is_passed_over() {
        let slot = Slot::default();
        let held = slot.state.lock().unwrap();
        std::thread::scope(|scope| {
            let offered = scope.spawn(|| slot.offer(exemplar(1, true)));
            assert!(!offered.join().unwrap());
        });
        drop(held);
        assert!(slot.offer(exemplar(1, true)));
    }

    #[test]
    fn the_scope_nests_and_survives_a_panic() {
        assert!(!in_error_scope());
        error_scope(|| {
            error_scope(|| assert!(in_error_scope()));
            assert!(in_error_scope());
        });
        let panicked = std::panic::catch_unwind(|| error_scope(|| std::panic::panic_any(())));
        assert!(panicked.is_err());
        assert!(!in_error_scope());
    }

    #[test]
    fn only_a_trace_that_will_be_found_is_a_candidate() {
        assert!(matches!(candidate(), Candidate::None));
        in_span(kept_trace(), || {
            assert!(matches!(candidate(), Candidate::Kept(origin) if !origin.is_error));
        });
        in_span(dropped_trace(), || {
            assert!(matches!(candidate(), Candidate::NotKept));
            error_scope(|| {
                assert!(matches!(candidate(), Candidate::Kept(origin) if origin.is_error));
            });
        });
        let _unsampled = remote_unsampled(kept_trace()).attach();
        assert!(matches!(candidate(), Candidate::None));
    }
}
