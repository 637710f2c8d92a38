//! Lists: filters, pages, cursors.

use http::StatusCode;
use serde_json::{Value, json};

use crate::service::{Answer, System, path};

/// What a walk over all pages finds.
async fn walk(system: &System, target: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = Answer::to(system.get(&format!("{target}{cursor}"))).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let page = page.json();
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let system = System::start().await;
    for number in 0..7 {
        system.create(&format!("{number}")).await;
    }
    let tasks = walk(&system, "/v1/tasks?limit=3").await;
    let titles: Vec<_> = tasks
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["6", "5", "4", "3", "2", "1", "0"]);

    let task = &tasks[0];
    for number in 0..5 {
        system
            .post(
                &path(task, "/comments"),
                &json!({"text": number.to_string()}),
            )
            .send()
            .await
            .unwrap();
    }
    let comments = walk(&system, &path(task, "/comments?limit=2")).await;
    let texts: Vec<_> = comments
        .iter()
        .map(|comment| comment["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn filters_are_combined() {
    let system = System::start().await;
    for (title, priority, assignee) in [
        ("a", "high", "ada"),
        ("b", "low", "ada"),
        ("c", "high", "bob"),
    ] {
        let body = json!({"title": title, "priority": priority, "assignee": assignee});
        assert_eq!(
            Answer::to(system.post("/v1/tasks", &body)).await.status,
            StatusCode::CREATED
        );
    }
    for (query, expected) in [
        ("assignee=ada", vec!["b", "a"]),
        ("priority=high", vec!["c", "a"]),
        ("assignee=ada&priority=high", vec!["a"]),
        ("status=todo&assignee=bob", vec!["c"]),
        ("status=done", vec![]),
    ] {
        let tasks = walk(&system, &format!("/v1/tasks?{query}")).await;
        let titles: Vec<_> = tasks
            .iter()
            .map(|task| task["title"].as_str().unwrap())
            .collect();
        assert_eq!(titles, expected, "{query}");
    }
}

#[tokio::test]
async fn a_bad_query_or_cursor_is_refused() {
    let system = System::start().await;
    system.create("a").await;
    system.create("b").await;
    let page = Answer::to(system.get("/v1/tasks?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    for (query, problem) in [
        ("cursor=nonsense", "invalid-cursor"),
        (&format!("cursor={cursor}x"), "invalid-cursor"),
        (&format!("status=todo&cursor={cursor}"), "invalid-cursor"),
        ("limit=0", "validation-failed"),
        ("limit=101", "validation-failed"),
        ("colour=red", "validation-failed"),
        ("status=todo&status=done", "validation-failed"),
    ] {
        assert_eq!(
            Answer::to(system.get(&format!("/v1/tasks?{query}")))
                .await
                .problem(),
            problem,
            "{query}"
        );
    }
}
