//! HTTP around the service: awsJson 1.1, one POST on one path, the operation in a header. Owns bodies, their limits, and the shape
//! of answers; knows no operation.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use conventions::metrics as names;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName},
};
use metrics::{counter, describe_counter};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    operations,
    refusal::Refusal,
    service::{Service, TARGET_PREFIX},
};

/// Bytes of a body. A batch has a megabyte of messages, and JSON can make six bytes of one.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests at a time that have a body in memory or are worked on.
const REQUESTS_MAX: usize = 32;
/// How long a request waits for its turn before it is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// Clients log it; Fluent Bit takes an answer without it for a failure.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const AWS_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

#[derive(Clone)]
struct Served {
    service: Arc<Service>,
    turns: Arc<Semaphore>,
}

/// Routes that answer POST / with what the service says; everything else is an unknown operation.
pub fn router(service: Arc<Service>) -> Router {
    describe_counter!(
        names::CLOUDWATCH_REQUESTS,
        "Requests by operation and status."
    );
    Router::new().fallback(serve).with_state(Served {
        service,
        turns: Arc::new(Semaphore::new(REQUESTS_MAX)),
    })
}

async fn serve(State(served): State<Served>, request: Request) -> Response {
    let counted = operations::named(operation(request.headers()).unwrap_or_default());
    let answered = answer(served, request).await;
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            let body = json!({ "__type": refusal.code, "message": refusal.message });
            (refusal.status, Some(body))
        }
    };
    counter!(
        names::CLOUDWATCH_REQUESTS,
        names::OPERATION => counted,
        names::HTTP_RESPONSE_STATUS_CODE => status.as_str().to_owned(),
    )
    .increment(1);
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, AWS_JSON);
    let request_id = Uuid::now_v7().to_string();
    headers.insert(
        REQUEST_ID,
        HeaderValue::try_from(request_id).expect("a UUID is a valid header value"),
    );
    response
}

async fn answer(served: Served, request: Request) -> Result<Option<Value>, Refusal> {
    let (parts, body) = request.into_parts();
    let operation = operation(&parts.headers)
        .filter(|_| parts.method == Method::POST && parts.uri.path() == "/")
        .ok_or_else(Refusal::unknown_operation)?
        .to_owned();
    let turn = tokio::time::timeout(TURN_TIMEOUT, served.turns.acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(Refusal::busy());
    };
    let body = read(body).await?;
    let work = move || {
        // The turn ends with the work, even when the client has gone.
        let _turn = turn;
        served.service.call(&operation, &body)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Refusal::internal(&error)))
}

fn operation(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(TARGET)?
        .to_str()
        .ok()?
        .strip_prefix(TARGET_PREFIX)
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        // A connection that broke gets no answer anyway: what remains is the length.
        Ok(Err(_)) => Err(Refusal::too_large()),
        Err(_) => Err(Refusal::unreadable("the body took too long")),
    }
}
