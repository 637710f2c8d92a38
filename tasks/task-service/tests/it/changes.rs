//! A task's life, and which changes are refused: versions, transitions, bodies.

use http::StatusCode;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tasks_api::TaskId;

use crate::service::{Answer, System, path};

#[tokio::test]
async fn a_task_lives_from_creation_to_deletion() {
    let system = System::start().await;
    let created =
        Answer::to(system.post("/v1/tasks", &json!({"title": "Plant", "priority": "high"}))).await;
    let task = created.json();
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.header("location"), Some(path(&task, "").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(created.header("content-type"), Some("application/json"));
    assert_eq!(
        (&task["status"], &task["priority"], &task["version"]),
        (&json!("todo"), &json!("high"), &json!(1))
    );

    let patch = json!({"title": "Plant trees", "labels": ["q4"], "assignee": "ada"});
    let patch = system
        .request(Method::PATCH, &path(&task, ""))
        .header("if-match", "\"1\"")
        .json(&patch);
    let patched = Answer::to(patch).await;
    assert_eq!(
        (patched.status, patched.header("etag")),
        (StatusCode::OK, Some("\"2\""))
    );

    let transition = system.post(&path(&task, "/transitions"), &json!({"to": "in_progress"}));
    let moved = Answer::to(transition.header("if-match", "\"2\"")).await;
    assert_eq!(
        (moved.status, moved.header("etag")),
        (StatusCode::OK, Some("\"3\""))
    );

    let comment = Answer::to(system.post(&path(&task, "/comments"), &json!({"text": "Dug"}))).await;
    assert_eq!(comment.status, StatusCode::CREATED);
    assert_eq!(comment.json()["author"], "somebody");

    let read = Answer::to(system.get(&path(&task, ""))).await;
    assert_eq!(
        read.header("etag"),
        Some("\"3\""),
        "a comment does not change the version"
    );
    assert_eq!(read.text, moved.text);
    let comments = Answer::to(system.get(&path(&task, "/comments")))
        .await
        .json();
    assert_eq!(comments["items"], json!([comment.json()]));

    let delete = || {
        system
            .request(Method::DELETE, &path(&task, ""))
            .header("if-match", "\"3\"")
    };
    let gone = Answer::to(delete()).await;
    assert_eq!(
        (gone.status, gone.text.as_str(), gone.header("content-type")),
        (StatusCode::NO_CONTENT, "", None)
    );
    assert_eq!(Answer::to(delete()).await.problem(), "not-found");
    assert_eq!(
        Answer::to(system.get(&path(&task, "/comments")))
            .await
            .problem(),
        "not-found"
    );
}

#[tokio::test]
async fn a_change_starts_from_the_version_it_names() {
    let system = System::start().await;
    let task = system.create("Versioned").await;
    let change = async |method: Method, resource: &str, if_match: Option<&str>, body: Value| {
        let mut request = system.request(method.clone(), &path(&task, resource));
        if let Some(if_match) = if_match {
            request = request.header("if-match", if_match);
        }
        if method != Method::DELETE {
            request = request.json(&body);
        }
        Answer::to(request).await
    };
    let writes = [
        (Method::PATCH, "", json!({"title": "Next"})),
        (Method::POST, "/transitions", json!({"to": "in_progress"})),
        (Method::DELETE, "", Value::Null),
    ];
    for (method, resource, body) in &writes {
        for (if_match, status, problem) in [
            (None, StatusCode::PRECONDITION_REQUIRED, "if-match-required"),
            (
                Some("\"2\""),
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
            ),
            (
                Some("W/\"1\""),
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
            ),
            (Some("1"), StatusCode::BAD_REQUEST, "malformed-request"),
        ] {
            let answer = change(method.clone(), resource, if_match, body.clone()).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (status, problem),
                "{method} {if_match:?}"
            );
        }
    }
    let same = change(
        Method::PATCH,
        "",
        Some("\"1\""),
        json!({"title": "Versioned"}),
    )
    .await;
    assert_eq!(
        (same.status, same.header("etag")),
        (StatusCode::OK, Some("\"1\"")),
        "nothing changed"
    );
    for (version, (method, resource, body)) in (2..).zip(&writes[..2]) {
        let answer = change(
            method.clone(),
            resource,
            Some("\"7\", \"1\", \"2\""),
            body.clone(),
        )
        .await;
        assert_eq!(
            answer.header("etag"),
            Some(format!("\"{version}\"").as_str()),
            "{answer:?}"
        );
    }
    assert_eq!(
        change(Method::DELETE, "", Some("*"), Value::Null)
            .await
            .status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn of_changes_from_one_version_exactly_one_is_made() {
    let system = System::start().await;
    let task = system.create("Contended").await;
    let patch = |number: usize, if_match: &str| {
        let request = system
            .request(Method::PATCH, &path(&task, ""))
            .header("if-match", if_match);
        tokio::spawn(Answer::to(
            request.json(&json!({"title": format!("By {number}")})),
        ))
    };
    let mut statuses = Vec::new();
    for answer in (0..8)
        .map(|number| patch(number, "\"1\""))
        .collect::<Vec<_>>()
    {
        statuses.push(answer.await.unwrap().status);
    }
    let made = statuses
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    assert_eq!(made, 1, "{statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| [200, 409, 412].contains(&status.as_u16())),
        "{statuses:?}"
    );

    // Whatever the version: all are made, unless others were faster again and again, which is no mismatch.
    let mut made = 0;
    for answer in (10..14)
        .map(|number| patch(number, "*"))
        .collect::<Vec<_>>()
    {
        let answer = answer.await.unwrap();
        assert!([200, 409].contains(&answer.status.as_u16()), "{answer:?}");
        made += u64::from(answer.status == StatusCode::OK);
    }
    let read = Answer::to(system.get(&path(&task, ""))).await.json();
    assert_eq!(read["version"].as_u64().unwrap(), 2 + made, "{read}");
    assert!(made > 0);
}

#[tokio::test]
async fn a_status_changes_by_the_table_only() {
    let system = System::start().await;
    let task = system.create("Moved").await;
    let transition = async |to: &str| {
        let request = system.post(&path(&task, "/transitions"), &json!({"to": to}));
        Answer::to(request.header("if-match", "*")).await
    };
    let refused = transition("done").await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (StatusCode::CONFLICT, "transition-not-allowed")
    );
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("in_progress"),
        "{refused:?}"
    );
    assert_eq!(transition("in_progress").await.status, StatusCode::OK);
    assert_eq!(transition("done").await.status, StatusCode::OK);
    assert_eq!(transition("finished").await.problem(), "validation-failed");

    let count = async |from: &str, to: &str| {
        let labels = [format!("from=\"{from}\""), format!("to=\"{to}\"")];
        system
            .service
            .metric(
                "task_transitions_total",
                &labels.each_ref().map(String::as_str),
            )
            .await
    };
    assert_eq!(count("todo", "in_progress").await, Some(1.0));
    assert_eq!(count("in_progress", "done").await, Some(1.0));
    assert_eq!(
        count("done", "in_progress").await,
        Some(0.0),
        "a series is there before its first event"
    );
    assert_eq!(count("todo", "done").await, None);
}

#[tokio::test]
async fn a_bad_body_is_told_from_a_bad_task() {
    let system = System::start().await;
    for (body, status, problem) in [
        (Vec::new(), 400, "malformed-json"),
        (b"{\"title\": ".to_vec(), 400, "malformed-json"),
        (b"{\"title\": \"\xff\"}".to_vec(), 400, "malformed-json"),
        (b"{\"title\": 1}".to_vec(), 422, "validation-failed"),
        (
            b"{\"title\": \"a\", \"colour\": \"red\"}".to_vec(),
            422,
            "validation-failed",
        ),
        (b"{}".to_vec(), 422, "validation-failed"),
        (b"[]".to_vec(), 422, "validation-failed"),
        (b"{\"title\": \" \"}".to_vec(), 422, "validation-failed"),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = Answer::to(
            system
                .request(Method::POST, "/v1/tasks")
                .body(Body::from(body)),
        )
        .await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, problem),
            "{shown}"
        );
    }
    assert!(system.titles().await.is_empty());
}

#[tokio::test]
async fn a_path_that_names_no_task_is_not_found() {
    let system = System::start().await;
    for id in [
        "1",
        "..",
        "%00",
        "%ff",
        &TaskId::new().to_string().to_uppercase(),
    ] {
        assert_eq!(
            Answer::to(system.get(&format!("/v1/tasks/{id}")))
                .await
                .status,
            StatusCode::NOT_FOUND,
            "{id}"
        );
    }
    let query = Answer::to(system.get(&format!("/v1/tasks/{}?limit=1", TaskId::new()))).await;
    assert_eq!(
        query.problem(),
        "validation-failed",
        "an operation without a query takes none"
    );
}
