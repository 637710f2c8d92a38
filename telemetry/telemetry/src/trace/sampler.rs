//! Records every span, and puts the trace's start where every later span of it finds it.

use std::time::SystemTime;

use conventions::headers::TRACESTATE_MEMBER;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::start;

/// Always `RecordAndSample`, whatever a caller's sampled flag says: the collector decides by the whole trace.
///
/// A root gets the start member in its `tracestate`. So does a span under a foreign parent that has none: the trace
/// began earlier, but this is the earliest moment this system knows of.
#[derive(Debug, Clone)]
pub(crate) struct AlwaysRecord;

impl ShouldSample for AlwaysRecord {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let inherited = parent
            .map(|context| context.span().span_context().trace_state().clone())
            .unwrap_or_default();
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: with_start(inherited),
        }
    }
}

fn with_start(trace_state: TraceState) -> TraceState {
    if trace_state.get(TRACESTATE_MEMBER).is_some() {
        return trace_state;
    }
    trace_state
        .insert(TRACESTATE_MEMBER, start::member(SystemTime::now()))
        .unwrap_or(trace_state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn sample(parent: Option<&Context>) -> SamplingResult {
        let id = TraceId::from_bytes([1; 16]);
        AlwaysRecord.should_sample(parent, id, "work", &SpanKind::Internal, &[], &[])
    }

    fn remote_parent(trace_state: TraceState, flags: TraceFlags) -> Context {
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from_bytes([1; 16]),
            SpanId::from_bytes([2; 8]),
            flags,
            true,
            trace_state,
        ))
    }

    #[test]
    fn a_root_is_recorded_with_its_start() {
        let before = SystemTime::now();
        let result = sample(None);
        assert_eq!(result.decision, SamplingDecision::RecordAndSample);
        let start = start::read(&result.trace_state).unwrap();
        assert!(before.duration_since(start).unwrap_or_default().as_millis() <= 1);
        assert!(start <= SystemTime::now());
    }

    #[test]
    fn a_child_inherits_the_start_and_an_unsampled_parent_is_recorded_all_the_same() {
        let state =
            TraceState::from_key_value([("foreign", "1"), (TRACESTATE_MEMBER, "t:10")]).unwrap();
        let parent = remote_parent(state.clone(), TraceFlags::NOT_SAMPLED);
        let result = sample(Some(&parent));
        assert_eq!(result.decision, SamplingDecision::RecordAndSample);
        assert_eq!(result.trace_state, state);
    }

    #[test]
    fn a_foreign_parent_without_a_start_gets_one_in_front_of_its_own_members() {
        let state = TraceState::from_key_value([("foreign", "1")]).unwrap();
        let result = sample(Some(&remote_parent(state, TraceFlags::SAMPLED)));
        let header = result.trace_state.header();
        assert!(
            header.starts_with("tripod=t:") && header.ends_with(",foreign=1"),
            "{header}"
        );
    }
}
