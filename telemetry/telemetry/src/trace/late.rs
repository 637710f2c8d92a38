//! Marks spans that end after their trace was decided, so that the collector judges them by themselves.

use std::time::{Duration, SystemTime};

use conventions::defaults::LATE_MARGIN_SECONDS;
use conventions::spans::TRIPOD_LATE;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::start;

/// Adds `tripod.late=true` to a span that ends more than [`limit`] after its trace's start, and hands it on.
#[derive(Debug)]
pub(crate) struct Late<P> {
    limit: Duration,
    next: P,
}

impl<P> Late<P> {
    pub(crate) fn new(decision_wait: Duration, next: P) -> Self {
        Self {
            limit: limit(decision_wait),
            next,
        }
    }

    /// A span whose start is unknown or in the future (another machine's clock) counts as on time.
    fn is_late(&self, span: &SpanData) -> bool {
        let age = start::read(span.span_context.trace_state())
            .map(|start: SystemTime| span.end_time.duration_since(start).unwrap_or_default());
        age.is_some_and(|age| age > self.limit)
    }
}

impl<P: SpanProcessor> SpanProcessor for Late<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if self.is_late(&span) {
            span.attributes.push(KeyValue::new(TRIPOD_LATE, true));
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }
}

/// `max(wait − margin, wait / 2)`: the margin covers batching and transport, so that what is not marked always
/// arrives before the decision; of a short wait, at least half is usable.
fn limit(decision_wait: Duration) -> Duration {
    let margin = Duration::from_secs_f64(LATE_MARGIN_SECONDS);
    decision_wait.saturating_sub(margin).max(decision_wait / 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::UNIX_EPOCH;

    use conventions::headers::TRACESTATE_MEMBER;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    use super::*;
    use crate::testing::capture;

    #[test]
    fn the_limit_leaves_a_margin_but_never_less_than_half_of_the_wait() {
        assert_eq!(limit(Duration::from_secs(10)), Duration::from_secs(7));
        assert_eq!(limit(Duration::from_secs(6)), Duration::from_secs(3));
        assert_eq!(limit(Duration::from_secs(4)), Duration::from_secs(2));
        assert_eq!(
            limit(Duration::from_millis(500)),
            Duration::from_millis(250)
        );
    }

    /// The late mark of a span that ends now, in a trace with this start member. The wait is ten seconds.
    fn mark(member: &str) -> Option<bool> {
        let state = TraceState::from_key_value([(TRACESTATE_MEMBER, member)]).unwrap();
        let parent = Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from_bytes([1; 16]),
            SpanId::from_bytes([2; 8]),
            TraceFlags::SAMPLED,
            true,
            state,
        ));
        let captured = capture(|| {
            let span = tracing::info_span!("work");
            span.set_parent(parent).unwrap();
        });
        captured.spans[0].flag(TRIPOD_LATE)
    }

    #[test]
    fn a_span_is_late_when_it_ends_after_the_limit() {
        let started = |age| start::member(SystemTime::now() - Duration::from_secs(age));
        assert_eq!(mark(&started(8)), Some(true));
        assert_eq!(mark(&started(6)), None);
        assert_eq!(mark(&start::member(UNIX_EPOCH)), Some(true));
    }

    #[test]
    fn a_start_that_is_unknown_or_to_come_makes_no_span_late() {
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        assert_eq!(mark(&start::member(tomorrow)), None);
        assert_eq!(mark("x:1"), None);
    }
}
