//! Hostile and malformed requests, byte by byte: each is answered in AWS' shape, and the endpoint
//! lives on.

use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::endpoints::{Aws, item, on_embedded};

/// What every request has.
const HEAD: [&str; 3] = [
    "host: here",
    "connection: close",
    "content-type: application/x-amz-json-1.0",
];
/// Credentials of any kind; DynamoDB wants to see some.
const SIGNATURE: [&str; 2] = [
    "authorization: AWS4-HMAC-SHA256 Credential=any, SignedHeaders=host, Signature=0",
    "x-amz-date: 20260101T000000Z",
];
/// An endpoint that has not answered by then never will.
const DEADLINE: Duration = Duration::from_secs(20);

struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let kind = self.json()["__type"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(kind.rsplit('#').next(), Some(code), "{}", self.body);
        assert!(
            self.head.contains("application/x-amz-json-1.0"),
            "{}",
            self.head
        );
    }
}

/// Sends bytes and reads the answer until the endpoint closes the connection.
async fn exchange(aws: &Aws, request: &[u8]) -> Answered {
    let mut stream = TcpStream::connect(aws.url.trim_start_matches("http://"))
        .await
        .unwrap();
    // The endpoint may have answered and closed before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A request of these lines, with this body.
fn http(lines: &[&[&str]], body: &[u8]) -> Vec<u8> {
    [lines.concat().join("\r\n").as_bytes(), b"\r\n\r\n", body].concat()
}

/// A request with this body in one chunk of unknown length.
fn chunked(target: &str, body: &str) -> Vec<u8> {
    let target = format!("x-amz-target: {target}");
    let head = ["POST / HTTP/1.1", &target, "transfer-encoding: chunked"];
    let body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    http(&[&head, &HEAD, &SIGNATURE], body.as_bytes())
}

async fn request(aws: &Aws, method: &str, target: Option<&str>, body: &[u8]) -> Answered {
    let start = format!("{method} / HTTP/1.1");
    let length = format!("content-length: {}", body.len());
    let target = target.map(|target| format!("x-amz-target: {target}"));
    let mut lines = vec![start.as_str(), length.as_str()];
    lines.extend(target.as_deref());
    let answered = exchange(aws, &http(&[&lines, &HEAD, &SIGNATURE], body)).await;
    let id = answered
        .head
        .lines()
        .find_map(|line| line.strip_prefix("x-amzn-requestid: "));
    assert!(id.is_some_and(|id| id.len() >= 36), "{}", answered.head);
    answered
}

async fn call(aws: &Aws, target: &str, body: impl AsRef<[u8]>) -> Answered {
    request(aws, "POST", Some(target), body.as_ref()).await
}

async fn assert_alive(aws: &Aws) {
    assert_eq!(
        call(aws, "DynamoDB_20120810.ListTables", "{}").await.status,
        200
    );
    assert_eq!(call(aws, "AmazonSQS.ListQueues", "{}").await.status, 200);
}

#[test]
fn unknown_operations_are_named_as_such() {
    on_embedded(async |aws| {
        let targets = [
            "",
            "x",
            ".",
            "Logs_20140328.PutLogEvents",
            "DynamoDBStreams_20120810.ListStreams",
            "DynamoDB_20120810",
            "DynamoDB_20120810.",
            "DynamoDB_20120810.Nonsense",
            "dynamodb_20120810.GetItem",
            "AmazonSQS.Nonsense",
            "AmazonSQS",
        ];
        for target in targets {
            call(&aws, target, "{}")
                .await
                .assert_error(400, "UnknownOperationException");
        }
        request(&aws, "POST", None, b"Action=ListQueues")
            .await
            .assert_error(400, "UnknownOperationException");
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
            request(&aws, method, Some("AmazonSQS.ListQueues"), b"{}")
                .await
                .assert_error(404, "UnknownOperationException");
        }
    });
}

#[test]
fn bytes_that_are_no_http_are_refused() {
    on_embedded(async |aws| {
        for garbage in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
            b"\0\0\0\0\r\n\r\n",
            b"GET\r\n\r\n",
            b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        ] {
            assert_eq!(exchange(&aws, garbage).await.status, 400, "{garbage:?}");
        }
        let long = format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(1024 * 1024));
        assert!((400..500).contains(&exchange(&aws, long.as_bytes()).await.status));
        assert_alive(&aws).await;
    });
}

#[test]
fn bodies_that_are_no_request_are_refused() {
    on_embedded(async |aws| {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            &b""[..],
            b"{",
            b"nonsense",
            b"\xff\xfe",
            b"{\"TableName\":\"\xff\"}",
            deep.as_bytes(),
        ] {
            for target in ["DynamoDB_20120810.GetItem", "AmazonSQS.SendMessage"] {
                call(&aws, target, body)
                    .await
                    .assert_error(400, "SerializationException");
            }
        }
        call(&aws, "DynamoDB_20120810.GetItem", "{}")
            .await
            .assert_error(400, "ValidationException");
        call(&aws, "DynamoDB_20120810.GetItem", r#"{"TableName":7}"#)
            .await
            .assert_error(400, "SerializationException");
        call(&aws, "AmazonSQS.SendMessage", "{}")
            .await
            .assert_error(400, "MissingParameter");
        call(
            &aws,
            "AmazonSQS.SendMessage",
            r#"{"QueueUrl":{},"MessageBody":"m"}"#,
        )
        .await
        .assert_error(400, "InvalidParameterValue");
        call(
            &aws,
            "AmazonSQS.ListQueues",
            json!({ "NextToken": usize::MAX.to_string() }).to_string(),
        )
        .await;
        assert_alive(&aws).await;
    });
}

#[test]
fn oversized_bodies_are_refused_with_an_answer() {
    on_embedded(async |aws| {
        for (target, bytes_max) in [
            ("DynamoDB_20120810.PutItem", 16 * 1024 * 1024),
            ("AmazonSQS.SendMessage", 7 * 1024 * 1024),
        ] {
            call(&aws, target, "x".repeat(bytes_max + 1))
                .await
                .assert_error(413, "RequestEntityTooLargeException");
            exchange(&aws, &chunked(target, &"x".repeat(bytes_max + 1)))
                .await
                .assert_error(413, "RequestEntityTooLargeException");
        }
        // The SDK reads no answer before it has sent everything, so it must be heard out.
        let queue = aws.queue(&[]).await;
        let send = aws.sqs.send_message().queue_url(queue);
        let refused = send.message_body("x".repeat(16_000_000)).send().await;
        let refused = refused.unwrap_err().into_service_error();
        assert_eq!(
            refused.code(),
            Some("RequestEntityTooLargeException"),
            "{refused:?}"
        );
        // 10 MB fit into DynamoDB's limit on requests, but not into an item.
        let table = aws.table().await;
        let text = "x".repeat(10_000_000);
        let large = json!({ "pk": { "S": "p" }, "sk": { "S": "s" }, "text": { "S": text } });
        let put = json!({ "TableName": table, "Item": large });
        call(&aws, "DynamoDB_20120810.PutItem", put.to_string())
            .await
            .assert_error(400, "ValidationException");
        assert_alive(&aws).await;
    });
}

#[test]
fn a_client_that_goes_away_leaves_no_trace() {
    on_embedded(async |aws| {
        let head = [
            "POST / HTTP/1.1",
            "x-amz-target: DynamoDB_20120810.PutItem",
            "content-length: 1000",
        ];
        for part in [b"POST / HT".to_vec(), http(&[&head], b"{\"TableName\":")] {
            let mut stream = TcpStream::connect(aws.url.trim_start_matches("http://"))
                .await
                .unwrap();
            stream.write_all(&part).await.unwrap();
            drop(stream);
        }
        // A message is not lost to a receiver that has left: at worst it waits for its visibility
        // timeout.
        let queue = aws
            .queue(&[(QueueAttributeName::VisibilityTimeout, "1")])
            .await;
        let receive = aws
            .sqs
            .receive_message()
            .queue_url(&queue)
            .wait_time_seconds(20)
            .send();
        assert!(
            tokio::time::timeout(Duration::from_millis(100), receive)
                .await
                .is_err()
        );
        aws.sqs
            .send_message()
            .queue_url(&queue)
            .message_body("m")
            .send()
            .await
            .unwrap();
        let received = aws
            .sqs
            .receive_message()
            .queue_url(&queue)
            .wait_time_seconds(5)
            .send()
            .await
            .unwrap();
        assert_eq!(received.messages().len(), 1);
        assert_alive(&aws).await;
    });
}

#[test]
fn web_pages_of_other_origins_are_told_nothing() {
    on_embedded(async |aws| {
        let list = [
            "POST / HTTP/1.1",
            "x-amz-target: DynamoDB_20120810.ListTables",
            "origin: http://elsewhere",
            "content-length: 2",
        ];
        let answered = exchange(&aws, &http(&[&list, &HEAD, &SIGNATURE], b"{}")).await;
        assert_eq!(answered.status, 200);
        assert!(
            !answered.head.contains("access-control") && !answered.head.contains("server:"),
            "{}",
            answered.head
        );
        exchange(&aws, &http(&[&list, &HEAD], b"{}"))
            .await
            .assert_error(400, "MissingAuthenticationTokenException");
    });
}

#[test]
fn a_body_may_come_in_chunks() {
    on_embedded(async |aws| {
        for target in ["DynamoDB_20120810.ListTables", "AmazonSQS.ListQueues"] {
            assert_eq!(
                exchange(&aws, &chunked(target, "{}")).await.status,
                200,
                "{target}"
            );
        }
    });
}

#[test]
fn streams_are_refused() {
    on_embedded(async |aws| {
        let table = aws.table().await;
        let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
        let update = json!({ "TableName": table, "StreamSpecification": stream });
        let refused = call(&aws, "DynamoDB_20120810.UpdateTable", update.to_string()).await;
        refused.assert_error(400, "ValidationException");
        assert!(
            refused.json()["message"]
                .as_str()
                .unwrap()
                .contains("StreamSpecification")
        );
        aws.put(&table, item("p", "s", [])).await;
    });
}
