//! Queues: their creation, names, attributes, counters and purging.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::task::JoinSet;

use crate::differences::Behaviour;
use crate::endpoints::{Aws, eventually, on_each, unique};

fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// In seconds.
async fn created_at(aws: &Aws, queue: &str) -> u64 {
    let timestamp = aws
        .queue_attribute(queue, QueueAttributeName::CreatedTimestamp)
        .await;
    let (seconds, fraction) = timestamp
        .split_once('.')
        .map_or((timestamp.as_str(), ""), |(seconds, fraction)| {
            (seconds, fraction)
        });
    aws.expect(
        Behaviour::CreatedTimestampIsInWholeSeconds,
        fraction.is_empty(),
    );
    seconds.parse().unwrap()
}

#[test]
fn a_queue_is_found_by_name_and_by_prefix() {
    on_each(async |aws| {
        let name = unique();
        let absent = aws
            .sqs
            .get_queue_url()
            .queue_name(&name)
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(absent.is_queue_does_not_exist(), "{absent:?}");
        let url = aws
            .sqs
            .create_queue()
            .queue_name(&name)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        assert!(url.starts_with(&aws.url) && url.ends_with(&name), "{url}");
        assert_eq!(
            aws.sqs
                .get_queue_url()
                .queue_name(&name)
                .send()
                .await
                .unwrap()
                .queue_url(),
            Some(url.as_str())
        );
        let listed = aws
            .sqs
            .list_queues()
            .queue_name_prefix(&name)
            .send()
            .await
            .unwrap();
        assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
        let arn = aws
            .queue_attribute(&url, QueueAttributeName::QueueArn)
            .await;
        assert!(
            arn.starts_with("arn:aws:sqs:") && arn.ends_with(&name),
            "{arn}"
        );

        aws.sqs.delete_queue().queue_url(&url).send().await.unwrap();
        let gone = aws
            .sqs
            .send_message()
            .queue_url(&url)
            .message_body("m")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(gone.is_queue_does_not_exist(), "{gone:?}");
    });
}

#[test]
fn creating_a_queue_again_keeps_it_and_its_messages() {
    on_each(async |aws| {
        let name = unique();
        let dead = aws
            .queue_attribute(&aws.queue(&[]).await, QueueAttributeName::QueueArn)
            .await;
        let create = |policy: String| {
            let create = aws
                .sqs
                .create_queue()
                .queue_name(&name)
                .attributes(QueueAttributeName::VisibilityTimeout, "7");
            create
                .attributes(QueueAttributeName::RedrivePolicy, policy)
                .send()
        };
        let policy = format!(r#"{{"deadLetterTargetArn":"{dead}","maxReceiveCount":5}}"#);
        let url = create(policy.clone()).await.unwrap().queue_url.unwrap();
        aws.sqs
            .send_message()
            .queue_url(&url)
            .message_body("kept")
            .send()
            .await
            .unwrap();
        assert_eq!(create(policy).await.unwrap().queue_url, Some(url.clone()));
        assert_eq!(
            aws.queue_attribute(&url, QueueAttributeName::ApproximateNumberOfMessages)
                .await,
            "1"
        );

        let other = aws
            .sqs
            .create_queue()
            .queue_name(&name)
            .attributes(QueueAttributeName::VisibilityTimeout, "8")
            .send()
            .await;
        assert!(
            other
                .unwrap_err()
                .into_service_error()
                .is_queue_name_exists()
        );
    });
}

#[test]
fn concurrent_creations_make_one_queue() {
    on_each(async |aws| {
        // Each service creates its queues when it starts, and they start together.
        for _ in 0..4 {
            let name = unique();
            let mut creating = JoinSet::new();
            for number in 0..8 {
                let (aws, name) = (aws.clone(), name.clone());
                creating.spawn(async move {
                    let url = aws
                        .sqs
                        .create_queue()
                        .queue_name(name)
                        .send()
                        .await
                        .unwrap()
                        .queue_url
                        .unwrap();
                    aws.sqs
                        .send_message()
                        .queue_url(url)
                        .message_body(number.to_string())
                        .send()
                        .await
                        .unwrap();
                });
            }
            creating.join_all().await;
            let url = aws
                .sqs
                .get_queue_url()
                .queue_name(&name)
                .send()
                .await
                .unwrap()
                .queue_url
                .unwrap();
            assert_eq!(
                aws.queue_attribute(&url, QueueAttributeName::ApproximateNumberOfMessages)
                    .await,
                "8"
            );
        }
    });
}

#[test]
fn the_created_timestamp_is_the_time_of_creation_and_stays() {
    on_each(async |aws| {
        let before = now_seconds();
        let queue = aws.queue(&[]).await;
        let created = created_at(&aws, &queue).await;
        assert!(
            (before..=now_seconds()).contains(&created),
            "{before} {created}"
        );
        // The relay takes a later timestamp for a queue that has lost its messages, so nothing but
        // a new queue may have one.
        eventually("the next second", async || {
            (now_seconds() > created).then_some(())
        })
        .await;
        let set = aws
            .sqs
            .set_queue_attributes()
            .queue_url(&queue)
            .attributes(QueueAttributeName::VisibilityTimeout, "9");
        set.send().await.unwrap();
        aws.sqs
            .create_queue()
            .queue_name(queue.rsplit('/').next().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(created_at(&aws, &queue).await, created);
        assert_eq!(
            aws.queue_attribute(&queue, QueueAttributeName::VisibilityTimeout)
                .await,
            "9"
        );
    });
}

#[test]
fn counters_follow_the_messages() {
    on_each(async |aws| {
        let queue = aws.queue(&[]).await;
        let counts = async || {
            let count = async |name| {
                aws.queue_attribute(&queue, name)
                    .await
                    .parse::<u32>()
                    .unwrap()
            };
            let visible = count(QueueAttributeName::ApproximateNumberOfMessages).await;
            (
                visible,
                count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await,
            )
        };
        for _ in 0..3 {
            aws.sqs
                .send_message()
                .queue_url(&queue)
                .message_body("m")
                .send()
                .await
                .unwrap();
        }
        assert_eq!(counts().await, (3, 0));
        let received = aws
            .sqs
            .receive_message()
            .queue_url(&queue)
            .send()
            .await
            .unwrap();
        assert_eq!(counts().await, (2, 1));
        let handle = received.messages()[0].receipt_handle().unwrap();
        aws.sqs
            .delete_message()
            .queue_url(&queue)
            .receipt_handle(handle)
            .send()
            .await
            .unwrap();
        assert_eq!(counts().await, (2, 0));

        aws.sqs
            .purge_queue()
            .queue_url(&queue)
            .send()
            .await
            .unwrap();
        eventually("purging", async || (counts().await == (0, 0)).then_some(())).await;
        let again = aws
            .sqs
            .purge_queue()
            .queue_url(&queue)
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(again.is_purge_queue_in_progress(), "{again:?}");
    });
}

#[test]
fn names_attributes_and_policies_that_make_no_sense_are_refused() {
    on_each(async |aws| {
        let nameless = aws
            .sqs
            .create_queue()
            .queue_name("no spaces")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert_eq!(
            nameless.code(),
            Some("InvalidParameterValue"),
            "{nameless:?}"
        );
        let is_refused = async |name, value| {
            let created = aws
                .sqs
                .create_queue()
                .queue_name(unique())
                .attributes(name, value)
                .send()
                .await;
            created.is_err()
        };
        assert!(is_refused(QueueAttributeName::RedrivePolicy, "not json").await);
        assert!(
            is_refused(
                QueueAttributeName::RedrivePolicy,
                r#"{"maxReceiveCount":1}"#
            )
            .await
        );
        aws.expect(
            Behaviour::NumberOutOfRangeIsRefused,
            is_refused(QueueAttributeName::DelaySeconds, "-1").await,
        );
    });
}
