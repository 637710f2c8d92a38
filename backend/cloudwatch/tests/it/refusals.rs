//! Requests that are not served: each gets the service's error and its shape, and the next request is served.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::world::World;

async fn check(world: &World, operation: &str, request: Value, code: &str, message: &str) {
    let (found, text) = world.refused(operation, request.clone()).await;
    assert_eq!(found, code, "{operation} {request}: {text}");
    assert!(text.contains(message), "{operation} {request}: {text}");
}

#[tokio::test]
async fn what_exists_or_does_not_is_named() {
    let world = World::with_stream().await;
    let missing = "ResourceNotFoundException";
    let exists = "ResourceAlreadyExistsException";
    let group = json!({ "logGroupName": "none" });
    let stream = json!({ "logGroupName": "g", "logStreamName": "none" });
    let foreign = json!({ "logGroupName": "none", "logStreamName": "s" });
    let group_missing = "The specified log group does not exist.";
    let stream_missing = "The specified log stream does not exist.";
    for operation in [
        "DeleteLogGroup",
        "DeleteRetentionPolicy",
        "DescribeLogStreams",
        "FilterLogEvents",
    ] {
        check(&world, operation, group.clone(), missing, group_missing).await;
    }
    for operation in ["CreateLogStream", "DeleteLogStream", "GetLogEvents"] {
        check(&world, operation, foreign.clone(), missing, group_missing).await;
    }
    for operation in ["DeleteLogStream", "GetLogEvents"] {
        check(&world, operation, stream.clone(), missing, stream_missing).await;
    }
    let request = json!({ "logGroupName": "none", "retentionInDays": 7 });
    check(
        &world,
        "PutRetentionPolicy",
        request,
        missing,
        group_missing,
    )
    .await;
    let request = json!({ "logGroupName": "g", "logStreamNames": ["none"] });
    check(&world, "FilterLogEvents", request, missing, stream_missing).await;
    let mut put = json!({ "logEvents": [{ "timestamp": 1, "message": "x" }] });
    put["logGroupName"] = json!("none");
    put["logStreamName"] = json!("s");
    check(&world, "PutLogEvents", put.clone(), missing, group_missing).await;
    put["logGroupName"] = json!("g");
    put["logStreamName"] = json!("none");
    check(&world, "PutLogEvents", put, missing, stream_missing).await;
    let request = json!({ "logGroupName": "g" });
    check(
        &world,
        "CreateLogGroup",
        request,
        exists,
        "The specified log group already exists",
    )
    .await;
    let request = json!({ "logGroupName": "g", "logStreamName": "s" });
    check(
        &world,
        "CreateLogStream",
        request,
        exists,
        "The specified log stream already exists",
    )
    .await;
}

#[tokio::test]
async fn members_outside_of_the_model_are_named() {
    let world = World::with_stream().await;
    let invalid = "InvalidParameterException";
    let cases = [
        (
            "CreateLogGroup",
            json!({ "logGroupName": "a b" }),
            "'logGroupName'",
        ),
        (
            "CreateLogStream",
            json!({ "logGroupName": "g", "logStreamName": "a:b" }),
            "'logStreamName'",
        ),
        (
            "PutRetentionPolicy",
            json!({ "logGroupName": "g", "retentionInDays": 2 }),
            "'retentionInDays'",
        ),
        (
            "DescribeLogGroups",
            json!({ "limit": 51 }),
            "less than or equal to 50",
        ),
        (
            "DescribeLogGroups",
            json!({ "limit": 0 }),
            "greater than or equal to 1",
        ),
        (
            "DescribeLogGroups",
            json!({ "logGroupNamePrefix": "a", "logGroupNamePattern": "a" }),
            "mutually exclusive",
        ),
        (
            "DescribeLogStreams",
            json!({ "logGroupName": "g", "logGroupIdentifier": "g" }),
            "Exactly one",
        ),
        (
            "DescribeLogStreams",
            json!({ "logGroupName": "g", "nextToken": "x" }),
            "nextToken",
        ),
        (
            "DescribeLogStreams",
            json!({ "logGroupName": "g", "orderBy": "LastEventTime", "logStreamNamePrefix": "a" }),
            "Cannot order by LastEventTime",
        ),
        (
            "GetLogEvents",
            json!({ "logGroupName": "g", "logStreamName": "s", "limit": 10_001 }),
            "less than or equal to 10000",
        ),
        (
            "GetLogEvents",
            json!({ "logGroupName": "g", "logStreamName": "s", "nextToken": "x" }),
            "nextToken",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "nextToken": "1/x" }),
            "nextToken",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "startTime": 2, "endTime": 1 }),
            "startTime",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "logStreamNames": [] }),
            "'logStreamNames'",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "logStreamNames": vec!["s"; 101] }),
            "'logStreamNames'",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "logStreamNames": ["s"], "logStreamNamePrefix": "s" }),
            "mutually exclusive",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "filterPattern": "{ $.a" }),
            "Invalid filter pattern",
        ),
        (
            "FilterLogEvents",
            json!({ "logGroupName": "g", "filterPattern": "a".repeat(1_025) }),
            "'filterPattern'",
        ),
    ];
    for (operation, request, message) in cases {
        check(&world, operation, request, invalid, message).await;
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let world = World::new();
    let code = "UnsupportedOperationException";
    check(
        &world,
        "StartQuery",
        json!({}),
        code,
        "Logs Insights is not offered",
    )
    .await;
    for operation in [
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
        "TagLogGroup",
    ] {
        check(&world, operation, json!({}), code, operation).await;
    }
    let encrypted = json!({ "logGroupName": "g", "kmsKeyId": "k" });
    check(&world, "CreateLogGroup", encrypted, code, "kmsKeyId").await;
    let tagged = json!({ "logGroupName": "g", "tags": { "a": "b" } });
    check(&world, "CreateLogGroup", tagged, code, "tags").await;
    let class = json!({ "logGroupName": "g", "logGroupClass": "INFREQUENT_ACCESS" });
    check(&world, "CreateLogGroup", class, code, "logGroupClass").await;
    check(
        &world,
        "PutMetricFilter",
        json!({}),
        "UnknownOperationException",
        "",
    )
    .await;
    world
        .ok(
            "CreateLogGroup",
            json!({ "logGroupName": "g", "logGroupClass": "STANDARD", "tags": {} }),
        )
        .await;
}

#[tokio::test]
async fn garbage_is_answered_and_harms_nothing() {
    let world = World::with_stream().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 8] = [
        b"",
        b"null",
        b"[]",
        b"{\"logGroupName\":1}",
        b"{\"logGroupName\":\"g\"",
        b"\xff\xfe\x00",
        b"{\"logGroupName\":\"g\",\"logStreamName\":\"s\",\"logEvents\":[{\"timestamp\":1e999,\"message\":\"x\"}]}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let (status, text) = world.call("PutLogEvents", body.to_vec()).await;
        assert_eq!(status, 400, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["__type"], "SerializationException");
    }
    let (status, text) = world.call("PutLogEvents", vec![b' '; (8 << 20) + 1]).await;
    assert_eq!(status, 413, "{text}");
    for (method, path, target) in [
        ("GET", "/", "Logs_20140328.DescribeLogGroups"),
        ("POST", "/other", "Logs_20140328.DescribeLogGroups"),
        ("POST", "/", "DynamoDB_20120810.ListTables"),
        ("POST", "/", "Logs_20140328."),
        ("POST", "/", ""),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-amz-target", target);
        let (response, text) = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 400, "{method} {path} {target}");
        assert!(text.contains("UnknownOperationException"), "{text}");
    }
    world.ok("DescribeLogGroups", json!({})).await;
}
