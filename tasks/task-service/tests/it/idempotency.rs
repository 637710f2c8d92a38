//! `Idempotency-Key`: repeated requests have one effect and one answer.

use http::StatusCode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::service::{Answer, System, path};

const REPLAYED: &str = "idempotency-replayed";

fn keyed(system: &System, target: &str, key: &str, body: &Value) -> RequestBuilder {
    system.post(target, body).header("idempotency-key", key)
}

/// The second answer is the first one, and says so.
#[track_caller]
fn assert_replays(first: &Answer, second: &Answer) {
    for name in ["etag", "location", "content-type"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    assert_eq!(
        (first.header(REPLAYED), second.header(REPLAYED)),
        (None, Some("true"))
    );
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_and_has_one_effect() {
    let system = System::start().await;
    let create = |body: &str| keyed(&system, "/v1/tasks", "one", &json!({"title": body}));
    let first = Answer::to(create("Once")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_replays(&first, &Answer::to(create("Once")).await);

    let other = Answer::to(create("Twice")).await;
    assert_eq!(
        (other.status.as_u16(), other.problem().as_str()),
        (422, "idempotency-key-reused")
    );
    let elsewhere = system
        .request_of("elsewhere", Method::POST, "/v1/tasks")
        .header("idempotency-key", "one");
    let elsewhere = Answer::to(elsewhere.json(&json!({"title": "Theirs"}))).await;
    assert_eq!(
        (elsewhere.status, elsewhere.header(REPLAYED)),
        (StatusCode::CREATED, None)
    );

    assert_eq!(system.titles().await, ["Once"]);
    assert_eq!(
        system
            .service
            .metric("tasks_created_total", &["priority=\"normal\""])
            .await,
        Some(2.0)
    );
    assert_eq!(
        system.aws.store().backlog().await.unwrap().pending,
        2,
        "one job for each task"
    );
}

#[tokio::test]
async fn repetitions_at_the_same_time_have_one_effect() {
    let system = System::start().await;
    for round in 0..5 {
        let key = format!("key {round}");
        let body = json!({"title": key});
        let sent: Vec<_> = (0..8)
            .map(|_| tokio::spawn(Answer::to(keyed(&system, "/v1/tasks", &key, &body))))
            .collect();
        let mut answers = Vec::new();
        for answer in sent {
            answers.push(answer.await.unwrap());
        }
        let first: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 201 && answer.header(REPLAYED).is_none())
            .collect();
        assert_eq!(first.len(), 1, "{answers:?}");
        for answer in &answers {
            assert!([201, 409].contains(&answer.status.as_u16()), "{answer:?}");
            assert!(
                answer.status != 201 || answer.text == first[0].text,
                "{answer:?}"
            );
        }
        assert_replays(
            first[0],
            &Answer::to(keyed(&system, "/v1/tasks", &key, &body)).await,
        );
    }
    assert_eq!(system.titles().await.len(), 5);
}

#[tokio::test]
async fn a_repeated_transition_succeeds_after_the_task_has_moved_on() {
    let system = System::start().await;
    let task = system.create("Moved").await;
    let transition = |if_match: &str| {
        let request = keyed(
            &system,
            &path(&task, "/transitions"),
            "move",
            &json!({"to": "in_progress"}),
        );
        request.header("if-match", if_match)
    };
    let first = Answer::to(transition("\"1\"")).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_replays(&first, &Answer::to(transition("\"1\"")).await);
    assert_replays(&first, &Answer::to(transition("\"2\"")).await);

    let gone = system
        .request(Method::DELETE, &path(&task, ""))
        .header("if-match", "*");
    assert_eq!(Answer::to(gone).await.status, StatusCode::NO_CONTENT);
    assert_replays(&first, &Answer::to(transition("\"1\"")).await);
}

#[tokio::test]
async fn transitions_at_the_same_time_under_one_key_are_one() {
    let system = System::start().await;
    for round in 0..5 {
        let task = system.create("Raced").await;
        let key = format!("move {round}");
        let transition = || {
            let request = keyed(
                &system,
                &path(&task, "/transitions"),
                &key,
                &json!({"to": "in_progress"}),
            );
            tokio::spawn(Answer::to(request.header("if-match", "\"1\"")))
        };
        for answer in (0..6).map(|_| transition()).collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            let is_in_progress = answer.status == 409 && answer.problem() == "conflict";
            assert!(answer.status == 200 || is_in_progress, "{answer:?}");
        }
        let read = Answer::to(system.get(&path(&task, ""))).await.json();
        assert_eq!(
            (&read["version"], &read["status"]),
            (&json!(2), &json!("in_progress"))
        );
    }
}

#[tokio::test]
async fn a_comment_is_added_once() {
    let system = System::start().await;
    let task = system.create("Discussed").await;
    let comment = || {
        keyed(
            &system,
            &path(&task, "/comments"),
            "say",
            &json!({"text": "Yes"}),
        )
    };
    let first = Answer::to(comment()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_replays(&first, &Answer::to(comment()).await);
    let list = Answer::to(system.get(&path(&task, "/comments")))
        .await
        .json();
    assert_eq!(list["items"], json!([first.json()]));

    let elsewhere = system.create("Other").await;
    let reused = Answer::to(keyed(
        &system,
        &path(&elsewhere, "/comments"),
        "say",
        &json!({"text": "Yes"}),
    ))
    .await;
    assert_eq!(
        reused.problem(),
        "idempotency-key-reused",
        "the path is part of the request"
    );
}

#[tokio::test]
async fn what_was_refused_can_be_tried_again_under_its_key() {
    let system = System::start().await;
    let task = system.create("Refused").await;
    let transition = |if_match: &str| {
        let request = keyed(
            &system,
            &path(&task, "/transitions"),
            "try",
            &json!({"to": "in_progress"}),
        );
        request.header("if-match", if_match)
    };
    assert_eq!(
        Answer::to(transition("\"9\"")).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    let answer = Answer::to(transition("\"1\"")).await;
    assert_eq!(
        (answer.status, answer.header(REPLAYED)),
        (StatusCode::OK, None)
    );

    let key = |key: &str| Answer::to(keyed(&system, "/v1/tasks", key, &json!({"title": "a"})));
    assert_eq!(key("").await.problem(), "malformed-request");
    assert_eq!(key(&"k".repeat(201)).await.problem(), "malformed-request");
}
