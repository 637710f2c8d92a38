//! Redrive policies in the one form the engine reads: `maxReceiveCount` a number, keys in its
//! order. AWS takes a string as well, and compares policies by meaning when a queue is created
//! again; the engine compares text.

use bytes::Bytes;
use rustack_sqs_model::operations::SqsOperation;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Refusal;

/// What AWS accepts.
const MAX_RECEIVE_COUNT: std::ops::RangeInclusive<u32> = 1..=1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

/// The request with its redrive policy, if it sets one, as the engine reads it.
pub(super) fn readable(operation: SqsOperation, body: Bytes) -> Result<Bytes, Refusal> {
    if !matches!(
        operation,
        SqsOperation::CreateQueue | SqsOperation::SetQueueAttributes
    ) {
        return Ok(body);
    }
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let policy = request.pointer_mut("/Attributes/RedrivePolicy");
    // The empty policy removes the one that is set; what is no string is the engine's to refuse.
    let Some((policy, text)) = policy.and_then(|policy| {
        policy
            .as_str()
            .map(str::to_owned)
            .map(|text| (policy, text))
    }) else {
        return Ok(body);
    };
    if text.is_empty() {
        return Ok(body);
    }
    *policy = Value::String(canonical(&text)?);
    Ok(request.to_string().into())
}

fn canonical(text: &str) -> Result<String, Refusal> {
    let invalid = |reason: &str| {
        let message =
            format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}.");
        Refusal::new("InvalidParameterValue", message)
    };
    let policy: Policy = serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let count = match policy.max_receive_count {
        Count::Number(count) => Some(count),
        Count::Text(count) => count.parse().ok(),
    };
    let count = count
        .filter(|count| MAX_RECEIVE_COUNT.contains(count))
        .ok_or_else(|| {
            invalid(&format!(
                "maxReceiveCount must be between {} and {}",
                MAX_RECEIVE_COUNT.start(),
                MAX_RECEIVE_COUNT.end()
            ))
        })?;
    Ok(
        json!({ "deadLetterTargetArn": policy.dead_letter_target_arn, "maxReceiveCount": count })
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rewritten(policy: &str) -> Result<Value, Refusal> {
        let attributes = json!({ "DelaySeconds": "1", "RedrivePolicy": policy });
        let request = json!({ "QueueName": "q", "Attributes": attributes });
        let body = readable(SqsOperation::CreateQueue, request.to_string().into())?;
        let request: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(request["QueueName"], "q");
        assert_eq!(request["Attributes"]["DelaySeconds"], "1");
        Ok(request["Attributes"]["RedrivePolicy"].clone())
    }

    #[test]
    fn every_spelling_of_a_policy_becomes_the_same_text() {
        let canonical = r#"{"deadLetterTargetArn":"a","maxReceiveCount":5}"#;
        for spelling in [
            canonical,
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":"5"}"#,
            r#"{ "maxReceiveCount" : 5, "deadLetterTargetArn" : "a" }"#,
        ] {
            assert_eq!(rewritten(spelling).unwrap(), canonical);
        }
        assert_eq!(rewritten("").unwrap(), "");
    }

    #[test]
    fn a_policy_without_a_sensible_count_is_refused() {
        for count in ["0", "1001", "-1", "2.5", r#""many""#, r#""""#, "null"] {
            let refusal = rewritten(&format!(
                r#"{{"deadLetterTargetArn":"a","maxReceiveCount":{count}}}"#
            ))
            .unwrap_err();
            assert!(format!("{refusal:?}").contains("RedrivePolicy"), "{count}");
        }
        rewritten("no json").unwrap_err();
    }

    #[test]
    fn other_requests_are_left_alone() {
        for body in [
            "",
            "{}",
            r#"{"Attributes":{"RedrivePolicy":7}}"#,
            r#"{"Attributes":null}"#,
        ] {
            assert_eq!(
                readable(SqsOperation::CreateQueue, body.into()).unwrap(),
                body
            );
        }
        let sent = r#"{"Attributes":{"RedrivePolicy":"no json"}}"#;
        assert_eq!(
            readable(SqsOperation::SendMessage, sent.into()).unwrap(),
            sent
        );
    }
}
