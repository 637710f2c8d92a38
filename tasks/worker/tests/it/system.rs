//! A worker with table and queue, and changes that leave it jobs, as the task-service makes them.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{JobQueue, NewJob, Store, Write, Written};
use tasks_api::{
    Activity, Comment, CommentId, Event, JobId, NewTask, PageQuery, Task, TaskId, WorkspaceId,
};
use telemetry::{testing::Span, w3c::Carrier};

use crate::process::{Aws, Process, QUEUE, eventually};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_worker");
/// Retries at once, as far as SQS can: it counts visibility in seconds.
pub(crate) const QUICK: &[(&str, &str)] =
    &[("TRIPOD_BACKOFF_MIN", "1ms"), ("TRIPOD_BACKOFF_MAX", "1ms")];
/// Where a caused job's trace goes on.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e47";

/// A worker and what it works with.
pub(crate) struct System {
    pub(crate) aws: Aws,
    pub(crate) store: Store,
    pub(crate) queue: JobQueue,
    pub(crate) worker: Process,
}

/// A job and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Caused {
    pub(crate) task: TaskId,
    pub(crate) job: JobId,
    pub(crate) trace_id: String,
}

impl System {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_hidden_for(JobQueue::VISIBILITY, environment).await
    }

    /// On a queue with another visibility timeout.
    pub(crate) async fn start_hidden_for(
        visibility: Duration,
        environment: &[(&str, &str)],
    ) -> Self {
        let aws = Aws::start().await;
        let store = aws.store();
        store.create_table().await.unwrap();
        let queue = JobQueue::create(aws.sqs_client(), QUEUE).await.unwrap();
        let request = aws
            .sqs_client()
            .set_queue_attributes()
            .queue_url(url(&aws).await);
        let timeout = QueueAttributeName::VisibilityTimeout;
        request
            .attributes(timeout, visibility.as_secs().to_string())
            .send()
            .await
            .unwrap();
        let worker = Process::start(PROGRAM, &aws, environment).await;
        worker.ready().await;
        Self {
            aws,
            store,
            queue,
            worker,
        }
    }

    /// Creates a task, and sends its job.
    pub(crate) async fn create(&self, number: u8) -> Caused {
        let caused = self.create_unsent(number).await;
        self.send(&caused).await;
        caused
    }

    /// Creates a task whose job is not on the queue.
    pub(crate) async fn create_unsent(&self, number: u8) -> Caused {
        let new: NewTask = serde_json::from_value(json!({"title": "Worked on"})).unwrap();
        let task = Task::new(TaskId::new(), new, Timestamp::now());
        let trace_id = format!("{TRACE}{number:02x}");
        let write = write(entry(task.id, &trace_id));
        let job = write.job.id();
        assert_eq!(
            self.store.create_task(&task, &write).await.unwrap(),
            Written::Now
        );
        Caused {
            task: task.id,
            job,
            trace_id,
        }
    }

    /// Adds a comment, and sends nothing.
    pub(crate) async fn comment(&self, task: TaskId, number: u8) {
        let comment = Comment {
            id: CommentId::new(),
            task_id: task,
            author: "somebody".parse().unwrap(),
            text: number.to_string(),
            created_at: Timestamp::now(),
        };
        let write = write(entry(task, &format!("{TRACE}{number:02x}")));
        assert_eq!(
            self.store.add_comment(&comment, &write).await.unwrap(),
            Written::Now
        );
    }

    /// Deletes a task that was just created, and sends nothing.
    pub(crate) async fn delete_unsent(&self, task: TaskId, number: u8) -> Caused {
        let trace_id = format!("{TRACE}{number:02x}");
        let job = NewJob::purge(JobId::new(), Some(carrier(&trace_id)));
        let job_id = job.id();
        let write = Write {
            job,
            ..write(entry(task, &trace_id))
        };
        assert_eq!(
            self.store.delete_task(1, task, &write).await.unwrap(),
            Written::Now
        );
        Caused {
            task,
            job: job_id,
            trace_id,
        }
    }

    /// Puts a job's message onto the queue.
    pub(crate) async fn send(&self, caused: &Caused) {
        let job = self.store.job(caused.job).await.unwrap().unwrap();
        self.queue
            .send(&job.message(), job.carrier.as_ref())
            .await
            .unwrap();
    }

    /// Puts any text onto the queue.
    pub(crate) async fn send_text(&self, text: &str) {
        let request = self
            .aws
            .sqs_client()
            .send_message()
            .queue_url(url(&self.aws).await);
        request.message_body(text).send().await.unwrap();
    }

    /// Ids of a task's history.
    pub(crate) async fn history(&self, task: TaskId) -> Vec<JobId> {
        let page = self
            .store
            .activity(&workspace(), task, &PageQuery::default())
            .await
            .unwrap();
        page.items.iter().map(|entry| entry.id).collect()
    }

    /// Waits until a job is done, one way or the other.
    pub(crate) async fn done(&self, caused: &Caused) {
        let is_gone = async || {
            self.store
                .job(caused.job)
                .await
                .unwrap()
                .is_none()
                .then_some(())
        };
        eventually("the end of the job", is_gone).await;
    }

    /// Waits until the queue holds nothing, neither visible nor hidden.
    pub(crate) async fn empty(&self) {
        let is_empty = async || {
            let depth = self.queue.depth().await.unwrap();
            (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
        };
        eventually("an empty queue", is_empty).await;
    }

    /// The spans of a job's attempts, once there are so many.
    pub(crate) async fn attempts(&self, caused: &Caused, count: usize) -> Vec<Span> {
        let is_attempt = |span: &Span| {
            span.name == "process jobs" && span.trace_id.to_string() == caused.trace_id
        };
        eventually("the attempts", async || {
            let spans: Vec<_> = self
                .worker
                .sink
                .spans()
                .into_iter()
                .filter(is_attempt)
                .collect();
            (spans.len() >= count).then_some(spans)
        })
        .await
    }

    /// What is on the dead-letter queue, which is then hidden for a moment.
    pub(crate) async fn dead_messages(&self) -> Vec<Message> {
        self.queue
            .receive_dead(10, Duration::from_secs(1))
            .await
            .unwrap()
    }
}

pub(crate) fn workspace() -> WorkspaceId {
    "home".parse().unwrap()
}

async fn url(aws: &Aws) -> String {
    let found = aws
        .sqs_client()
        .get_queue_url()
        .queue_name(QUEUE)
        .send()
        .await;
    found.unwrap().queue_url.unwrap()
}

fn entry(task: TaskId, trace_id: &str) -> Activity {
    Activity {
        id: JobId::new(),
        task_id: task,
        actor: "somebody".parse().unwrap(),
        at: Timestamp::now(),
        trace_id: trace_id.to_owned(),
        event: Event::Created,
    }
}

fn write(entry: Activity) -> Write {
    let now = Timestamp::now();
    let carrier = carrier(&entry.trace_id);
    Write {
        workspace: workspace(),
        now,
        job: NewJob::activity(entry, Some(carrier)),
        due_at: now + SignedDuration::from_secs(15),
        idempotency: None,
    }
}

fn carrier(trace_id: &str) -> Carrier {
    Carrier {
        traceparent: format!("00-{trace_id}-00f067aa0ba902b7-01"),
        tracestate: None,
    }
}
