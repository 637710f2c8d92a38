//! Puts the span pipeline together: sampler, ids, late marks, and a processor at its end.

use std::time::{Duration, SystemTime};

use conventions::spans::SERVICE_START;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Span as _, SpanContext, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanProcessor};

use super::ids::Ids;
use super::late::Late;
use super::sampler::AlwaysRecord;
use crate::sampling::Predicate;

/// The provider every span of this process comes from. Its first trace is the start-up trace.
pub(crate) fn provider(
    resource: Resource,
    predicate: &Predicate,
    decision_wait: Duration,
    processor: impl SpanProcessor + 'static,
) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(AlwaysRecord)
        .with_id_generator(Ids::first_kept_by(predicate))
        .with_span_processor(Late::new(decision_wait, processor))
        .build()
}

/// The tracer under the bridge from `tracing`.
pub(crate) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    provider.tracer_with_scope(scope)
}

/// Makes the short root span `service.start`, from `began` until now, and returns its ids: what happens outside any
/// span belongs to its trace. To be called before anything else makes a span.
pub(crate) fn start_up(tracer: &SdkTracer, began: SystemTime) -> SpanContext {
    let mut span = tracer
        .span_builder(SERVICE_START)
        .with_start_time(began)
        .start_with_context(tracer, &opentelemetry::Context::new());
    span.end();
    span.span_context().clone()
}
