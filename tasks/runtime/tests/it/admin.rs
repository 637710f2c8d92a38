//! Readiness and what the admin listener says of it.

use runtime::Readiness;

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
