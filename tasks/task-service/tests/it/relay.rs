//! The relay sends what was not sent, and what was lost with its queue; each in its own trace, and nothing else.

use std::time::Duration;

use conventions::spans;
use jiff::Timestamp;
use serde_json::json;
use store::{JobQueue, NewJob, Write, Written};
use tasks_api::{Activity, Event, JobId, NewTask, Task, TaskId};
use telemetry::w3c::Carrier;

use crate::{
    process::{Aws, Process, eventually},
    service::{Answer, PROGRAM, System},
};

/// Job ids of what is on the queue, until there are so many.
async fn received(queue: &JobQueue, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    eventually("messages", async || {
        for message in queue
            .receive(10, Duration::from_secs(1))
            .await
            .unwrap()
            .messages
        {
            jobs.push(JobQueue::decode(&message).unwrap().job_id);
        }
        (jobs.len() >= count).then_some(())
    })
    .await;
    jobs
}

/// A job whose message was never sent, as after a crash between commit and send.
async fn unsent(aws: &Aws, trace_id: &str) -> JobId {
    let now = Timestamp::now();
    let new: NewTask = serde_json::from_value(json!({"title": "Unsent"})).unwrap();
    let task = Task::new(TaskId::new(), new, now);
    let entry = Activity {
        id: JobId::new(),
        task_id: task.id,
        actor: "somebody".parse().unwrap(),
        at: now,
        trace_id: trace_id.to_owned(),
        event: Event::Created,
    };
    let carrier = Carrier {
        traceparent: format!("00-{trace_id}-00f067aa0ba902b7-01"),
        tracestate: None,
    };
    let job = entry.id;
    let write = Write {
        workspace: "home".parse().unwrap(),
        now,
        job: NewJob::activity(entry, Some(carrier)),
        due_at: now,
        idempotency: None,
    };
    assert_eq!(
        aws.store().create_task(&task, &write).await.unwrap(),
        Written::Now
    );
    job
}

#[tokio::test]
async fn a_job_that_was_never_sent_is_sent_in_its_own_trace() {
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let system = System::start().await;
    let queue = system.aws.aged_queue().await;
    let job = unsent(&system.aws, trace_id).await;
    assert_eq!(received(&queue, 1).await, [job]);
    let sent = system
        .service
        .span("the message", |span| span.name == "send jobs")
        .await;
    assert_eq!(sent.trace_id.to_string(), trace_id);
    let line = system.service.log_line("job relayed").await;
    assert_eq!(
        (&line["trace_id"], &line["fields"]["tripod.job.id"]),
        (&json!(trace_id), &json!(job.to_string()))
    );
    let stored = system.aws.store().job(job).await.unwrap().unwrap();
    assert_eq!(stored.sends, 2, "the request's own counts");
}

#[tokio::test]
async fn two_relays_send_a_job_once() {
    let system = System::start().await;
    let other = Process::start(PROGRAM, &system.aws, &[]).await;
    other.ready().await;
    let queue = system.aws.aged_queue().await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        jobs.push(unsent(&system.aws, &format!("{:032x}", number + 1)).await);
    }
    let mut sent = received(&queue, jobs.len()).await;
    sent.extend(received(&queue, 0).await);
    sent.sort();
    jobs.sort();
    assert_eq!(sent, jobs);
    let store = system.aws.store();
    for job in jobs {
        assert_eq!(store.job(job).await.unwrap().unwrap().sends, 2);
    }
}

#[tokio::test]
async fn while_sqs_refuses_messages_requests_succeed_and_jobs_wait() {
    let system = System::start().await;
    let queue = system.aws.queue().await;
    system
        .service
        .fault("sqs:SendMessage", json!({"error": "unavailable"}))
        .await;
    let answer = Answer::to(system.post("/v1/tasks", &json!({"title": "Waits"}))).await;
    assert_eq!(answer.status, 201);
    let line = system
        .service
        .log_line("job was not sent: left to the relay")
        .await;
    assert_eq!(
        (&line["level"], &line["trace_id"]),
        (&json!("WARN"), &json!(answer.trace_id()))
    );
    eventually("the count", async || {
        (system.service.metric("outbox_pending", &[]).await == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(queue.depth().await.unwrap().visible, 0);

    system.service.heal().await;
    let jobs = received(&queue, 1).await;
    let trace_id = answer.trace_id();
    let was_sent = |span: &telemetry::testing::Span| {
        span.name == "send jobs" && span.trace_id.to_string() == trace_id && !span.is_error()
    };
    let sent = system.service.span("the message, at last", was_sent).await;
    assert_eq!(sent.text(spans::MESSAGING_DESTINATION_NAME), Some("jobs"));
    assert_eq!(line["fields"]["tripod.job.id"], jobs[0].to_string());
}

#[tokio::test]
async fn what_was_lost_with_a_queue_is_sent_to_the_next_one() {
    let mut system = System::start().await;
    for number in 0..30 {
        system.create(&format!("{number}")).await;
    }
    let mut before = received(&system.aws.queue().await, 30).await;

    system.aws.sqs.stop().await;
    assert_eq!(
        Answer::to(system.post("/v1/tasks", &json!({"title": "During"})))
            .await
            .status,
        201
    );
    system
        .service
        .log_line("job was not sent: left to the relay")
        .await;
    system.aws.sqs.restart().await;

    let mut after = received(&system.aws.queue().await, 31).await;
    system.service.log_line("relay works again").await;
    system.service.log_line("the queue is new: 3").await;
    after.sort();
    after.dedup();
    before.sort();
    assert!(
        before.iter().all(|job| after.contains(job)),
        "{before:?} {after:?}"
    );
    assert_eq!(after.len(), 31);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_made_again() {
    let system = System::start().await;
    system.aws.queue().await;
    let sqs = system.aws.sqs_client();
    let url = sqs
        .get_queue_url()
        .queue_name("jobs")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    sqs.delete_queue().queue_url(url).send().await.unwrap();
    system.create("Orphaned").await;
    let queue = system.aws.queue().await;
    received(&queue, 1).await;
}

#[tokio::test]
async fn a_job_that_cannot_be_read_holds_up_no_other() {
    let system = System::start().await;
    let queue = system.aws.aged_queue().await;
    let damaged = unsent(&system.aws, &format!("{:032x}", 1)).await;
    system.aws.damage_job(damaged).await;
    let line = system
        .service
        .log_line("1 jobs cannot be read: they are left out")
        .await;
    assert_eq!(line["level"], "ERROR");
    let job = unsent(&system.aws, &format!("{:032x}", 2)).await;
    let sent = async || {
        let jobs = received(&queue, 1).await;
        jobs.contains(&job).then_some(())
    };
    eventually("the other job", sent).await;
    assert_eq!(
        system
            .service
            .logged("1 jobs cannot be read: they are left out")
            .len(),
        1
    );
}

#[tokio::test]
async fn looking_for_work_leaves_no_spans() {
    let mut system = System::start().await;
    eventually("a pass", async || {
        system.service.metric("outbox_pending", &[]).await
    })
    .await;
    assert!(system.service.stop().await.success());
    let names: Vec<_> = system
        .service
        .sink
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, [spans::SERVICE_START]);
}
