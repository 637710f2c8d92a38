//! Spans from `tracing` to the collector: which are made, what they carry, how they leave the process.
//!
//! Every span is recorded and exported; whether its trace is kept is the collector's decision alone. Span names
//! and attributes belong to the instrumentation (`http`, `aws`), not here.

use opentelemetry::trace::Tracer;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::{LookupSpan, Registry};

pub(crate) mod batch;
pub(crate) mod client;
pub(crate) mod encode;
pub(crate) mod exporter;
pub(crate) mod ids;
pub(crate) mod late;
pub(crate) mod provider;
pub(crate) mod sampler;
pub(crate) mod start;

/// Crates that the exporter itself is made of, or whose own spans repeat what our instrumentation records. With
/// their spans, each export would cause the next one.
const DENIED_CRATES: &[&str] = &[
    "h2",
    "hyper",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tower",
    "aws_config",
    "aws_credential_types",
    "aws_runtime",
    "aws_sdk",
    "aws_sigv4",
    "aws_smithy",
];

/// Which spans are made: `OTEL_TRACE_FILTER`, without what the exporter itself does.
#[derive(Debug)]
pub(crate) struct SpanFilter(Targets);

impl SpanFilter {
    /// Reads targets and levels, without the span and field forms of `RUST_LOG`. Says what is wrong if they are none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let targets = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(targets))
    }

    pub(crate) fn enabled(&self, span: &Metadata<'_>) -> bool {
        !denied(span.target()) && self.0.would_enable(span.target(), span.level())
    }

    pub(crate) fn max_level(&self) -> LevelFilter {
        Filter::<Registry>::max_level_hint(&self.0).unwrap_or(LevelFilter::TRACE)
    }
}

/// The bridge from `tracing` to OpenTelemetry, at its leanest: no code location, no thread, no busy and idle times.
/// Entering a span makes its context current, which is how logs, exemplars and clients find the ids.
pub(crate) fn layer<S, T>(tracer: T) -> OpenTelemetryLayer<S, T>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    T: Tracer + 'static,
    T::Span: Send + Sync,
{
    OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false)
}

/// Whether a target belongs to a denied crate or to one of its family, as `hyper_util` does to `hyper`.
fn denied(target: &str) -> bool {
    DENIED_CRATES.iter().any(|name| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporters_own_crates_are_denied_and_nobody_elses() {
        for target in [
            "hyper",
            "hyper::client",
            "hyper_util::client",
            "h2::codec",
            "tower_http::trace",
            "aws_smithy_runtime::client",
            "aws_sdk_sqs::operation",
            "opentelemetry_sdk",
        ] {
            assert!(denied(target), "{target}");
        }
        for target in [
            "towering",
            "h2o::x",
            "aws_local::sqs",
            "hyperion",
            "gateway::http",
        ] {
            assert!(!denied(target), "{target}");
        }
    }
}
