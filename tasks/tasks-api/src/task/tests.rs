#![allow(clippy::unwrap_used)]

use super::*;
use crate::json;

fn task() -> Task {
    Task::new(
        TaskId::new(),
        new_task(r#"{"title": "Write"}"#),
        Timestamp::UNIX_EPOCH,
    )
}

fn new_task(body: &str) -> NewTask {
    json::parse(body.as_bytes()).unwrap()
}

/// The fields that a body is refused for.
fn refused(body: &serde_json::Value) -> Vec<String> {
    let new: NewTask = json::parse(body.to_string().as_bytes()).unwrap();
    let problem = new.validate().err();
    problem
        .into_iter()
        .flat_map(|problem| problem.errors)
        .map(|error| error.field)
        .collect()
}

#[test]
fn every_transition_outside_the_table_is_refused() {
    for from in Status::ALL {
        for to in Status::ALL {
            let before = Task {
                status: from,
                ..task()
            };
            let after = before.transitioned(to, Timestamp::UNIX_EPOCH);
            assert_eq!(
                after.is_ok(),
                from.next().contains(&to),
                "{from:?} to {to:?}"
            );
            if let Ok(after) = after {
                assert_eq!((after.status, after.version), (to, 2));
            }
        }
    }
}

#[test]
fn a_refused_transition_says_what_is_allowed() {
    let problem = task()
        .transitioned(Status::Done, Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(problem.kind, Kind::TransitionNotAllowed);
    assert_eq!(
        problem.detail.as_deref(),
        Some("a task in status todo can become in_progress or cancelled, not done")
    );
}

#[test]
fn null_clears_and_absence_keeps() {
    let before = Task {
        assignee: Some("ada".into()),
        description: Some("text".into()),
        ..task()
    };
    let patch: TaskPatch = json::parse(br#"{"assignee": null, "priority": "high"}"#).unwrap();
    let (after, changed) = before.patched(patch, Timestamp::UNIX_EPOCH);
    assert_eq!(after.assignee, None);
    assert_eq!(after.description.as_deref(), Some("text"));
    assert_eq!(changed, ["priority", "assignee"]);
    assert_eq!(after.version, 2);
}

#[test]
fn what_every_task_has_cannot_be_cleared() {
    for field in ["title", "priority", "labels"] {
        let body = format!(r#"{{"{field}": null}}"#);
        let problem = json::parse::<TaskPatch>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.kind, Kind::ValidationFailed, "{field}");
    }
}

#[test]
fn a_patch_without_effect_leaves_the_version() {
    let before = task();
    let patch = TaskPatch {
        title: Some(before.title.clone()),
        ..TaskPatch::default()
    };
    let (after, changed) = before.patched(patch, Timestamp::UNIX_EPOCH);
    assert_eq!(after, before);
    assert!(changed.is_empty());
}

#[test]
fn limits_hold_to_the_character() {
    let long = |n: usize| "ä".repeat(n);
    let labels = |n: usize| (0..n).map(|i| format!("l{i}")).collect::<Vec<_>>();
    let check = |body: serde_json::Value, expected: &[&str]| {
        assert_eq!(refused(&body), expected, "{body:.80}")
    };
    check(serde_json::json!({"title": long(200)}), &[]);
    check(serde_json::json!({"title": long(201)}), &["title"]);
    check(serde_json::json!({"title": "  "}), &["title"]);
    check(serde_json::json!({"title": "a\u{0}b"}), &["title"]);
    check(
        serde_json::json!({"title": "t", "description": long(10_000)}),
        &[],
    );
    check(
        serde_json::json!({"title": "t", "description": long(10_001)}),
        &["description"],
    );
    check(serde_json::json!({"title": "t", "labels": labels(20)}), &[]);
    check(
        serde_json::json!({"title": "t", "labels": labels(21)}),
        &["labels"],
    );
    check(
        serde_json::json!({"title": "t", "labels": ["a", "a"]}),
        &["labels"],
    );
    check(
        serde_json::json!({"title": "t", "labels": [long(51)]}),
        &["labels"],
    );
    check(
        serde_json::json!({"title": "", "assignee": ""}),
        &["title", "assignee"],
    );
}
