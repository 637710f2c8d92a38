//! Batches, and the limits of messages and parameters.

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::differences::Behaviour;
use crate::endpoints::{Aws, on_each};
use crate::messages::{one, poll, receive, send, set_visibility};

#[test]
fn a_batch_is_sent_received_and_deleted_as_ten() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let entry = |id: usize| {
            SendMessageBatchRequestEntry::builder()
                .id(format!("e{id}"))
                .message_body(format!("b{id}"))
                .build()
                .unwrap()
        };
        let sent = aws
            .sqs
            .send_message_batch()
            .queue_url(&queue)
            .set_entries(Some((0..10).map(entry).collect()))
            .send()
            .await
            .unwrap();
        let mut ids: Vec<_> = sent
            .successful()
            .iter()
            .map(|entry| (entry.id(), entry.message_id()))
            .collect();
        ids.sort_unstable();
        assert_eq!(ids.len(), 10);
        let messages = poll_all(&aws, &queue, 10).await;
        for message in &messages {
            let entry = message.body().unwrap().replace('b', "e");
            assert!(
                ids.contains(&(&entry, message.message_id().unwrap())),
                "{message:?}"
            );
        }
        let entry = |(id, message): (usize, &Message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(message.receipt_handle().unwrap())
                .build()
                .unwrap()
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let deleted = aws
            .sqs
            .delete_message_batch()
            .queue_url(&queue)
            .set_entries(Some(entries))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (deleted.successful().len(), deleted.failed().len()),
            (10, 0)
        );
        assert_eq!(
            aws.queue_attribute(
                &queue,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible
            )
            .await,
            "0"
        );
    });
}

/// Polls until it has this many messages; a poll may return fewer than there are.
async fn poll_all(aws: &Aws, queue: &str, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.extend(
            receive(aws, queue)
                .max_number_of_messages(10)
                .wait_time_seconds(1)
                .send()
                .await
                .unwrap()
                .messages
                .unwrap_or_default(),
        );
    }
    messages
}

#[test]
fn an_entry_of_a_batch_fails_alone() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        send(&aws, &queue, "m").await;
        let message = one(&aws, &queue).await;
        let entry = |id: &str, handle: &str| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(id)
                .receipt_handle(handle)
                .visibility_timeout(0);
            entry.build().unwrap()
        };
        let change = aws
            .sqs
            .change_message_visibility_batch()
            .queue_url(&queue)
            .entries(entry("bad", "no-such-handle"));
        let changed = change
            .entries(entry("good", message.receipt_handle().unwrap()))
            .send()
            .await
            .unwrap();
        assert_eq!(changed.successful()[0].id(), "good");
        assert_eq!(
            (
                changed.failed().len(),
                changed.failed()[0].id(),
                changed.failed()[0].sender_fault()
            ),
            (1, "bad", true)
        );
        assert_eq!(poll(&aws, &queue).await.len(), 1);

        let malformed = aws
            .sqs
            .delete_message()
            .queue_url(&queue)
            .receipt_handle("no-such-handle")
            .send()
            .await;
        aws.expect(
            Behaviour::MalformedReceiptHandleIsRefused,
            malformed.is_err(),
        );
    });
}

#[test]
fn a_batch_of_the_wrong_shape_is_refused_as_a_whole() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let entry = |id: usize| {
            SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body("m")
                .build()
                .unwrap()
        };
        let send = |ids: &[usize]| {
            let entries = ids.iter().map(|id| entry(*id)).collect();
            aws.sqs
                .send_message_batch()
                .queue_url(&queue)
                .set_entries(Some(entries))
                .send()
        };
        let eleven: Vec<usize> = (0..11).collect();
        assert!(
            send(&eleven)
                .await
                .unwrap_err()
                .into_service_error()
                .is_too_many_entries_in_batch_request()
        );
        assert!(
            send(&[])
                .await
                .unwrap_err()
                .into_service_error()
                .is_empty_batch_request()
        );
        assert!(
            send(&[1, 1])
                .await
                .unwrap_err()
                .into_service_error()
                .is_batch_entry_ids_not_distinct()
        );
        assert!(poll(&aws, &queue).await.is_empty());
    });
}

#[test]
fn the_size_of_a_message_is_limited() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let send = |bytes: usize| {
            aws.sqs
                .send_message()
                .queue_url(&queue)
                .message_body("x".repeat(bytes))
                .send()
        };
        send(256 * 1024).await.unwrap();
        aws.expect(Behaviour::MessageOf1MiB, send(1024 * 1024).await.is_ok());
        let refused = send(1024 * 1024 + 1)
            .await
            .unwrap_err()
            .into_service_error();
        assert_eq!(refused.code(), Some("InvalidParameterValue"), "{refused:?}");

        let entry = |id: usize| {
            SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body("x".repeat(150 * 1024))
                .build()
                .unwrap()
        };
        let batch = aws
            .sqs
            .send_message_batch()
            .queue_url(&queue)
            .set_entries(Some((0..10).map(entry).collect()));
        assert!(
            batch
                .send()
                .await
                .unwrap_err()
                .into_service_error()
                .is_batch_request_too_long()
        );
    });
}

#[test]
fn numbers_outside_their_range_are_refused_and_harm_nothing() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        send(&aws, &queue, "kept").await;
        let mut refused = Vec::new();
        for (visibility, wait, count) in [
            (-1, 0, 1),
            (43_201, 0, 1),
            (0, -1, 1),
            (0, 21, 1),
            (0, 0, 0),
            (0, 0, 11),
        ] {
            let receive = receive(&aws, &queue)
                .visibility_timeout(visibility)
                .wait_time_seconds(wait)
                .max_number_of_messages(count);
            refused.push(receive.send().await.is_err());
        }
        let delayed = aws
            .sqs
            .send_message()
            .queue_url(&queue)
            .message_body("m")
            .delay_seconds(901)
            .send()
            .await;
        refused.push(delayed.is_err());
        let message = one(&aws, &queue).await;
        let change = aws
            .sqs
            .change_message_visibility()
            .queue_url(&queue)
            .receipt_handle(message.receipt_handle().unwrap());
        refused.push(change.visibility_timeout(-1).send().await.is_err());
        set_visibility(&aws, &queue, &message, 0).await;
        assert_eq!(one(&aws, &queue).await.body(), Some("kept"));
        aws.expect(
            Behaviour::NumberOutOfRangeIsRefused,
            refused.iter().all(|refused| *refused),
        );
    });
}

#[test]
fn a_message_has_at_most_ten_attributes() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let send = |count: usize| {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value("v")
                .build()
                .unwrap();
            let attributes = (0..count)
                .map(|number| (format!("a{number}"), value.clone()))
                .collect();
            aws.sqs
                .send_message()
                .queue_url(&queue)
                .message_body("m")
                .set_message_attributes(Some(attributes))
                .send()
        };
        send(10).await.unwrap();
        aws.expect(
            Behaviour::EleventhAttributeIsRefused,
            send(11).await.is_err(),
        );
    });
}
