//! Limits of SQS that the engine does not check: message size with attributes, batch size, number
//! ranges.
//!
//! The ranges are more than manners: a negative timeout ends the engine's task of that queue, and
//! all its messages with it. So a request that this module cannot read is refused, never waved
//! through.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

use rustack_sqs_model::operations::SqsOperation;
use serde::Deserialize;

use crate::answer::Refusal;

/// A message's body and attributes. AWS takes 1 MiB; the engine keeps to the limit that AWS had
/// until 2025.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The messages of a batch together.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
const VISIBILITY_TIMEOUT: RangeInclusive<i64> = 0..=43_200;
const WAIT_TIME_SECONDS: RangeInclusive<i64> = 0..=20;
const DELAY_SECONDS: RangeInclusive<i64> = 0..=900;
const MAX_NUMBER_OF_MESSAGES: RangeInclusive<i64> = 1..=10;

/// What is limited in any operation's request, or in one entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow, default)]
    message_body: Cow<'a, str>,
    #[serde(borrow, default)]
    message_attributes: HashMap<Cow<'a, str>, Attribute<'a>>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    delay_seconds: Option<i64>,
    max_number_of_messages: Option<i64>,
    #[serde(borrow, default)]
    entries: Vec<Parameters<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    #[serde(borrow, default)]
    data_type: Cow<'a, str>,
    #[serde(borrow, default)]
    string_value: Option<Cow<'a, str>>,
    /// In base 64.
    #[serde(borrow, default)]
    binary_value: Option<Cow<'a, str>>,
}

/// Refuses a request that breaks a limit, or that has one of the limited parameters in a wrong
/// type.
pub(super) fn check(operation: SqsOperation, body: &[u8]) -> Result<(), Refusal> {
    let parameters: Parameters<'_> =
        serde_json::from_slice(body).map_err(|error| Refusal::unreadable(error.to_string()))?;
    check_numbers(&parameters)?;
    parameters.entries.iter().try_for_each(check_numbers)?;
    let batch_bytes: usize = parameters
        .entries
        .iter()
        .map(Parameters::message_bytes)
        .sum();
    let message_bytes = parameters
        .entries
        .iter()
        .chain([&parameters])
        .map(Parameters::message_bytes)
        .max()
        .unwrap_or(0);
    if operation == SqsOperation::SendMessageBatch && batch_bytes > BATCH_BYTES_MAX {
        let message = format!(
            "Batch request cannot be longer than {BATCH_BYTES_MAX} bytes, but was {batch_bytes}."
        );
        return Err(Refusal::new(
            "AWS.SimpleQueueService.BatchRequestTooLong",
            message,
        ));
    }
    if message_bytes > MESSAGE_BYTES_MAX {
        let message =
            format!("Message with attributes must be shorter than {MESSAGE_BYTES_MAX} bytes.");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    Ok(())
}

fn check_numbers(parameters: &Parameters<'_>) -> Result<(), Refusal> {
    let numbers = [
        (
            "VisibilityTimeout",
            parameters.visibility_timeout,
            VISIBILITY_TIMEOUT,
        ),
        (
            "WaitTimeSeconds",
            parameters.wait_time_seconds,
            WAIT_TIME_SECONDS,
        ),
        ("DelaySeconds", parameters.delay_seconds, DELAY_SECONDS),
        (
            "MaxNumberOfMessages",
            parameters.max_number_of_messages,
            MAX_NUMBER_OF_MESSAGES,
        ),
    ];
    for (name, given, range) in numbers {
        if let Some(value) = given.filter(|value| !range.contains(value)) {
            let (min, max) = range.into_inner();
            let message = format!(
                "Value {value} for parameter {name} is invalid: must be between {min} and {max}."
            );
            return Err(Refusal::new("InvalidParameterValue", message));
        }
    }
    Ok(())
}

impl Parameters<'_> {
    fn message_bytes(&self) -> usize {
        let attributes = self
            .message_attributes
            .iter()
            .map(|(name, value)| name.len() + value.bytes());
        self.message_body.len() + attributes.sum::<usize>()
    }
}

impl Attribute<'_> {
    fn bytes(&self) -> usize {
        let text = self.string_value.as_deref().map_or(0, str::len);
        let binary = self
            .binary_value
            .as_deref()
            .map_or(0, |encoded| encoded.trim_end_matches('=').len() * 3 / 4);
        self.data_type.len() + text + binary
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn check_send(request: serde_json::Value) -> String {
        match check(
            SqsOperation::SendMessageBatch,
            request.to_string().as_bytes(),
        ) {
            Ok(()) => String::new(),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn a_number_outside_its_range_is_refused_at_the_top_and_in_entries() {
        for (name, bad, good) in [
            ("VisibilityTimeout", vec![-1, 43_201], vec![0, 43_200]),
            ("WaitTimeSeconds", vec![-1, 21], vec![0, 20]),
            ("DelaySeconds", vec![-1, 901], vec![0, 900]),
            ("MaxNumberOfMessages", vec![0, 11, i64::MIN], vec![1, 10]),
        ] {
            for value in bad {
                assert!(
                    check_send(json!({ name: value })).contains(name),
                    "{name} {value}"
                );
                assert!(
                    check_send(json!({ "Entries": [{}, { name: value }] })).contains(name),
                    "{name} {value}"
                );
            }
            for value in good {
                assert_eq!(
                    check_send(json!({ name: value, "Entries": [{ name: value }] })),
                    "",
                    "{name} {value}"
                );
            }
        }
    }

    #[test]
    fn attributes_count_towards_the_size_of_a_message() {
        let attributes = json!({
            "n": { "DataType": "String", "StringValue": "four" },
            "b": { "DataType": "Binary", "BinaryValue": "AAAAAA==" },
        });
        let attribute_bytes =
            "n".len() + "String".len() + "four".len() + "b".len() + "Binary".len() + 4;
        let request =
            |bytes| json!({ "MessageBody": "x".repeat(bytes), "MessageAttributes": attributes });
        assert_eq!(check_send(request(MESSAGE_BYTES_MAX - attribute_bytes)), "");
        assert!(
            check_send(request(MESSAGE_BYTES_MAX - attribute_bytes + 1))
                .contains("InvalidParameterValue")
        );
    }

    #[test]
    fn a_batch_is_limited_as_a_whole() {
        let entry = |bytes: usize| json!({ "MessageBody": "x".repeat(bytes) });
        let entries = |bytes: usize| json!({ "Entries": vec![entry(bytes); 8] });
        assert_eq!(check_send(entries(BATCH_BYTES_MAX / 8)), "");
        assert!(check_send(entries(BATCH_BYTES_MAX / 8 + 1)).contains("BatchRequestTooLong"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for body in [
            "",
            "[",
            "5",
            r#"{"VisibilityTimeout":"1"}"#,
            r#"{"VisibilityTimeout":1e3}"#,
            r#"{"Entries":{}}"#,
            "{\"MessageBody\":\"\u{0}\"}",
        ] {
            let refusal = check(SqsOperation::ReceiveMessage, body.as_bytes()).unwrap_err();
            assert!(
                format!("{refusal:?}").contains("SerializationException"),
                "{body}"
            );
        }
        check(
            SqsOperation::ReceiveMessage,
            br#"{"MessageBody":"\u0000","Other":[]}"#,
        )
        .unwrap();
    }
}
