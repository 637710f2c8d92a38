//! Lists of tasks: every filter, every page size, while others write.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use store::Error;
use tasks_api::{NewTask, Priority, Status, Task, TaskFilter, TaskId};

use crate::endpoint::{Fixture, new_task, now};

const TASKS: usize = 60;
const FILTERS: usize = 60;
const LABELS: [&str; 3] = ["home", "work", "wörk#1"];
const ASSIGNEES: [&str; 2] = ["ann", "bob #2"];

fn due(days: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days)
}

fn any_new_task() -> impl Strategy<Value = NewTask> {
    (
        prop::sample::select(&Priority::ALL),
        prop::option::of((0..10_i64).prop_map(due)),
        prop::sample::subsequence(&LABELS, 0..=LABELS.len()),
        prop::option::of(prop::sample::select(&ASSIGNEES)),
    )
        .prop_map(|(priority, due_at, labels, assignee)| NewTask {
            priority,
            due_at,
            labels: labels.into_iter().map(str::to_owned).collect(),
            assignee: assignee.map(str::to_owned),
            ..new_task("task")
        })
}

fn any_filter() -> impl Strategy<Value = TaskFilter> {
    (
        prop::option::weighted(0.3, prop::sample::select(&Status::ALL)),
        prop::option::weighted(0.3, prop::sample::select(&ASSIGNEES)),
        prop::option::weighted(0.3, prop::sample::select(&Priority::ALL)),
        prop::option::weighted(0.3, prop::sample::select(&LABELS)),
        prop::option::weighted(0.3, (0..11_i64).prop_map(due)),
        1..20_u32,
    )
        .prop_map(
            |(status, assignee, priority, label, due_before, limit)| TaskFilter {
                status,
                assignee: assignee.map(str::to_owned),
                priority,
                label: label.map(str::to_owned),
                due_before,
                limit: Some(limit),
                cursor: None,
            },
        )
}

/// What the filter means.
fn selects(filter: &TaskFilter, task: &Task) -> bool {
    filter.status.is_none_or(|status| task.status == status)
        && filter
            .assignee
            .as_ref()
            .is_none_or(|assignee| task.assignee.as_ref() == Some(assignee))
        && filter
            .priority
            .is_none_or(|priority| task.priority == priority)
        && filter
            .label
            .as_ref()
            .is_none_or(|label| task.labels.contains(label))
        && filter
            .due_before
            .is_none_or(|before| task.due_at.is_some_and(|due| due < before))
}

/// All pages of a list.
async fn walk(fixture: &Fixture, mut filter: TaskFilter) -> Vec<Task> {
    let mut found = Vec::new();
    loop {
        let page = fixture
            .store
            .list_tasks(&fixture.workspace, &filter)
            .await
            .unwrap();
        assert!(page.items.len() <= filter.page().items() as usize);
        found.extend(page.items);
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn every_filter_selects_what_it_says_newest_first() {
    let fixture = Fixture::new().await;
    let mut runner = TestRunner::deterministic();
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let new = any_new_task().new_tree(&mut runner).unwrap().current();
        let mut task = fixture.task_with(new).await;
        // A walk through the transition table, of another length for each task.
        for step in 0..number % 4 {
            let next = task.status.next()[step % task.status.next().len()];
            let after = task.transitioned(next, now()).unwrap();
            let _ = fixture
                .store
                .update_task(task.version, &after, &fixture.write(task.id))
                .await
                .unwrap();
            task = after;
        }
        tasks.insert(0, task);
    }
    for _ in 0..FILTERS {
        let filter = any_filter().new_tree(&mut runner).unwrap().current();
        let expected: Vec<_> = tasks
            .iter()
            .filter(|task| selects(&filter, task))
            .cloned()
            .collect();
        assert_eq!(walk(&fixture, filter.clone()).await, expected, "{filter:?}");
    }
    assert_eq!(walk(&fixture, TaskFilter::default()).await, tasks);
    let elsewhere = fixture
        .store
        .list_tasks(&"other".parse().unwrap(), &TaskFilter::default())
        .await
        .unwrap();
    assert_eq!(elsewhere.items, []);
}

#[tokio::test]
async fn the_last_page_says_that_it_is() {
    let fixture = Fixture::new().await;
    for _ in 0..4 {
        fixture.task().await;
    }
    let check = async |limit, pages: usize| {
        let mut filter = TaskFilter {
            limit: Some(limit),
            ..TaskFilter::default()
        };
        let mut seen = 0;
        loop {
            let page = fixture
                .store
                .list_tasks(&fixture.workspace, &filter)
                .await
                .unwrap();
            assert!(!page.items.is_empty());
            seen += 1;
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, pages, "by {limit}");
    };
    check(1, 4).await;
    check(2, 2).await;
    check(3, 2).await;
    check(4, 1).await;
    check(5, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_sees_what_was_there_once_while_others_insert() {
    let fixture = Arc::new(Fixture::new().await);
    let mut before = HashSet::new();
    for _ in 0..40 {
        before.insert(fixture.task().await.id);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let insert = async |fixture: Arc<Fixture>, stop: Arc<AtomicBool>| {
        let mut inserted = 0;
        while !stop.load(Ordering::Relaxed) || inserted == 0 {
            fixture.task().await;
            inserted += 1;
        }
    };
    let inserter = tokio::spawn(insert(Arc::clone(&fixture), Arc::clone(&stop)));
    for limit in [1, 3, 7] {
        let found = walk(
            &fixture,
            TaskFilter {
                limit: Some(limit),
                ..TaskFilter::default()
            },
        )
        .await;
        let ids: Vec<TaskId> = found.iter().map(|task| task.id).collect();
        assert!(
            ids.is_sorted_by(|newer, older| newer > older),
            "no repetitions, newest first"
        );
        assert!(before.is_subset(&ids.into_iter().collect()));
    }
    stop.store(true, Ordering::Relaxed);
    inserter.await.unwrap();
}

/// Tasks that no filter of a test asks for, made side by side.
async fn add_others(fixture: &Arc<Fixture>, count: usize) {
    const MAKERS: usize = 10;
    let make = async |fixture: Arc<Fixture>, count: usize| {
        for _ in 0..count {
            fixture.task().await;
        }
    };
    let makers: Vec<_> = (0..MAKERS)
        .map(|_| tokio::spawn(make(Arc::clone(fixture), count / MAKERS)))
        .collect();
    for maker in makers {
        maker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_finds_little_answers_in_bounded_pages() {
    let fixture = Arc::new(Fixture::new().await);
    let urgent = || NewTask {
        priority: Priority::Urgent,
        ..new_task("wanted")
    };
    let oldest = fixture.task_with(urgent()).await;
    add_others(&fixture, 300).await;
    let middle = fixture.task_with(urgent()).await;
    add_others(&fixture, 150).await;
    let newest = fixture.task_with(urgent()).await;

    let mut filter = TaskFilter {
        priority: Some(Priority::Urgent),
        ..TaskFilter::default()
    };
    let first = fixture
        .store
        .list_tasks(&fixture.workspace, &filter)
        .await
        .unwrap();
    assert_eq!(
        first.items,
        [newest, middle],
        "four queries of a hundred items reach no further"
    );
    filter.cursor = first.next_cursor;
    let second = fixture
        .store
        .list_tasks(&fixture.workspace, &filter)
        .await
        .unwrap();
    assert_eq!(second.items, [oldest]);
    assert_eq!(second.next_cursor, None);
}

#[tokio::test]
async fn tasks_too_large_for_a_query_come_on_more_pages() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for _ in 0..30 {
        let description = Some("𝄞".repeat(10_000));
        expected.insert(
            0,
            fixture
                .task_with(NewTask {
                    description,
                    ..new_task("large")
                })
                .await
                .id,
        );
    }
    let found = walk(
        &fixture,
        TaskFilter {
            limit: Some(100),
            ..TaskFilter::default()
        },
    )
    .await;
    assert_eq!(
        found.iter().map(|task| task.id).collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_cursor_of_another_list_or_of_none_is_refused() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture
            .task_with(NewTask {
                assignee: Some("ann".to_owned()),
                ..new_task("task")
            })
            .await;
    }
    let all = TaskFilter {
        limit: Some(1),
        ..TaskFilter::default()
    };
    let cursor = fixture
        .store
        .list_tasks(&fixture.workspace, &all)
        .await
        .unwrap()
        .next_cursor
        .unwrap();
    let check = async |workspace: &str, filter: TaskFilter, valid: bool| match fixture
        .store
        .list_tasks(&workspace.parse().unwrap(), &filter)
        .await
    {
        Ok(page) => assert!(valid && page.items.len() <= 2, "{filter:?}"),
        Err(error) => assert!(
            !valid && matches!(error, Error::InvalidCursor),
            "{filter:?} {error:?}"
        ),
    };
    let with = |cursor: &str, change: &dyn Fn(&mut TaskFilter)| {
        let mut filter = TaskFilter {
            cursor: Some(cursor.to_owned()),
            ..all.clone()
        };
        change(&mut filter);
        filter
    };
    check("dev", with(&cursor, &|_| {}), true).await;
    check(
        "dev",
        with(&cursor, &|filter| filter.limit = Some(50)),
        true,
    )
    .await;
    check("other", with(&cursor, &|_| {}), false).await;
    check(
        "dev",
        with(&cursor, &|filter| filter.status = Some(Status::Todo)),
        false,
    )
    .await;
    check(
        "dev",
        with(&cursor, &|filter| filter.assignee = Some("ann".to_owned())),
        false,
    )
    .await;
    check(
        "dev",
        with(&cursor, &|filter| filter.due_before = Some(due(1))),
        false,
    )
    .await;
    for garbage in [
        "",
        "AAAA",
        "%00",
        "null",
        &cursor[1..],
        &cursor[..cursor.len() - 2],
        &cursor.repeat(2),
    ] {
        check("dev", with(garbage, &|_| {}), false).await;
    }
}
