//! What SQS requests and responses say, and the trace in message attributes.
//!
//! The trace is added only where nothing can go wrong by it: SQS refuses a message with more than ten attributes or
//! over its size, and a message without a trace is better than none.

use std::collections::HashMap;

use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityInput;
use aws_sdk_sqs::operation::change_message_visibility_batch::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
};
use aws_sdk_sqs::operation::create_queue::CreateQueueInput;
use aws_sdk_sqs::operation::delete_message::DeleteMessageInput;
use aws_sdk_sqs::operation::delete_message_batch::{
    DeleteMessageBatchInput, DeleteMessageBatchOutput,
};
use aws_sdk_sqs::operation::delete_queue::DeleteQueueInput;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesInput;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlInput;
use aws_sdk_sqs::operation::purge_queue::PurgeQueueInput;
use aws_sdk_sqs::operation::receive_message::{ReceiveMessageInput, ReceiveMessageOutput};
use aws_sdk_sqs::operation::send_message::{SendMessageInput, SendMessageOutput};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchInput, SendMessageBatchOutput};
use aws_sdk_sqs::operation::set_queue_attributes::SetQueueAttributesInput;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, MessageAttributeValue, MessageSystemAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use conventions::headers::{TRACEPARENT, TRACESTATE};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use super::operation::{Step, Target};
use super::{MESSAGE_ATTRIBUTES, SYSTEM_ATTRIBUTES};
use crate::w3c::Carrier;

/// The SDK's name of the service.
pub(super) const SERVICE: &str = "SQS";
/// Attributes a message may have (SQS quota).
const ATTRIBUTES_MAX: usize = 10;
/// Sizes a message or batch must not grow over: today's quota of SQS, and the one it had before, which other
/// implementations and queues with a `MaximumMessageSize` still have.
const MESSAGE_BYTES_MAX: [usize; 2] = [1_048_576, 262_144];
/// Data type of our attributes.
const DATA_TYPE: &str = "String";
/// Asks a receive request for all attributes, as does [`ALL_PATTERN`].
const ALL: &str = "All";
const ALL_PATTERN: &str = ".*";

type Attributes = HashMap<String, MessageAttributeValue>;

/// What a response tells about its messages.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) message_id: Option<String>,
    /// Of a receive: how many came.
    pub(super) count: Option<usize>,
    /// Error code of the first batch entry that failed although the call succeeded.
    pub(super) failed_entry: Option<String>,
}

macro_rules! queue_of {
    ($input:expr, $($request:ty),+ $(,)?) => {
        $(if let Some(request) = $input.downcast_ref::<$request>() {
            return request.queue_url.as_deref();
        })+
    };
}

pub(super) fn target(operation: &str, input: &Input) -> Target {
    let url = queue_url(input);
    let name = url
        .map(queue_name)
        .or_else(|| asked_name(input))
        .unwrap_or_default();
    let step = match operation {
        "SendMessage" | "SendMessageBatch" => Step::Send,
        "ReceiveMessage" => Step::Receive,
        "DeleteMessage"
        | "DeleteMessageBatch"
        | "ChangeMessageVisibility"
        | "ChangeMessageVisibilityBatch" => Step::Settle,
        _ => Step::Manage,
    };
    Target::Queue {
        step,
        name: name.to_owned(),
        url: url.map(str::to_owned),
        batch: batch_size(input),
    }
}

/// The spans whose messages are being sent on with the trace they already have.
pub(super) fn existing_producers(input: &Input) -> Vec<SpanContext> {
    let single = input.downcast_ref::<SendMessageInput>().into_iter();
    let single = single.filter_map(|request| request.message_attributes.as_ref());
    let batch = input.downcast_ref::<SendMessageBatchInput>().into_iter();
    let batch = batch.flat_map(|request| request.entries.iter().flatten());
    let batch = batch.filter_map(|entry| entry.message_attributes.as_ref());
    let producers = single.chain(batch).filter_map(carrier);
    producers
        .map(|carrier| carrier.context().span().span_context().clone())
        .collect()
}

/// Adds the trace to each message that has none and has room.
pub(super) fn inject(input: &mut Input, context: &Context) {
    if crate::cuts::cuts().sqs_traceparent {
        return;
    }
    let Some(carrier) = Carrier::of(context) else {
        return;
    };
    if let Some(request) = input.downcast_mut::<SendMessageInput>() {
        let size = message_size(
            request.message_body.as_deref(),
            request.message_attributes.as_ref(),
        );
        inject_into(&mut request.message_attributes, &carrier, &mut { size });
    }
    if let Some(request) = input.downcast_mut::<SendMessageBatchInput>() {
        let entries = request.entries.as_deref_mut().unwrap_or_default();
        // The quota is for the batch as a whole, so each entry sees what the ones before have added.
        let mut size = entries.iter().map(entry_size).sum();
        for entry in entries {
            inject_into(&mut entry.message_attributes, &carrier, &mut size);
        }
    }
}

/// Lets a receive request ask for what [`super::process_span`] needs.
pub(super) fn request_attributes(input: &mut Input) {
    let Some(request) = input.downcast_mut::<ReceiveMessageInput>() else {
        return;
    };
    let names = request.message_attribute_names.get_or_insert_default();
    if !names.iter().any(|name| name == ALL || name == ALL_PATTERN) {
        let missing = MESSAGE_ATTRIBUTES
            .into_iter()
            .filter(|wanted| names.iter().all(|name| name != wanted));
        names.extend(missing.map(str::to_owned).collect::<Vec<_>>());
    }
    let names = request
        .message_system_attribute_names
        .get_or_insert_default();
    if !names.contains(&MessageSystemAttributeName::All) {
        let missing = SYSTEM_ATTRIBUTES
            .into_iter()
            .filter(|wanted| !names.contains(wanted));
        names.extend(missing.collect::<Vec<_>>());
    }
}

pub(super) fn received(output: &Output) -> Received {
    if let Some(output) = output.downcast_ref::<SendMessageOutput>() {
        return Received {
            message_id: output.message_id.clone(),
            ..Received::default()
        };
    }
    if let Some(output) = output.downcast_ref::<ReceiveMessageOutput>() {
        let messages = output.messages();
        let single = match messages {
            [message] => message.message_id.clone(),
            _ => None,
        };
        return Received {
            message_id: single,
            count: Some(messages.len()),
            ..Received::default()
        };
    }
    let failed = output
        .downcast_ref::<SendMessageBatchOutput>()
        .map(SendMessageBatchOutput::failed);
    let failed =
        failed.or_else(|| Some(output.downcast_ref::<DeleteMessageBatchOutput>()?.failed()));
    let failed = failed.or_else(|| {
        Some(
            output
                .downcast_ref::<ChangeMessageVisibilityBatchOutput>()?
                .failed(),
        )
    });
    let first: Option<&BatchResultErrorEntry> = failed.and_then(<[_]>::first);
    Received {
        failed_entry: first.map(|entry| entry.code.clone()),
        ..Received::default()
    }
}

/// The trace a message carries.
pub(super) fn carrier(attributes: &Attributes) -> Option<Carrier> {
    let text = |name| attributes.get(name)?.string_value.clone();
    Some(Carrier {
        traceparent: text(TRACEPARENT)?,
        tracestate: text(TRACESTATE),
    })
}

fn inject_into(attributes: &mut Option<Attributes>, carrier: &Carrier, size: &mut usize) {
    let present = attributes.as_ref();
    if present.is_some_and(|present| present.contains_key(TRACEPARENT)) {
        return;
    }
    let mut room = ATTRIBUTES_MAX.saturating_sub(present.map_or(0, HashMap::len));
    let state = carrier.tracestate.as_ref();
    let pairs = [
        (TRACEPARENT, Some(&carrier.traceparent)),
        (TRACESTATE, state),
    ];
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        let added = name.len() + DATA_TYPE.len() + value.len();
        // Without its `traceparent`, a `tracestate` would be meaningless.
        if room == 0 || outgrows(*size, added) {
            return;
        }
        room -= 1;
        *size += added;
        attributes
            .get_or_insert_default()
            .insert(name.to_owned(), text_value(value));
    }
}

fn outgrows(size: usize, added: usize) -> bool {
    MESSAGE_BYTES_MAX
        .iter()
        .any(|max| size <= *max && size + added > *max)
}

fn text_value(text: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder()
        .data_type(DATA_TYPE)
        .string_value(text);
    value.build().expect("the data type is set")
}

fn entry_size(entry: &SendMessageBatchRequestEntry) -> usize {
    message_size(Some(&entry.message_body), entry.message_attributes.as_ref())
}

/// As SQS counts: body, and names, types and values of attributes.
fn message_size(body: Option<&str>, attributes: Option<&Attributes>) -> usize {
    let sizes = attributes.into_iter().flatten().map(|(name, value)| {
        let text = value.string_value.as_ref().map_or(0, String::len);
        let binary = value
            .binary_value
            .as_ref()
            .map_or(0, |value| value.as_ref().len());
        name.len() + value.data_type.len() + text + binary
    });
    body.map_or(0, str::len) + sizes.sum::<usize>()
}

fn queue_url(input: &Input) -> Option<&str> {
    queue_of!(
        input,
        ReceiveMessageInput,
        SendMessageInput,
        SendMessageBatchInput,
        DeleteMessageInput,
        DeleteMessageBatchInput,
        ChangeMessageVisibilityInput,
        ChangeMessageVisibilityBatchInput,
        GetQueueAttributesInput,
        SetQueueAttributesInput,
        PurgeQueueInput,
        DeleteQueueInput,
    );
    None
}

/// Operations that know a queue by name only.
fn asked_name(input: &Input) -> Option<&str> {
    let found = input
        .downcast_ref::<GetQueueUrlInput>()
        .map(|request| request.queue_name.as_deref());
    let found = found.or_else(|| {
        Some(
            input
                .downcast_ref::<CreateQueueInput>()?
                .queue_name
                .as_deref(),
        )
    });
    found.flatten()
}

/// A queue's URL ends in its name.
fn queue_name(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

fn batch_size(input: &Input) -> Option<usize> {
    let sent = input
        .downcast_ref::<SendMessageBatchInput>()
        .map(|request| request.entries().len());
    let sent = sent.or_else(|| {
        Some(
            input
                .downcast_ref::<DeleteMessageBatchInput>()?
                .entries()
                .len(),
        )
    });
    sent.or_else(|| {
        Some(
            input
                .downcast_ref::<ChangeMessageVisibilityBatchInput>()?
                .entries()
                .len(),
        )
    })
}
