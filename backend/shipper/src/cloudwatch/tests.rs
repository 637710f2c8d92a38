#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;

use super::*;

const HOUR_NS: i64 = 3_600_000_000_000;

fn line(hour: i64, text: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(hour * HOUR_NS)).unwrap();
    format!("{{\"timestamp\":\"{time}\",\"m\":\"{text}\"}}\n")
}

fn batch(lines: &[String]) -> Batch {
    Batch::of(lines.concat().into_bytes(), "gateway", 0)
}

fn client() -> CloudWatch {
    let _ = rustls::crypto::ring::default_provider().install_default();
    CloudWatch {
        client: Client::new(),
        url: "https://logs.eu-central-1.amazonaws.com/".to_owned(),
        env: "prod".to_owned(),
        stream: "one".to_owned(),
        retention_days: None,
        signer: None,
        clock: Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
    }
}

#[test]
fn a_request_has_one_service_in_the_order_of_time() {
    let foreign = "{\"service\":\"worker\"}\n".to_owned();
    let lines = [line(3, "c"), line(1, "a"), foreign, line(2, "b")];
    assert_eq!(parts(&batch(&lines)), [vec![1, 3, 0], vec![2]]);
}

#[test]
fn a_request_spans_less_than_a_day() {
    let lines = [line(0, ""), line(23, ""), line(24, ""), line(47, "")];
    assert_eq!(parts(&batch(&lines)), [vec![0, 1], vec![2, 3]]);
}

#[test]
fn a_request_has_no_more_events_and_bytes_than_are_taken() {
    let short = batch(&vec!["x\n".to_owned(); EVENTS_MAX + 1]);
    let lengths: Vec<usize> = parts(&short).iter().map(Vec::len).collect();
    assert_eq!(lengths, [EVENTS_MAX, 1]);
    let long = batch(&vec!["x".repeat(200_000) + "\n"; 6]);
    let lengths: Vec<usize> = parts(&long).iter().map(Vec::len).collect();
    assert_eq!(lengths, [5, 1]);
}

#[test]
fn the_body_is_json_with_every_line_as_it_is() {
    let lines = [line(1, "é \\\" \u{1}"), "tab\there\n".to_owned()];
    let batch = batch(&lines);
    let body = client().body("/tripod/prod/gateway", &batch, &[0, 1]);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["logGroupName"], "/tripod/prod/gateway");
    assert_eq!(body["logStreamName"], "one");
    let event = |number: usize| &body["logEvents"][number];
    assert_eq!(event(0)["timestamp"], 3_600_000);
    assert_eq!(event(0)["message"], lines[0].trim_end());
    assert_eq!(event(1)["message"], "tab\there");
    assert_eq!(body["logEvents"].as_array().unwrap().len(), 2);
}

#[test]
fn rejected_lines_are_counted_as_the_answer_says() {
    for (answer, expected) in [
        ("{}", 0),
        ("", 0),
        (
            r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":3}}"#,
            3,
        ),
        (
            r#"{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":8}}"#,
            2,
        ),
        (
            r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2,"tooNewLogEventStartIndex":9}}"#,
            3,
        ),
        (
            r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":99,"tooNewLogEventStartIndex":0}}"#,
            10,
        ),
    ] {
        let taken = taken(answer.as_bytes(), 10).ok().unwrap();
        assert_eq!(taken.rejected, expected, "{answer}");
    }
    assert!(matches!(taken(b"<html>", 10), Err(SendError::Later(_))));
}

#[test]
fn errors_are_told_apart_by_their_kind() {
    let kind = |status: u16, answer: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        match failure(status, answer.as_bytes()) {
            CallError::Missing => "missing",
            CallError::Exists => "exists",
            CallError::HadAlready => "had already",
            CallError::Failed(SendError::Refused(_)) => "refused",
            CallError::Failed(SendError::Later(_)) => "later",
        }
    };
    for (status, answer, expected) in [
        (400, r#"{"__type":"ResourceNotFoundException"}"#, "missing"),
        (
            400,
            r#"{"__type":"x#ResourceAlreadyExistsException"}"#,
            "exists",
        ),
        (
            400,
            r#"{"__type":"DataAlreadyAcceptedException"}"#,
            "had already",
        ),
        (400, r#"{"__type":"InvalidParameterException"}"#, "refused"),
        (400, r#"{"__type":"ThrottlingException"}"#, "later"),
        (400, r#"{"__type":"ExpiredTokenException"}"#, "later"),
        (400, "no", "refused"),
        (413, "", "refused"),
        (403, "", "later"),
        (429, "", "later"),
        (503, r#"{"__type":"InvalidParameterException"}"#, "later"),
    ] {
        assert_eq!(kind(status, answer), expected, "{status} {answer}");
    }
}

/// The expected signature was computed from the steps of the specification with a general-purpose HMAC, not with this library.
#[test]
fn a_request_is_signed_by_version_4() {
    let client = client();
    let headers = [
        ("content-type", CONTENT_TYPE),
        ("x-amz-target", "Logs_20140328.PutLogEvents"),
    ];
    let signer = Signer::new(
        "eu-central-1",
        "AKIDEXAMPLE",
        "SECRET",
        Some("TOKEN".to_owned()),
    );
    assert!(!format!("{signer:?}").contains("SECRET"));
    let request = client.client.post(&client.url);
    let signed = signer
        .sign(request, &client.url, headers, b"{}", (client.clock)())
        .unwrap();
    let signed = signed.build().unwrap();
    let header = |name: &str| signed.headers()[name].to_str().unwrap();
    assert_eq!(header("x-amz-date"), "20231114T221320Z");
    assert_eq!(header("x-amz-security-token"), "TOKEN");
    assert_eq!(
        header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-central-1/logs/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
         Signature=33e3044722199ba55482ed6e1c38095acf350c3e69d6497754d7bb2e4a7d0b4e"
    );
}
