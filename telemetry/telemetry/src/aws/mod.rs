//! The AWS SDK: one interceptor that makes DynamoDB and SQS calls spans, measures them and sends the trace along with
//! messages, and the span for processing a received message.
//!
//! Never changes what a call does: it adds the trace to a message only where there is room, and names to a receive
//! request. Retries, time limits and decoding are the SDK's; what a job is, is the worker's.

use aws_sdk_sqs::types::MessageSystemAttributeName;
use conventions::headers::{TRACEPARENT, TRACESTATE};

pub use self::interceptor::{Interceptor, ReceiveSpan};
pub use self::process::process_span;

mod call;
mod dynamodb;
mod failure;
mod interceptor;
mod operation;
mod process;
mod sqs;

#[cfg(test)]
mod tests;

/// Message attributes a receive request must ask for, or the trace ends in the queue. [`Interceptor`] adds them.
pub const MESSAGE_ATTRIBUTES: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// System attributes [`process_span`] and queue latencies are made from. [`Interceptor`] adds them.
pub const SYSTEM_ATTRIBUTES: [MessageSystemAttributeName; 2] = [
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::SentTimestamp,
];
