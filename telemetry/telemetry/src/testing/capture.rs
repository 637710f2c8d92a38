//! Runs a scope under telemetry of its own and returns what it emitted.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use conventions::defaults::DECISION_WAIT_SECONDS;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use serde_json::Value;

use super::span::{self, Span};
use crate::config::Config;
use crate::init::subscriber;
use crate::log::{EventFilter, Format, Gate, JsonLayer};
use crate::metrics::RecorderBuilder;
use crate::resource::resource;
use crate::sampling;
use crate::trace::{SpanFilter, provider};

/// `service` of everything captured.
const SERVICE: &str = "captured";

/// What passes the filters of a captured scope: what passes those of a service by default.
const FILTER: &str = "info";

/// What a scope emitted, and what it returned.
#[derive(Debug)]
#[non_exhaustive]
pub struct Captured<R> {
    /// What the scope returned.
    pub result: R,
    /// Spans that ended inside the scope, in the order of their ends, without the scope's own `service.start`.
    pub spans: Vec<Span>,
    /// Log lines, parsed.
    pub logs: Vec<Value>,
    /// The `/metrics` page at the end, as OpenMetrics, with exemplars.
    pub metrics: String,
}

/// Runs `scope` and captures the spans, log lines and metrics of this thread.
///
/// Metric handles that were made before the scope count elsewhere. Threads started inside are not captured; for
/// tasks there is [`capture_async`].
///
/// ```
/// let captured = telemetry::testing::capture(|| {
///     let span = tracing::info_span!("charge", otel.kind = "client");
///     span.in_scope(|| tracing::warn!(attempt = 2, "card declined"));
///     metrics::counter!("charges_total").increment(1);
///     telemetry::mark_error(&span, "card_declined");
/// });
/// let [span] = captured.spans.as_slice() else { panic!("one span: {captured:?}") };
/// assert!(span.is_error());
/// assert_eq!(span.text("error.type"), Some("card_declined"));
/// assert_eq!(captured.logs[0]["trace_id"], span.trace_id.to_string());
/// assert_eq!(captured.logs[0]["fields"]["attempt"], 2);
/// assert_eq!(captured.sample("charges_total", &[]), Some(1.0));
/// ```
pub fn capture<R>(scope: impl FnOnce() -> R) -> Captured<R> {
    let config = Config::new(SERVICE, env!("CARGO_PKG_VERSION"));
    let resource = resource(&config);
    let attributes = ResourceAttributesWithSchema::from(&resource);
    let ended = Ended::default();
    let wait = Duration::from_secs_f64(DECISION_WAIT_SECONDS);
    let provider = provider::provider(resource, sampling::predicate(), wait, ended.clone());
    let tracer = provider::tracer(&provider);
    let process = provider::start_up(&tracer, SystemTime::now());
    ended.take();

    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let layer = JsonLayer::new(Format::new(SERVICE, &process), move |line: &[u8]| {
        let mut lines = written.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.to_vec());
    });
    let gate = Gate {
        spans: SpanFilter::parse(FILTER).expect("the filter is a constant"),
        events: EventFilter::parse(FILTER).expect("the filter is a constant"),
        log: layer,
    };
    let recorder = RecorderBuilder::new(SERVICE)
        .process_metrics(false)
        .build()
        .expect("nothing about it is configured");
    let result = tracing::subscriber::with_default(subscriber(tracer, gate), || {
        metrics::with_local_recorder(&recorder, scope)
    });

    let lines = mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    let parsed = lines.iter().map(|line| serde_json::from_slice(line));
    let request = ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(ended.take(), &attributes),
    };
    Captured {
        result,
        spans: span::spans(request),
        logs: parsed
            .collect::<Result<_, _>>()
            .expect("every log line is one JSON object"),
        metrics: recorder
            .handle()
            .render(Some("application/openmetrics-text"))
            .body,
    }
}

/// [`capture`] of a future and of all tasks it spawns, on a runtime of its own with one thread.
///
/// To be called from a plain test: inside a runtime it panics, since runtimes do not nest.
///
/// ```
/// use tracing::Instrument as _;
///
/// let captured = telemetry::testing::capture_async(async {
///     let task = async { telemetry::spawn(async { tracing::info_span!("child"); }).await };
///     task.instrument(telemetry::background_span("sweep")).await
/// });
/// let [child, sweep] = captured.spans.as_slice() else { panic!("two spans: {captured:?}") };
/// assert_eq!((child.name.as_str(), sweep.name.as_str()), ("child", "sweep"));
/// assert!(child.is_child_of(sweep));
/// ```
///
/// # Panics
/// Inside a Tokio runtime, or if the system gives no resources for one.
pub fn capture_async<F: Future>(future: F) -> Captured<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has an event queue left");
    capture(|| runtime.block_on(future))
}

impl<R> Captured<R> {
    /// The sum of all samples with this name and, among others, these labels; `None` if there are none. The name is
    /// the exposed one: `…_count`, `…_sum` and `…_bucket` for a histogram.
    pub fn sample(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values = self.metrics.lines().filter_map(|line| {
            let sample = line.strip_prefix(name)?.strip_prefix('{')?;
            let (given, rest) = sample.split_once("} ")?;
            let has = |(name, value): &(&str, &str)| {
                let label = format!("{name}=\"{value}\"");
                given.starts_with(&label) || given.contains(&format!(",{label}"))
            };
            let value = rest.split(' ').next()?;
            labels.iter().all(has).then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// The spans of this name.
    pub fn spans_named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }
}

/// Keeps ended spans.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl Ended {
    fn take(&self) -> Vec<SpanData> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
