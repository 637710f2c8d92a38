//! What makes no sense is refused here: with the right problem, and without the task-service hearing of it.

use http::Method;
use serde_json::json;
use tasks_api::limits::BODY_BYTES_MAX;

use crate::system::{Answer, System, run, some_task};

/// Bodies ten megabytes large, far above the limit.
const HUGE: usize = 10_000_000;

/// Sends a request that must be refused, and says how: status and kind.
async fn refusal(system: &System, request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = Answer::to(request).await;
    assert!(system.stub.take().is_empty(), "passed on: {answer:?}");
    (answer.status.as_u16(), answer.problem())
}

async fn check(system: &System, request: reqwest::RequestBuilder, status: u16, kind: &str) {
    let what = format!("{request:?}");
    assert_eq!(
        refusal(system, request).await,
        (status, kind.to_owned()),
        "{what}"
    );
}

#[test]
fn a_body_that_is_no_json_is_malformed() {
    run(async {
        let system = System::start().await;
        for body in [
            &b""[..],
            b"{",
            b"title=x",
            b"{\"title\": \"a\"} trailing",
            b"{\"title\": \"\xff\xfe\"}",
            b"{\"title\": \"\\ud800\"}",
            b"\xef\xbb\xbf{\"title\": \"a\"}",
            b"{\"title\": \"a\",}",
        ] {
            check(
                &system,
                system.post("/v1/tasks", body.to_vec()),
                400,
                "malformed-json",
            )
            .await;
        }
    });
}

#[test]
fn json_of_another_shape_makes_no_sense() {
    run(async {
        let system = System::start().await;
        for body in [
            "null",
            "[]",
            "\"title\"",
            r#"["a"]"#,
            "{}",
            r#"{"title": 1}"#,
            r#"{"title": null}"#,
            r#"{"title": ""}"#,
            r#"{"title": "a", "colour": "red"}"#,
            r#"{"title": "a", "title": "b"}"#,
            r#"{"title": "a", "status": "done"}"#,
            r#"{"title": "a", "labels": "b"}"#,
            r#"{"title": "a", "labels": ["b", "b"]}"#,
            r#"{"title": "a", "due_at": "tomorrow"}"#,
            r#"{"title": "a", "priority": "highest"}"#,
        ] {
            check(
                &system,
                system.post("/v1/tasks", body),
                422,
                "validation-failed",
            )
            .await;
        }
        let task = some_task();
        for (target, body) in [
            (format!("{task}/comments"), r#"{"text": " "}"#),
            (
                format!("{task}/comments"),
                r#"{"text": "a", "author": "b"}"#,
            ),
            (format!("{task}/transitions"), r#"{"to": "finished"}"#),
            (format!("{task}/transitions"), r#"{"status": "done"}"#),
        ] {
            let request = system.post(&target, body).header("if-match", "*");
            check(&system, request, 422, "validation-failed").await;
        }
        let patch = |body: &'static str| {
            let request = system.request(Method::PATCH, &task).header("if-match", "*");
            request
                .header("content-type", "application/merge-patch+json")
                .body(body)
        };
        for body in [
            r#"{"title": ""}"#,
            r#"{"status": "done"}"#,
            r#"{"version": 3}"#,
            r#"[{"op": "remove"}]"#,
        ] {
            check(&system, patch(body), 422, "validation-failed").await;
        }
    });
}

#[test]
fn a_refusal_names_every_field_at_fault() {
    run(async {
        let system = System::start().await;
        let body = json!({"title": "", "assignee": "x".repeat(101), "labels": ["a\u{0}"]});
        let answer = Answer::to(system.post("/v1/tasks", body.to_string())).await;
        let errors = answer.json()["errors"].take();
        let fields: Vec<_> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["title", "labels", "assignee"]);
    });
}

#[test]
fn a_body_has_its_largest_size_with_and_without_a_length() {
    run(async {
        let system = System::start().await;
        let padded = |bytes: usize| {
            let body = json!({"title": "a"}).to_string();
            format!("{body}{}", " ".repeat(bytes - body.len()))
        };
        let fits = Answer::to(system.post("/v1/tasks", padded(BODY_BYTES_MAX))).await;
        assert_eq!(fits.status, 200, "{fits:?}");
        assert_eq!(system.stub.take_one().body.len(), BODY_BYTES_MAX);
        for bytes in [BODY_BYTES_MAX + 1, HUGE] {
            check(
                &system,
                system.post("/v1/tasks", padded(bytes)),
                413,
                "body-too-large",
            )
            .await;
        }

        for bytes in [BODY_BYTES_MAX + 1, HUGE] {
            let head = format!(
                "POST /v1/tasks HTTP/1.1\r\nhost: tasks\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
                system.key.reveal()
            );
            let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", bytes, padded(bytes));
            let answer = system.raw((head + &chunk).as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            assert!(
                answer.contains("urn:tripod:problem:body-too-large"),
                "{answer}"
            );
            assert!(system.stub.take().is_empty());
        }
    });
}

#[test]
fn a_body_must_be_json_by_its_own_account() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        let body = r#"{"title": "a"}"#;
        for media_type in [
            "text/plain",
            "application/xml",
            "application/merge-patch+json",
            "",
            "json",
        ] {
            let request = system
                .request(Method::POST, "/v1/tasks")
                .header("content-type", media_type)
                .body(body);
            check(&system, request, 415, "unsupported-media-type").await;
        }
        check(
            &system,
            system.request(Method::POST, "/v1/tasks").body(body),
            415,
            "unsupported-media-type",
        )
        .await;
        let packed = system
            .post("/v1/tasks", body)
            .header("content-encoding", "gzip");
        check(&system, packed, 415, "unsupported-media-type").await;
        let patch = system
            .request(Method::PATCH, &task)
            .header("if-match", "*")
            .body(body);
        check(&system, patch, 415, "unsupported-media-type").await;
    });
}

#[test]
fn a_change_needs_a_well_formed_if_match() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        let changes = || {
            [
                system
                    .request(Method::PATCH, &task)
                    .header("content-type", "application/json")
                    .body("{}"),
                system.request(Method::DELETE, &task),
                system.post(&format!("{task}/transitions"), r#"{"to": "done"}"#),
            ]
        };
        for change in changes() {
            check(&system, change, 428, "if-match-required").await;
        }
        for garbled in ["3", "\"3", "\"3\" \"4\"", "", "ä"] {
            for change in changes() {
                check(
                    &system,
                    change.header("if-match", garbled),
                    400,
                    "malformed-request",
                )
                .await;
            }
        }
        for change in changes() {
            let twice = change
                .header("if-match", "\"1\"")
                .header("if-match", "\"2\"");
            check(&system, twice, 400, "malformed-request").await;
        }
    });
}

#[test]
fn an_idempotency_key_must_be_one_short_printable_text() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        for target in [
            "/v1/tasks".to_owned(),
            format!("{task}/comments"),
            format!("{task}/transitions"),
        ] {
            for key in ["", "ä", &"k".repeat(201)] {
                let request = system
                    .post(&target, "{}")
                    .header("if-match", "*")
                    .header("idempotency-key", key);
                check(&system, request, 400, "malformed-request").await;
            }
            let twice = system.post(&target, "{}").header("if-match", "*");
            let twice = twice
                .header("idempotency-key", "a")
                .header("idempotency-key", "b");
            check(&system, twice, 400, "malformed-request").await;
        }
    });
}

#[test]
fn a_query_is_known_and_in_bounds() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        for target in [
            "/v1/tasks?colour=red".to_owned(),
            "/v1/tasks?limit=0".to_owned(),
            "/v1/tasks?limit=101".to_owned(),
            "/v1/tasks?limit=1&limit=2".to_owned(),
            "/v1/tasks?limit=99999999999999999999".to_owned(),
            "/v1/tasks?status=finished".to_owned(),
            "/v1/tasks?due_before=tomorrow".to_owned(),
            format!("/v1/tasks?cursor={}", "x".repeat(1_025)),
            format!("/v1/tasks?assignee={}", "x".repeat(101)),
            format!("{task}?limit=1"),
            format!("{task}/comments?status=todo"),
            format!("{task}/activity?limit=none"),
        ] {
            check(&system, system.get(&target), 422, "validation-failed").await;
        }
        check(
            &system,
            system.get("/v1/tasks?label=%ff"),
            400,
            "malformed-request",
        )
        .await;
        check(
            &system,
            system.post("/v1/tasks?dry_run=true", r#"{"title": "a"}"#),
            422,
            "validation-failed",
        )
        .await;
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        for target in [
            "/",
            "/v1",
            "/v2/tasks",
            "/v1/tasks/",
            "/v1/tasks/42",
            "/v1/tasks/..%2f..%2fetc%2fpasswd",
            "/v1/tasks/%ff",
            &task.to_uppercase().replace("/V1/TASKS", "/v1/tasks"),
            &format!("{task}/"),
            &format!("{task}/attachments"),
        ] {
            check(&system, system.get(target), 404, "not-found").await;
        }
    });
}

#[test]
fn a_method_that_a_route_does_not_have_is_told() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        for (method, target, allowed) in [
            (Method::PUT, "/v1/tasks".to_owned(), "POST,GET,HEAD"),
            (Method::DELETE, "/v1/tasks".to_owned(), "POST,GET,HEAD"),
            (Method::POST, task.clone(), "GET,HEAD,PATCH,DELETE"),
            (Method::GET, format!("{task}/transitions"), "POST"),
            (Method::POST, format!("{task}/activity"), "GET,HEAD"),
            (Method::TRACE, "/docs".to_owned(), "GET,HEAD"),
        ] {
            let answer = Answer::to(system.request(method.clone(), &target)).await;
            assert_eq!(answer.problem(), "method-not-allowed", "{method} {target}");
            assert_eq!(answer.headers["allow"], allowed, "{method} {target}");
        }
        assert!(system.stub.take().is_empty());
    });
}

#[test]
fn what_is_no_http_ends_the_connection_and_nothing_else() {
    run(async {
        let system = System::start().await;
        for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET /v1/tasks HTTP/9.9\r\n\r\n",
        b"GET /v1/tasks HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
    ] {
        let answer = system.raw(bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
        let long = format!(
            "GET /v1/tasks?cursor={} HTTP/1.1\r\nhost: a\r\n\r\n",
            "x".repeat(1_000_000)
        );
        let answer = system.raw(long.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert_eq!(Answer::to(system.get("/v1/tasks")).await.status, 200);
    });
}
