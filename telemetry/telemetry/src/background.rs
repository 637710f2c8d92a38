//! Work beside the request: root spans for loops no request caused, tasks that keep the trace of their spawner, and
//! scopes that leave no spans. How spans become exported traces is decided in `trace`.

use std::future::{Future, poll_fn};
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, Status};
use tokio::task::JoinHandle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A new trace for work that no request caused: one turn of a relay, one sweep.
///
/// The span is always a root, whatever is current. Inside [`suppress`] it is disabled.
///
/// ```
/// use tracing::Instrument as _;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// async fn sweep() -> u32 { 3 }
/// let swept = sweep().instrument(telemetry::background_span("outbox sweep")).await;
/// assert_eq!(swept, 3);
/// # });
/// ```
pub fn background_span(name: &'static str) -> Span {
    if Context::is_current_telemetry_suppressed() {
        return Span::none();
    }
    tracing::info_span!(parent: None, "background", otel.name = name)
}

/// [`tokio::spawn`], with the spawner's trace: spans and log lines of the task belong to the current span.
///
/// The task holds the current context, not the current `tracing` span: holding the span would keep it open, and its
/// duration growing, until the task ends.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let answer = telemetry::spawn(async { 42 }).await;
/// assert_eq!(answer.unwrap(), 42);
/// # });
/// ```
///
/// # Panics
/// Outside a Tokio runtime, as [`tokio::spawn`] does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.with_context(Context::current()))
}

/// Runs `future` such that nothing inside makes spans: health checks, depth polls. Log lines keep the outer ids.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let depth = telemetry::suppress(async { 7 }).await;
/// assert_eq!(depth, 7);
/// # });
/// ```
pub async fn suppress<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // Entered at each poll, not captured once: the span around this future may be entered after it was made.
    poll_fn(|task| {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        future.as_mut().poll(task)
    })
    .await
}

/// Marks the operation of `span` as failed: status Error and the `error.type` attribute. Such a trace is always kept.
///
/// `error_type` has few values: an error code, a status code, one of `conventions::spans::ERROR_*`; never a message.
///
/// ```
/// let span = tracing::info_span!("charge");
/// telemetry::mark_error(&span, "card_declined");
/// ```
pub fn mark_error(span: &Span, error_type: &str) {
    span.set_status(Status::error(""));
    span.set_attribute(conventions::spans::ERROR_TYPE, error_type.to_owned());
}
