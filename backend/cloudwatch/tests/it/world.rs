//! A service with a clock of its own, and how tests speak to it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{Router, body::Body};
use cloudwatch::{Options, Service, TARGET_PREFIX};
use http::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::watched::Watched;

pub(crate) const START_MS: i64 = 1_800_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) events: Arc<Watched>,
    now_ms: Arc<AtomicI64>,
    pub(crate) routes: Router,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(START_MS)
    }

    pub(crate) fn at(now_ms: i64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let events = Arc::new(Watched::open(&dir.path().join("events")));
        let now_ms = Arc::new(AtomicI64::new(now_ms));
        let routes = routes(dir.path(), &events, &now_ms);
        Self {
            dir,
            events,
            now_ms,
            routes,
        }
    }

    /// A group `g` with a stream `s`.
    pub(crate) async fn with_stream() -> Self {
        let world = Self::new();
        world
            .ok("CreateLogGroup", json!({ "logGroupName": "g" }))
            .await;
        world.create_stream("s").await;
        world
    }

    pub(crate) async fn create_stream(&self, name: &str) {
        let request = json!({ "logGroupName": "g", "logStreamName": name });
        self.ok("CreateLogStream", request).await;
    }

    /// Opens everything again; the world is the only one who has it open.
    pub(crate) fn restart(self) -> Self {
        let Self {
            dir,
            events,
            now_ms,
            routes: closed,
        } = self;
        drop((events, closed));
        let events = Arc::new(Watched::open(&dir.path().join("events")));
        let routes = routes(dir.path(), &events, &now_ms);
        Self {
            dir,
            events,
            now_ms,
            routes,
        }
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (Response<()>, String) {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        (Response::from_parts(parts, ()), text)
    }

    pub(crate) async fn call(&self, operation: &str, body: impl Into<Body>) -> (u16, String) {
        let request = Request::post("/")
            .header("x-amz-target", format!("{TARGET_PREFIX}{operation}"))
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.into())
            .unwrap();
        let (response, text) = self.send(request).await;
        assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
        assert_eq!(
            response.headers()["content-type"],
            "application/x-amz-json-1.1"
        );
        (response.status().as_u16(), text)
    }

    /// The answer of a request that succeeds, null when it is empty.
    pub(crate) async fn ok(&self, operation: &str, request: Value) -> Value {
        let (status, text) = self.call(operation, request.to_string()).await;
        assert_eq!(status, 200, "{operation} {request}: {text}");
        match &*text {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        }
    }

    /// Code and message of a request that fails with status 400.
    pub(crate) async fn refused(&self, operation: &str, request: Value) -> (String, String) {
        let (status, text) = self.call(operation, request.to_string()).await;
        assert_eq!(status, 400, "{operation} {request}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        let member = |name: &str| body[name].as_str().unwrap().to_owned();
        (member("__type"), member("message"))
    }

    /// Puts events, given by time and message, into a stream of `g`.
    pub(crate) async fn put(&self, stream: &str, events: &[(i64, &str)]) -> Value {
        let event =
            |(time, message): &(i64, &str)| json!({ "timestamp": time, "message": message });
        let events: Vec<Value> = events.iter().map(event).collect();
        let request = json!({
            "logGroupName": "g",
            "logStreamName": stream,
            "logEvents": events,
            "sequenceToken": "anything",
        });
        self.ok("PutLogEvents", request).await
    }

    /// Messages and the token of the next page, of a request to FilterLogEvents on `g`.
    pub(crate) async fn filter(&self, mut request: Value) -> (Vec<String>, Option<String>) {
        request["logGroupName"] = json!("g");
        let answer = self.ok("FilterLogEvents", request).await;
        let token = answer["nextToken"].as_str().map(str::to_owned);
        (messages(&answer), token)
    }
}

pub(crate) fn messages(answer: &Value) -> Vec<String> {
    let message = |event: &Value| event["message"].as_str().unwrap().to_owned();
    answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(message)
        .collect()
}

fn routes(dir: &Path, events: &Arc<Watched>, now_ms: &Arc<AtomicI64>) -> Router {
    let now_ms = Arc::clone(now_ms);
    let options = Options {
        region: "us-east-1".to_owned(),
        account_id: "000000000000".to_owned(),
        now: Arc::new(move || now_ms.load(Ordering::SeqCst)),
    };
    let events = Arc::<Watched>::clone(events);
    let (service, _) = Service::open(dir, options, events).unwrap();
    cloudwatch::router(Arc::new(service))
}
