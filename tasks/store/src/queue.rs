//! The job queue and its dead-letter queue. A message carries a job's name only; what there is to do stands in the
//! job's item. When to send, and what a failure means, is the callers'.

mod setup;

use std::time::Duration;

use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use jiff::Timestamp;
use opentelemetry::context::FutureExt;
use tasks_api::JobMessage;
use telemetry::aws::ReceiveSpan;
use telemetry::w3c::Carrier;

use crate::Error;
use crate::failure::{failure, refused};

const SHAPE: &str = "a job's message";
/// Messages that one receive can bring, and the longest it can wait (SQS).
const RECEIVE_MESSAGES_MAX: u32 = 10;
const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(20);
/// How much longer than its wait a receive may take.
const RECEIVE_MARGIN: Duration = Duration::from_secs(5);
/// Asks for every attribute of a message.
const ALL: &str = "All";

const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
const IN_FLIGHT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;

/// A queue and its dead-letter queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobQueue {
    client: aws_sdk_sqs::Client,
    name: String,
    dead_name: String,
    url: String,
    dead_url: String,
}

/// How many messages there are, roughly: SQS counts with some seconds' delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

/// What a receive brought.
#[derive(Debug)]
pub struct Received {
    pub messages: Vec<Message>,
    /// The span that brought them, for [`telemetry::aws::process_span`].
    pub span: ReceiveSpan,
}

impl JobQueue {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the dead-letter queue.
    pub fn dead_name(&self) -> &str {
        &self.dead_name
    }

    /// When the queue came into being, in whole seconds. Messages of an in-memory queue do not outlive it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn created_at(&self) -> Result<Timestamp, Error> {
        let [seconds] = self
            .attributes(&self.url, [QueueAttributeName::CreatedTimestamp])
            .await?;
        let seconds = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        seconds.ok_or_else(|| refused("GetQueueAttributes", "the creation time is out of range"))
    }

    /// Sends a job's message. The producer's span becomes a child of the carrier's place in its trace; of the current
    /// span without one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn send(&self, message: &JobMessage, carrier: Option<&Carrier>) -> Result<(), Error> {
        let body = serde_json::to_string(message).expect("a message has string keys only");
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        let sent = match carrier {
            Some(carrier) => request.send().with_context(carrier.context()).await,
            None => request.send().await,
        };
        sent.map_err(|error| failure("SendMessage", error))?;
        Ok(())
    }

    /// Waits up to `wait` (20 s at most) for up to `max` messages (10 at most).
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn receive(&self, max: u32, wait: Duration) -> Result<Received, Error> {
        let span = ReceiveSpan::new();
        let wait = wait.min(RECEIVE_WAIT_MAX);
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(message_count(max))
            .wait_time_seconds(whole_seconds(wait))
            .message_attribute_names(ALL)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .customize()
            .interceptor(span.clone())
            // The client's own time limits are for calls that do not wait.
            .config_override(
                aws_sdk_sqs::Config::builder().timeout_config(time_limit(wait + RECEIVE_MARGIN)),
            );
        let answer = request
            .send()
            .await
            .map_err(|error| failure("ReceiveMessage", error))?;
        Ok(Received {
            messages: answer.messages.unwrap_or_default(),
            span,
        })
    }

    /// What a message is about.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a message that [`JobQueue::send`] did not make.
    pub fn decode(message: &Message) -> Result<JobMessage, Error> {
        let body = message.body().unwrap_or_default();
        serde_json::from_str(body).map_err(|_| Error::Corrupt {
            shape: SHAPE,
            reason: "its body names no job".to_owned(),
        })
    }

    /// Removes a received message: its job is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn settle(&self, message: &Message) -> Result<(), Error> {
        self.delete(&self.url, message).await
    }

    /// Hides a received message for `visibility` from now on (12 h at most): to go on working on it, or to try again
    /// after that time. Zero makes it visible at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn defer(&self, message: &Message, visibility: Duration) -> Result<(), Error> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .set_receipt_handle(message.receipt_handle.clone())
            .visibility_timeout(whole_seconds(visibility.min(Self::VISIBILITY_MAX)));
        request
            .send()
            .await
            .map_err(|error| failure("ChangeMessageVisibility", error))?;
        Ok(())
    }

    /// How many messages the queue has.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn depth(&self) -> Result<Depth, Error> {
        self.depth_of(&self.url).await
    }

    /// [`JobQueue::depth`] of the dead-letter queue.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn dead_depth(&self) -> Result<Depth, Error> {
        self.depth_of(&self.dead_url).await
    }

    /// Takes up to `max` messages (10 at most) from the dead-letter queue without waiting, hidden from others for
    /// `visibility`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn receive_dead(
        &self,
        max: u32,
        visibility: Duration,
    ) -> Result<Vec<Message>, Error> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.dead_url)
            .max_number_of_messages(message_count(max))
            .wait_time_seconds(0)
            .visibility_timeout(whole_seconds(visibility.min(Self::VISIBILITY_MAX)))
            .message_attribute_names(ALL)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let answer = request
            .send()
            .await
            .map_err(|error| failure("ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Removes a message from the dead-letter queue.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn settle_dead(&self, message: &Message) -> Result<(), Error> {
        self.delete(&self.dead_url, message).await
    }

    /// Puts a message of the dead-letter queue back onto the main one as it is, whatever it holds. It keeps its trace.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; then it can be on both queues.
    pub async fn redrive(&self, message: &Message) -> Result<(), Error> {
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body().unwrap_or_default())
            .set_message_attributes(message.message_attributes.clone());
        request
            .send()
            .await
            .map_err(|error| failure("SendMessage", error))?;
        self.settle_dead(message).await
    }

    async fn delete(&self, url: &str, message: &Message) -> Result<(), Error> {
        let handle = message.receipt_handle.clone();
        let request = self
            .client
            .delete_message()
            .queue_url(url)
            .set_receipt_handle(handle);
        request
            .send()
            .await
            .map_err(|error| failure("DeleteMessage", error))?;
        Ok(())
    }

    async fn depth_of(&self, url: &str) -> Result<Depth, Error> {
        let [visible, in_flight, delayed] =
            self.attributes(url, [VISIBLE, IN_FLIGHT, DELAYED]).await?;
        Ok(Depth {
            visible,
            in_flight,
            delayed,
        })
    }

    /// Attributes of a queue that are numbers.
    async fn attributes<const N: usize>(
        &self,
        url: &str,
        names: [QueueAttributeName; N],
    ) -> Result<[u64; N], Error> {
        const OPERATION: &str = "GetQueueAttributes";
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = request
            .send()
            .await
            .map_err(|error| failure(OPERATION, error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let numbers: Option<Vec<u64>> = names
            .iter()
            .map(|name| attributes.get(name)?.parse().ok())
            .collect();
        numbers
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or_else(|| refused(OPERATION, "an attribute is missing or is no number"))
    }
}

fn message_count(max: u32) -> i32 {
    i32::try_from(max.clamp(1, RECEIVE_MESSAGES_MAX)).unwrap_or(1)
}

/// Rounded up: less than asked for would be too early.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn time_limit(limit: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(limit)
        .operation_attempt_timeout(limit)
        .operation_timeout(limit)
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tasks_api::{JobId, JobKind};

    use super::*;

    #[test]
    fn only_the_body_of_a_job_is_decoded() {
        let sent = JobMessage {
            job_id: JobId::new(),
            kind: JobKind::Purge,
        };
        let message = |body: &str| Message::builder().body(body).build();
        assert_eq!(
            JobQueue::decode(&message(&serde_json::to_string(&sent).unwrap())).unwrap(),
            sent
        );
        for body in [
            "",
            "{}",
            "null",
            r#"{"job_id":"x","kind":"purge"}"#,
            &format!(r#"{{"job_id":"{}","kind":"fly"}}"#, sent.job_id),
        ] {
            let error = JobQueue::decode(&message(body)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a job's message is damaged: its body names no job",
                "{body}"
            );
        }
        assert!(JobQueue::decode(&Message::builder().build()).is_err());
    }

    #[test]
    fn a_part_of_a_second_is_a_whole_one() {
        let check = |milliseconds, seconds| {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds)
        };
        check(0, 0);
        check(1, 1);
        check(1_000, 1);
        check(1_001, 2);
    }
}
