//! What reaches the task-service, what comes back, and what happens when nothing usable does.

use std::time::{Duration, Instant};

use http::Method;
use runtime::{Secret, Time};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::stub::Reply;
use crate::system::{Answer, ClosedPort, System, run, some_task};

#[test]
fn a_request_goes_on_with_its_caller_and_the_headers_of_the_contract() {
    run(async {
        let system = System::start_with(|settings| {
            settings.internal_token = Some(Secret::new("between-us"))
        })
        .await;
        let body = r#"{"to": "done"}"#;
        let target = format!("{}/transitions", some_task());
        let request = system
            .post(&target, body)
            .header("if-match", "\"3\"")
            .header("idempotency-key", "once");
        let request = request
            .header("x-tripod-workspace", "foreign")
            .header("x-tripod-actor", "somebody-else")
            .header("x-forwarded-for", "192.0.2.1")
            .header("cookie", "a=b")
            .header("te", "trailers")
            .header("proxy-authorization", "Basic eDp5")
            .header("x-anything", "else");
        assert_eq!(Answer::to(request).await.status, 200);

        let received = system.stub.take_one();
        assert_eq!(
            (received.method.as_str(), &received.target),
            ("POST", &target)
        );
        assert_eq!(received.body, body);
        let expected = [
            ("x-tripod-workspace", "home"),
            ("x-tripod-actor", system.key.id().as_str()),
            ("authorization", "Bearer between-us"),
            ("if-match", "\"3\""),
            ("idempotency-key", "once"),
            ("content-type", "application/json"),
            (
                "user-agent",
                concat!("tripod-gateway/", env!("CARGO_PKG_VERSION")),
            ),
        ];
        for (name, value) in expected {
            let values: Vec<_> = received.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
        let mut names: Vec<_> = received.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let known = [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "idempotency-key",
            "if-match",
            "user-agent",
            "x-tripod-actor",
            "x-tripod-workspace",
        ];
        let is_trace = |name: &&str| matches!(*name, "traceparent" | "tracestate");
        names.retain(|name| !is_trace(name));
        assert_eq!(names, known);
    });
}

#[test]
fn each_operation_reaches_its_counterpart() {
    run(async {
        let system = System::start().await;
        let task = some_task();
        let patch = || system.request(Method::PATCH, &task).header("if-match", "*");
        for (request, method, target) in [
            (
                system.post("/v1/tasks", r#"{"title": "a"}"#),
                "POST",
                "/v1/tasks".to_owned(),
            ),
            (system.get("/v1/tasks"), "GET", "/v1/tasks".to_owned()),
            (
                system.get("/v1/tasks?limit=1&label=a%20b&cursor=c"),
                "GET",
                "/v1/tasks?limit=1&label=a%20b&cursor=c".to_owned(),
            ),
            (system.get(&task), "GET", task.clone()),
            (system.request(Method::HEAD, &task), "GET", task.clone()),
            (
                patch()
                    .header("content-type", "application/json")
                    .body("{}"),
                "PATCH",
                task.clone(),
            ),
            (
                patch()
                    .header("content-type", "application/merge-patch+json")
                    .body("{}"),
                "PATCH",
                task.clone(),
            ),
            (
                system
                    .request(Method::DELETE, &task)
                    .header("if-match", "*"),
                "DELETE",
                task.clone(),
            ),
            (
                system.post(&format!("{task}/comments"), r#"{"text": "a"}"#),
                "POST",
                format!("{task}/comments"),
            ),
            (
                system.get(&format!("{task}/comments?limit=2")),
                "GET",
                format!("{task}/comments?limit=2"),
            ),
            (
                system.get(&format!("{task}/activity")),
                "GET",
                format!("{task}/activity"),
            ),
        ] {
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, 200, "{method} {target}: {answer:?}");
            let received = system.stub.take_one();
            assert_eq!(
                (received.method.as_str(), received.target),
                (method, target)
            );
        }
    });
}

#[test]
fn an_answer_comes_back_as_it_was_without_what_is_not_for_clients() {
    run(async {
        let system = System::start().await;
        let body = json!({"id": "x", "title": "Grüße"});
        let reply = Reply::json(201, body.clone())
            .header("etag", "\"1\"")
            .header("location", "/v1/tasks/x")
            .header("idempotency-replayed", "true")
            .header(
                "traceresponse",
                "00-00000000000000000000000000000001-0000000000000001-01",
            )
            .header("server", "inner")
            .header("set-cookie", "a=b")
            .header("connection", "close");
        system.stub.reply(reply);
        let answer = Answer::to(system.post("/v1/tasks", r#"{"title": "a"}"#)).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json(), body);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["etag"], "\"1\"");
        assert_eq!(answer.headers["location"], "/v1/tasks/x");
        assert_eq!(answer.headers["idempotency-replayed"], "true");
        let traceresponse = answer.headers["traceresponse"].to_str().unwrap();
        assert!(
            !traceresponse.contains("0000000000000001"),
            "{traceresponse}"
        );
        for name in ["server", "set-cookie", "connection"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    });
}

#[test]
fn problems_of_the_task_service_are_not_touched() {
    run(async {
        let system = System::start().await;
        for (status, kind) in [
            (400, "invalid-cursor"),
            (404, "not-found"),
            (409, "conflict"),
            (409, "transition-not-allowed"),
            (412, "version-mismatch"),
            (422, "idempotency-key-reused"),
            (500, "internal"),
            (503, "unavailable"),
            (504, "timeout"),
        ] {
            let body = json!({"type": format!("urn:tripod:problem:{kind}"), "status": status, "trace_id": "theirs"});
            system
                .stub
                .reply(Reply::problem(status, body.clone()).header("retry-after", "7"));
            let answer = Answer::to(system.get("/v1/tasks?cursor=x")).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (status, body));
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.headers["retry-after"], "7");
        }
    });
}

#[test]
fn an_empty_answer_stays_empty() {
    run(async {
        let system = System::start().await;
        system.stub.reply(Reply {
            headers: Vec::new(),
            ..Reply::new(204, "", "")
        });
        let answer = Answer::to(
            system
                .request(Method::DELETE, &some_task())
                .header("if-match", "*"),
        )
        .await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    });
}

#[test]
fn what_is_no_answer_of_ours_reaches_nobody() {
    run(async {
        let system = System::start().await;
        let secret = "<h1>secret of another program</h1>";
        for reply in [
            Reply::new(200, "text/html", secret),
            Reply::new(502, "text/html", secret),
            Reply::new(404, "text/plain", secret),
            Reply::json(404, json!({"secret": "of another program"})),
            Reply::json(302, json!({})).header("location", "http://127.0.0.1:1/"),
            Reply::json(200, json!("x".repeat(8 * 1024 * 1024))),
        ] {
            let status = reply.status;
            system.stub.reply(reply);
            let answer = Answer::to(system.get("/v1/tasks")).await;
            assert_eq!(answer.problem(), "unavailable", "{status}");
            assert_eq!(answer.headers["retry-after"], "1");
            assert!(!answer.text.contains("secret"), "{}", answer.text);
            assert!(!answer.headers.contains_key("location"));
            assert_eq!(
                system.stub.take().len(),
                1,
                "an answer is not asked for twice"
            );
        }
    });
}

#[test]
fn a_refused_internal_token_is_not_the_clients_fault() {
    run(async {
        let system = System::start().await;
        let body = json!({"type": "urn:tripod:problem:unauthenticated", "status": 401});
        system.stub.reply(Reply::problem(401, body));
        let answer = Answer::to(system.get("/v1/tasks")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (500, "internal")
        );
        assert!(!answer.headers.contains_key("www-authenticate"));
    });
}

#[test]
fn a_task_service_that_is_away_is_told_at_once() {
    run(async {
        let port = ClosedPort::reserve();
        let closed = port.address();
        let url = format!("http://{closed}");
        let system =
            System::start_with(|settings| settings.task_service_url = url.parse().unwrap()).await;
        for request in [
            system.get("/v1/tasks"),
            system
                .post("/v1/tasks", r#"{"title": "a"}"#)
                .header("idempotency-key", "once"),
            system
                .request(Method::DELETE, &some_task())
                .header("if-match", "*"),
        ] {
            let started = Instant::now();
            let answer = Answer::to(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (503, "unavailable")
            );
            assert_eq!(answer.headers["retry-after"], "1");
            assert!(
                !answer.text.contains(&closed.to_string()),
                "{}",
                answer.text
            );
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{:?}",
                started.elapsed()
            );
        }
    });
}

#[test]
fn a_task_service_that_is_slow_is_given_up_in_time() {
    run(async {
        let system =
            System::start_with(|settings| settings.task_service_timeout = Time::from_millis(200))
                .await;
        system.stub.reply(Reply::hanging());
        let answer = Answer::to(system.get("/v1/tasks")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (504, "timeout")
        );
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(
            system.stub.take().len(),
            1,
            "slowness is not mended by asking again"
        );
    });
}

/// A server that speaks no HTTP, or breaks off, and counts how often it was asked.
async fn broken_service(
    answer: Vec<u8>,
) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(&answer).await;
        }
    });
    (url, asked)
}

#[test]
fn a_connection_that_breaks_is_tried_again_only_where_that_is_safe() {
    run(async {
        for (answer, tries) in [
        (&b""[..], [3, 1, 2, 1]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", [3, 1, 2, 1]),
        // Here the answer has begun: what it would have been is unknown, but there was one.
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\"", [1, 1, 1, 1]),
    ] {
        let (url, asked) = broken_service(answer.to_vec()).await;
        let system = System::start_with(|settings| settings.task_service_url = url.parse().unwrap()).await;
        let requests = [
            system.get("/v1/tasks"),
            system.post("/v1/tasks", r#"{"title": "a"}"#),
            system.post("/v1/tasks", r#"{"title": "a"}"#).header("idempotency-key", "once"),
            system.request(Method::DELETE, &some_task()).header("if-match", "*"),
        ];
        for (request, tries) in requests.into_iter().zip(tries) {
            let what = format!("{request:?} answered with {answer:?}");
            asked.store(0, std::sync::atomic::Ordering::Relaxed);
            let answer = Answer::to(request).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "unavailable"), "{what}");
            assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), tries, "{what}");
        }
    }
    });
}

#[test]
fn an_answer_without_a_length_has_its_largest_size_too() {
    run(async {
        let bytes_max = 8 * 1024 * 1024;
        for (bytes, status) in [(bytes_max, 200), (bytes_max + 1, 503)] {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            let answer = format!("{head}{bytes:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(bytes));
            let (url, _) = broken_service(answer.into_bytes()).await;
            let system =
                System::start_with(|settings| settings.task_service_url = url.parse().unwrap())
                    .await;
            assert_eq!(
                Answer::to(system.get("/v1/tasks")).await.status,
                status,
                "{bytes}"
            );
        }
    });
}

#[test]
fn a_task_service_that_accepts_no_connection_is_away_and_not_slow() {
    run(async {
        // The kernel completes two connections for a listener that accepts none; the third one waits in vain.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let url = format!("http://{address}");
        let system =
            System::start_with(|settings| settings.task_service_url = url.parse().unwrap()).await;
        let request = system
            .request(Method::DELETE, &some_task())
            .header("if-match", "*");
        let answer = Answer::to(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (503, "unavailable")
        );
    });
}

#[test]
fn a_base_url_may_have_a_path() {
    run(async {
        let system = System::start().await;
        let url = format!("http://{}/inner/", system.stub.address);
        let below =
            System::start_with(|settings| settings.task_service_url = url.parse().unwrap()).await;
        assert_eq!(Answer::to(below.get("/v1/tasks?limit=1")).await.status, 200);
        assert_eq!(system.stub.take_one().target, "/inner/v1/tasks?limit=1");
    });
}
