//! One SDK call from its first hook to its end, however it ends: the span, the sample, the log line.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::interceptors::context::{
    FinalizerInterceptorContextRef, Input, Output,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use conventions::{fields, metrics as names, spans};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::failure::Failure;
use super::operation::{Operation, Step, Target, count_attribute};
use super::sqs;
use crate::durations::{Durations, Sample};
use crate::w3c;

const REQUEST_ID_HEADERS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];

/// Handles and settings shared by all calls of one interceptor.
pub(super) struct Shared {
    pub(super) slow: Duration,
    database: Durations<4>,
    messaging: Durations<4>,
}

/// A call on its way. Dropping it unfinished records that it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    operation: Operation,
    span: Span,
    started: Instant,
    shared: Arc<Shared>,
    finished: bool,
}

/// How a call ended.
#[derive(Debug)]
enum Outcome {
    Done,
    Failed(Failure),
    Cancelled,
}

impl Shared {
    pub(super) fn new(slow: Duration) -> Self {
        let database = [
            names::DB_SYSTEM_NAME,
            names::DB_OPERATION_NAME,
            names::DB_COLLECTION_NAME,
            names::ERROR_TYPE,
        ];
        let messaging = [
            names::MESSAGING_SYSTEM,
            names::MESSAGING_OPERATION_NAME,
            names::MESSAGING_DESTINATION_NAME,
            names::ERROR_TYPE,
        ];
        Self {
            slow,
            database: Durations::new(names::DB_CLIENT_OPERATION_DURATION, database),
            messaging: Durations::new(names::MESSAGING_CLIENT_OPERATION_DURATION, messaging),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("slow", &self.slow)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Makes the span and puts the trace into the request.
    pub(super) fn start(operation: Operation, input: &mut Input, shared: Arc<Shared>) -> Self {
        let span = operation.new_span();
        match operation.step() {
            Some(Step::Send) => {
                for producer in sqs::existing_producers(input) {
                    span.add_link(producer);
                }
                sqs::inject(input, &w3c::context_to_send(&span));
            }
            Some(Step::Receive) => sqs::request_attributes(input),
            Some(Step::Settle | Step::Manage) | None => {}
        }
        Self {
            operation,
            span,
            started: Instant::now(),
            shared,
            finished: false,
        }
    }

    /// Ends the call; the answer is its span, unless it left none.
    pub(super) fn finish(
        mut self,
        context: &FinalizerInterceptorContextRef<'_>,
        attempts: u32,
    ) -> Option<SpanContext> {
        let mut attributes = Vec::new();
        if let Some(id) = context.response().and_then(request_id) {
            attributes.push(KeyValue::new(spans::AWS_REQUEST_ID, id.to_owned()));
        }
        if attempts > 1 {
            attributes.push(KeyValue::new(
                spans::HTTP_REQUEST_RESEND_COUNT,
                i64::from(attempts - 1),
            ));
        }
        let outcome = match context.output_or_error() {
            Some(Ok(output)) => self.answered(output, &mut attributes),
            Some(Err(error)) => Outcome::Failed(Failure::of(error, context.response())),
            None => Outcome::Cancelled,
        };
        self.end(&outcome, attributes, attempts)
    }

    fn answered(&mut self, output: &Output, attributes: &mut Vec<KeyValue>) -> Outcome {
        let received = sqs::received(output);
        if let Some(id) = received.message_id {
            attributes.push(KeyValue::new(spans::MESSAGING_MESSAGE_ID, id));
        }
        if let Some(count) = received.count {
            attributes.push(count_attribute(spans::MESSAGING_BATCH_MESSAGE_COUNT, count));
            if count == 0 {
                self.leave_no_span();
            }
        }
        match received.failed_entry {
            Some(code) => Outcome::Failed(Failure::of_entry(&code)),
            None => Outcome::Done,
        }
    }

    /// An empty poll is no work: a worker that waits would otherwise fill the store with its waiting. The span has not
    /// been started yet, and what starts in a suppressed context is not recorded.
    fn leave_no_span(&self) {
        let suppressed = Context::map_current(Context::with_telemetry_suppressed);
        // Fails only without an OpenTelemetry layer, where nothing is recorded anyway.
        let _ = self.span.set_parent(suppressed);
    }

    fn end(
        &mut self,
        outcome: &Outcome,
        more: Vec<KeyValue>,
        attempts: u32,
    ) -> Option<SpanContext> {
        self.finished = true;
        let duration = self.started.elapsed();
        let mut attributes = self.operation.attributes();
        attributes.extend(more);
        if let Outcome::Failed(Failure {
            code: Some(code), ..
        }) = outcome
            && matches!(self.operation.target, Target::Tables { .. })
        {
            attributes.push(KeyValue::new(spans::DB_RESPONSE_STATUS_CODE, code.clone()));
        }
        let otel = self.span.context();
        otel.span().set_attributes(attributes);

        let (error_type, failed) = match outcome {
            Outcome::Failed(failure) if !failure.expected => {
                crate::mark_error(&self.span, &failure.error_type);
                self.warn_failed(failure, duration, attempts);
                (&*failure.error_type, true)
            }
            Outcome::Cancelled => {
                otel.span()
                    .set_attribute(KeyValue::new(spans::ERROR_TYPE, spans::ERROR_CANCELLED));
                (spans::ERROR_CANCELLED, false)
            }
            Outcome::Done | Outcome::Failed(_) => ("", false),
        };
        if !failed && duration >= self.shared.slow && self.operation.step() != Some(Step::Receive) {
            self.warn_slow(duration, attempts);
        }
        self.record(&otel, error_type, Sample { duration, failed });
        let span = otel.span().span_context().clone();
        span.is_valid().then_some(span)
    }

    fn record(&self, otel: &Context, error_type: &str, sample: Sample) {
        let operation = &self.operation;
        let target = operation.target_name();
        match operation.target {
            Target::Tables { .. } => {
                let labels = [
                    spans::DB_SYSTEM_DYNAMODB,
                    &operation.name,
                    target,
                    error_type,
                ];
                self.shared.database.record(otel, labels, sample);
            }
            Target::Queue { .. } => {
                let done = operation.messaging_name();
                let labels = [spans::MESSAGING_SYSTEM_SQS, done, target, error_type];
                self.shared.messaging.record(otel, labels, sample);
            }
        }
    }

    fn warn_failed(&self, failure: &Failure, duration: Duration, attempts: u32) {
        let (table, queue) = self.operation.table_or_queue();
        tracing::event!(parent: &self.span, Level::WARN, {
            { spans::RPC_SERVICE } = self.operation.service(),
            { spans::RPC_METHOD } = self.operation.name,
            { spans::DB_COLLECTION_NAME } = table,
            { spans::MESSAGING_DESTINATION_NAME } = queue,
            { spans::ERROR_TYPE } = &*failure.error_type,
            { fields::ERROR } = failure.detail,
            { fields::DURATION_MS } = millis(duration),
            { fields::ATTEMPTS } = attempts,
        }, "AWS call failed");
    }

    fn warn_slow(&self, duration: Duration, attempts: u32) {
        let (table, queue) = self.operation.table_or_queue();
        tracing::event!(parent: &self.span, Level::WARN, {
            { spans::RPC_SERVICE } = self.operation.service(),
            { spans::RPC_METHOD } = self.operation.name,
            { spans::DB_COLLECTION_NAME } = table,
            { spans::MESSAGING_DESTINATION_NAME } = queue,
            { fields::DURATION_MS } = millis(duration),
            { fields::ATTEMPTS } = attempts,
        }, "slow AWS call");
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if self.operation.step() == Some(Step::Receive) {
            self.leave_no_span();
        }
        self.end(&Outcome::Cancelled, Vec::new(), 0);
    }
}

fn request_id(response: &HttpResponse) -> Option<&str> {
    REQUEST_ID_HEADERS
        .iter()
        .find_map(|name| response.headers().get(*name))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
