//! The queue: what goes in comes out, what fails too often ends in the dead-letter queue and can come back.

use std::time::{Duration, Instant};

use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::Message;
use store::{Depth, Error, JobQueue};
use tasks_api::{JobId, JobKind, JobMessage};
use telemetry::testing::capture_async;
use tracing::Instrument;

use crate::endpoint::{carrier, eventually, now, sqs_client, unique};

/// For a message that is there, or soon visible again.
const WAIT: Duration = Duration::from_secs(5);

async fn queue() -> JobQueue {
    JobQueue::create(sqs_client(), &unique()).await.unwrap()
}

fn message() -> JobMessage {
    JobMessage {
        job_id: JobId::new(),
        kind: JobKind::Activity,
    }
}

async fn receive_one(queue: &JobQueue) -> Message {
    let mut messages = queue.receive(10, WAIT).await.unwrap().messages;
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

/// Receives a message as often as the queue allows, until it is moved.
async fn fail(queue: &JobQueue) {
    for _ in 0..JobQueue::RECEIVES_MAX {
        let message = receive_one(queue).await;
        queue.defer(&message, Duration::ZERO).await.unwrap();
    }
    eventually("the message is moved", || async {
        assert_eq!(queue.receive(1, Duration::ZERO).await.unwrap().messages, []);
        (queue.dead_depth().await.unwrap().visible == 1).then_some(())
    })
    .await;
}

async fn dead_one(queue: &JobQueue) -> Message {
    eventually("a dead letter", || async {
        let mut messages = queue
            .receive_dead(10, Duration::from_secs(30))
            .await
            .unwrap();
        messages.pop()
    })
    .await
}

fn depth(visible: u64, in_flight: u64) -> Depth {
    Depth {
        visible,
        in_flight,
        delayed: 0,
    }
}

#[tokio::test]
async fn a_message_comes_out_as_it_went_in_and_once() {
    let queue = queue().await;
    let sent = message();
    queue.send(&sent, None).await.unwrap();
    let received = receive_one(&queue).await;
    assert_eq!(JobQueue::decode(&received).unwrap(), sent);
    eventually("one in flight", || async {
        (queue.depth().await.unwrap() == depth(0, 1)).then_some(())
    })
    .await;
    queue.settle(&received).await.unwrap();
    eventually("an empty queue", || async {
        (queue.depth().await.unwrap() == depth(0, 0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_receive_waits_longer_than_other_calls_may_take() {
    let (limit, wait) = (Duration::from_secs(2), Duration::from_secs(3));
    let limits = TimeoutConfig::builder()
        .read_timeout(limit)
        .operation_attempt_timeout(limit)
        .operation_timeout(limit);
    let config = sqs_client()
        .config()
        .to_builder()
        .timeout_config(limits.build());
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let queue = JobQueue::create(client, &unique()).await.unwrap();
    let started = Instant::now();
    let received = queue.receive(1, wait).await.unwrap();
    assert!(received.messages.is_empty());
    assert!(received.span.get().is_none());
    assert!(started.elapsed() >= wait);
}

#[tokio::test]
async fn queues_are_made_once_and_found_by_name() {
    let name = unique();
    let missing = JobQueue::connect(sqs_client(), &name).await;
    assert!(
        matches!(missing, Err(Error::Unavailable { .. })),
        "{missing:?}"
    );
    let before = now();
    let queue = JobQueue::create(sqs_client(), &name).await.unwrap();
    let created_at = queue.created_at().await.unwrap();
    assert!(created_at.as_second() >= before.as_second() && created_at <= now());
    queue.send(&message(), None).await.unwrap();

    let again = JobQueue::create(sqs_client(), &name).await.unwrap();
    let found = JobQueue::connect(sqs_client(), &name).await.unwrap();
    assert_eq!(
        (found.name(), found.dead_name()),
        (&*name, &*format!("{name}-dlq"))
    );
    for other in [again, found] {
        assert_eq!(other.created_at().await.unwrap(), created_at);
        eventually("the message", || async {
            (other.depth().await.unwrap() == depth(1, 0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn queues_with_other_settings_get_ours() {
    let name = unique();
    let client = sqs_client();
    let other = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
    client
        .create_queue()
        .queue_name(&name)
        .attributes(other.clone(), "7")
        .send()
        .await
        .unwrap();
    let queue = JobQueue::create(client.clone(), &name).await.unwrap();
    let url = client
        .get_queue_url()
        .queue_name(&name)
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let set = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(other.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(
        set.attributes.unwrap()[&other],
        JobQueue::VISIBILITY.as_secs().to_string()
    );
    queue.send(&message(), None).await.unwrap();
    fail(&queue).await;
}

#[tokio::test]
async fn a_deferred_message_is_hidden_for_that_time() {
    let queue = queue().await;
    queue.send(&message(), None).await.unwrap();
    let received = receive_one(&queue).await;
    queue
        .defer(&received, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(queue.receive(1, Duration::ZERO).await.unwrap().messages, []);
    queue.defer(&received, Duration::ZERO).await.unwrap();
    let again = receive_one(&queue).await;
    assert_eq!(again.message_id, received.message_id);
    let count = again.attributes.unwrap()
        [&aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount]
        .clone();
    assert_eq!(count, "2");
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_a_dead_letter_until_it_is_redriven() {
    let queue = queue().await;
    let sent = message();
    queue.send(&sent, Some(&carrier())).await.unwrap();
    fail(&queue).await;
    eventually("a dead letter", || async {
        (queue.dead_depth().await.unwrap() == depth(1, 0)).then_some(())
    })
    .await;

    let dead = dead_one(&queue).await;
    assert_eq!(JobQueue::decode(&dead).unwrap(), sent);
    queue.redrive(&dead).await.unwrap();
    let back = receive_one(&queue).await;
    assert_eq!(JobQueue::decode(&back).unwrap(), sent);
    assert_eq!(trace_of(&back), trace_of(&dead), "it keeps its trace");
    queue.settle(&back).await.unwrap();
    eventually("no dead letter", || async {
        (queue.dead_depth().await.unwrap() == depth(0, 0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_poisoned_message_can_be_redriven_and_removed() {
    let name = unique();
    let queue = JobQueue::create(sqs_client(), &name).await.unwrap();
    let url = sqs_client()
        .get_queue_url()
        .queue_name(&name)
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    sqs_client()
        .send_message()
        .queue_url(url)
        .message_body("{{{")
        .send()
        .await
        .unwrap();
    fail(&queue).await;
    let dead = dead_one(&queue).await;
    assert!(matches!(
        JobQueue::decode(&dead),
        Err(Error::Corrupt { .. })
    ));
    queue.redrive(&dead).await.unwrap();
    fail(&queue).await;
    let dead = dead_one(&queue).await;
    assert_eq!(dead.body(), Some("{{{"));
    queue.settle_dead(&dead).await.unwrap();
    eventually("no dead letter", || async {
        (queue.dead_depth().await.unwrap() == depth(0, 0)).then_some(())
    })
    .await;
}

#[test]
fn the_producer_is_a_child_of_the_carriers_place_in_its_trace() {
    let captured = capture_async(async {
        let queue = queue().await;
        // Whatever the sender is doing itself.
        let relay = tracing::info_span!("relay");
        queue
            .send(&message(), Some(&carrier()))
            .instrument(relay)
            .await
            .unwrap();
        let received = queue.receive(1, WAIT).await.unwrap();
        (
            trace_of(&received.messages[0]),
            received.span.get().cloned(),
        )
    });
    let (message_trace, receive_span) = captured.result;
    let named = |prefix: &str| {
        let found = captured
            .spans
            .iter()
            .find(|span| span.name.starts_with(prefix));
        found.unwrap_or_else(|| panic!("no span {prefix}: {:?}", captured.spans))
    };
    let producer = named("send ");
    assert_eq!(
        producer.trace_id.to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(
        producer.parent_span_id.map(|id| id.to_string()).as_deref(),
        Some("00f067aa0ba902b7")
    );
    assert_eq!(
        message_trace,
        format!("00-{}-{}-01", producer.trace_id, producer.span_id)
    );
    assert_eq!(receive_span.unwrap().span_id(), named("receive ").span_id);
}

fn trace_of(message: &Message) -> String {
    let attributes = message.message_attributes().unwrap();
    attributes["traceparent"].string_value.clone().unwrap()
}
