//! A job's effect and its end: once, however often it is run.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use store::{Completion, Error, Job, NewJob, Payload, PurgeStep, Store, Written};
use tasks_api::{Activity, JobId, TaskId};

use crate::endpoint::{Fixture, comment, entry, eventually, now, page};

/// Workers with the same job at the same time.
const WORKERS: usize = 8;

/// A task and the activity job of its creation.
async fn task_with_job(fixture: &Fixture) -> (TaskId, Job, Activity) {
    let task = fixture.task().await;
    let entry = entry(task.id);
    let mut write = fixture.write(task.id);
    write.job = NewJob::activity(entry.clone(), None);
    let _ = fixture
        .store
        .add_comment(&comment(task.id, "comment"), &write)
        .await
        .unwrap();
    let job = fixture.store.job(entry.id).await.unwrap().unwrap();
    (task.id, job, entry)
}

/// A deleted task with a few items left, and its purge.
async fn deleted_task(fixture: &Fixture, comments: usize) -> (TaskId, Job) {
    let (task, job, entry) = task_with_job(fixture).await;
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Done
    );
    for _ in 1..comments {
        fixture.comment(task, "comment").await;
    }
    let write = fixture.purge();
    assert_eq!(
        fixture.store.delete_task(1, task, &write).await.unwrap(),
        Written::Now
    );
    (
        task,
        fixture.store.job(write.job.id()).await.unwrap().unwrap(),
    )
}

async fn history(fixture: &Fixture, task: TaskId) -> Vec<Activity> {
    fixture
        .store
        .activity(&fixture.workspace, task, &page(100, None))
        .await
        .unwrap()
        .items
}

#[tokio::test]
async fn a_job_run_twice_has_one_effect() {
    let fixture = Fixture::new().await;
    let (task, job, entry) = task_with_job(&fixture).await;
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Done
    );
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Duplicate
    );
    assert_eq!(fixture.store.job(job.id).await.unwrap(), None);
    assert_eq!(history(&fixture, task).await, [entry]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_by_many_at_once_has_one_effect() {
    let fixture = Arc::new(Fixture::new().await);
    let (task, job, entry) = task_with_job(&fixture).await;
    let work = async |store: Store, job: Job, entry: Activity| {
        eventually("an end of the job", || async {
            match store.complete_activity(&job, &entry).await {
                Err(Error::Conflict) => None,
                completed => Some(completed.unwrap()),
            }
        })
        .await
    };
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(fixture.store.clone(), job.clone(), entry.clone())))
        .collect();
    let mut done = 0;
    for worker in workers {
        match worker.await.unwrap() {
            Completion::Done => done += 1,
            completion => assert_eq!(completion, Completion::Duplicate),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(history(&fixture, task).await, [entry]);
}

#[tokio::test]
async fn the_history_of_a_deleted_task_is_not_written() {
    let fixture = Fixture::new().await;
    let (task, job, entry) = task_with_job(&fixture).await;
    let _ = fixture
        .store
        .delete_task(1, task, &fixture.purge())
        .await
        .unwrap();
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::TaskDeleted
    );
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Duplicate
    );
    assert_eq!(fixture.store.job(job.id).await.unwrap(), None);
    assert!(
        fixture
            .partition(task)
            .await
            .iter()
            .all(|sort| sort.starts_with("C#"))
    );
}

#[tokio::test]
async fn a_job_that_was_given_up_too_early_is_done_all_the_same() {
    let fixture = Fixture::new().await;
    let (task, job, entry) = task_with_job(&fixture).await;
    assert!(
        fixture
            .store
            .bury(job.id, now(), 5, "timeout")
            .await
            .unwrap()
    );
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Done
    );
    assert_eq!(
        fixture
            .store
            .dead_jobs(&page(10, None))
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(history(&fixture, task).await, [entry]);
}

#[tokio::test]
async fn an_entry_that_is_there_already_ends_its_job() {
    let fixture = Fixture::new().await;
    let (task, job, entry) = task_with_job(&fixture).await;
    let restored = fixture.client.get_item().table_name(&fixture.table);
    let restored = restored.key("pk", AttributeValue::S(format!("JOB#{}", job.id)));
    let restored = restored
        .key("sk", AttributeValue::S("JOB".to_owned()))
        .send()
        .await
        .unwrap()
        .item;
    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Done
    );
    fixture
        .client
        .put_item()
        .table_name(&fixture.table)
        .set_item(restored)
        .send()
        .await
        .unwrap();
    assert_eq!(fixture.store.job(job.id).await.unwrap(), Some(job.clone()));

    assert_eq!(
        fixture.store.complete_activity(&job, &entry).await.unwrap(),
        Completion::Duplicate
    );
    assert_eq!(fixture.store.job(job.id).await.unwrap(), None);
    assert_eq!(history(&fixture, task).await, [entry]);
}

#[tokio::test]
async fn a_purge_goes_on_where_it_was_interrupted() {
    let fixture = Fixture::new().await;
    let (task, job) = deleted_task(&fixture, 60).await;
    let neighbour = fixture.task().await;
    fixture.comment(neighbour.id, "stays").await;
    let mut left = fixture.partition(task).await.len();
    assert_eq!(left, 61);
    let mut steps = 0;
    // A store for each step, as if each was in a process of its own.
    while Store::new(fixture.client.clone(), &fixture.table)
        .purge_step(&job)
        .await
        .unwrap()
        == PurgeStep::More
    {
        let now_left = fixture.partition(task).await.len();
        assert!(
            now_left < left && left - now_left <= 25,
            "{left} {now_left}"
        );
        left = now_left;
        steps += 1;
        let owed = fixture.store.job(job.id).await.unwrap();
        assert!(owed.is_some(), "the job ends last");
    }
    assert_eq!((steps, left), (3, 0));
    assert_eq!(fixture.store.job(job.id).await.unwrap(), None);
    assert_eq!(
        fixture.store.purge_step(&job).await.unwrap(),
        PurgeStep::Finished(Completion::Duplicate)
    );
    assert_eq!(fixture.partition(neighbour.id).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_purges_of_one_task_end_once() {
    let fixture = Fixture::new().await;
    let (task, job) = deleted_task(&fixture, 30).await;
    let purge = async |store: Store, job: Job| loop {
        if let PurgeStep::Finished(completion) = store.purge_step(&job).await.unwrap() {
            return completion;
        }
    };
    let purges = [(); 2].map(|()| tokio::spawn(purge(fixture.store.clone(), job.clone())));
    let mut completions = Vec::new();
    for purge in purges {
        completions.push(purge.await.unwrap());
    }
    assert_eq!(
        completions
            .iter()
            .filter(|completion| **completion == Completion::Done)
            .count(),
        1
    );
    assert_eq!(
        completions
            .iter()
            .filter(|completion| **completion == Completion::Duplicate)
            .count(),
        1
    );
    assert_eq!(fixture.partition(task).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_purge_does_not_touch_a_task_that_is_there() {
    let fixture = Fixture::new().await;
    let (_, mut job) = deleted_task(&fixture, 1).await;
    let other = fixture.task().await;
    job.task_id = other.id;
    while fixture.store.purge_step(&job).await.unwrap() == PurgeStep::More {}
    assert_eq!(fixture.partition(other.id).await, ["TASK"]);
}

#[tokio::test]
async fn a_job_nobody_knows_is_none() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.job(JobId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn a_damaged_job_is_an_error_that_tells_nothing_of_it() {
    let fixture = Fixture::new().await;
    let (_, job, _) = task_with_job(&fixture).await;
    assert!(matches!(job.payload, Payload::Activity(_)));
    let pk = format!("JOB#{}", job.id);
    let check = async |attribute: &str, value: Option<AttributeValue>, expected: &str| {
        fixture.damage(&pk, "JOB", attribute, value).await;
        let error = fixture.store.job(job.id).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a job's item is damaged: attribute {expected}")
        );
    };
    let text = |text: &str| Some(AttributeValue::S(text.to_owned()));
    check(
        "dead_ms",
        text("1"),
        "dead_ms contradicts the time it is due",
    )
    .await;
    check("due_ms", None, "dead_ms is no number in range").await;
    check("dead_ms", None, "due_ms is missing").await;
    check(
        "document",
        text(r#"{"secret":1}"#),
        "document has an unknown value",
    )
    .await;
    check("kind", text("secret"), "kind has an unknown value").await;
}
