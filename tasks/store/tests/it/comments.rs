//! Comments and history: only while their task is there, newest first, page by page.

use aws_sdk_dynamodb::types::AttributeValue;
use store::{Completion, Error, Payload, Written};
use tasks_api::TaskId;

use crate::endpoint::{Fixture, comment, entry, page};

#[tokio::test]
async fn comments_come_newest_first_page_by_page() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let other = fixture.task().await;
    fixture.comment(other.id, "not here").await;
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.insert(
            0,
            fixture.comment(task.id, &format!("comment {number}")).await,
        );
    }
    for limit in [1, 3, 7, 8] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = fixture
                .store
                .comments(&fixture.workspace, task.id, &page(limit, cursor))
                .await
                .unwrap();
            assert!(page.items.len() <= limit as usize);
            found.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "by {limit}");
    }
    // The task is as it was.
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
async fn without_the_task_there_is_nothing_to_add_to_or_to_read() {
    let fixture = Fixture::new().await;
    let nowhere = TaskId::new();
    let write = fixture.write(nowhere);
    let added = fixture
        .store
        .add_comment(&comment(nowhere, "hello?"), &write)
        .await;
    assert!(matches!(added, Err(Error::NotFound)), "{added:?}");
    assert_eq!(fixture.store.job(write.job.id()).await.unwrap(), None);
    assert_eq!(fixture.partition(nowhere).await, Vec::<String>::new());

    let task = fixture.task().await;
    fixture.comment(task.id, "soon gone").await;
    assert_eq!(
        fixture
            .store
            .delete_task(1, task.id, &fixture.purge())
            .await
            .unwrap(),
        Written::Now
    );
    for id in [nowhere, task.id] {
        let comments = fixture
            .store
            .comments(&fixture.workspace, id, &page(10, None))
            .await;
        assert!(matches!(comments, Err(Error::NotFound)), "{comments:?}");
        let activity = fixture
            .store
            .activity(&fixture.workspace, id, &page(10, None))
            .await;
        assert!(matches!(activity, Err(Error::NotFound)), "{activity:?}");
    }
    let foreign = fixture
        .store
        .comments(
            &"other".parse().unwrap(),
            fixture.task().await.id,
            &page(10, None),
        )
        .await;
    assert!(matches!(foreign, Err(Error::NotFound)), "{foreign:?}");
}

#[tokio::test]
async fn a_cursor_leads_nowhere_but_in_its_own_list() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let other = fixture.task().await;
    for id in [task.id, other.id] {
        for _ in 0..2 {
            fixture.comment(id, "comment").await;
        }
    }
    let first = fixture
        .store
        .comments(&fixture.workspace, task.id, &page(1, None))
        .await
        .unwrap();
    let cursor = first.next_cursor;
    assert!(cursor.is_some());
    let query = page(1, cursor);
    assert!(
        fixture
            .store
            .comments(&fixture.workspace, task.id, &query)
            .await
            .is_ok()
    );
    let elsewhere = fixture
        .store
        .comments(&fixture.workspace, other.id, &query)
        .await;
    assert!(
        matches!(elsewhere, Err(Error::InvalidCursor)),
        "{elsewhere:?}"
    );
    let history = fixture
        .store
        .activity(&fixture.workspace, task.id, &query)
        .await;
    assert!(matches!(history, Err(Error::InvalidCursor)), "{history:?}");
}

#[tokio::test]
async fn the_history_shows_what_was_completed_newest_first() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let mut write = fixture.write(task.id);
        let entry = entry(task.id);
        write.job = store::NewJob::activity(entry.clone(), None);
        let _ = fixture
            .store
            .add_comment(&comment(task.id, "comment"), &write)
            .await
            .unwrap();
        let job = fixture.store.job(entry.id).await.unwrap().unwrap();
        assert_eq!(job.payload, Payload::Activity(entry.clone()));
        assert_eq!(job.carrier, None);
        assert_eq!(
            fixture.store.complete_activity(&job, &entry).await.unwrap(),
            Completion::Done
        );
        expected.insert(0, entry);
    }
    let found = fixture
        .store
        .activity(&fixture.workspace, task.id, &page(10, None))
        .await
        .unwrap();
    assert_eq!(found.items, expected);
    assert_eq!(found.next_cursor, None);
}

#[tokio::test]
async fn a_damaged_comment_is_an_error_that_tells_nothing_of_it() {
    let fixture = Fixture::new().await;
    let task = fixture.task().await;
    let comment = fixture.comment(task.id, "secret").await;
    let (pk, sk) = (format!("W#dev#T#{}", task.id), format!("C#{}", comment.id));
    let document = AttributeValue::S(r#"{"text":"secret"}"#.to_owned());
    fixture.damage(&pk, &sk, "document", Some(document)).await;
    let error = fixture
        .store
        .comments(&fixture.workspace, task.id, &page(10, None))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a comment's item is damaged: attribute document has an unknown value"
    );
}
