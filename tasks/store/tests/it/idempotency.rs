//! A repeated request: one effect, one answer.

use std::sync::Arc;

use jiff::ToSpan;
use store::{Error, Written};
use tasks_api::{Status, Task, TaskFilter, TaskId};

use crate::endpoint::{Fixture, answer, comment, eventually, new_task, now, page};

/// Requests with one key at the same time.
const REPEATS: usize = 12;

#[tokio::test]
async fn a_repeated_creation_gets_the_first_answer() {
    let fixture = Fixture::new().await;
    let mut write = fixture.write(TaskId::new());
    write.idempotency = Some(answer("key", "request", "first"));
    let first = Task::new(TaskId::new(), new_task("once"), now());
    assert_eq!(
        fixture.store.create_task(&first, &write).await.unwrap(),
        Written::Now
    );

    let second = Task::new(TaskId::new(), new_task("once"), now());
    let mut repeat = fixture.write(second.id);
    repeat.idempotency = Some(answer("key", "request", "second"));
    let written = fixture.store.create_task(&second, &repeat).await.unwrap();
    assert_eq!(
        written,
        Written::Before(answer("key", "request", "first").response)
    );
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, second.id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(fixture.store.job(repeat.job.id()).await.unwrap(), None);
}

#[tokio::test]
async fn the_key_of_another_request_is_refused() {
    let fixture = Fixture::new().await;
    let mut write = fixture.write(TaskId::new());
    write.idempotency = Some(answer("key", "request", "first"));
    let task = Task::new(TaskId::new(), new_task("once"), now());
    let _ = fixture.store.create_task(&task, &write).await.unwrap();

    let other = answer("key", "other request", "second");
    let replayed = fixture
        .store
        .replay(&fixture.workspace, &other.to, now())
        .await;
    assert!(
        matches!(replayed, Err(Error::IdempotencyKeyReused)),
        "{replayed:?}"
    );
    let mut reuse = fixture.write(TaskId::new());
    reuse.idempotency = Some(other);
    let task = Task::new(TaskId::new(), new_task("other"), now());
    let written = fixture.store.create_task(&task, &reuse).await;
    assert!(
        matches!(written, Err(Error::IdempotencyKeyReused)),
        "{written:?}"
    );
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_key_is_known_in_its_workspace_for_a_day() {
    let fixture = Fixture::new().await;
    let given = answer("any text, even § or #", "request", "first");
    let mut write = fixture.write(TaskId::new());
    write.idempotency = Some(given.clone());
    let task = Task::new(TaskId::new(), new_task("once"), now());
    let _ = fixture.store.create_task(&task, &write).await.unwrap();

    let replay = async |workspace: &str, at| {
        fixture
            .store
            .replay(&workspace.parse().unwrap(), &given.to, at)
            .await
            .unwrap()
    };
    assert_eq!(replay("dev", now()).await, Some(given.response.clone()));
    assert_eq!(replay("other", now()).await, None);
    assert_eq!(
        replay("dev", write.now + 23.hours()).await,
        Some(given.response.clone())
    );
    assert_eq!(replay("dev", write.now + 25.hours()).await, None);

    // DynamoDB may keep the record for days; the key is free all the same.
    let mut later = fixture.write(TaskId::new());
    later.now = write.now + 25.hours();
    later.idempotency = Some(answer("any text, even § or #", "other request", "second"));
    let task = Task::new(TaskId::new(), new_task("again"), now());
    assert_eq!(
        fixture.store.create_task(&task, &later).await.unwrap(),
        Written::Now
    );
}

#[tokio::test]
async fn a_repeat_is_known_before_the_stale_version_is() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let moved = task.transitioned(Status::InProgress, now()).unwrap();
    let mut write = fixture.write(task.id);
    write.idempotency = Some(answer("move", "request", "moved"));
    assert_eq!(
        fixture.store.update_task(1, &moved, &write).await.unwrap(),
        Written::Now
    );
    let mut repeat = fixture.write(task.id);
    repeat.idempotency = write.idempotency.clone();
    let written = fixture.store.update_task(1, &moved, &repeat).await.unwrap();
    assert_eq!(
        written,
        Written::Before(answer("move", "request", "moved").response)
    );

    let mut write = fixture.purge();
    write.idempotency = Some(answer("delete", "request", ""));
    assert_eq!(
        fixture.store.delete_task(2, task.id, &write).await.unwrap(),
        Written::Now
    );
    let mut repeat = fixture.purge();
    repeat.idempotency = write.idempotency.clone();
    let written = fixture
        .store
        .delete_task(2, task.id, &repeat)
        .await
        .unwrap();
    assert_eq!(
        written,
        Written::Before(answer("delete", "request", "").response)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_repeats_one_has_an_effect() {
    let fixture = Arc::new(Fixture::new().await);
    let task = fixture.task().await;
    let repeat = async |fixture: Arc<Fixture>, task: TaskId, number: usize| {
        let mut write = fixture.write(task);
        write.idempotency = Some(answer("key", "request", &format!("answer {number}")));
        eventually("an answer", || async {
            match fixture
                .store
                .add_comment(&comment(task, "me too"), &write)
                .await
            {
                Err(Error::Conflict) => None,
                written => Some(written.unwrap()),
            }
        })
        .await
    };
    let repeats: Vec<_> = (0..REPEATS)
        .map(|number| tokio::spawn(repeat(Arc::clone(&fixture), task.id, number)))
        .collect();
    let mut answers = Vec::new();
    for repeat in repeats {
        answers.push(repeat.await.unwrap());
    }
    let winner = answers
        .iter()
        .position(|written| *written == Written::Now)
        .unwrap();
    let expected = Written::Before(answer("key", "request", &format!("answer {winner}")).response);
    for (number, written) in answers.iter().enumerate() {
        assert!(number == winner || *written == expected, "{written:?}");
    }
    let comments = fixture
        .store
        .comments(&fixture.workspace, task.id, &page(100, None))
        .await
        .unwrap();
    assert_eq!(comments.items.len(), 1);
    // The task's own, and the comment's.
    assert_eq!(fixture.store.backlog().await.unwrap().pending, 2);
    let tasks = fixture
        .store
        .list_tasks(&fixture.workspace, &TaskFilter::default())
        .await
        .unwrap();
    assert_eq!(tasks.items, [task]);
}
