//! Messages: attributes, visibility, redelivery, long polls, delays.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::operation::receive_message::builders::ReceiveMessageFluentBuilder;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
};
use tokio::task::JoinSet;

use crate::differences::Behaviour;
use crate::endpoints::{Aws, eventually, on_each};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// The shortest visibility timeout and delay there is.
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn receive(aws: &Aws, queue: &str) -> ReceiveMessageFluentBuilder {
    let receive = aws
        .sqs
        .receive_message()
        .queue_url(queue)
        .message_attribute_names("All");
    receive.message_system_attribute_names(MessageSystemAttributeName::All)
}

/// What one short poll for up to ten finds.
pub(crate) async fn poll(aws: &Aws, queue: &str) -> Vec<Message> {
    receive(aws, queue)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap()
        .messages
        .unwrap_or_default()
}

pub(crate) async fn one(aws: &Aws, queue: &str) -> Message {
    eventually("a message", async || {
        receive(aws, queue)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
            .pop()
    })
    .await
}

pub(crate) async fn send(aws: &Aws, queue: &str, body: &str) -> String {
    aws.sqs
        .send_message()
        .queue_url(queue)
        .message_body(body)
        .send()
        .await
        .unwrap()
        .message_id
        .unwrap()
}

async fn delete(aws: &Aws, queue: &str, message: &Message) {
    aws.sqs
        .delete_message()
        .queue_url(queue)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
}

pub(crate) async fn set_visibility(aws: &Aws, queue: &str, message: &Message, seconds: i32) {
    let change = aws
        .sqs
        .change_message_visibility()
        .queue_url(queue)
        .receipt_handle(message.receipt_handle().unwrap());
    change.visibility_timeout(seconds).send().await.unwrap();
}

fn receive_count(message: &Message) -> u32 {
    message.attributes.as_ref().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
        .parse()
        .unwrap()
}

#[test]
fn body_and_attributes_arrive_with_their_digests() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let value = |kind: &str| MessageAttributeValue::builder().data_type(kind);
        let attributes = HashMap::from([
            (
                "traceparent".to_owned(),
                value("String").string_value(TRACEPARENT).build().unwrap(),
            ),
            (
                "attempts".to_owned(),
                value("Number").string_value("3").build().unwrap(),
            ),
            (
                "raw".to_owned(),
                value("Binary")
                    .binary_value(Blob::new([0, 255, 7]))
                    .build()
                    .unwrap(),
            ),
        ]);
        let sent = aws
            .sqs
            .send_message()
            .queue_url(&queue)
            .message_body(r#"{"job":"ü"}"#);
        let sent = sent
            .set_message_attributes(Some(attributes.clone()))
            .send()
            .await
            .unwrap();
        // Digests as the SQS developer guide defines them, computed elsewhere.
        assert_eq!(
            sent.md5_of_message_body(),
            Some("df458913750f25a8359660c8c3d58875")
        );
        assert_eq!(
            sent.md5_of_message_attributes(),
            Some("5c1dd23c718e07f3f96ccbbdffbac3bd")
        );

        let message = one(&aws, &queue).await;
        assert_eq!(message.message_id, sent.message_id);
        assert_eq!(message.body(), Some(r#"{"job":"ü"}"#));
        assert_eq!(message.md5_of_body, sent.md5_of_message_body);
        assert_eq!(message.message_attributes, Some(attributes));
        assert_eq!(
            message.md5_of_message_attributes,
            sent.md5_of_message_attributes
        );
        assert_eq!(receive_count(&message), 1);
        let sent_ms: u128 = message.attributes.as_ref().unwrap()
            [&MessageSystemAttributeName::SentTimestamp]
            .parse()
            .unwrap();
        let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!(
            sent_ms <= now_ms && now_ms - sent_ms < 10_000,
            "{sent_ms} {now_ms}"
        );
    });
}

#[test]
fn only_the_attributes_asked_for_are_delivered() {
    on_each(async |aws| {
        let queue = aws
            .queue(&[(QueueAttributeName::VisibilityTimeout, "0")])
            .await;
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("v")
            .build()
            .unwrap();
        let sent = aws.sqs.send_message().queue_url(&queue).message_body("m");
        sent.message_attributes("trace.id", value.clone())
            .message_attributes("other", value)
            .send()
            .await
            .unwrap();
        let asking = async |name: Option<&str>| {
            let receive = aws
                .sqs
                .receive_message()
                .queue_url(&queue)
                .set_message_attribute_names(name.map(|name| vec![name.to_owned()]));
            let message = receive
                .send()
                .await
                .unwrap()
                .messages
                .unwrap()
                .pop()
                .unwrap();
            message
                .message_attributes
                .unwrap_or_default()
                .into_keys()
                .collect::<Vec<_>>()
        };
        assert!(asking(None).await.is_empty());
        assert_eq!(asking(Some("other")).await, ["other"]);
        aws.expect(
            Behaviour::AttributesAreNamedByPrefix,
            asking(Some("trace.*")).await == ["trace.id"],
        );
    });
}

#[test]
fn a_received_message_is_hidden_until_its_timeout_and_then_delivered_again() {
    on_each(async |aws| {
        let queue = aws
            .queue(&[(QueueAttributeName::VisibilityTimeout, "1")])
            .await;
        let id = send(&aws, &queue, "m").await;
        let received = Instant::now();
        let first = one(&aws, &queue).await;
        assert!(poll(&aws, &queue).await.is_empty());
        let again = one(&aws, &queue).await;
        assert!(received.elapsed() >= SECOND);
        assert_eq!(again.message_id(), Some(id.as_str()));
        assert_eq!((receive_count(&first), receive_count(&again)), (1, 2));
        assert_ne!(first.receipt_handle, again.receipt_handle);
        delete(&aws, &queue, &again).await;
        tokio::time::sleep(SECOND + SECOND / 5).await;
        assert!(poll(&aws, &queue).await.is_empty());
    });
}

#[test]
fn visibility_can_be_extended_and_given_up() {
    on_each(async |aws| {
        let queue = aws
            .queue(&[(QueueAttributeName::VisibilityTimeout, "1")])
            .await;
        send(&aws, &queue, "m").await;
        let message = one(&aws, &queue).await;
        // The heartbeat of a long job.
        set_visibility(&aws, &queue, &message, 60).await;
        tokio::time::sleep(SECOND + SECOND / 5).await;
        assert!(poll(&aws, &queue).await.is_empty());
        set_visibility(&aws, &queue, &message, 0).await;
        assert_eq!(poll(&aws, &queue).await.len(), 1);
    });
}

#[test]
fn after_too_many_receives_a_message_is_in_the_dead_letter_queue() {
    // AWS takes the count in both spellings.
    for count in ["2", r#""2""#] {
        on_each(async |aws| {
            let dead = aws.queue(&[]).await;
            let arn = aws
                .queue_attribute(&dead, QueueAttributeName::QueueArn)
                .await;
            let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
            let queue = aws
                .queue(&[(QueueAttributeName::RedrivePolicy, &policy)])
                .await;
            let id = send(&aws, &queue, "poison").await;
            for received in 1..=2 {
                let message = one(&aws, &queue).await;
                assert_eq!(receive_count(&message), received);
                set_visibility(&aws, &queue, &message, 0).await;
            }
            assert!(poll(&aws, &queue).await.is_empty());
            let dead_letter = one(&aws, &dead).await;
            assert_eq!(
                (dead_letter.message_id(), dead_letter.body()),
                (Some(id.as_str()), Some("poison"))
            );
            aws.expect(
                Behaviour::DeadLetterKeepsReceiveCount,
                receive_count(&dead_letter) == 3,
            );
            let source: serde_json::Value = serde_json::from_str(
                &aws.queue_attribute(&queue, QueueAttributeName::RedrivePolicy)
                    .await,
            )
            .unwrap();
            assert_eq!(source["deadLetterTargetArn"], arn.as_str());
        });
    }
}

#[test]
fn a_long_poll_ends_with_the_first_message_or_its_time() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let begun = Instant::now();
        assert!(
            receive(&aws, &queue)
                .wait_time_seconds(1)
                .send()
                .await
                .unwrap()
                .messages()
                .is_empty()
        );
        assert!(
            (SECOND..2 * SECOND).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );

        let begun = Instant::now();
        let waiting = tokio::spawn(receive(&aws, &queue).wait_time_seconds(20).send());
        send(&aws, &queue, "wake up").await;
        assert_eq!(
            waiting.await.unwrap().unwrap().messages()[0].body(),
            Some("wake up")
        );
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_delayed_message_comes_later_and_is_counted_until_then() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let sent = Instant::now();
        aws.sqs
            .send_message()
            .queue_url(&queue)
            .message_body("later")
            .delay_seconds(1)
            .send()
            .await
            .unwrap();
        assert!(poll(&aws, &queue).await.is_empty());
        assert_eq!(
            aws.queue_attribute(
                &queue,
                QueueAttributeName::ApproximateNumberOfMessagesDelayed
            )
            .await,
            "1"
        );
        assert_eq!(one(&aws, &queue).await.body(), Some("later"));
        assert!(sent.elapsed() >= SECOND);
    });
}

#[test]
fn concurrent_consumers_get_every_message() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let mut sending = JoinSet::new();
        for sender in 0..4 {
            let (aws, queue) = (aws.clone(), queue.clone());
            sending.spawn(async move {
                for number in 0..25 {
                    send(&aws, &queue, &format!("{sender}-{number}")).await;
                }
            });
        }
        let mut consuming = JoinSet::new();
        for _ in 0..4 {
            let (aws, queue) = (aws.clone(), queue.clone());
            consuming.spawn(async move {
                let mut bodies = Vec::new();
                loop {
                    let received = receive(&aws, &queue)
                        .max_number_of_messages(10)
                        .wait_time_seconds(1)
                        .send()
                        .await
                        .unwrap();
                    let messages = received.messages.unwrap_or_default();
                    if messages.is_empty() {
                        return bodies;
                    }
                    for message in messages {
                        delete(&aws, &queue, &message).await;
                        bodies.push(message.body.unwrap());
                    }
                }
            });
        }
        sending.join_all().await;
        let mut bodies = consuming.join_all().await.concat();
        // At least once is all that a standard queue promises.
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 100);
    });
}
