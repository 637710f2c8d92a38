//! PutLogEvents: what is taken, what is rejected, what refuses a whole batch.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::world::{DAY_MS, HOUR_MS, START_MS, World};

#[tokio::test]
async fn events_that_are_too_old_or_too_new_are_rejected_and_the_others_taken() {
    let world = World::with_stream().await;
    let old = START_MS - 14 * DAY_MS;
    let answer = world
        .put("s", &[(old - 2, "a"), (old - 1, "b"), (old, "c")])
        .await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({ "tooOldLogEventEndIndex": 2 })
    );
    let new = START_MS + 2 * HOUR_MS;
    let answer = world.put("s", &[(new, "d"), (new + 1, "e")]).await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({ "tooNewLogEventStartIndex": 1 })
    );
    let answer = world.put("s", &[(new + 1, "f")]).await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({ "tooNewLogEventStartIndex": 0 })
    );
    assert_eq!(world.filter(json!({})).await.0, ["c", "d"]);
}

#[tokio::test]
async fn events_beyond_retention_are_expired_when_they_come_and_when_they_are_read() {
    let world = World::with_stream().await;
    world
        .put("s", &[(START_MS, "a"), (START_MS + 1, "b")])
        .await;
    world
        .ok(
            "PutRetentionPolicy",
            json!({ "logGroupName": "g", "retentionInDays": 1 }),
        )
        .await;
    let answer = world
        .put(
            "s",
            &[(START_MS - DAY_MS - 1, "late"), (START_MS - DAY_MS, "c")],
        )
        .await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({ "expiredLogEventEndIndex": 1 })
    );
    assert_eq!(world.filter(json!({})).await.0, ["c", "a", "b"]);
    world.advance(DAY_MS + 1);
    assert_eq!(world.filter(json!({})).await.0, ["b"]);
    let named = json!({ "logGroupName": "g", "logStreamName": "s" });
    let answer = world.ok("GetLogEvents", named).await;
    assert_eq!(answer["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_answer_has_a_sequence_token_that_moves_on() {
    let world = World::with_stream().await;
    let first = world.put("s", &[(START_MS, "a")]).await;
    let second = world.put("s", &[(START_MS, "a")]).await;
    assert_eq!(first["nextSequenceToken"].as_str().unwrap().len(), 56);
    assert_ne!(first["nextSequenceToken"], second["nextSequenceToken"]);
    assert_eq!(first.get("rejectedLogEventsInfo"), None);
    // The same event twice is two events.
    assert_eq!(world.filter(json!({})).await.0, ["a", "a"]);
}

#[tokio::test]
async fn a_batch_of_all_that_is_allowed_is_taken() {
    let world = World::with_stream().await;
    let event =
        |index: i64| json!({ "timestamp": START_MS + index / 2, "message": format!("{index:05}") });
    let mut request = json!({
        "logGroupName": "g",
        "logStreamName": "s",
        "logEvents": (0..10_000).map(event).collect::<Vec<Value>>(),
    });
    world.ok("PutLogEvents", request.clone()).await;
    let (messages, token) = world.filter(json!({})).await;
    assert_eq!(messages.len(), 10_000);
    assert!(messages.is_sorted());
    assert_eq!(token, None);
    request["logEvents"]
        .as_array_mut()
        .unwrap()
        .push(event(10_000));
    let (code, message) = world.refused("PutLogEvents", request).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(
        message.contains("Member must have length less than or equal to 10000"),
        "{message}"
    );
    // One event of the greatest size, each byte of it six in JSON.
    let escaped = "\u{1}".repeat(256 << 10);
    world.put("s", &[(START_MS + HOUR_MS, &escaped)]).await;
}

#[tokio::test]
async fn a_batch_in_disorder_too_long_or_too_large_is_refused_whole() {
    let world = World::with_stream().await;
    let put = async |events: Value| {
        let request = json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": events });
        let (code, message) = world.refused("PutLogEvents", request).await;
        assert_eq!(code, "InvalidParameterException");
        message
    };
    let event = |time: i64, message: &str| json!({ "timestamp": time, "message": message });
    assert_eq!(
        put(json!([event(START_MS, "a"), event(START_MS - 1, "b")])).await,
        "Log events in a single PutLogEvents request must be in chronological order."
    );
    assert_eq!(
        put(json!([
            event(START_MS - DAY_MS - 1, "a"),
            event(START_MS, "b")
        ]))
        .await,
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
    );
    let quarter = "x".repeat(262_144);
    assert_eq!(
        put(json!(vec![event(START_MS, &quarter); 4])).await,
        "Upload too large: 1048680 bytes exceeds limit of 1048576"
    );
    assert_eq!(
        put(json!([event(START_MS, &"x".repeat(1_048_551))])).await,
        "Log event too large: 1048577 bytes exceeds limit of 1048576"
    );
    assert!(put(json!([])).await.contains("'logEvents'"));
    assert!(
        put(json!([event(START_MS, "")]))
            .await
            .contains("'logEvents.1.member.message'")
    );
    assert!(
        put(json!([event(-1, "a")]))
            .await
            .contains("'logEvents.1.member.timestamp'")
    );
    assert_eq!(world.filter(json!({})).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_stored_is_not_acknowledged_and_not_counted() {
    let world = World::with_stream().await;
    world.events.refuses.store(true, Ordering::SeqCst);
    let request = json!({
        "logGroupName": "g",
        "logStreamName": "s",
        "logEvents": [{ "timestamp": START_MS, "message": "a" }],
    });
    let (status, text) = world.call("PutLogEvents", request.to_string()).await;
    assert_eq!(status, 503);
    assert!(
        text.contains("ServiceUnavailableException") && !text.contains("disk"),
        "{text}"
    );
    world.events.refuses.store(false, Ordering::SeqCst);
    let answer = world.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(answer["logGroups"][0]["storedBytes"], 0);
    world.ok("PutLogEvents", request).await;
}
