//! The SQS engine and what it needs in front of it: [`limits`] it does not check, [`redrive`]
//! policies it does not read, one queue creation at a time, and a bound on what it holds. Messages
//! live in memory only.

mod limits;
mod redrive;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use rustack_sqs_core::config::SqsConfig;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_core::provider::RustackSqs;
use rustack_sqs_http::body::SqsResponseBody;
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_http::response::error_to_response;
use rustack_sqs_http::router::resolve_operation;
use rustack_sqs_model::error::SqsError;
use rustack_sqs_model::input::{GetQueueAttributesInput, ListQueuesInput};
use rustack_sqs_model::operations::SqsOperation;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::answer::{Answer, Refusal, request_id};

/// Target prefix of the service.
pub(crate) const TARGET: &str = "AmazonSQS";
/// A full batch of 1 MiB in its longest encoding: a control character takes six bytes in JSON.
pub(crate) const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;

/// Messages held in all queues together; beyond it sends are refused with `OverLimit`, and jobs
/// stay in the outbox. AWS has no such limit, but no such memory either.
const MESSAGES_MAX: u64 = 100_000;
/// How often the messages are counted, so the bound is overrun by at most what is sent in this
/// time.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// Together they are all messages of a queue.
const COUNTERS: [&str; 3] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

/// All queues.
#[derive(Debug)]
pub(crate) struct Queues {
    handler: RustackSqsHandler,
    /// Held while a queue is created or deleted: two creations at the same time would replace each
    /// other's queue and lose its messages.
    changing: Mutex<()>,
    full: Arc<AtomicBool>,
    messages_max: u64,
}

impl Queues {
    /// No queues yet; `addr` is what queue URLs point at.
    pub(crate) fn new(addr: SocketAddr, options: &Options, stopping: CancellationToken) -> Queues {
        Queues::bounded(addr, options, stopping, MESSAGES_MAX)
    }

    fn bounded(
        addr: SocketAddr,
        options: &Options,
        stopping: CancellationToken,
        messages_max: u64,
    ) -> Queues {
        let engine = Arc::new(RustackSqs::new(SqsConfig {
            skip_signature_validation: true,
            default_region: options.region.clone(),
            account_id: options.account_id.clone(),
            host: reachable(addr.ip()).to_string(),
            port: addr.port(),
        }));
        let full = Arc::new(AtomicBool::new(false));
        let counting = count(Arc::clone(&engine), Arc::clone(&full), messages_max);
        tokio::spawn(async move { stopping.run_until_cancelled(counting).await });
        Queues {
            handler: RustackSqsHandler::new(engine),
            changing: Mutex::default(),
            full,
            messages_max,
        }
    }

    /// Answers one request.
    pub(crate) async fn call(&self, headers: &HeaderMap, body: Bytes) -> Result<Answer, Refusal> {
        let operation = resolve_operation(headers).map_err(|error| {
            Refusal::new(
                "com.amazon.coral.service#UnknownOperationException",
                error.message,
            )
        })?;
        limits::check(operation, &body)?;
        let body = redrive::readable(operation, body)?;
        let answered = match operation {
            SqsOperation::SendMessage | SqsOperation::SendMessageBatch
                if self.full.load(Ordering::Relaxed) =>
            {
                let message = format!(
                    "this endpoint keeps no more than {} messages in memory",
                    self.messages_max
                );
                return Err(Refusal::with_status(
                    StatusCode::FORBIDDEN,
                    "OverLimit",
                    message,
                ));
            }
            SqsOperation::CreateQueue | SqsOperation::DeleteQueue => {
                let _alone = self.changing.lock().await;
                self.handler.handle_operation(operation, body).await
            }
            _ => self.handler.handle_operation(operation, body).await,
        };
        let response = answered.unwrap_or_else(|error| error_to_response(&error, &request_id()));
        Ok(response.map(|body| match body {
            SqsResponseBody::Buffered(body) => body,
            SqsResponseBody::Empty => Full::default(),
        }))
    }
}

/// The address under which a client on this machine reaches a listener on `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        specific => specific,
    }
}

/// Keeps `full` up to date, for ever.
async fn count(engine: Arc<RustackSqs>, full: Arc<AtomicBool>, messages_max: u64) {
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    loop {
        ticks.tick().await;
        // A queue that is deleted between the two calls is no error worth more than the next count.
        let Ok(messages) = messages_held(&engine).await else {
            continue;
        };
        let is_full = messages >= messages_max;
        if full.swap(is_full, Ordering::Relaxed) != is_full {
            if is_full {
                tracing::warn!("the SQS queues hold {messages} messages and take no more for now");
            } else {
                tracing::info!("the SQS queues have room again");
            }
        }
    }
}

async fn messages_held(engine: &RustackSqs) -> Result<u64, SqsError> {
    let mut held = 0;
    for queue_url in engine
        .list_queues(ListQueuesInput::default())
        .await?
        .queue_urls
    {
        let attribute_names = COUNTERS.map(str::to_owned).to_vec();
        let counted = engine
            .get_queue_attributes(GetQueueAttributesInput {
                queue_url,
                attribute_names,
            })
            .await?;
        held += counted
            .attributes
            .values()
            .filter_map(|count| count.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Instant;

    use http::HeaderValue;
    use http_body_util::BodyExt;

    use super::*;

    async fn call(queues: &Queues, operation: &str, body: &str) -> (u16, serde_json::Value) {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-target",
            HeaderValue::try_from(format!("{TARGET}.{operation}")).unwrap(),
        );
        let answered = queues
            .call(&headers, Bytes::copy_from_slice(body.as_bytes()))
            .await;
        let answer = answered.unwrap_or_else(Refusal::into_answer);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Repeats `SendMessage` until it is answered with `expected`, for as long as a count may take.
    async fn send_until(queues: &Queues, send: &str, expected: u16) -> serde_json::Value {
        let deadline = Instant::now() + 10 * COUNT_INTERVAL;
        loop {
            let (status, answer) = call(queues, "SendMessage", send).await;
            if status == expected {
                return answer;
            }
            assert!(Instant::now() < deadline, "still {status}: {answer}");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn queues_are_created_one_at_a_time() {
        let addr = "127.0.0.1:7".parse().unwrap();
        let queues = Queues::new(addr, &Options::default(), CancellationToken::new());
        let another = queues.changing.lock().await;
        let mut creation = pin!(call(&queues, "CreateQueue", r#"{"QueueName":"q"}"#));
        let waits = poll_fn(|context| Poll::Ready(creation.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        assert_eq!(call(&queues, "ListQueues", "{}").await.0, 200);
        drop(another);
        assert_eq!(creation.await.0, 200);
    }

    #[tokio::test]
    async fn sends_are_refused_while_the_queues_are_full() {
        let queues = Queues::bounded(
            "[::]:7".parse().unwrap(),
            &Options::default(),
            CancellationToken::new(),
            2,
        );
        let (_, created) = call(&queues, "CreateQueue", r#"{"QueueName":"q"}"#).await;
        assert_eq!(created["QueueUrl"], "http://[::1]:7/000000000000/q");
        let send =
            serde_json::json!({ "QueueUrl": created["QueueUrl"], "MessageBody": "m" }).to_string();
        assert_eq!(call(&queues, "SendMessage", &send).await.0, 200);
        assert_eq!(send_until(&queues, &send, 403).await["__type"], "OverLimit");
        let receive = serde_json::json!({ "QueueUrl": created["QueueUrl"] }).to_string();
        // Everything that went in before the count goes out again.
        loop {
            let (_, received) = call(&queues, "ReceiveMessage", &receive).await;
            let Some(handle) = received.pointer("/Messages/0/ReceiptHandle") else {
                break;
            };
            let delete =
                serde_json::json!({ "QueueUrl": created["QueueUrl"], "ReceiptHandle": handle })
                    .to_string();
            assert_eq!(call(&queues, "DeleteMessage", &delete).await.0, 200);
        }
        send_until(&queues, &send, 200).await;
    }
}
