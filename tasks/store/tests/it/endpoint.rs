//! One endpoint for the whole run, a table of its own for each test, and the few builders that every test needs.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_local::{AwsLocal, Options};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use store::{Answer, Fingerprint, Idempotency, NewJob, Store, StoredResponse, Write, Written};
use tasks_api::{
    Activity, Comment, CommentId, Event, JobId, NewTask, PageQuery, Task, TaskId, WorkspaceId,
};
use telemetry::w3c::Carrier;

/// Names another endpoint to run on.
const PEER: &str = "TRIPOD_AWS_ENDPOINT";
/// For anything that must come to hold.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long after a change its job is due.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_secs(10);

static ENDPOINT: LazyLock<String> = LazyLock::new(|| {
    std::env::var(PEER).unwrap_or_else(|_| format!("http://{}", start_embedded()))
});

/// A table and a workspace.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) client: aws_sdk_dynamodb::Client,
    pub(crate) table: String,
    pub(crate) workspace: WorkspaceId,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        let table = unique();
        let client = dynamodb(&ENDPOINT);
        let store = Store::new(client.clone(), &table);
        store.create_table().await.unwrap();
        Fixture {
            store,
            client,
            table,
            workspace: "dev".parse().unwrap(),
        }
    }

    /// What a change carries that leaves an activity job for this task.
    pub(crate) fn write(&self, task: TaskId) -> Write {
        let now = now();
        Write {
            workspace: self.workspace.clone(),
            now,
            job: NewJob::activity(entry(task), Some(carrier())),
            due_at: now + GRACE,
            idempotency: None,
        }
    }

    pub(crate) fn purge(&self) -> Write {
        let now = now();
        Write {
            workspace: self.workspace.clone(),
            now,
            job: NewJob::purge(JobId::new(), Some(carrier())),
            due_at: now + GRACE,
            idempotency: None,
        }
    }

    /// A stored task.
    pub(crate) async fn task(&self) -> Task {
        self.task_with(new_task("water the plants")).await
    }

    pub(crate) async fn task_with(&self, new: NewTask) -> Task {
        let task = Task::new(TaskId::new(), new, now());
        let written = self
            .store
            .create_task(&task, &self.write(task.id))
            .await
            .unwrap();
        assert_eq!(written, Written::Now);
        task
    }

    pub(crate) async fn comment(&self, task: TaskId, text: &str) -> Comment {
        let comment = comment(task, text);
        let written = self
            .store
            .add_comment(&comment, &self.write(task))
            .await
            .unwrap();
        assert_eq!(written, Written::Now);
        comment
    }

    /// Every item of a task's partition, by sort key.
    pub(crate) async fn partition(&self, task: TaskId) -> Vec<String> {
        let partition = format!("W#{}#T#{task}", self.workspace);
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk");
        let query = query
            .expression_attribute_values(":pk", AttributeValue::S(partition))
            .consistent_read(true);
        let items = query
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .unwrap();
        items
            .iter()
            .map(|item| item["sk"].as_s().unwrap().clone())
            .collect()
    }

    /// Changes one attribute of an item behind the store's back; `None` removes it.
    pub(crate) async fn damage(
        &self,
        pk: &str,
        sk: &str,
        attribute: &str,
        value: Option<AttributeValue>,
    ) {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        let update = update.expression_attribute_names("#a", attribute);
        let update = match value {
            Some(value) => update
                .update_expression("SET #a = :v")
                .expression_attribute_values(":v", value),
            None => update.update_expression("REMOVE #a"),
        };
        update.send().await.unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    // What is stored of a job's times.
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap()
}

pub(crate) fn new_task(title: &str) -> NewTask {
    NewTask {
        title: title.to_owned(),
        description: None,
        priority: tasks_api::Priority::Normal,
        due_at: None,
        labels: Vec::new(),
        assignee: None,
    }
}

pub(crate) fn comment(task: TaskId, text: &str) -> Comment {
    Comment {
        id: CommentId::new(),
        task_id: task,
        author: "somebody".parse().unwrap(),
        text: text.to_owned(),
        created_at: Timestamp::now(),
    }
}

pub(crate) fn entry(task: TaskId) -> Activity {
    Activity {
        id: JobId::new(),
        task_id: task,
        actor: "somebody".parse().unwrap(),
        at: Timestamp::now(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        event: Event::Updated {
            fields: vec!["title".to_owned()],
        },
    }
}

pub(crate) fn carrier() -> Carrier {
    Carrier {
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        tracestate: Some("tripod=t:18f".to_owned()),
    }
}

pub(crate) fn answer(key: &str, request: &str, body: &str) -> Answer {
    Answer {
        to: Idempotency {
            key: key.to_owned(),
            fingerprint: Fingerprint::of(&[request.as_bytes()]),
        },
        response: StoredResponse {
            status: 201,
            etag: Some("\"1\"".to_owned()),
            location: None,
            body: body.as_bytes().to_vec(),
        },
    }
}

pub(crate) fn page(limit: u32, cursor: Option<String>) -> PageQuery {
    PageQuery {
        limit: Some(limit),
        cursor,
    }
}

pub(crate) fn unique() -> String {
    format!("test-{}", TaskId::new())
}

pub(crate) fn sqs_client() -> aws_sdk_sqs::Client {
    sqs(&ENDPOINT)
}

/// Waits for something that is said with a delay.
pub(crate) async fn eventually<T, F>(what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::task::yield_now().await;
    }
}

/// Without retries, so that a test sees each answer.
pub(crate) fn dynamodb(url: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("any", "any", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

pub(crate) fn sqs(url: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("any", "any", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .interceptor(telemetry::aws::Interceptor::new())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_sqs::Client::from_conf(config.build())
}

/// On threads of its own, so that no test's runtime ends it.
fn start_embedded() -> SocketAddr {
    let (started, starting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let address = "127.0.0.1:0".parse().unwrap();
            let aws = AwsLocal::bind(address, Options::default()).await.unwrap();
            started.send(aws.addr()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    starting.recv().unwrap()
}
