//! Bounds of the HTTP server, from a raw socket where a client library would not do what is tested.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use runtime::server::Body;
use serde_json::Value;
use tasks_api::limits::BODY_BYTES_MAX;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use crate::{DEADLINE, served};

/// What the server answers to these bytes until it closes, or has answered `answers` times.
async fn talk(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read everything: that is what some tests are about.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..length]);
        }
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn close(request: &str) -> Vec<u8> {
    request
        .replace("\r\n\r\n", "\r\nhost: x\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

fn check(answer: &str, status: u16, kind: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains("application/problem+json"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        problem["type"],
        format!("urn:tripod:problem:{kind}"),
        "{answer}"
    );
}

fn echo() -> Router {
    Router::new()
        .route(
            "/echo",
            post(|Body(bytes): Body| async move { bytes.len().to_string() }),
        )
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
}

/// A route `/wait` that tells when it was entered and answers when the gate is opened.
fn gated() -> (Router, Arc<Notify>, Arc<Notify>) {
    let entered = Arc::new(Notify::new());
    let gate = Arc::new(Notify::new());
    let inside = (Arc::clone(&entered), Arc::clone(&gate));
    let wait = move || {
        let (entered, gate) = inside.clone();
        async move {
            entered.notify_one();
            gate.notified().await;
            "done"
        }
    };
    (Router::new().route("/wait", get(wait)), entered, gate)
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let (address, _drain, _task) = served(echo(), |_| {});
    check(
        &talk(address, &close("GET /nowhere HTTP/1.1\r\n\r\n")).await,
        404,
        "not-found",
    );
    check(
        &talk(address, &close("GET /echo HTTP/1.1\r\n\r\n")).await,
        405,
        "method-not-allowed",
    );
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_lives_on() {
    let (address, _drain, _task) = served(echo(), |_| {});
    check(
        &talk(address, &close("GET /panic HTTP/1.1\r\n\r\n")).await,
        500,
        "internal",
    );
    check(
        &talk(address, &close("GET /nowhere HTTP/1.1\r\n\r\n")).await,
        404,
        "not-found",
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_and_without_a_length() {
    let (address, _drain, _task) = served(echo(), |_| {});
    let announced = format!(
        "POST /echo HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
        10 * 1024 * 1024
    );
    check(
        &talk(address, &close(&announced)).await,
        413,
        "body-too-large",
    );

    let mut chunked = close("POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..=BODY_BYTES_MAX / 65_536 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b'x'; 65_536]);
        chunked.extend_from_slice(b"\r\n");
    }
    let answer = talk(address, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut largest = close(&format!(
        "POST /echo HTTP/1.1\r\ncontent-length: {BODY_BYTES_MAX}\r\n\r\n"
    ));
    largest.extend(vec![b'x'; BODY_BYTES_MAX]);
    assert!(
        talk(address, &largest)
            .await
            .ends_with(&format!("\r\n\r\n{BODY_BYTES_MAX}"))
    );
}

#[tokio::test]
async fn headers_that_are_too_large_and_garbage_are_refused() {
    let (address, _drain, _task) = served(echo(), |_| {});
    let large = format!("GET /echo HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert!(
        talk(address, large.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    let many = format!("GET /echo HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert!(
        talk(address, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on\r\n\r\n"[..],
        b"GET\r\n\r\n",
        &[0xff; 300],
    ] {
        let answer = talk(address, garbage).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    check(
        &talk(address, &close("GET /nowhere HTTP/1.1\r\n\r\n")).await,
        404,
        "not-found",
    );
}

#[tokio::test]
async fn a_slow_handler_and_a_full_house_are_said() {
    let (routes, entered, gate) = gated();
    let (address, _drain, _task) = served(routes.clone(), |stack| stack.requests_in_flight_max = 1);
    let first =
        tokio::spawn(async move { talk(address, &close("GET /wait HTTP/1.1\r\n\r\n")).await });
    entered.notified().await;
    let refused = talk(address, &close("GET /wait HTTP/1.1\r\n\r\n")).await;
    check(&refused, 503, "overloaded");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    gate.notify_one();
    assert!(first.await.unwrap().ends_with("done"));

    let (address, _drain, _task) = served(routes, |stack| {
        stack.request_timeout = Duration::from_millis(20)
    });
    check(
        &talk(address, &close("GET /wait HTTP/1.1\r\n\r\n")).await,
        504,
        "timeout",
    );
}

#[tokio::test]
async fn draining_finishes_what_runs_and_takes_nothing_new() {
    let (routes, entered, gate) = gated();
    let (address, drain, task) = served(routes, |_| {});
    let running =
        tokio::spawn(async move { talk(address, b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await });
    entered.notified().await;
    drain.cancel();
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused)
        .await
        .expect("the listener closes");
    gate.notify_one();
    assert!(running.await.unwrap().ends_with("done"));
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_cuts_off_what_does_not_end() {
    let routes = Router::new().route("/wait", get(std::future::pending::<&str>));
    let (address, drain, task) = served(routes, |_| {});
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    drain.cancel();
    tokio::time::timeout(DEADLINE, task)
        .await
        .expect("the drain ends")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named_with_surface_and_flag() {
    let (address, _drain, _task) = served(Router::new(), |_| {});
    let error = format!(
        "{:#}",
        runtime::server::bind(address, "the gateway", "--listen").unwrap_err()
    );
    for part in [
        address.port().to_string().as_str(),
        "the gateway",
        "--listen",
        "in use",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_fault_of_a_route_is_a_whole_problem() {
    let process = crate::process();
    let (address, _drain, _task) = served(echo(), |stack| stack.faults = process.faults.clone());
    for (status, kind, retry_after) in [
        (409, "conflict", false),
        (500, "internal", false),
        (503, "unavailable", true),
        (504, "timeout", true),
    ] {
        let order =
            serde_json::json!({"target": "http:POST /echo", "error": status, "for_seconds": 60});
        crate::sdk::order(&process, order).await;
        let answer = talk(address, &close("POST /echo HTTP/1.1\r\n\r\n")).await;
        check(&answer, status, kind);
        assert!(answer.contains(&format!("\"status\":{status}")), "{answer}");
        assert_eq!(
            answer.contains("retry-after: 1\r\n"),
            retry_after,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_large_body_gets_its_answer_while_it_is_still_sent() {
    let (address, _drain, _task) = served(echo(), |_| {});
    let mut request = close("POST /echo HTTP/1.1\r\ncontent-length: 10485760\r\n\r\n");
    request.resize(request.len() + 10 * 1024 * 1024, b'x');
    let answer = talk(address, &request).await;
    check(&answer, 413, "body-too-large");
}

#[tokio::test]
async fn connections_do_not_outlive_the_server() {
    let entered = Arc::new(Notify::new());
    let entered_inside = Arc::clone(&entered);
    let wait = move || {
        entered_inside.notify_one();
        std::future::pending::<&str>()
    };
    let (address, drain, task) = served(Router::new().route("/wait", get(wait)), |_| {});
    let running =
        tokio::spawn(async move { talk(address, b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await });
    entered.notified().await;
    drain.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(running.await.unwrap(), "", "the connection is cut");
}
