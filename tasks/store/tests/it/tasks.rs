//! One task: written whole or not at all, never over somebody else's change.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use store::{Error, JobState, Payload, Written};
use tasks_api::{JobKind, NewTask, Priority, Status, Task, TaskId, TaskPatch};

use crate::endpoint::{Fixture, GRACE, carrier, eventually, new_task, now};

/// Writers at the same time.
const WRITERS: u64 = 8;
/// Writes that each of them gets through.
const WRITES: u64 = 5;

fn full_task() -> NewTask {
    NewTask {
        title: "Grüße aus 東京 🗼".to_owned(),
        description: Some(String::new()),
        priority: Priority::Urgent,
        due_at: Some("2026-12-24T18:00:00.123456789Z".parse().unwrap()),
        labels: vec!["home".to_owned(), "ö#ü".to_owned()],
        assignee: Some("Ann Other #2".to_owned()),
    }
}

fn retitled(task: &Task, title: &str) -> Task {
    let patch = TaskPatch {
        title: Some(title.to_owned()),
        ..TaskPatch::default()
    };
    task.patched(patch, now()).0
}

/// Changes the task until it got through some writes; tells the versions that are its own.
async fn writer(fixture: Arc<Fixture>, id: TaskId, name: u64) -> Vec<u64> {
    let mut won = Vec::new();
    for number in 0..WRITES {
        won.push(
            eventually("a write", || async {
                try_write(&fixture, id, &format!("{name} {number}")).await
            })
            .await,
        );
    }
    won
}

/// The version written, unless somebody else was faster.
async fn try_write(fixture: &Fixture, id: TaskId, title: &str) -> Option<u64> {
    let before = fixture
        .store
        .task(&fixture.workspace, id)
        .await
        .unwrap()
        .unwrap();
    let after = retitled(&before, title);
    match fixture
        .store
        .update_task(before.version, &after, &fixture.write(id))
        .await
    {
        Ok(written) => {
            assert_eq!(written, Written::Now);
            Some(after.version)
        }
        Err(Error::VersionMismatch { current }) => {
            assert!(current > before.version);
            None
        }
        Err(Error::Conflict) => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_task_comes_back_as_it_was_stored() {
    let fixture = Fixture::new().await;
    for new in [new_task("plain"), full_task()] {
        let task = fixture.task_with(new).await;
        assert_eq!(
            fixture
                .store
                .task(&fixture.workspace, task.id)
                .await
                .unwrap(),
            Some(task)
        );
    }
}

#[tokio::test]
async fn a_task_is_seen_in_its_workspace_only() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let other = "other".parse().unwrap();
    assert_eq!(fixture.store.task(&other, task.id).await.unwrap(), None);
    let mut write = fixture.write(task.id);
    write.workspace = other;
    let changed = retitled(&task, "mine");
    assert!(matches!(
        fixture.store.update_task(1, &changed, &write).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        fixture.store.delete_task(1, task.id, &write).await,
        Err(Error::NotFound)
    ));
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap(),
        Some(task)
    );
}

#[tokio::test]
async fn a_change_and_its_job_are_written_together() {
    let fixture = Fixture::new().await;
    let task = Task::new(TaskId::new(), full_task(), now());
    let write = fixture.write(task.id);
    assert_eq!(
        fixture.store.create_task(&task, &write).await.unwrap(),
        Written::Now
    );

    let job = fixture.store.job(write.job.id()).await.unwrap().unwrap();
    let Payload::Activity(entry) = &job.payload else {
        panic!("{job:?}")
    };
    assert_eq!((entry.id, entry.task_id), (job.id, task.id));
    assert_eq!(job.message(), write.job.message());
    assert_eq!(job.carrier, Some(carrier()));
    assert_eq!((&job.workspace, job.task_id), (&fixture.workspace, task.id));
    assert_eq!(
        (job.created_at, job.sent_at, job.sends),
        (write.now, write.now, 1)
    );
    assert_eq!(
        job.state,
        JobState::Pending {
            due_at: write.now + GRACE
        }
    );
}

#[tokio::test]
async fn a_refused_change_leaves_no_job() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let changed = retitled(&task, "other");

    let write = fixture.write(task.id);
    let stale = fixture.store.update_task(7, &changed, &write).await;
    assert!(
        matches!(stale, Err(Error::VersionMismatch { current: 1 })),
        "{stale:?}"
    );
    assert_eq!(fixture.store.job(write.job.id()).await.unwrap(), None);

    let stale = fixture.store.delete_task(7, task.id, &write).await;
    assert!(
        matches!(stale, Err(Error::VersionMismatch { current: 1 })),
        "{stale:?}"
    );
    let taken = fixture.store.create_task(&changed, &write).await;
    assert!(matches!(taken, Err(Error::Conflict)), "{taken:?}");
    assert_eq!(fixture.store.job(write.job.id()).await.unwrap(), None);
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap(),
        Some(task)
    );
}

#[tokio::test]
async fn an_update_replaces_the_whole_task() {
    let fixture = Fixture::new().await;
    let task = fixture.task_with(full_task()).await;
    let patch = TaskPatch {
        description: Some(None),
        due_at: Some(None),
        labels: Some(Vec::new()),
        assignee: Some(None),
        ..TaskPatch::default()
    };
    let (cleared, _) = task.patched(patch, now());
    let moved = cleared.transitioned(Status::InProgress, now()).unwrap();
    for (before, after) in [(&task, &cleared), (&cleared, &moved)] {
        let written = fixture
            .store
            .update_task(before.version, after, &fixture.write(task.id))
            .await;
        assert_eq!(written.unwrap(), Written::Now);
        assert_eq!(
            fixture
                .store
                .task(&fixture.workspace, task.id)
                .await
                .unwrap()
                .as_ref(),
            Some(after)
        );
    }
}

#[tokio::test]
async fn a_deleted_task_is_gone_and_leaves_a_purge() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let write = fixture.purge();
    assert_eq!(
        fixture.store.delete_task(1, task.id, &write).await.unwrap(),
        Written::Now
    );
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap(),
        None
    );
    let job = fixture.store.job(write.job.id()).await.unwrap().unwrap();
    assert_eq!(job.message().kind, JobKind::Purge);
    assert_eq!(job.task_id, task.id);

    let again = fixture
        .store
        .delete_task(1, task.id, &fixture.purge())
        .await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
    let late = fixture
        .store
        .update_task(1, &retitled(&task, "late"), &fixture.write(task.id))
        .await;
    assert!(matches!(late, Err(Error::NotFound)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_updates_of_a_version_one_wins() {
    let fixture = Arc::new(Fixture::new().await);
    let task = fixture.task().await;
    let id = task.id;
    let writers: Vec<_> = (0..WRITERS)
        .map(|name| tokio::spawn(writer(Arc::clone(&fixture), id, name)))
        .collect();
    let mut versions = Vec::new();
    for writer in writers {
        versions.extend(writer.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=1 + WRITERS * WRITES).collect::<Vec<_>>());
    let last = fixture
        .store
        .task(&fixture.workspace, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last.version, 1 + WRITERS * WRITES);
    // One job for the creation and each write that won, none for those that lost.
    assert_eq!(
        fixture.store.backlog().await.unwrap().pending,
        1 + WRITERS * WRITES
    );
}

#[tokio::test]
async fn a_damaged_task_is_an_error_that_tells_nothing_of_it() {
    let fixture = Fixture::new().await;
    let task = fixture.task_with(full_task()).await;
    let pk = format!("W#dev#T#{}", task.id);
    let text = |text: &str| Some(AttributeValue::S(text.to_owned()));
    let damages = [
        (
            "version",
            text("secret"),
            "attribute version is no number in range",
        ),
        ("title", None, "attribute title is missing"),
        (
            "task_status",
            text("secret"),
            "attribute task_status has an unknown value",
        ),
        (
            "labels",
            text("secret"),
            "attribute labels is no list of texts",
        ),
        (
            "created_ns",
            Some(AttributeValue::N(10_i128.pow(30).to_string())),
            "attribute created_ns is no instant",
        ),
    ];
    for (attribute, value, expected) in damages {
        fixture.damage(&pk, "TASK", attribute, value).await;
        let error = fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a task's item is damaged: {expected}")
        );
        let listed = fixture
            .store
            .list_tasks(&fixture.workspace, &tasks_api::TaskFilter::default())
            .await;
        assert!(matches!(listed, Err(Error::Corrupt { .. })), "{listed:?}");
        let repaired = fixture
            .store
            .update_task(1, &task, &fixture.write(task.id))
            .await;
        if attribute == "version" {
            assert!(
                matches!(repaired, Err(Error::Corrupt { .. })),
                "{repaired:?}"
            );
            fixture
                .damage(
                    &pk,
                    "TASK",
                    "version",
                    Some(AttributeValue::N("1".to_owned())),
                )
                .await;
        } else {
            assert_eq!(repaired.unwrap(), Written::Now);
        }
    }
}

#[tokio::test]
async fn the_table_can_be_made_twice_and_answers() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    fixture.store.create_table().await.unwrap();
    fixture.store.ping().await.unwrap();
    assert_eq!(
        fixture
            .store
            .task(&fixture.workspace, task.id)
            .await
            .unwrap(),
        Some(task)
    );
    let expiry = fixture
        .client
        .describe_time_to_live()
        .table_name(&fixture.table)
        .send()
        .await
        .unwrap();
    assert_eq!(
        expiry.time_to_live_description().unwrap().attribute_name(),
        Some("expires_at")
    );
}

#[tokio::test]
async fn an_api_key_is_replaced_in_its_workspace_only() {
    let fixture = Fixture::new().await;
    let (old, new) = (
        store::KeyText::generate().unwrap(),
        store::KeyText::generate().unwrap(),
    );
    let renewed: store::KeyText = new
        .reveal()
        .replace(new.id().as_str(), old.id().as_str())
        .parse()
        .unwrap();
    let at = Timestamp::from_second(1_767_322_245).unwrap();
    assert_eq!(fixture.store.api_key(old.id()).await.unwrap(), None);
    for key in [&old, &renewed] {
        let stored = store::ApiKey::new(key, fixture.workspace.clone(), at);
        fixture.store.put_api_key(&stored).await.unwrap();
        let found = fixture.store.api_key(old.id()).await.unwrap().unwrap();
        assert!(found.matches(key));
        assert_eq!(found, stored);
    }
    let foreign = store::ApiKey::new(&old, "other".parse().unwrap(), at);
    assert!(matches!(
        fixture.store.put_api_key(&foreign).await,
        Err(Error::Conflict)
    ));
    assert!(
        fixture
            .store
            .api_key(old.id())
            .await
            .unwrap()
            .unwrap()
            .matches(&renewed)
    );
}
