//! Endpoints that are away, slow, throttling, or tell of other writers: what the store makes of them.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use store::{Error, JobQueue, Store, Written};
use tasks_api::{JobId, JobKind, JobMessage, Task, TaskId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::endpoint::{self, Fixture, new_task, now, sqs_client, unique};

/// Attempts of one transaction that others are in the way of.
const ATTEMPTS: usize = 6;
const THROTTLED: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"secret"}"#,
);
const DONE: (u16, &str) = (200, "{}");

/// An endpoint that gives its answers in turn, the last one for ever.
struct Scripted {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    async fn start(answers: Vec<(u16, String)>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (status, body) =
                    &answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
                answer(stream, *status, body).await;
            }
        });
        Scripted { address, requests }
    }

    fn store(&self) -> Store {
        Store::new(
            endpoint::dynamodb(&format!("http://{}", self.address)),
            "tasks",
        )
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, status: u16, body: &str) {
    let mut request = Vec::new();
    let mut wanted = usize::MAX;
    while request.len() < wanted {
        assert_ne!(
            stream.read_buf(&mut request).await.unwrap(),
            0,
            "the request ends early"
        );
        if let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            wanted = head + 4 + length.unwrap_or(0);
        }
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
}

fn cancelled(reasons: [&str; 2]) -> (u16, String) {
    let reasons = reasons
        .map(|code| format!(r#"{{"Code":"{code}"}}"#))
        .join(",");
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[{reasons}]}}"#
    );
    (400, body)
}

fn owned((status, body): (u16, &str)) -> (u16, String) {
    (status, body.to_owned())
}

async fn create(store: &Store) -> Result<Written, Error> {
    let task = Task::new(TaskId::new(), new_task("task"), now());
    let write = store::Write {
        workspace: "dev".parse().unwrap(),
        now: now(),
        job: store::NewJob::purge(JobId::new(), None),
        due_at: now(),
        idempotency: None,
    };
    store.create_task(&task, &write).await
}

/// The error is one to wait for, has a cause, and tells nothing of what was asked or answered.
fn check_unavailable<T: std::fmt::Debug>(result: Result<T, Error>, wait: Duration) {
    let error = result.unwrap_err();
    let Error::Unavailable { retry_after, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*retry_after, wait);
    assert!(error.source().is_some());
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let wait = Duration::from_secs(2);
    let store = Store::new(endpoint::dynamodb(&url), "tasks");
    check_unavailable(store.ping().await, wait);
    check_unavailable(create(&store).await, wait);
    check_unavailable(
        store.task(&"dev".parse().unwrap(), TaskId::new()).await,
        wait,
    );
    check_unavailable(store.create_table().await, wait);
    check_unavailable(JobQueue::create(endpoint::sqs(&url), "jobs").await, wait);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_worth_another_try() {
    // Connections are accepted by the system, and nobody reads them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = endpoint::dynamodb(&format!("http://{}", listener.local_addr().unwrap()));
    let limit = TimeoutConfig::builder()
        .operation_timeout(Duration::from_millis(200))
        .build();
    let config = client.config().to_builder().timeout_config(limit).build();
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "tasks");
    check_unavailable(store.ping().await, Duration::from_secs(2));
}

#[tokio::test]
async fn what_the_service_says_decides() {
    let check = async |status, body: &str, wait: Option<u64>| {
        let endpoint = Scripted::start(vec![(status, body.to_owned())]).await;
        let result = endpoint.store().ping().await;
        match wait {
            Some(seconds) => check_unavailable(result, Duration::from_secs(seconds)),
            None => assert!(
                matches!(
                    result,
                    Err(Error::Refused {
                        operation: "GetItem",
                        ..
                    })
                ),
                "{result:?}"
            ),
        }
    };
    check(THROTTLED.0, THROTTLED.1, Some(1)).await;
    check(
        400,
        r#"{"__type":"x#ResourceNotFoundException","message":"secret"}"#,
        Some(2),
    )
    .await;
    check(500, r#"{"__type":"x#InternalServerError"}"#, Some(2)).await;
    check(503, "<html>secret</html>", Some(2)).await;
    check(
        400,
        r#"{"__type":"x#ValidationException","message":"secret"}"#,
        None,
    )
    .await;
    check(400, r#"{"__type":"x#UnrecognizedClientException"}"#, None).await;
}

#[tokio::test]
async fn a_missing_table_or_queue_is_worth_another_try() {
    let fixture = Fixture::new().await;
    let store = Store::new(fixture.client.clone(), unique());
    check_unavailable(store.ping().await, Duration::from_secs(2));
    check_unavailable(create(&store).await, Duration::from_secs(2));

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
        .delete_queue()
        .queue_url(url)
        .send()
        .await
        .unwrap();
    let message = JobMessage {
        job_id: JobId::new(),
        kind: JobKind::Purge,
    };
    check_unavailable(queue.send(&message, None).await, Duration::from_secs(2));
    check_unavailable(
        queue.receive(1, Duration::ZERO).await,
        Duration::from_secs(2),
    );
    check_unavailable(queue.depth().await, Duration::from_secs(2));
}

#[tokio::test]
async fn a_transaction_in_the_way_of_others_is_tried_again() {
    let conflict = cancelled(["TransactionConflict", "None"]);
    let throttled = cancelled(["None", "ThrottlingError"]);
    let endpoint = Scripted::start(vec![conflict, throttled, owned(DONE)]).await;
    assert_eq!(create(&endpoint.store()).await.unwrap(), Written::Now);
    assert_eq!(endpoint.requests(), 3);
}

#[tokio::test]
async fn a_transaction_is_not_tried_for_ever() {
    let endpoint = Scripted::start(vec![cancelled(["None", "TransactionConflict"])]).await;
    let result = create(&endpoint.store()).await;
    assert!(matches!(result, Err(Error::Conflict)), "{result:?}");
    assert_eq!(endpoint.requests(), ATTEMPTS);

    let endpoint = Scripted::start(vec![cancelled([
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
    ])])
    .await;
    check_unavailable(create(&endpoint.store()).await, Duration::from_secs(1));
    assert_eq!(endpoint.requests(), ATTEMPTS);
}

#[tokio::test]
async fn a_failed_condition_is_not_tried_again() {
    let endpoint = Scripted::start(vec![cancelled([
        "ConditionalCheckFailed",
        "TransactionConflict",
    ])])
    .await;
    let result = create(&endpoint.store()).await;
    assert!(matches!(result, Err(Error::Conflict)), "{result:?}");
    assert_eq!(endpoint.requests(), 1);

    let endpoint = Scripted::start(vec![cancelled(["ValidationError", "None"])]).await;
    let result = create(&endpoint.store()).await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused() {
    let exists = (400, r#"{"__type":"x#ResourceInUseException"}"#.to_owned());
    let described = (200, r#"{"Table":{"TableStatus":"ACTIVE","GlobalSecondaryIndexes":[{"IndexName":"gsi1","IndexStatus":"ACTIVE"}]}}"#.to_owned());
    let endpoint = Scripted::start(vec![exists, described]).await;
    let result = endpoint.store().create_table().await;
    assert!(
        matches!(
            result,
            Err(Error::Refused {
                operation: "DescribeTable",
                ..
            })
        ),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_purge_that_gets_nowhere_says_so() {
    let key = r#"{"pk":{"S":"p"},"sk":{"S":"C#1"}}"#;
    let found = (200, format!(r#"{{"Items":[{key}],"Count":1}}"#));
    let left = (
        200,
        format!(r#"{{"UnprocessedItems":{{"tasks":[{{"DeleteRequest":{{"Key":{key}}}}}]}}}}"#),
    );
    let endpoint = Scripted::start(vec![found, left]).await;
    let job = store::Job {
        id: JobId::new(),
        workspace: "dev".parse().unwrap(),
        task_id: TaskId::new(),
        payload: store::Payload::Purge,
        carrier: None,
        created_at: now(),
        sent_at: now(),
        sends: 1,
        state: store::JobState::Pending { due_at: now() },
    };
    check_unavailable(
        endpoint.store().purge_step(&job).await,
        Duration::from_secs(1),
    );
}
