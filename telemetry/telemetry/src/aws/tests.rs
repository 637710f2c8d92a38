//! The interceptor inside the real SDK clients, over a connector that answers from a list.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, WriteRequest};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageAttributeValue, SendMessageBatchRequestEntry};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use conventions::metrics as names;
use conventions::spans::*;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt};
use opentelemetry::{Array, Value};
use serde_json::{Value as Json, json};
use tracing::Instrument;

use super::*;
use crate::testing::{Captured, Span, capture, capture_async};
use crate::w3c::Carrier;

const DB_COUNT: &str = "db_client_operation_duration_seconds_count";
const SQS_COUNT: &str = "messaging_client_operation_duration_seconds_count";
const QUEUE_URL: &str = "http://localhost:4566/000000000000/jobs";
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// What the other side does with a request.
#[derive(Debug, Clone)]
enum Answer {
    Json(u16, Json),
    /// Answers a batch send: all entries well, except the named ones.
    BatchFailing(&'static [&'static str]),
    /// No connection.
    Refused,
    Never,
}

/// The other side: answers in turn, the last one for ever, and keeps the bodies it got.
#[derive(Debug, Clone)]
struct Service {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    bodies: Arc<Mutex<Vec<Json>>>,
}

impl Service {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = answers.into_iter().collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            bodies: Arc::default(),
        }
    }

    fn ok(body: Json) -> Self {
        Self::new([Answer::Json(200, body)])
    }

    fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb_with(Interceptor::new())
    }

    fn dynamodb_with(&self, interceptor: Interceptor) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "key", None, None, "test"))
            .endpoint_url("http://localhost:4566")
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .http_client(self.http_client())
            .interceptor(interceptor);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "key", None, None, "test"))
            .endpoint_url("http://localhost:4566")
            .retry_config(RetryConfig::disabled())
            .http_client(self.http_client())
            .interceptor(Interceptor::new());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// The only request it got.
    fn body(&self) -> Json {
        let bodies = self.bodies.lock().unwrap();
        let [body] = bodies.as_slice() else {
            panic!("one request: {bodies:?}")
        };
        body.clone()
    }
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Json = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        let answer = match answer {
            Answer::Json(status, body) => Ok((status, body)),
            Answer::BatchFailing(failing) => Ok((200, batch_result(&body, failing))),
            Answer::Refused => Err(ConnectorError::io("connection refused".into())),
            Answer::Never => return HttpConnectorFuture::new(std::future::pending()),
        };
        self.bodies.lock().unwrap().push(body);
        HttpConnectorFuture::ready(answer.map(|(status, body)| {
            let response = http::Response::builder()
                .status(status)
                .header("x-amzn-requestid", "request-1");
            HttpResponse::try_from(response.body(SdkBody::from(body.to_string())).unwrap()).unwrap()
        }))
    }
}

fn batch_result(request: &Json, failing: &[&str]) -> Json {
    let ids: Vec<&str> = request["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["Id"].as_str().unwrap())
        .collect();
    let (failed, successful): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|id| failing.contains(id));
    let failed: Vec<_> = failed
        .iter()
        .map(|id| json!({"Id": id, "Code": "InternalError", "SenderFault": false}))
        .collect();
    let successful: Vec<_> = successful
        .iter()
        .map(|id| json!({"Id": id, "MessageId": id, "MD5OfMessageBody": ""}))
        .collect();
    json!({ "Failed": failed, "Successful": successful })
}

fn only<R: std::fmt::Debug>(captured: &Captured<R>) -> &Span {
    let [span] = captured.spans.as_slice() else {
        panic!("one span: {captured:?}")
    };
    assert_eq!(
        span.attributes_sent,
        span.attributes.len(),
        "no attribute twice: {captured:?}"
    );
    span
}

fn text_attribute(text: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(text)
        .build()
        .unwrap()
}

fn aws_error(status: u16, code: &str) -> Answer {
    Answer::Json(
        status,
        json!({ "__type": format!("com.amazonaws#{code}"), "message": "personal" }),
    )
}

/// One GetItem against this service.
fn get_item(service: Service) -> Captured<bool> {
    capture_async(async move {
        let request = service.dynamodb().get_item().table_name("tasks");
        let key = AttributeValue::S("personal".to_owned());
        request.key("id", key).send().await.is_ok()
    })
}

#[test]
fn a_dynamodb_call_becomes_one_client_span_with_all_attributes() {
    let captured = get_item(Service::ok(json!({})));
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), &span.kind, &span.status),
        ("DynamoDB.GetItem", &SpanKind::Client, &Status::Unset)
    );
    for (name, text) in [
        (DB_SYSTEM_NAME, "aws.dynamodb"),
        (DB_OPERATION_NAME, "GetItem"),
        (DB_COLLECTION_NAME, "tasks"),
        (RPC_SYSTEM, "aws-api"),
        (RPC_SERVICE, "DynamoDB"),
        (RPC_METHOD, "GetItem"),
        (CLOUD_REGION, "eu-central-1"),
        (AWS_REQUEST_ID, "request-1"),
    ] {
        assert_eq!(span.text(name), Some(text), "{name}");
    }
    let tables = Value::Array(Array::String(vec!["tasks".into()]));
    assert_eq!(span.attributes.get(AWS_DYNAMODB_TABLE_NAMES), Some(&tables));
    assert_eq!(
        span.attributes.len(),
        9,
        "and nothing else: {:?}",
        span.attributes
    );
    assert!(captured.logs.is_empty());
    let labels = [
        (names::DB_SYSTEM_NAME, "aws.dynamodb"),
        (names::DB_OPERATION_NAME, "GetItem"),
        (names::DB_COLLECTION_NAME, "tasks"),
    ];
    assert_eq!(captured.sample(DB_COUNT, &labels), Some(1.0));
    assert!(!captured.metrics.contains("error_type"));
}

#[test]
fn the_span_is_a_child_of_the_current_one() {
    let captured = capture_async(async {
        let client = Service::ok(json!({})).dynamodb();
        let call = client.describe_table().table_name("tasks").send();
        call.instrument(tracing::info_span!("around"))
            .await
            .unwrap();
    });
    let [call, around] = captured.spans.as_slice() else {
        panic!("two spans: {captured:?}")
    };
    assert!(call.is_child_of(around));
}

#[test]
fn transactions_and_batches_name_each_table_once_and_count_their_items() {
    let put = |table: &str| {
        let put = Put::builder()
            .table_name(table)
            .item("id", AttributeValue::S("1".into()))
            .build()
            .unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let captured = capture_async(async {
        let items = [
            put("tasks"),
            put("arn:aws:dynamodb:eu-central-1:1:table/outbox"),
            put("tasks"),
        ];
        let client = Service::ok(json!({})).dynamodb();
        client
            .transact_write_items()
            .set_transact_items(Some(items.into()))
            .send()
            .await
            .unwrap();
    });
    let span = only(&captured);
    let tables = Value::Array(Array::String(vec!["tasks".into(), "outbox".into()]));
    assert_eq!(span.attributes.get(AWS_DYNAMODB_TABLE_NAMES), Some(&tables));
    assert_eq!(
        (
            span.text(DB_COLLECTION_NAME),
            span.int(DB_OPERATION_BATCH_SIZE)
        ),
        (None, Some(3))
    );
    assert!(!captured.metrics.contains("db_collection_name"));

    let captured = capture_async(async {
        let write = WriteRequest::builder().build();
        let client = Service::ok(json!({})).dynamodb();
        client
            .batch_write_item()
            .request_items("tasks", vec![write])
            .send()
            .await
            .unwrap();
    });
    let span = only(&captured);
    assert_eq!(
        (
            span.text(DB_COLLECTION_NAME),
            span.int(DB_OPERATION_BATCH_SIZE)
        ),
        (Some("tasks"), None)
    );
}

#[test]
fn a_failed_call_is_an_error_with_the_services_code_and_a_line_without_its_message() {
    let captured = get_item(Service::new([aws_error(400, "ResourceNotFoundException")]));
    assert!(!captured.result);
    let span = only(&captured);
    assert!(span.is_error());
    assert_eq!(span.text(ERROR_TYPE), Some("ResourceNotFoundException"));
    assert_eq!(
        span.text(DB_RESPONSE_STATUS_CODE),
        Some("ResourceNotFoundException")
    );
    let labels = [(names::ERROR_TYPE, "ResourceNotFoundException")];
    assert_eq!(captured.sample(DB_COUNT, &labels), Some(1.0));
    assert!(
        captured.metrics.contains(&span.trace_id.to_string()),
        "a failed call leaves its exemplar"
    );

    let [line] = captured.logs.as_slice() else {
        panic!("one line: {captured:?}")
    };
    assert_eq!(
        (&line["level"], &line["fields"]["message"]),
        (&json!("WARN"), &json!("AWS call failed"))
    );
    assert_eq!(line["span_id"], span.span_id.to_string());
    assert_eq!(line["fields"]["error.type"], "ResourceNotFoundException");
    assert_eq!(line["fields"]["db.collection.name"], "tasks");
    assert!(!line.to_string().contains("personal"), "{line}");
}

#[test]
fn a_condition_that_did_not_hold_is_an_answer() {
    let reasons = json!([{ "Code": "ConditionalCheckFailed" }, { "Code": "None" }]);
    let transaction = json!({ "__type": "com.amazonaws#TransactionCanceledException", "CancellationReasons": reasons });
    let answers = [
        aws_error(400, "ConditionalCheckFailedException"),
        Answer::Json(400, transaction),
    ];
    for answer in answers {
        let captured = get_item(Service::new([answer]));
        assert!(!captured.result);
        let span = only(&captured);
        assert_eq!(
            (&span.status, span.text(ERROR_TYPE)),
            (&Status::Unset, None)
        );
        assert!(span.text(DB_RESPONSE_STATUS_CODE).is_some());
        assert!(captured.logs.is_empty());
        assert!(!captured.metrics.contains("error_type"));
    }
}

#[test]
fn retries_are_part_of_one_span() {
    let answers = [
        aws_error(500, "InternalServerError"),
        aws_error(500, "InternalServerError"),
        Answer::Json(200, json!({})),
    ];
    let captured = get_item(Service::new(answers));
    assert!(captured.result);
    let span = only(&captured);
    assert_eq!(
        (&span.status, span.int(HTTP_REQUEST_RESEND_COUNT)),
        (&Status::Unset, Some(2))
    );
    assert_eq!(captured.sample(DB_COUNT, &[]), Some(1.0));
}

#[test]
fn no_connection_and_no_answer_in_time_have_a_name() {
    let captured = get_item(Service::new([Answer::Refused]));
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), span.is_error()),
        (Some(ERROR_CONNECT), true)
    );
    assert_eq!(captured.logs[0]["fields"]["attempts"], 3);
    assert!(
        captured.logs[0]["fields"]["error"]
            .as_str()
            .unwrap()
            .ends_with("connection refused")
    );

    let captured = capture_async(async {
        let timeout = TimeoutConfig::builder()
            .operation_timeout(Duration::from_millis(20))
            .build();
        let client = Service::new([Answer::Never]).dynamodb();
        let with_timeout = aws_sdk_dynamodb::Config::builder().timeout_config(timeout);
        let request = client
            .list_tables()
            .customize()
            .config_override(with_timeout);
        request.send().await.unwrap_err();
    });
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), span.is_error()),
        (Some(ERROR_TIMEOUT), true)
    );
    assert_eq!(
        captured.sample(DB_COUNT, &[(names::ERROR_TYPE, ERROR_TIMEOUT)]),
        Some(1.0)
    );
}

#[test]
fn a_cancelled_call_is_recorded_and_no_error() {
    let captured = capture_async(async {
        let client = Service::new([Answer::Never]).dynamodb();
        let call = client.list_tables().send();
        tokio::time::timeout(Duration::from_millis(20), call)
            .await
            .unwrap_err();
    });
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), &span.status),
        (Some(ERROR_CANCELLED), &Status::Unset)
    );
    assert_eq!(
        captured.sample(DB_COUNT, &[(names::ERROR_TYPE, ERROR_CANCELLED)]),
        Some(1.0)
    );
    assert!(captured.logs.is_empty());
}

#[test]
fn a_slow_call_leaves_a_line_with_its_ids() {
    let captured = capture_async(async {
        let client = Service::ok(json!({})).dynamodb_with(Interceptor::slower_than(Duration::ZERO));
        client
            .describe_table()
            .table_name("tasks")
            .send()
            .await
            .unwrap();
    });
    let [line] = captured.logs.as_slice() else {
        panic!("one line: {captured:?}")
    };
    assert_eq!(
        (&line["level"], &line["fields"]["message"]),
        (&json!("WARN"), &json!("slow AWS call"))
    );
    assert_eq!(line["trace_id"], only(&captured).trace_id.to_string());
    assert_eq!(line["fields"]["rpc.method"], "DescribeTable");
    assert!(line["fields"]["duration_ms"].is_number());
}

#[test]
fn a_suppressed_call_leaves_nothing() {
    let captured = capture_async(async {
        let service = Service::ok(json!({ "MessageId": "m" }));
        let client = service.sqs();
        let send = client
            .send_message()
            .queue_url(QUEUE_URL)
            .message_body("b")
            .send();
        crate::suppress(send).await.unwrap();
        service.body()
    });
    assert!(captured.spans.is_empty() && captured.logs.is_empty());
    assert_eq!(captured.sample(SQS_COUNT, &[]), None);
    assert!(captured.result.get("MessageAttributes").is_none());
}

#[test]
fn a_sent_message_carries_its_producer_span() {
    let captured = capture_async(async {
        let service = Service::ok(json!({ "MessageId": "m-1", "MD5OfMessageBody": "" }));
        let send = service
            .sqs()
            .send_message()
            .queue_url(QUEUE_URL)
            .message_body("b");
        send.send().await.unwrap();
        service.body()
    });
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), &span.kind, &span.status),
        ("send jobs", &SpanKind::Producer, &Status::Unset)
    );
    for (name, text) in [
        (MESSAGING_SYSTEM, "aws_sqs"),
        (MESSAGING_OPERATION_NAME, "send"),
        (MESSAGING_OPERATION_TYPE, "send"),
        (MESSAGING_DESTINATION_NAME, "jobs"),
        (MESSAGING_MESSAGE_ID, "m-1"),
        (AWS_SQS_QUEUE_URL, QUEUE_URL),
        (AWS_REQUEST_ID, "request-1"),
        (RPC_METHOD, "SendMessage"),
    ] {
        assert_eq!(span.text(name), Some(text), "{name}");
    }
    let attributes = &captured.result["MessageAttributes"];
    assert_eq!(
        attributes["traceparent"]["StringValue"],
        format!("00-{}-{}-01", span.trace_id, span.span_id)
    );
    assert_eq!(attributes["tracestate"]["StringValue"], span.trace_state);
    let labels = [
        (names::MESSAGING_SYSTEM, "aws_sqs"),
        (names::MESSAGING_OPERATION_NAME, "send"),
        (names::MESSAGING_DESTINATION_NAME, "jobs"),
    ];
    assert_eq!(captured.sample(SQS_COUNT, &labels), Some(1.0));
}

/// The attribute names of a message that was sent with this body and so many attributes of its own.
fn sent_attributes(body: String, own: usize) -> Vec<String> {
    let captured = capture_async(async move {
        let service = Service::ok(json!({ "MessageId": "m" }));
        let send = service
            .sqs()
            .send_message()
            .queue_url(QUEUE_URL)
            .message_body(body);
        let send = (0..own).fold(send, |send, n| {
            send.message_attributes(format!("own{n}"), text_attribute("x"))
        });
        send.send().await.unwrap();
        service.body()
    });
    let attributes = captured.result["MessageAttributes"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    attributes
        .keys()
        .filter(|name| !name.starts_with("own"))
        .cloned()
        .collect()
}

#[test]
fn the_trace_is_added_only_where_there_is_room() {
    assert_eq!(
        sent_attributes(String::new(), 8),
        ["traceparent", "tracestate"]
    );
    assert_eq!(sent_attributes(String::new(), 9), ["traceparent"]);
    assert!(sent_attributes(String::new(), 10).is_empty());
    for size_max in [262_144, 1_048_576] {
        assert_eq!(
            sent_attributes("b".repeat(size_max - 500), 0),
            ["traceparent", "tracestate"]
        );
        assert!(
            sent_attributes("b".repeat(size_max - 50), 0).is_empty(),
            "the message would grow over {size_max}"
        );
        assert!(sent_attributes("b".repeat(size_max), 0).is_empty());
    }
    assert_eq!(
        sent_attributes("b".repeat(262_145), 0).len(),
        2,
        "already over the smaller quota"
    );
}

#[test]
fn a_trace_that_a_message_already_has_is_respected_and_linked() {
    let captured = capture_async(async {
        let service = Service::ok(json!({ "MessageId": "m" }));
        let send = service
            .sqs()
            .send_message()
            .queue_url(QUEUE_URL)
            .message_body("b");
        send.message_attributes("traceparent", text_attribute(PARENT))
            .send()
            .await
            .unwrap();
        service.body()
    });
    let attributes = captured.result["MessageAttributes"].as_object().unwrap();
    assert_eq!(attributes.len(), 1);
    assert_eq!(attributes["traceparent"]["StringValue"], PARENT);
    let [link] = only(&captured).links.as_slice() else {
        panic!("one link: {captured:?}")
    };
    assert_eq!(
        link.trace_id.to_string(),
        "12345678901234567890123456789012"
    );
}

fn entry(id: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body("b")
        .build()
        .unwrap()
}

#[test]
fn a_batch_has_one_span_and_each_entry_carries_it() {
    let mut relayed = entry("relayed");
    relayed.message_attributes = Some([("traceparent".to_owned(), text_attribute(PARENT))].into());
    let captured = capture_async(async {
        let service = Service::new([Answer::BatchFailing(&[])]);
        let send = service.sqs().send_message_batch().queue_url(QUEUE_URL);
        send.entries(entry("a"))
            .entries(entry("b"))
            .entries(relayed)
            .send()
            .await
            .unwrap();
        service.body()
    });
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), span.int(MESSAGING_BATCH_MESSAGE_COUNT)),
        ("send jobs", Some(3))
    );
    assert_eq!(
        (span.text(MESSAGING_MESSAGE_ID), span.links.len()),
        (None, 1)
    );
    let own = format!("00-{}-{}-01", span.trace_id, span.span_id);
    let parents: Vec<_> = captured.result["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            entry["MessageAttributes"]["traceparent"]["StringValue"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(parents, [own.as_str(), own.as_str(), PARENT]);
}

/// How many `traceparent` and `tracestate` attributes two entries got that leave so many bytes of the batch's quota.
fn carried_by_batch(room: usize) -> [usize; 2] {
    let captured = capture_async(async move {
        let service = Service::new([Answer::BatchFailing(&[])]);
        let send = service.sqs().send_message_batch().queue_url(QUEUE_URL);
        let send = ["a", "b"].into_iter().fold(send, |send, id| {
            let body = "b".repeat((262_144 - room) / 2);
            send.entries(
                SendMessageBatchRequestEntry::builder()
                    .id(id)
                    .message_body(body)
                    .build()
                    .unwrap(),
            )
        });
        send.send().await.unwrap();
        service.body().to_string()
    });
    ["traceparent", "tracestate"].map(|name| captured.result.matches(name).count())
}

#[test]
fn the_size_of_a_batch_counts_as_a_whole() {
    // 72 bytes of traceparent, 40 of tracestate.
    assert_eq!(carried_by_batch(400), [2, 2]);
    assert_eq!(carried_by_batch(200), [2, 1]);
    assert_eq!(carried_by_batch(150), [1, 1]);
    assert_eq!(carried_by_batch(50), [0, 0]);
}

#[test]
fn entries_that_failed_make_the_batch_an_error() {
    let captured = capture_async(async {
        let service = Service::new([Answer::BatchFailing(&["b"])]);
        let send = service.sqs().send_message_batch().queue_url(QUEUE_URL);
        send.entries(entry("a"))
            .entries(entry("b"))
            .send()
            .await
            .unwrap();
    });
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), span.is_error()),
        (Some("InternalError"), true)
    );
    assert_eq!(
        captured.logs[0]["fields"]["messaging.destination.name"],
        "jobs"
    );
    assert_eq!(
        captured.sample(SQS_COUNT, &[(names::ERROR_TYPE, "InternalError")]),
        Some(1.0)
    );
}

/// Receives once; the request's body, the messages and the span that received them.
fn receive(
    answer: Answer,
    names: &'static [&'static str],
) -> Captured<(Json, usize, Option<String>)> {
    capture_async(async move {
        let service = Service::new([answer]);
        let receive = ReceiveSpan::new();
        let request = service.sqs().receive_message().queue_url(QUEUE_URL);
        let request = names.iter().fold(request, |request, name| {
            request.message_attribute_names(*name)
        });
        let received = request
            .customize()
            .interceptor(receive.clone())
            .send()
            .await;
        let count = received.map_or(0, |received| received.messages().len());
        (
            service.body(),
            count,
            receive.get().map(|span| span.span_id().to_string()),
        )
    })
}

#[test]
fn a_receive_that_brought_messages_is_a_span_and_the_caller_learns_which() {
    let messages = json!({ "Messages": [{ "MessageId": "m-1" }, { "MessageId": "m-2" }] });
    let captured = receive(Answer::Json(200, messages), &[]);
    let span = only(&captured);
    assert_eq!(
        (span.name.as_str(), &span.kind),
        ("receive jobs", &SpanKind::Client)
    );
    assert_eq!(span.text(MESSAGING_OPERATION_TYPE), Some("receive"));
    assert_eq!(span.int(MESSAGING_BATCH_MESSAGE_COUNT), Some(2));
    let (request, count, receiver) = &captured.result;
    assert_eq!(
        (*count, receiver.as_deref()),
        (2, Some(span.span_id.to_string().as_str()))
    );
    assert_eq!(
        request["MessageAttributeNames"],
        json!(["traceparent", "tracestate"])
    );
    assert_eq!(
        request["MessageSystemAttributeNames"],
        json!(["ApproximateReceiveCount", "SentTimestamp"])
    );
    let labels = [
        (names::MESSAGING_OPERATION_NAME, "receive"),
        (names::MESSAGING_DESTINATION_NAME, "jobs"),
    ];
    assert_eq!(captured.sample(SQS_COUNT, &labels), Some(1.0));
}

#[test]
fn what_a_receive_asks_for_itself_is_kept() {
    let asked = |names| {
        receive(Answer::Json(200, json!({})), names).result.0["MessageAttributeNames"].clone()
    };
    assert_eq!(
        asked(&["own", "tracestate"]),
        json!(["own", "tracestate", "traceparent"])
    );
    assert_eq!(asked(&["All"]), json!(["All"]));
    assert_eq!(asked(&[".*"]), json!([".*"]));
}

#[test]
fn an_empty_poll_leaves_no_span() {
    let captured = receive(Answer::Json(200, json!({})), &[]);
    assert!(captured.spans.is_empty(), "{captured:?}");
    assert_eq!(captured.result.2, None);
    assert!(captured.logs.is_empty());
    assert_eq!(
        captured.sample(SQS_COUNT, &[(names::MESSAGING_OPERATION_NAME, "receive")]),
        Some(1.0)
    );
}

#[test]
fn a_receive_that_failed_is_an_error_span_and_one_that_was_cancelled_is_none() {
    let captured = receive(aws_error(400, "QueueDoesNotExist"), &[]);
    let span = only(&captured);
    assert_eq!(
        (span.text(ERROR_TYPE), span.is_error()),
        (Some("QueueDoesNotExist"), true)
    );

    let captured = capture_async(async {
        let client = Service::new([Answer::Never]).sqs();
        let poll = client.receive_message().queue_url(QUEUE_URL).send();
        tokio::time::timeout(Duration::from_millis(20), poll)
            .await
            .unwrap_err();
    });
    assert!(captured.spans.is_empty(), "{captured:?}");
}

#[test]
fn deleting_and_changing_visibility_settle() {
    let captured = capture_async(async {
        let client = Service::ok(json!({})).sqs();
        client
            .delete_message()
            .queue_url(QUEUE_URL)
            .receipt_handle("r")
            .send()
            .await
            .unwrap();
        let change = client
            .change_message_visibility()
            .queue_url(QUEUE_URL)
            .receipt_handle("r");
        change.visibility_timeout(0).send().await.unwrap();
    });
    assert_eq!(captured.spans.len(), 2);
    for span in captured.spans_named("settle jobs") {
        assert_eq!(
            (&span.kind, span.text(MESSAGING_OPERATION_TYPE)),
            (&SpanKind::Client, Some("settle"))
        );
    }
    let labels = [(names::MESSAGING_OPERATION_NAME, "settle")];
    assert_eq!(captured.sample(SQS_COUNT, &labels), Some(2.0));
}

#[test]
fn managing_a_queue_is_a_plain_client_span() {
    let captured = capture_async(async {
        let client = Service::ok(json!({ "QueueUrl": QUEUE_URL })).sqs();
        client
            .get_queue_attributes()
            .queue_url(QUEUE_URL)
            .send()
            .await
            .unwrap();
        client
            .get_queue_url()
            .queue_name("jobs")
            .send()
            .await
            .unwrap();
        client.list_queues().send().await.unwrap();
    });
    let expected = [
        ("SQS.GetQueueAttributes", Some("jobs")),
        ("SQS.GetQueueUrl", Some("jobs")),
        ("SQS.ListQueues", None),
    ];
    let found: Vec<_> = captured
        .spans
        .iter()
        .map(|span| (span.name.as_str(), span.text(MESSAGING_DESTINATION_NAME)))
        .collect();
    assert_eq!(found, expected);
    assert!(
        captured
            .spans
            .iter()
            .all(|span| span.text(MESSAGING_OPERATION_TYPE).is_none())
    );
}

fn message(attributes: &[(&str, &str)], received: &str) -> Message {
    let message = Message::builder().message_id("m-1").attributes(
        MessageSystemAttributeName::ApproximateReceiveCount,
        received,
    );
    let add = |message: aws_sdk_sqs::types::builders::MessageBuilder,
               (name, text): &(&str, &str)| {
        message.message_attributes(*name, text_attribute(text))
    };
    attributes.iter().fold(message, add).build()
}

#[test]
fn processing_is_a_child_of_and_linked_to_the_producer_and_linked_to_the_receive() {
    let receive = Carrier {
        traceparent: PARENT.replace("00-1", "00-a"),
        tracestate: None,
    };
    let receive = receive.context().span().span_context().clone();
    let message = message(
        &[("traceparent", PARENT), ("tracestate", "tripod=t:1")],
        "2",
    );
    let captured = capture(|| {
        let around = tracing::info_span!("around").entered();
        process_span(&message, "jobs", Some(&receive)).in_scope(|| tracing::info!("working"));
        drop(around);
    });
    let span = &captured.spans[0];
    assert_eq!(
        (span.name.as_str(), &span.kind),
        ("process jobs", &SpanKind::Consumer)
    );
    assert_eq!(
        span.trace_id.to_string(),
        "12345678901234567890123456789012"
    );
    assert_eq!(span.parent_span_id.unwrap().to_string(), "1234567890123456");
    assert!(span.parent_is_remote);
    assert_eq!(span.trace_state, "tripod=t:1");
    let linked: Vec<_> = span
        .links
        .iter()
        .map(|link| link.trace_id.to_string())
        .collect();
    assert_eq!(
        linked,
        [
            "12345678901234567890123456789012",
            "a2345678901234567890123456789012"
        ]
    );
    assert_eq!(span.int(TRIPOD_JOB_ATTEMPT), Some(2));
    assert_eq!(span.text(MESSAGING_MESSAGE_ID), Some("m-1"));
    assert_eq!(span.text(MESSAGING_OPERATION_TYPE), Some("process"));
    assert_eq!(span.text(MESSAGING_DESTINATION_NAME), Some("jobs"));
    assert_eq!(captured.logs[0]["span_id"], span.span_id.to_string());
}

#[test]
fn a_message_without_a_usable_trace_starts_one() {
    for attributes in [
        &[][..],
        &[("traceparent", "00-x")],
        &[("tracestate", "foo=1")],
    ] {
        let message = message(attributes, "not a number");
        let captured = capture(|| drop(process_span(&message, "jobs", None)));
        let span = only(&captured);
        assert_eq!((span.parent_span_id, span.links.len()), (None, 0));
        assert_eq!(span.int(TRIPOD_JOB_ATTEMPT), None);
    }
}
