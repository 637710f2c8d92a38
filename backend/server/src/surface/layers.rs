//! The layers around a surface's routes, each a middleware; `super::layered` has their order.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{extract::Request, middleware::Next, response::Response};
use tokio::sync::Semaphore;

use super::refusal::{Refusal, Refuse};

/// Refuses a request at once when as many as allowed are in progress.
pub(super) async fn shed(
    room: Arc<Semaphore>,
    refuse: Refuse,
    request: Request,
    next: Next,
) -> Response {
    match room.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => refuse(Refusal::Overloaded),
    }
}

/// Gives up on a handler that takes too long.
pub(super) async fn deadline(
    timeout: Duration,
    refuse: Refuse,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refuse(Refusal::Timeout),
    }
}

/// Answers for a handler that panics. The process's panic hook has logged it by then.
pub(super) async fn catch_panic(refuse: Refuse, request: Request, next: Next) -> Response {
    let mut handler = pin!(next.run(request));
    let caught = poll_fn(|context| {
        // Nothing that the handler held is used after it panicked.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Some(response)),
            Err(_) => Poll::Ready(None),
        }
    });
    caught.await.unwrap_or_else(|| refuse(Refusal::Panic))
}
