//! What is right, what is refused by the sink, and how both are told and counted.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use otlp::{Accepted, Addresses, Options, Receiver, Refusal};
use prost::Message;
use tonic::{Code, codec::CompressionEncoding};

use crate::harness::*;

const SPANS_ACCEPTED: &str = "otelcol_receiver_accepted_spans_total";
const SPANS_REFUSED: &str = "otelcol_receiver_refused_spans_total";
const REQUESTS: &str = "tripod_receiver_requests_total";

fn overloaded() -> Refusal {
    Refusal::Overloaded {
        retry_after: Duration::from_millis(1500),
        message: "no room".to_owned(),
    }
}

#[test]
fn every_form_of_a_request_reaches_the_sink_as_the_same_protobuf() {
    let harness = Harness::start();
    let expected = request(&[span(1), span(2)]);
    let protobuf = expected.encode_to_vec();
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"01010101010101010101010101010101","spanId":"0101010101010101","name":"span 1",
         "startTimeUnixNano":"1780000000000000000","endTimeUnixNano":1780000000001000000},
        {"traceId":"02020202020202020202020202020202","spanId":"0202020202020202","name":"span 2",
         "startTimeUnixNano":"1780000000000000000","endTimeUnixNano":"1780000000001000000"}]}]}]}"#;
    for (content_type, encoding, body) in [
        (PROTOBUF, "identity", protobuf.clone()),
        (PROTOBUF, "gzip", gzip(&protobuf)),
        (JSON, "identity", json.to_vec()),
        (JSON, "gzip", gzip(json)),
        ("Application/JSON ; charset=utf-8", "", json.to_vec()),
    ] {
        let headers = [
            ("content-type", content_type),
            ("content-encoding", encoding),
        ];
        let answer = harness.post("/v1/traces", &headers, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        if content_type == PROTOBUF {
            assert_eq!(
                (answer.content_type.as_str(), answer.body),
                (PROTOBUF, Bytes::new())
            );
        } else {
            assert_eq!(
                (answer.content_type.as_str(), answer.body),
                (JSON, Bytes::from("{}"))
            );
        }
    }
    for compression in [None, Some(CompressionEncoding::Gzip)] {
        let call = call(
            harness.addresses.grpc,
            TRACE_EXPORT,
            protobuf.clone(),
            compression,
        );
        assert_eq!(harness.runtime.block_on(call).unwrap(), Bytes::new());
    }
    let requests = harness.traces.requests();
    assert_eq!(requests.len(), 7);
    for request in requests {
        assert_eq!(
            ExportTraceServiceRequest::decode(request).unwrap(),
            expected
        );
    }
    for (transport, requests) in [("http", 5), ("grpc", 2)] {
        let labels = [("receiver", "otlp"), ("transport", transport)];
        assert_eq!(harness.count(SPANS_ACCEPTED, &labels), 2 * requests);
        assert_eq!(harness.count(SPANS_REFUSED, &labels), 0);
        let labels = [("transport", transport), ("outcome", "accepted")];
        assert_eq!(harness.count(REQUESTS, &labels), requests);
    }
}

#[test]
fn many_requests_go_over_one_connection() {
    let harness = Harness::start();
    let client = reqwest_client();
    let url = format!("http://{}/v1/traces", harness.addresses.http);
    harness.runtime.block_on(async {
        for number in 0..100 {
            let body = request(&[span(number)]).encode_to_vec();
            let response = client
                .post(&url)
                .header("content-type", PROTOBUF)
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
        }
    });
    assert_eq!(harness.traces.requests().len(), 100);
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[test]
fn logs_have_their_own_sink_and_counts() {
    let harness = Harness::start();
    let logs = log_request(3).encode_to_vec();
    assert_eq!(
        harness
            .post("/v1/logs", &[("content-type", PROTOBUF)], logs.clone())
            .status,
        200
    );
    let json =
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hi"}}]}]}]}"#;
    assert_eq!(
        harness
            .post("/v1/logs", &[("content-type", JSON)], json.to_vec())
            .status,
        200
    );
    harness.call(LOGS_EXPORT, logs).unwrap();
    assert_eq!(harness.logs.requests().len(), 3);
    assert!(harness.traces.requests().is_empty());
    let accepted = "otelcol_receiver_accepted_log_records_total";
    assert_eq!(harness.count(accepted, &[("transport", "http")]), 4);
    assert_eq!(harness.count(accepted, &[("transport", "grpc")]), 3);
}

#[test]
fn without_a_sink_logs_are_unknown() {
    let harness = Harness::start();
    let options = Options {
        grpc: ([127, 0, 0, 1], 0).into(),
        http: ([127, 0, 0, 1], 0).into(),
        ..Options::default()
    };
    harness.runtime.block_on(async {
        let traces = std::sync::Arc::clone(&harness.traces);
        let receiver = Receiver::bind(options, traces, None).await.unwrap();
        let Addresses { grpc, http } = receiver.addresses();
        let logs = log_request(1).encode_to_vec();
        let answer = post(
            http,
            "POST",
            "/v1/logs",
            &[("content-type", PROTOBUF)],
            logs.clone(),
        )
        .await;
        assert_eq!(answer.status, 404);
        let status = call(grpc, LOGS_EXPORT, logs, None).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        receiver.stop().await;
    });
}

#[test]
fn a_partial_success_is_told_in_the_format_of_the_request() {
    let harness = Harness::start();
    harness.traces.answers(Ok(Accepted {
        rejected: 1,
        message: "too old".to_owned(),
    }));
    harness.logs.answers(Ok(Accepted {
        rejected: 9,
        message: "too old".to_owned(),
    }));
    let expected = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".to_owned(),
        }),
    };
    let spans = request(&[span(1), span(2), span(3)]).encode_to_vec();
    let answer = harness.post("/v1/traces", &[("content-type", PROTOBUF)], spans.clone());
    assert_eq!(answer.status, 200);
    assert_eq!(
        ExportTraceServiceResponse::decode(answer.body).unwrap(),
        expected
    );
    let answer = harness.call(TRACE_EXPORT, spans).unwrap();
    assert_eq!(
        ExportTraceServiceResponse::decode(answer).unwrap(),
        expected
    );
    let answer = harness.post("/v1/traces", &[("content-type", JSON)], b"{}".to_vec());
    assert_eq!(
        answer.body,
        r#"{"partialSuccess":{"errorMessage":"too old","rejectedSpans":"1"}}"#
    );
    let answer = harness.post("/v1/logs", &[("content-type", JSON)], b"{}".to_vec());
    assert_eq!(
        answer.body,
        r#"{"partialSuccess":{"errorMessage":"too old","rejectedLogRecords":"9"}}"#
    );
    for transport in ["http", "grpc"] {
        assert_eq!(
            harness.count(SPANS_ACCEPTED, &[("transport", transport)]),
            2
        );
        assert_eq!(harness.count(SPANS_REFUSED, &[("transport", transport)]), 1);
    }
}

#[test]
fn an_overloaded_sink_makes_the_sender_come_again() {
    let harness = Harness::start();
    harness.traces.answers(Err(overloaded()));
    let spans = request(&[span(1)]).encode_to_vec();
    let details = vec![Detail {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        retry_info: Some(RetryInfo {
            delay: Some(Delay {
                seconds: 1,
                nanos: 500_000_000,
            }),
        }),
    }];
    let expected = RpcStatus {
        code: 14,
        message: "no room".to_owned(),
        details,
    };

    let answer = harness.post("/v1/traces", &[("content-type", PROTOBUF)], spans.clone());
    assert_eq!(
        (answer.status, answer.retry_after.as_deref()),
        (503, Some("2"))
    );
    assert_eq!(answer.content_type, PROTOBUF);
    assert_eq!(RpcStatus::decode(answer.body).unwrap(), expected);

    let answer = harness.post("/v1/traces", &[("content-type", JSON)], b"{}".to_vec());
    assert_eq!((answer.status, answer.content_type.as_str()), (503, JSON));
    let said = String::from_utf8(answer.body.to_vec()).unwrap();
    let details = r#"[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]"#;
    assert_eq!(
        said,
        format!(r#"{{"code":14,"details":{details},"message":"no room"}}"#)
    );

    let status = harness.call(TRACE_EXPORT, spans).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(RpcStatus::decode(status.details()).unwrap(), expected);
    for (transport, requests) in [("http", 2), ("grpc", 1)] {
        let labels = [("transport", transport), ("outcome", "overloaded")];
        assert_eq!(harness.count(REQUESTS, &labels), requests);
        assert_eq!(harness.count(SPANS_REFUSED, &[("transport", transport)]), 1);
    }
    harness.traces.answers(Ok(Accepted::default()));
    harness.assert_healthy();
}

#[test]
fn a_receiver_that_stops_ends_its_connections_and_frees_its_ports() {
    let mut harness = Harness::start();
    harness.assert_healthy();
    let receiver = harness.receiver.take().unwrap();
    harness.runtime.block_on(receiver.stop());
    for address in [harness.addresses.grpc, harness.addresses.http] {
        std::net::TcpListener::bind(address).unwrap();
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let harness = Harness::start();
    let options = Options {
        grpc: harness.addresses.grpc,
        ..Options::default()
    };
    let traces = std::sync::Arc::clone(&harness.traces);
    let error = harness
        .runtime
        .block_on(Receiver::bind(options, traces, None))
        .unwrap_err();
    let expected = format!("OTLP over gRPC cannot listen on {}", harness.addresses.grpc);
    assert_eq!(error.to_string(), expected);
}
