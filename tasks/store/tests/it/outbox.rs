//! The outbox: what is due, who sends it, what was lost with a queue.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use store::{Job, JobState, Shard, Store, Write};
use tasks_api::{JobId, Task, TaskId};

use crate::endpoint::{Fixture, new_task, now};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Jobs made at `at`, and due right away.
async fn jobs_at(fixture: &Fixture, at: Timestamp, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let task = Task::new(TaskId::new(), new_task("task"), at);
        let write = Write {
            now: at,
            due_at: at,
            ..fixture.write(task.id)
        };
        let _ = fixture.store.create_task(&task, &write).await.unwrap();
        ids.push(write.job.id());
    }
    ids
}

/// Due jobs of all shards.
async fn due(store: &Store, at: Timestamp, limit: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for shard in Shard::ALL {
        let found = store.due_jobs(shard, at, limit).await.unwrap();
        assert!(found.len() <= limit as usize);
        jobs.extend(found.into_iter().map(Result::unwrap));
    }
    jobs
}

async fn due_ids(store: &Store, at: Timestamp) -> HashSet<JobId> {
    due(store, at, 1_000)
        .await
        .into_iter()
        .map(|job| job.id)
        .collect()
}

/// Jobs of all shards that were lost with an older queue.
async fn lost(store: &Store, queue_created_at: Timestamp, at: Timestamp, limit: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for shard in Shard::ALL {
        let mut from = None;
        loop {
            let page = store
                .jobs_sent_before(shard, queue_created_at, at, from.as_ref(), limit)
                .await
                .unwrap();
            jobs.extend(page.jobs.into_iter().map(Result::unwrap));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    jobs
}

/// Claims what is due until nothing is, and tells what it may send.
async fn relay(store: Store, at: Timestamp) -> Vec<JobId> {
    let mut sent = Vec::new();
    loop {
        let jobs = due(&store, at, 3).await;
        if jobs.is_empty() {
            return sent;
        }
        for job in jobs {
            if store.claim_send(&job, at, at + seconds(30)).await.unwrap() {
                sent.push(job.id);
            }
        }
    }
}

#[tokio::test]
async fn a_job_is_due_from_its_millisecond_on() {
    let fixture = Fixture::new().await;
    let at = now();
    let [id] = jobs_at(&fixture, at, 1).await[..] else {
        panic!("one job")
    };
    assert!(
        due_ids(&fixture.store, at - SignedDuration::from_millis(1))
            .await
            .is_empty()
    );
    assert_eq!(due_ids(&fixture.store, at).await, HashSet::from([id]));
    assert!(fixture.store.make_due(id, at + seconds(5)).await.unwrap());
    assert!(due_ids(&fixture.store, at + seconds(4)).await.is_empty());
    assert_eq!(
        due_ids(&fixture.store, at + seconds(5)).await,
        HashSet::from([id])
    );
}

#[tokio::test]
async fn the_longest_due_job_comes_first() {
    let fixture = Fixture::new().await;
    let at = now();
    let ids = jobs_at(&fixture, at, 24).await;
    for (number, id) in ids.iter().rev().enumerate() {
        let number = i64::try_from(number).unwrap();
        assert!(
            fixture
                .store
                .make_due(*id, at + SignedDuration::from_millis(number))
                .await
                .unwrap()
        );
    }
    for shard in Shard::ALL {
        let all = fixture
            .store
            .due_jobs(shard, at + seconds(1), 100)
            .await
            .unwrap();
        let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        let times: Vec<_> = all.iter().map(|job| job.state.clone()).collect();
        assert!(times.is_sorted_by_key(|state| match state {
            JobState::Pending { due_at } => *due_at,
            JobState::Dead { at, .. } => panic!("dead at {at}"),
        }));
        let first = fixture
            .store
            .due_jobs(shard, at + seconds(1), 2)
            .await
            .unwrap();
        let first: Vec<_> = first.into_iter().map(Result::unwrap).collect();
        assert_eq!(first, all[..all.len().min(2)]);
    }
}

#[tokio::test]
async fn a_claim_is_counted_and_moves_the_job_on() {
    let fixture = Fixture::new().await;
    let at = now();
    jobs_at(&fixture, at, 1).await;
    let seen = due(&fixture.store, at, 10).await.remove(0);
    let (later, next) = (at + seconds(1), at + seconds(31));
    assert!(fixture.store.claim_send(&seen, later, next).await.unwrap());
    let claimed = fixture.store.job(seen.id).await.unwrap().unwrap();
    assert_eq!((claimed.sends, claimed.sent_at), (2, later));
    assert_eq!(claimed.state, JobState::Pending { due_at: next });
    assert!(
        !fixture.store.claim_send(&seen, later, next).await.unwrap(),
        "it was seen before the claim"
    );
    assert!(due_ids(&fixture.store, next - seconds(1)).await.is_empty());
    assert_eq!(due(&fixture.store, next, 10).await, [claimed]);
}

#[tokio::test]
async fn nobody_sends_a_job_that_is_done_or_dead() {
    let fixture = Fixture::new().await;
    let at = now();
    let ids = jobs_at(&fixture, at, 2).await;
    let jobs = due(&fixture.store, at, 10).await;
    let (done, dead) = (&jobs[0], &jobs[1]);
    let store::Payload::Activity(entry) = &done.payload else {
        panic!("{done:?}")
    };
    assert_eq!(
        fixture.store.complete_activity(done, entry).await.unwrap(),
        store::Completion::Done
    );
    assert!(fixture.store.bury(dead.id, at, 5, "timeout").await.unwrap());
    let buried = fixture.store.job(dead.id).await.unwrap().unwrap();
    for job in [done, dead, &buried] {
        assert!(
            !fixture
                .store
                .claim_send(job, at, at + seconds(1))
                .await
                .unwrap()
        );
        assert!(!fixture.store.make_due(job.id, at).await.unwrap());
    }
    for id in ids {
        assert!(!fixture.store.bury(id, at, 5, "timeout").await.unwrap());
    }
    assert_eq!(
        fixture.store.job(done.id).await.unwrap(),
        None,
        "no statement brings a job back"
    );
    assert!(due_ids(&fixture.store, at + seconds(60)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_send_each_job_once() {
    const JOBS: usize = 40;
    let fixture = Arc::new(Fixture::new().await);
    let at = now();
    let expected: HashSet<_> = jobs_at(&fixture, at, JOBS).await.into_iter().collect();
    let relays = [(); 2].map(|()| tokio::spawn(relay(fixture.store.clone(), at)));
    let mut sent = Vec::new();
    for relay in relays {
        sent.extend(relay.await.unwrap());
    }
    assert_eq!(sent.len(), JOBS, "none twice");
    assert_eq!(sent.into_iter().collect::<HashSet<_>>(), expected);
}

#[tokio::test]
async fn what_was_sent_before_the_queue_was_made_is_found_once() {
    let fixture = Fixture::new().await;
    let created = Timestamp::from_second(now().as_second()).unwrap();
    let at = created + seconds(100);
    let old = jobs_at(&fixture, created - seconds(5), 9).await;
    let in_its_second = jobs_at(&fixture, created + SignedDuration::from_millis(999), 2).await;
    let new = jobs_at(&fixture, created + seconds(1), 3).await;
    let expected: HashSet<_> = old.iter().chain(&in_its_second).copied().collect();
    for limit in [1, 2, 100] {
        let found = lost(&fixture.store, created, at, limit).await;
        assert_eq!(found.len(), expected.len());
        assert_eq!(
            found.iter().map(|job| job.id).collect::<HashSet<_>>(),
            expected
        );
        assert!(new.iter().all(|id| !expected.contains(id)));
    }
    for job in lost(&fixture.store, created, at, 100).await {
        assert!(
            fixture
                .store
                .claim_send(&job, at, at + seconds(30))
                .await
                .unwrap()
        );
    }
    assert_eq!(lost(&fixture.store, created, at, 100).await, []);
    // A relay that starts in the very second in which the queue was made does not find what it has just sent.
    let early = created + SignedDuration::from_millis(300);
    let again = jobs_at(&fixture, early, 1).await;
    assert_eq!(lost(&fixture.store, created, early, 100).await, []);
    assert_eq!(lost(&fixture.store, created, at, 100).await[0].id, again[0]);
}

#[tokio::test]
async fn a_damaged_job_does_not_hide_the_others() {
    let fixture = Fixture::new().await;
    let at = now();
    let ids = jobs_at(&fixture, at, 8).await;
    fixture
        .damage(
            &format!("JOB#{}", ids[0]),
            "JOB",
            "kind",
            Some(AttributeValue::S("secret".to_owned())),
        )
        .await;
    let mut found = Vec::new();
    for shard in Shard::ALL {
        found.extend(fixture.store.due_jobs(shard, at, 100).await.unwrap());
    }
    assert_eq!(found.len(), 8);
    let (damaged, whole): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_err);
    assert_eq!(damaged.len(), 1);
    assert_eq!(
        whole
            .into_iter()
            .map(|job| job.unwrap().id)
            .collect::<HashSet<_>>(),
        ids[1..].iter().copied().collect()
    );
    assert_eq!(fixture.store.backlog().await.unwrap().pending, 8);
}

#[tokio::test]
async fn the_backlog_knows_its_size_and_its_oldest() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.store.backlog().await.unwrap(),
        store::Backlog::default()
    );
    let at = now();
    let old = jobs_at(&fixture, at - seconds(60), 1).await;
    jobs_at(&fixture, at, 6).await;
    // What the relay does with it changes nothing about its age.
    assert!(
        fixture
            .store
            .make_due(old[0], at + seconds(600))
            .await
            .unwrap()
    );
    let backlog = fixture.store.backlog().await.unwrap();
    assert_eq!(
        (backlog.pending, backlog.oldest_at),
        (7, Some(at - seconds(60)))
    );
}
