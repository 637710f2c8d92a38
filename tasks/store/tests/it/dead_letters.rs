//! Jobs that were given up: listed until they are revived.

use jiff::{SignedDuration, Timestamp};
use store::{Error, Job, JobState, Shard};
use tasks_api::JobId;

use crate::endpoint::{Fixture, now, page};

/// Dead jobs, in the order of their deaths.
async fn dead_jobs(fixture: &Fixture, count: i64, from: Timestamp) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let task = fixture.task().await;
        let write = fixture.write(task.id);
        let _ = fixture
            .store
            .add_comment(&crate::endpoint::comment(task.id, "comment"), &write)
            .await
            .unwrap();
        let at = from + SignedDuration::from_millis(number);
        assert!(
            fixture
                .store
                .bury(write.job.id(), at, 5, "timeout")
                .await
                .unwrap()
        );
        ids.push(write.job.id());
    }
    ids
}

async fn listed(fixture: &Fixture, limit: u32) -> Vec<Job> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = fixture.store.dead_jobs(&page(limit, cursor)).await.unwrap();
        found.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn dead_jobs_are_listed_the_last_one_first() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.oldest_dead_at().await.unwrap(), None);
    let at = now();
    let mut expected = dead_jobs(&fixture, 5, at).await;
    expected.reverse();
    for limit in [1, 2, 5, 100] {
        let found = listed(&fixture, limit).await;
        assert_eq!(
            found.iter().map(|job| job.id).collect::<Vec<_>>(),
            expected,
            "by {limit}"
        );
    }
    let last = listed(&fixture, 100).await.remove(0);
    assert_eq!(
        last.state,
        JobState::Dead {
            at: at + SignedDuration::from_millis(4),
            attempts: 5,
            error_type: "timeout".to_owned()
        }
    );
    assert_eq!(fixture.store.oldest_dead_at().await.unwrap(), Some(at));
}

#[tokio::test]
async fn a_revived_job_is_due_at_once_and_can_die_again() {
    let fixture = Fixture::new().await;
    let at = now();
    let [id] = dead_jobs(&fixture, 1, at).await[..] else {
        panic!("one job")
    };
    let before = fixture.store.backlog().await.unwrap().pending;
    assert!(fixture.store.revive(id, at).await.unwrap());
    assert!(
        !fixture.store.revive(id, at).await.unwrap(),
        "it is not dead any more"
    );
    assert_eq!(listed(&fixture, 10).await, []);
    assert_eq!(fixture.store.backlog().await.unwrap().pending, before + 1);
    let mut due = Vec::new();
    for shard in Shard::ALL {
        due.extend(
            fixture
                .store
                .due_jobs(shard, at, 10)
                .await
                .unwrap()
                .into_iter()
                .map(Result::unwrap),
        );
    }
    assert_eq!(due.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    assert_eq!(due[0].state, JobState::Pending { due_at: at });
    assert!(fixture.store.bury(id, at, 5, "timeout").await.unwrap());
    assert_eq!(listed(&fixture, 10).await.len(), 1);
}

#[tokio::test]
async fn a_walk_that_revives_ends_even_if_jobs_die_again() {
    let fixture = Fixture::new().await;
    let at = now();
    dead_jobs(&fixture, 6, at).await;
    let (mut revived, mut cursor) = (0, None);
    loop {
        let page = fixture.store.dead_jobs(&page(2, cursor)).await.unwrap();
        for job in &page.items {
            assert!(fixture.store.revive(job.id, at).await.unwrap());
            assert!(
                fixture
                    .store
                    .bury(job.id, at + SignedDuration::from_secs(1), 5, "timeout")
                    .await
                    .unwrap()
            );
            revived += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(revived, 6);
}

#[tokio::test]
async fn what_is_not_there_is_neither_buried_nor_revived() {
    let fixture = Fixture::new().await;
    let id = JobId::new();
    assert!(!fixture.store.bury(id, now(), 5, "timeout").await.unwrap());
    assert!(!fixture.store.revive(id, now()).await.unwrap());
    assert_eq!(fixture.store.job(id).await.unwrap(), None);
    let listed = fixture
        .store
        .dead_jobs(&page(10, Some("garbage".to_owned())))
        .await;
    assert!(matches!(listed, Err(Error::InvalidCursor)), "{listed:?}");
}
