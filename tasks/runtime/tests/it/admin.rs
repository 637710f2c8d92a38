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
    readiness.register("the queue", || std::future::pending::<Result<(), String>>());
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
