//! GetLogEvents and FilterLogEvents: ranges, pages, tokens, patterns.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::world::{START_MS, World, messages};

async fn get(world: &World, mut request: Value) -> Value {
    request["logGroupName"] = json!("g");
    request["logStreamName"] = json!("s");
    world.ok("GetLogEvents", request).await
}

/// A stream with the messages 0 to 9, a millisecond apart.
async fn ten() -> World {
    let world = World::with_stream().await;
    for index in 0..10 {
        world
            .put("s", &[(START_MS + index, &index.to_string())])
            .await;
    }
    world
}

#[tokio::test]
async fn a_stream_is_read_from_its_head_until_the_token_stays_the_same() {
    let world = ten().await;
    let mut request = json!({ "startFromHead": true, "limit": 4 });
    let mut pages = Vec::new();
    loop {
        let answer = get(&world, request.clone()).await;
        pages.push(messages(&answer).join(""));
        assert!(pages.len() < 10, "{pages:?}");
        let token = answer["nextForwardToken"].clone();
        if request["nextToken"] == token {
            break;
        }
        request["nextToken"] = token;
    }
    assert_eq!(pages, ["0123", "4567", "89", ""]);
    // New events are after the same token.
    world.put("s", &[(START_MS + 10, "A")]).await;
    assert_eq!(messages(&get(&world, request.clone()).await), ["A"]);
    // And the way back begins with what was read last.
    let end = get(&world, request).await;
    let back = get(
        &world,
        json!({ "limit": 3, "nextToken": end["nextBackwardToken"] }),
    )
    .await;
    assert_eq!(messages(&back), ["7", "8", "9"]);
}

#[tokio::test]
async fn a_stream_is_read_from_its_tail_backward() {
    let world = ten().await;
    let mut request = json!({ "limit": 4 });
    let mut pages = Vec::new();
    loop {
        let answer = get(&world, request.clone()).await;
        pages.push(messages(&answer).join(""));
        assert!(pages.len() < 10, "{pages:?}");
        let token = answer["nextBackwardToken"].clone();
        if request["nextToken"] == token {
            break;
        }
        request["nextToken"] = token;
    }
    assert_eq!(pages, ["6789", "2345", "01", ""]);
}

#[tokio::test]
async fn an_empty_stream_is_followed_from_its_first_answer() {
    let world = World::with_stream().await;
    let answer = get(&world, json!({})).await;
    assert_eq!(answer["events"], json!([]));
    let request = json!({ "nextToken": answer["nextForwardToken"] });
    assert_eq!(
        get(&world, request.clone()).await["nextForwardToken"],
        request["nextToken"]
    );
    world.put("s", &[(START_MS, "first")]).await;
    let answer = get(&world, request).await;
    let expected =
        json!([{ "timestamp": START_MS, "message": "first", "ingestionTime": START_MS }]);
    assert_eq!(answer["events"], expected);
}

#[tokio::test]
async fn the_end_belongs_to_a_filter_and_not_to_a_stream() {
    let world = ten().await;
    let range = json!({ "startTime": START_MS + 2, "endTime": START_MS + 4 });
    assert_eq!(messages(&get(&world, range.clone()).await), ["2", "3"]);
    assert_eq!(world.filter(range).await.0, ["2", "3", "4"]);
    let empty = json!({ "startTime": START_MS + 4, "endTime": START_MS + 2 });
    assert_eq!(get(&world, empty).await["events"], json!([]));
    let far = json!({ "startTime": 0, "endTime": i64::MAX });
    assert_eq!(world.filter(far.clone()).await.0.len(), 10);
    assert_eq!(messages(&get(&world, far).await).len(), 10);
}

#[tokio::test]
async fn a_page_has_at_most_a_megabyte() {
    let world = World::with_stream().await;
    let large = "x".repeat(250_000);
    for index in 0..5 {
        world.put("s", &[(START_MS + index, &large)]).await;
    }
    world
        .put("s", &[(START_MS + 5, &"y".repeat(256 << 10))])
        .await;
    let mut request = json!({});
    let mut sizes = Vec::new();
    loop {
        let (page, token) = world.filter(request.clone()).await;
        sizes.push(page.len());
        assert!(sizes.len() < 10, "{sizes:?}");
        match token {
            Some(token) => request["nextToken"] = json!(token),
            None => break,
        }
    }
    assert_eq!(sizes, [4, 2]);
    let answer = get(&world, json!({ "startFromHead": true })).await;
    assert_eq!(messages(&answer).len(), 4);
}

#[tokio::test]
async fn streams_are_merged_in_the_order_of_time_page_by_page() {
    let world = World::with_stream().await;
    world.create_stream("a-1").await;
    world.create_stream("a-2").await;
    world
        .put("s", &[(START_MS, "s0"), (START_MS + 2, "s2")])
        .await;
    world
        .put(
            "a-1",
            &[(START_MS, "a0"), (START_MS + 1, "a1"), (START_MS + 2, "a2")],
        )
        .await;
    world
        .put("a-2", &[(START_MS, "b0"), (START_MS + 3, "b3")])
        .await;
    let all = ["s0", "a0", "b0", "a1", "s2", "a2", "b3"];
    for limit in 1..=8 {
        let mut request = json!({ "limit": limit });
        let mut read = Vec::new();
        loop {
            let (page, token) = world.filter(request.clone()).await;
            assert!(page.len() <= limit);
            read.extend(page);
            assert!(read.len() <= all.len(), "{read:?}");
            match token {
                Some(token) => request["nextToken"] = json!(token),
                None => break,
            }
        }
        let mut sorted = read.clone();
        sorted.sort_by_key(|message| message[1..].to_owned());
        assert_eq!(read, sorted, "in pages of {limit}");
        assert_eq!(read.len(), all.len(), "in pages of {limit}");
    }
    let named = json!({ "logStreamNames": ["a-1", "s", "s"] });
    assert_eq!(world.filter(named).await.0.len(), 5);
    let named = json!({ "logStreamNames": ["a-2"] });
    assert_eq!(world.filter(named).await.0, ["b0", "b3"]);
    let prefixed = json!({ "logStreamNamePrefix": "a-" });
    assert_eq!(world.filter(prefixed).await.0.len(), 5);
    let nothing = json!({ "logStreamNamePrefix": "z" });
    assert_eq!(world.filter(nothing).await, (Vec::new(), None));
}

#[tokio::test]
async fn an_event_says_where_it_is_from_and_has_an_id_of_its_own() {
    let world = World::with_stream().await;
    world.create_stream("t").await;
    world
        .put("s", &[(START_MS, "same"), (START_MS, "same")])
        .await;
    world.put("t", &[(START_MS, "same")]).await;
    let answer = world
        .ok("FilterLogEvents", json!({ "logGroupName": "g" }))
        .await;
    let events = answer["events"].as_array().unwrap();
    let mut ids: Vec<&str> = events
        .iter()
        .map(|event| event["eventId"].as_str().unwrap())
        .collect();
    assert!(
        ids.iter()
            .all(|id| id.len() == 56 && id.bytes().all(|byte| byte.is_ascii_digit()))
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(answer["searchedLogStreams"], json!([]));
    let streams: Vec<&str> = events
        .iter()
        .map(|event| event["logStreamName"].as_str().unwrap())
        .collect();
    assert_eq!(streams.iter().filter(|name| **name == "t").count(), 1);
    assert_eq!(events[0]["timestamp"], START_MS);
    assert_eq!(events[0]["ingestionTime"], START_MS);
}

#[tokio::test]
async fn a_trace_is_found_without_reading_other_events() {
    let world = World::with_stream().await;
    let line = |index: usize| format!(r#"{{"trace_id":"{index:032x}","n":{index}}}"#);
    let lines: Vec<String> = (0..1_000).map(line).collect();
    let events: Vec<(i64, &str)> = lines.iter().map(|line| (START_MS, &**line)).collect();
    world.put("s", &events).await;
    world
        .put("s", &[(START_MS, r#"{"trace_id":"other \" id"}"#)])
        .await;
    world.events.visited.store(0, Ordering::SeqCst);
    let pattern = json!({ "filterPattern": format!("{{ $.trace_id = \"{:032x}\" }}", 777) });
    assert_eq!(world.filter(pattern).await.0, [line(777)]);
    assert_eq!(world.events.visited.load(Ordering::SeqCst), 1);
    let pattern = json!({ "filterPattern": r#"{ $.trace_id = "other \" id" }"# });
    assert_eq!(world.filter(pattern).await.0.len(), 1);
    let pattern = json!({ "filterPattern": "{ $.n >= 995 && $.n != 997 }" });
    assert_eq!(world.filter(pattern).await.0.len(), 4);
    let pattern = json!({ "filterPattern": "-trace_id" });
    assert_eq!(world.filter(pattern).await.0.len(), 0);
}

#[tokio::test]
async fn a_group_can_be_named_by_its_arn() {
    let world = ten().await;
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    let answer = world
        .ok("FilterLogEvents", json!({ "logGroupIdentifier": arn }))
        .await;
    assert_eq!(messages(&answer).len(), 10);
    let answer = world
        .ok(
            "GetLogEvents",
            json!({ "logGroupIdentifier": arn, "logStreamName": "s" }),
        )
        .await;
    assert_eq!(messages(&answer).len(), 10);
}
