//! The admin listener: readiness, metrics in the format asked for, and the routes a service adds.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    routing::get,
};
use runtime::Readiness;
use tower::ServiceExt;

use crate::process;

/// Status, content type and body of a GET.
async fn ask(
    process: &runtime::Process,
    path: &str,
    accept: &[&str],
) -> (StatusCode, String, String) {
    let mut request = Request::builder().uri(path);
    for accepted in accept {
        request = request.header(header::ACCEPT, *accepted);
    }
    let response = process
        .admin_routes()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let content_type = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (
        status,
        content_type,
        String::from_utf8(body.into()).unwrap(),
    )
}

#[tokio::test]
async fn metrics_come_in_the_format_asked_for() {
    let process = process();
    let (status, content_type, body) = ask(&process, "/metrics", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    assert!(!body.ends_with("# EOF\n"), "{body}");
    let openmetrics = "application/openmetrics-text;version=1.0.0;q=0.9";
    for accept in [&[openmetrics][..], &["text/html", openmetrics]] {
        let (_, content_type, body) = ask(&process, "/metrics", accept).await;
        assert!(
            content_type.starts_with("application/openmetrics-text; version=1.0.0"),
            "{content_type}"
        );
        assert!(body.ends_with("# EOF\n"), "{body}");
    }
}

#[tokio::test]
async fn health_is_said_and_a_service_adds_its_routes() {
    let process = process();
    assert_eq!(ask(&process, "/livez", &[]).await.0, StatusCode::OK);
    assert_eq!(
        ask(&process, "/readyz", &[]).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    process.readiness.serve();
    assert_eq!(ask(&process, "/readyz", &[]).await.0, StatusCode::OK);
    let (status, content_type, _) = ask(&process, "/dead-letters", &[]).await;
    assert_eq!(
        (status, content_type.as_str()),
        (StatusCode::NOT_FOUND, "application/problem+json")
    );
    process.admin(Router::new().route("/dead-letters", get(|| async { "none" })));
    assert_eq!(ask(&process, "/dead-letters", &[]).await.2, "none");
}

#[tokio::test]
async fn a_process_is_ready_between_start_and_drain_if_its_dependencies_are() {
    let readiness = Readiness::default();
    assert_eq!(readiness.check().await, Err("starting".to_owned()));
    readiness.serve();
    assert_eq!(readiness.check().await, Ok(()));
    readiness.drain();
    assert_eq!(readiness.check().await, Err("draining".to_owned()));
    readiness.serve();
    assert_eq!(
        readiness.check().await,
        Err("draining".to_owned()),
        "there is no way back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_or_hanging_dependency_is_named() {
    let readiness = Readiness::default();
    readiness.serve();
    readiness.register("the table", || async { Ok(()) });
    readiness.register("the queue", || async { Err("away".to_owned()) });
    assert_eq!(readiness.check().await, Err("the queue: away".to_owned()));

    let readiness = Readiness::default();
    readiness.serve();
    readiness.register("the queue", std::future::pending::<Result<(), String>>);
    assert!(
        readiness
            .check()
            .await
            .unwrap_err()
            .starts_with("the queue: no answer")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_used_again_for_a_second() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let readiness = Readiness::default();
    readiness.serve();
    let counter = Arc::clone(&asked);
    readiness.register("the table", move || {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    for _ in 0..5 {
        readiness.check().await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    readiness.check().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

async fn answer(request: axum::http::request::Builder, body: &str) -> axum::response::Response {
    let request = request.body(Body::from(body.to_owned())).unwrap();
    process().admin_routes().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem() {
    let cases = [
        (Request::post("/livez"), String::new(), 405),
        (Request::get("/nowhere"), String::new(), 404),
        (Request::put("/faults/x"), "x".repeat(1024 * 1024), 413),
        (Request::put("/faults/x"), "{".to_owned(), 400),
    ];
    for (request, body, status) in cases {
        let response = answer(request, &body).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut client, server) = tokio::io::duplex(1024);
    let routes = process().admin_routes();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        routes.clone().oneshot(request.map(Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(server), service);
    let serving = tokio::spawn(connection);
    client
        .write_all(b"PUT /faults/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    tokio::time::pause();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    serving.abort();
}
