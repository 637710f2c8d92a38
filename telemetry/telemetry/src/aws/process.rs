//! The span for processing one received message.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use conventions::spans;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::operation::messaging_attributes;
use super::sqs::carrier;

/// The consumer span of a message: `process {queue}`. Run the job inside it, and [`crate::mark_error`] it if the job
/// failed.
///
/// It is a child of the producer's span, so that a job belongs to the trace of the request that caused it, and linked
/// to it, as the conventions ask of consumers; and linked to the span that received the message. A message without a
/// trace starts one of its own. `tripod.job.attempt` says how often the message was received.
///
/// ```
/// use aws_sdk_sqs::types::Message;
/// use tracing::Instrument;
///
/// # async fn example(message: Message) {
/// async fn work(_: &Message) {}
/// let span = telemetry::aws::process_span(&message, "jobs", None);
/// work(&message).instrument(span).await;
/// # }
/// ```
pub fn process_span(message: &Message, queue: &str, receive: Option<&SpanContext>) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format_args!("{} {queue}", spans::OPERATION_PROCESS),
        otel.kind = "consumer",
        { spans::MESSAGING_MESSAGE_ID } = message.message_id(),
    );
    let producer = message
        .message_attributes()
        .and_then(carrier)
        .map(|carrier| carrier.context());
    if let Some(producer) = producer.filter(|context| context.span().span_context().is_valid()) {
        span.add_link(producer.span().span_context().clone());
        // Fails only without an OpenTelemetry layer, and then there is no trace to continue.
        let _ = span.set_parent(producer);
    }
    if let Some(receive) = receive {
        span.add_link(receive.clone());
    }
    let process = spans::OPERATION_PROCESS;
    let mut attributes = messaging_attributes(process, Some(process), queue);
    if let Some(attempt) = attempt(message) {
        attributes.push(KeyValue::new(spans::TRIPOD_JOB_ATTEMPT, attempt));
    }
    span.context().span().set_attributes(attributes);
    span
}

fn attempt(message: &Message) -> Option<i64> {
    let count = message
        .attributes()?
        .get(&MessageSystemAttributeName::ApproximateReceiveCount)?;
    count.parse().ok()
}
