//! SIGKILL in the middle of writing: what was acknowledged is there, once, and groups and streams are as they were.
//!
//! The test binary starts itself again as the process that is killed; otherwise that part does nothing.

use std::{path::Path, sync::Arc};

use axum::{Router, body::Body};
use cloudwatch::{Options, Service, store_options};
use http::Request;
use respawn::{Life, acknowledge, kill_after};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::{START_MS, messages};

const WRITING: &str = "killed::puts_until_it_is_killed";
/// Events of one request.
const BATCH: u64 = 20;

fn open(dir: &Path) -> Router {
    let events = logs::Store::open(&dir.join("events"), store_options())
        .unwrap()
        .0;
    let options = Options {
        region: "us-east-1".to_owned(),
        account_id: "000000000000".to_owned(),
        now: Arc::new(|| START_MS),
    };
    let (service, _) = Service::open(dir, options, Arc::new(events)).unwrap();
    cloudwatch::router(Arc::new(service))
}

async fn call(routes: &Router, operation: &str, request: Value) -> (u16, Value) {
    let request = Request::post("/")
        .header("x-amz-target", format!("Logs_20140328.{operation}"))
        .body(Body::from(request.to_string()))
        .unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// All events with their ids.
async fn everything(routes: &Router) -> Vec<(String, String)> {
    let mut request = json!({ "logGroupName": "g" });
    let mut found = Vec::new();
    loop {
        let (status, page) = call(routes, "FilterLogEvents", request.clone()).await;
        assert_eq!(status, 200, "{page}");
        let events = page["events"].as_array().unwrap().iter();
        let ids = events.map(|event| event["eventId"].as_str().unwrap().to_owned());
        found.extend(ids.zip(messages(&page)));
        match page.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut known: Vec<(String, String)> = Vec::new();
    for round in 1..=4 {
        let acknowledged = kill_after(WRITING, dir.path(), next, 60 * round);
        let routes = open(dir.path());
        let found = everything(&routes).await;
        let count = found.len() as u64;
        assert!(count >= acknowledged, "{count} of {acknowledged}");
        assert_eq!(count % BATCH, 0, "a request is whole or not there");
        // Each once and none missing, in the order they were put: all are of the same millisecond.
        let numbers: Vec<u64> = found
            .iter()
            .map(|(_, message)| message.parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(0..count));
        // An event's id stays its own.
        assert_eq!(&found[..known.len()], known);
        let (_, streams) = call(
            &routes,
            "DescribeLogStreams",
            json!({ "logGroupName": "g" }),
        )
        .await;
        assert_eq!(streams["logStreams"][0]["lastEventTimestamp"], START_MS);
        next = count;
        known = found;
    }
}

#[tokio::test]
async fn puts_until_it_is_killed() {
    let Some(Life {
        dir,
        first: mut next,
    }) = Life::<u64>::of_this_process()
    else {
        return;
    };
    let routes = open(&dir);
    let named = json!({ "logGroupName": "g", "logStreamName": "s" });
    // They are there in every round but the first.
    call(&routes, "CreateLogGroup", named.clone()).await;
    call(&routes, "CreateLogStream", named.clone()).await;
    loop {
        let event = |number: u64| json!({ "timestamp": START_MS, "message": number.to_string() });
        let mut request = named.clone();
        request["logEvents"] = (next..next + BATCH).map(event).collect();
        let (status, answer) = call(&routes, "PutLogEvents", request).await;
        assert_eq!(status, 200, "{answer}");
        next += BATCH;
        // Ends by itself when nobody reads any more.
        if !acknowledge(next) {
            return;
        }
    }
}
