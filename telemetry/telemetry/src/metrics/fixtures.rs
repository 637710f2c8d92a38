//! Contexts and recorders for this module's tests.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::{Recorder, RecorderBuilder};

/// An odd number without pattern (the golden ratio's fraction).
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A recorder whose page holds nothing that depends on the machine.
pub(super) fn recorder() -> Recorder {
    RecorderBuilder::new("test")
        .process_metrics(false)
        .build()
        .expect("the defaults make a recorder")
}

/// A successful trace that the collector keeps.
pub(super) fn kept_trace() -> TraceId {
    trace(true)
}

/// A successful trace that the collector drops.
pub(super) fn dropped_trace() -> TraceId {
    trace(false)
}

/// Runs `f` as if a span of this trace were current.
pub(super) fn in_span<R>(trace_id: TraceId, f: impl FnOnce() -> R) -> R {
    let _current = context(trace_id, TraceFlags::SAMPLED).attach();
    f()
}

/// A context that nobody records.
pub(super) fn remote_unsampled(trace_id: TraceId) -> Context {
    context(trace_id, TraceFlags::default())
}

fn trace(is_kept: bool) -> TraceId {
    // Spread over all bits as random ids are: FNV-1a hardly tells ids apart that differ in the last byte only.
    (1u128..)
        .map(|number| TraceId::from_bytes(number.wrapping_mul(SPREAD).to_be_bytes()))
        .find(|id| crate::sampling::predicate().keeps(*id) == is_kept)
        .expect("5 % of all ids are kept")
}

fn context(trace_id: TraceId, flags: TraceFlags) -> Context {
    let span_id = SpanId::from_bytes([0xab; 8]);
    Context::new().with_remote_span_context(SpanContext::new(
        trace_id,
        span_id,
        flags,
        false,
        TraceState::default(),
    ))
}
