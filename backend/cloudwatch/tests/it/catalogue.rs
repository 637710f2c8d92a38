//! Groups and streams: made, described page by page, deleted, and still there after a kill.

use serde_json::{Value, json};

use crate::world::{START_MS, World, messages};

fn names<'a>(answer: &'a Value, list: &str, member: &str) -> Vec<&'a str> {
    let name = |item: &'a Value| item[member].as_str().unwrap();
    answer[list].as_array().unwrap().iter().map(name).collect()
}

fn groups(answer: &Value) -> Vec<&str> {
    names(answer, "logGroups", "logGroupName")
}

fn streams(answer: &Value) -> Vec<&str> {
    names(answer, "logStreams", "logStreamName")
}

#[tokio::test]
async fn a_group_is_described_as_it_was_made() {
    let world = World::with_stream().await;
    world
        .ok(
            "PutRetentionPolicy",
            json!({ "logGroupName": "g", "retentionInDays": 30 }),
        )
        .await;
    world
        .put("s", &[(START_MS, "12345"), (START_MS, "6")])
        .await;
    let answer = world.ok("DescribeLogGroups", json!({})).await;
    let expected = json!({ "logGroups": [{
        "logGroupName": "g",
        "creationTime": START_MS,
        "metricFilterCount": 0,
        "arn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*",
        "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g",
        "storedBytes": 6 + 2 * 26,
        "logGroupClass": "STANDARD",
        "retentionInDays": 30,
    }] });
    assert_eq!(answer, expected);
    world
        .ok("DeleteRetentionPolicy", json!({ "logGroupName": "g" }))
        .await;
    let answer = world.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(answer["logGroups"][0]["retentionInDays"], Value::Null);
}

#[tokio::test]
async fn groups_are_described_by_prefix_by_part_and_page_by_page() {
    let world = World::new();
    for name in ["/a/1", "/a/2", "/b/1", "/b/2", "/c"] {
        world
            .ok("CreateLogGroup", json!({ "logGroupName": name }))
            .await;
    }
    let answer = world
        .ok("DescribeLogGroups", json!({ "logGroupNamePrefix": "/b" }))
        .await;
    assert_eq!(groups(&answer), ["/b/1", "/b/2"]);
    let answer = world
        .ok("DescribeLogGroups", json!({ "logGroupNamePattern": "/1" }))
        .await;
    assert_eq!(groups(&answer), ["/a/1", "/b/1"]);
    let mut request = json!({ "limit": 2 });
    let mut pages = Vec::new();
    loop {
        let answer = world.ok("DescribeLogGroups", request.clone()).await;
        pages.push(groups(&answer).join(" "));
        match answer.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(pages, ["/a/1 /a/2", "/b/1 /b/2", "/c"]);
}

#[tokio::test]
async fn streams_are_described_by_name_and_by_their_last_event() {
    let world = World::with_stream().await;
    for name in ["a", "b", "never"] {
        world.create_stream(name).await;
    }
    world
        .put("a", &[(START_MS - 10, "x"), (START_MS + 30, "x")])
        .await;
    world.put("b", &[(START_MS + 10, "x")]).await;
    world.put("s", &[(START_MS + 20, "x")]).await;
    let describe = async |mut request: Value| {
        request["logGroupName"] = json!("g");
        world.ok("DescribeLogStreams", request).await
    };
    assert_eq!(
        streams(&describe(json!({})).await),
        ["a", "b", "never", "s"]
    );
    let answer = describe(json!({ "descending": true, "limit": 3 })).await;
    assert_eq!(streams(&answer), ["s", "never", "b"]);
    let answer = describe(json!({ "logStreamNamePrefix": "ne" })).await;
    assert_eq!(streams(&answer), ["never"]);
    let mut request = json!({ "orderBy": "LastEventTime", "descending": true, "limit": 3 });
    let answer = describe(request.clone()).await;
    assert_eq!(streams(&answer), ["a", "s", "b"]);
    let first = &answer["logStreams"][0];
    assert_eq!(first["firstEventTimestamp"], START_MS - 10);
    assert_eq!(first["lastEventTimestamp"], START_MS + 30);
    assert_eq!(first["lastIngestionTime"], START_MS);
    assert_eq!(first["creationTime"], START_MS);
    assert_eq!(first["storedBytes"], 0);
    assert_eq!(
        first["arn"],
        "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:a"
    );
    request["nextToken"] = answer["nextToken"].clone();
    let answer = describe(request).await;
    assert_eq!(streams(&answer), ["never"]);
    assert_eq!(answer.get("nextToken"), None);
    assert_eq!(answer["logStreams"][0].get("lastEventTimestamp"), None);
}

#[tokio::test]
async fn what_is_made_again_does_not_show_its_old_events() {
    let world = World::with_stream().await;
    world.put("s", &[(START_MS, "old")]).await;
    let named = json!({ "logGroupName": "g", "logStreamName": "s" });
    world.ok("DeleteLogStream", named.clone()).await;
    let (code, _) = world.refused("GetLogEvents", named.clone()).await;
    assert_eq!(code, "ResourceNotFoundException");
    world.ok("CreateLogStream", named.clone()).await;
    assert_eq!(world.filter(json!({})).await.0, Vec::<String>::new());
    world.put("s", &[(START_MS, "new")]).await;
    assert_eq!(world.filter(json!({})).await.0, ["new"]);
    world
        .ok("DeleteLogGroup", json!({ "logGroupName": "g" }))
        .await;
    world
        .ok("CreateLogGroup", json!({ "logGroupName": "g" }))
        .await;
    world.ok("CreateLogStream", named.clone()).await;
    let answer = world.ok("GetLogEvents", named).await;
    assert_eq!(messages(&answer), Vec::<String>::new());
}

#[tokio::test]
async fn catalogue_and_tokens_outlive_a_restart() {
    let world = World::with_stream().await;
    world
        .put("s", &[(START_MS, "1"), (START_MS, "2"), (START_MS, "3")])
        .await;
    let described = world.ok("DescribeLogGroups", json!({})).await;
    let named =
        json!({ "logGroupName": "g", "logStreamName": "s", "startFromHead": true, "limit": 1 });
    let page = world.ok("GetLogEvents", named.clone()).await;
    let (_, filter_token) = world.filter(json!({ "limit": 2 })).await;
    let world = world.restart();
    assert_eq!(world.ok("DescribeLogGroups", json!({})).await, described);
    // The same millisecond again: numbers go on, so that nothing is hidden and nothing shown twice.
    world.put("s", &[(START_MS, "4")]).await;
    let mut request = named;
    request["nextToken"] = page["nextForwardToken"].clone();
    request["limit"] = json!(10);
    assert_eq!(
        messages(&world.ok("GetLogEvents", request).await),
        ["2", "3", "4"]
    );
    let (rest, _) = world.filter(json!({ "nextToken": filter_token })).await;
    assert_eq!(rest, ["3", "4"]);
}
