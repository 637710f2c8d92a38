//! Puts the three signals together, once per process, and takes them apart in order.
//!
//! What a signal is made of is decided in `trace`, `metrics` and `log`; here is only which comes first, and why.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::global;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{SpanContext, TraceFlags, TraceState, Tracer};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::trace::{IdGenerator as _, SdkTracerProvider};
use thiserror::Error;
use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::config::Config;
use crate::cuts;
use crate::log::writer::Writer;
use crate::log::{self, EventFilter, Format, Gate, JsonLayer};
use crate::metrics::{InstallError, MetricsHandle, RecorderBuilder};
use crate::report::Report;
use crate::resource::resource;
use crate::sampling::{self, Predicate};
use crate::trace::batch::{Limits, Processor, Queue};
use crate::trace::client::{self, Target};
use crate::trace::encode::Encoder;
use crate::trace::ids::Ids;
use crate::trace::{self, SpanFilter, provider};
use crate::w3c::Propagator;

/// How long a guard that is dropped, not shut down, may flush.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// Longest deadline of a shutdown; what is asked for beyond counts as this.
const DEADLINE_MAX: Duration = Duration::from_secs(3600);

static STARTED: AtomicBool = AtomicBool::new(false);

/// Telemetry of this process could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// [`init`] was called before.
    #[error("telemetry of this process is already set up")]
    AlreadyInitialised,
    /// [`Config::span_filter`].
    #[error("span filter is invalid: {0}")]
    SpanFilter(String),
    /// [`Config::log_filter`].
    #[error("log filter is invalid: {0}")]
    LogFilter(String),
    /// The recorder could not be made, or another library installed its own.
    #[error("cannot install the metrics recorder")]
    Recorder(#[from] InstallError),
    /// The output or its thread.
    #[error("cannot start the log writer")]
    LogOutput(#[from] io::Error),
    /// The exporter's thread or its HTTP client.
    #[error("cannot start the span exporter")]
    Exporter(#[source] Box<dyn Error + Send + Sync>),
    /// Another library installed its own.
    #[error("another tracing subscriber is installed")]
    Subscriber(#[from] SetGlobalDefaultError),
}

/// Keeps telemetry running until it is shut down. Dropping it does the same with a deadline of five seconds, and
/// logs what was lost instead of returning it.
#[derive(Debug)]
#[must_use = "dropping the guard ends telemetry"]
pub struct Guard {
    metrics: MetricsHandle,
    spans: Option<Spans>,
    log: Writer,
    finished: bool,
}

#[derive(Debug)]
struct Spans {
    provider: SdkTracerProvider,
    queue: Arc<Queue>,
}

/// Starts the telemetry of this process: metrics recorder, spans, log lines, context propagation and panic hook.
///
/// Works on any Tokio runtime and without one. The collector need not be there: spans wait for it, up to a bound.
/// If no cryptography was chosen for `rustls` in this process, it is `ring` from here on.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = telemetry::Config::new("billing", "1.4.0");
/// config.sdk_disabled = true; // This example has no collector.
/// let guard = telemetry::init(config)?;
/// tracing::info!(invoice = 17, "sent");
/// let report = guard.shutdown(Duration::from_secs(1));
/// assert_eq!((report.log_lines.written, report.spans.ended), (1, 0));
/// # Ok::<(), telemetry::InitError>(())
/// ```
///
/// # Errors
/// When it was started before, another library holds one of the process-wide places, a filter is malformed, or a
/// thread cannot be started.
pub fn init(config: Config) -> Result<Guard, InitError> {
    let began = SystemTime::now();
    let span_filter = SpanFilter::parse(&config.span_filter).map_err(InitError::SpanFilter)?;
    let event_filter = EventFilter::parse(&config.log_filter).map_err(InitError::LogFilter)?;
    if STARTED.swap(true, Ordering::Relaxed) {
        return Err(InitError::AlreadyInitialised);
    }
    // Fails only if the service chose a provider before, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cuts::set(config.cuts);
    let predicate = sampling::set_predicate(&config.sampling);
    // First: a handle that is made before the recorder is installed never counts anything.
    let metrics = recorder(&config).install()?;
    let spans = match config.sdk_disabled {
        true => None,
        false => Some(spans(&config, predicate)?),
    };
    let log = Writer::start(config.log_output, config.log_queue_bytes_max)?;
    let subscribe = Subscribe {
        service: &config.service,
        span_filter,
        event_filter,
        log: &log,
    };
    match &spans {
        Some(spans) => {
            let tracer = provider::tracer(&spans.provider);
            let process = provider::start_up(&tracer, began);
            subscribe.install(tracer, &process)?;
            global::set_tracer_provider(spans.provider.clone());
        }
        // The no-op tracer hands on what comes from outside.
        None => subscribe.install(NoopTracer::new(), &unexported_start_up(predicate))?,
    }
    global::set_text_map_propagator(Propagator::default());
    Ok(Guard {
        metrics,
        spans,
        log,
        finished: false,
    })
}

/// The layers of a process, and of a captured scope: the bridge first, so that a span's context is there when it is
/// logged.
pub(crate) fn subscriber<T, P>(tracer: T, gate: Gate<P>) -> impl Subscriber + Send + Sync
where
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
    P: Fn(&[u8]) + Send + Sync + 'static,
{
    registry().with(trace::layer(tracer)).with(gate)
}

impl Guard {
    /// Serves this process's `/metrics` page.
    pub fn metrics(&self) -> MetricsHandle {
        self.metrics.clone()
    }

    /// Exports the spans that ended, writes the log lines that wait, and says what became of all. Returns within
    /// `deadline`, give or take a scheduler's delay; what is left by then is counted as dropped.
    ///
    /// To be called last, when the servers are stopped: spans that end later are lost. Log lines still are written,
    /// as long as the process lives.
    ///
    /// Blocks; on a runtime that has other work, call it inside `spawn_blocking`.
    pub fn shutdown(mut self, deadline: Duration) -> Report {
        self.finish(deadline)
    }

    fn finish(&mut self, deadline: Duration) -> Report {
        self.finished = true;
        let deadline = deadline.min(DEADLINE_MAX);
        let end = Instant::now() + deadline;
        let mut report = Report::default();
        if let Some(spans) = &self.spans {
            // Lines get the last tenth at least: an output that works needs far less.
            let _ = spans.provider.shutdown_with_timeout(deadline.mul_f64(0.9));
            report.spans = spans.queue.totals();
        }
        self.log.flush(end);
        report.log_lines = self.log.totals();
        report
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let report = self.finish(DROP_DEADLINE);
        if !report.nothing_lost() {
            tracing::warn!(%report, "telemetry was lost");
            self.log.flush(Instant::now() + DROP_DEADLINE.mul_f64(0.1));
        }
    }
}

fn recorder(config: &Config) -> RecorderBuilder {
    let builder = RecorderBuilder::new(&config.service).version(&config.version);
    config
        .histogram_buckets
        .iter()
        .fold(builder, |builder, (matcher, bounds)| {
            builder.buckets(matcher.clone(), bounds)
        })
}

fn spans(config: &Config, predicate: &Predicate) -> Result<Spans, InitError> {
    let resource = resource(config);
    let queue = Arc::new(Queue::new(Limits {
        queue_max: config.span_queue_max,
        batch_max: config.span_batch_max.clamp(1, config.span_queue_max.max(1)),
        delay: config.span_batch_delay,
    }));
    let target = Target {
        url: config.traces_url(),
        headers: config.otlp_headers.clone(),
        timeout: config.otlp_timeout,
        gate: config.export_gate.clone(),
    };
    let encoder = Encoder::new(&ResourceAttributesWithSchema::from(&resource));
    client::start(Arc::clone(&queue), target, encoder)
        .map_err(|error| InitError::Exporter(error.into()))?;
    let processor = Processor(Arc::clone(&queue));
    let provider = provider::provider(resource, predicate, config.decision_wait, processor);
    Ok(Spans { provider, queue })
}

/// Ids for lines outside any span when there are no spans at all: still one trace per process.
fn unexported_start_up(predicate: &Predicate) -> SpanContext {
    let ids = Ids::first_kept_by(predicate);
    SpanContext::new(
        ids.new_trace_id(),
        ids.new_span_id(),
        TraceFlags::NOT_SAMPLED,
        false,
        TraceState::NONE,
    )
}

/// What the subscriber is made of, before it is known whether spans are made.
struct Subscribe<'a> {
    service: &'a str,
    span_filter: SpanFilter,
    event_filter: EventFilter,
    log: &'a Writer,
}

impl Subscribe<'_> {
    fn install<T>(self, tracer: T, process: &SpanContext) -> Result<(), SetGlobalDefaultError>
    where
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync,
    {
        let format = Format::new(self.service, process);
        let log = self.log.clone();
        let layer = JsonLayer::new(format.clone(), move |line: &[u8]| {
            log.push(line);
        });
        let gate = Gate {
            spans: self.span_filter,
            events: self.event_filter,
            log: layer,
        };
        tracing::subscriber::set_global_default(subscriber(tracer, gate))?;
        log::panic::install(format, self.log.clone());
        Ok(())
    }
}
