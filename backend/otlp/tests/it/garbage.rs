//! One table of bad and odd input for our receiver and for the real Collector, with what each answers. Where they differ, the
//! table says why. Ours stays healthy through all of it.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::Addresses;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::{Code, codec::CompressionEncoding};

use crate::{
    collector::Collector,
    harness::{Harness, JSON, PROTOBUF, TRACE_EXPORT, attribute, call, gzip, post, request, span},
};

struct Http {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    content_type: Option<&'static str>,
    encoding: &'static str,
    body: fn() -> Vec<u8>,
    ours: u16,
    theirs: u16,
    why: &'static str,
}

struct Grpc {
    name: &'static str,
    path: &'static str,
    compression: Option<CompressionEncoding>,
    message: fn() -> Vec<u8>,
    ours: Code,
    theirs: Code,
    why: &'static str,
}

const SPEC: &str = "the specification demands INVALID_ARGUMENT for what cannot be decoded; gRPC's Go server answers before \
                    the Collector could";
const GROUPS: &str = "no version of OTLP has groups, so whoever sends one does not speak it";
const DEPTH: &str = "the Collector has no bound; readers of protobuf have, 100 messages by default, so nobody could read it";
const QUOTES: &str =
    "the Collector's error holds bytes that are no UTF-8, and cannot be written as JSON itself";
const STRICT: &str = "the Collector's parser stops reading at the end of the object; cut-off or joined bodies are a fault";

/// Answered alike.
fn http(name: &'static str, body: fn() -> Vec<u8>, status: u16) -> Http {
    Http {
        name,
        method: "POST",
        path: "/v1/traces",
        content_type: Some(PROTOBUF),
        encoding: "",
        body,
        ours: status,
        theirs: status,
        why: "",
    }
}

fn json(name: &'static str, body: fn() -> Vec<u8>, status: u16) -> Http {
    Http {
        content_type: Some(JSON),
        ..http(name, body, status)
    }
}

fn good() -> Vec<u8> {
    request(&[span(1)]).encode_to_vec()
}

fn with(change: impl FnOnce(&mut Span)) -> Vec<u8> {
    let mut span = span(1);
    change(&mut span);
    request(&[span]).encode_to_vec()
}

fn zeros() -> Vec<u8> {
    vec![0; 100_000_000]
}

fn truncated(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 5);
    bytes
}

/// `content` as a field with a length, of a number below 16.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut out).unwrap();
    out.extend_from_slice(content);
    out
}

fn raw_span(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}

/// A span with a value of as many arrays inside each other.
fn nested(depth: usize) -> Vec<u8> {
    let value = (0..depth).fold(Vec::new(), |value, _| field(5, &field(1, &value)));
    raw_span(&field(9, &[field(1, b"key"), field(2, &value)].concat()))
}

fn json_span(fields: &str) -> Vec<u8> {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#).into_bytes()
}

fn http_cases() -> Vec<Http> {
    vec![
        http("nothing", Vec::new, 200),
        http("a good request", good, 200),
        http("truncated", || truncated(good()), 400),
        http(
            "noise",
            || (0..1000).map(|byte| (byte * 7 % 251) as u8).collect(),
            400,
        ),
        http("100 MB of zeros", zeros, 400),
        Http {
            encoding: "gzip",
            ..http("gzip", || gzip(&good()), 200)
        },
        Http {
            encoding: "gzip",
            ..http("gzip cut off", || truncated(gzip(&good())), 400)
        },
        Http {
            encoding: "gzip",
            ..http("gzip that is none", good, 400)
        },
        Http {
            encoding: "gzip",
            ..http("gzip of nothing", || gzip(b""), 200)
        },
        Http {
            encoding: "gzip",
            ..http("gzip bomb", || gzip(&zeros()), 400)
        },
        Http {
            encoding: "br",
            ..http("an unknown encoding", good, 400)
        },
        Http {
            encoding: "identity",
            ours: 200,
            why: "HTTP's own name for no encoding",
            ..http("no encoding, by name", good, 400)
        },
        Http {
            content_type: None,
            ..http("no type", good, 415)
        },
        Http {
            content_type: Some("text/plain"),
            ..http("another type", good, 415)
        },
        Http {
            content_type: Some("application/x-protobuf; a=b"),
            ..http("a type with a parameter", good, 200)
        },
        Http {
            method: "GET",
            ..http("another method", Vec::new, 405)
        },
        Http {
            method: "PUT",
            ..http("another method with a body", good, 405)
        },
        Http {
            path: "/v1/trace",
            ..http("another path", good, 404)
        },
        Http {
            path: "/v1/traces/",
            ..http("a longer path", good, 404)
        },
        Http {
            path: "/v1/traces?a=b",
            ..http("a query", good, 200)
        },
        Http {
            path: "/v1/metrics",
            ..http("a signal without a pipeline", Vec::new, 404)
        },
        http(
            "a trace id of 5 bytes",
            || with(|span| span.trace_id = vec![1; 5]),
            400,
        ),
        http(
            "a span id of 9 bytes",
            || with(|span| span.span_id = vec![1; 9]),
            400,
        ),
        http(
            "a parent id of 1 byte",
            || with(|span| span.parent_span_id = vec![1]),
            400,
        ),
        http(
            "no ids",
            || with(|span| (span.trace_id, span.span_id) = (vec![], vec![])),
            200,
        ),
        http(
            "ids of zeros",
            || with(|span| (span.trace_id, span.span_id) = (vec![0; 16], vec![0; 8])),
            200,
        ),
        http(
            "times of zero",
            || with(|span| (span.start_time_unix_nano, span.end_time_unix_nano) = (0, 0)),
            200,
        ),
        http(
            "times without end",
            || with(|span| span.end_time_unix_nano = u64::MAX),
            200,
        ),
        http(
            "10,000 attributes",
            || with(|span| span.attributes = vec![attribute("key", "value"); 10_000]),
            200,
        ),
        http(
            "a name of 1 MB",
            || with(|span| span.name = "x".repeat(1_000_000)),
            200,
        ),
        http(
            "a name that is no UTF-8",
            || raw_span(&field(5, b"\xff\xfe")),
            200,
        ),
        http("a name that is a number", || raw_span(b"\x28\x01"), 400),
        http("a field number of zero", || raw_span(b"\x00\x01"), 400),
        http(
            "a number over 64 bits",
            || raw_span(b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            400,
        ),
        http("a length beyond the end", || raw_span(b"\x2a\x7fx"), 400),
        http("a broken attribute", || raw_span(b"\x4a\x03\x12\x05x"), 400),
        http("an invalid wire type", || raw_span(b"\xff\x01\x01"), 400),
        http("an unknown field", || raw_span(b"\xf8\x01\x01"), 200),
        Http {
            ours: 400,
            why: GROUPS,
            ..http(
                "an unknown group",
                || raw_span(b"\xfb\x01\xfc\x01\x2a\x01x"),
                200,
            )
        },
        http("a value 30 arrays deep", || nested(30), 200),
        Http {
            ours: 400,
            why: DEPTH,
            ..http("a value 1,000 arrays deep", || nested(1000), 200)
        },
        json("JSON", || json_span(r#""name":"a""#), 200),
        json("JSON of nothing", || b"{}".to_vec(), 200),
        json("no JSON", Vec::new, 400),
        Http {
            theirs: 500,
            why: QUOTES,
            ..json("protobuf as JSON", good, 400)
        },
        http("JSON as protobuf", || json_span(""), 400),
        json("JSON cut off", || truncated(json_span("")), 400),
        Http {
            ours: 400,
            why: STRICT,
            ..json("two JSON objects", || b"{}{}".to_vec(), 200)
        },
        json(
            "JSON with unknown fields",
            || json_span(r#""name":"a","new":{"a":[1,null]}"#),
            200,
        ),
        json(
            "JSON with a short id",
            || json_span(r#""traceId":"0102""#),
            400,
        ),
        json(
            "JSON with an id in base64",
            || json_span(r#""spanId":"AQIDBAUGBwg=""#),
            400,
        ),
        json(
            "JSON with an id that is a number",
            || json_span(r#""spanId":7"#),
            400,
        ),
        json(
            "JSON with an empty id",
            || json_span(r#""traceId":"""#),
            200,
        ),
        json(
            "JSON with a name that is a number",
            || json_span(r#""name":7"#),
            400,
        ),
        json(
            "JSON with an unknown kind",
            || json_span(r#""kind":"SPAN_KIND_OTHER""#),
            400,
        ),
        Http {
            theirs: 500,
            why: QUOTES,
            ..json(
                "JSON with a negative time",
                || json_span(r#""startTimeUnixNano":-1"#),
                400,
            )
        },
        json(
            "JSON with a time over 64 bits",
            || json_span(r#""startTimeUnixNano":"18446744073709551616""#),
            400,
        ),
        json(
            "JSON a million arrays deep",
            || [json_span(r#""a":"#)[..55].to_vec(), vec![b'['; 1_000_000]].concat(),
            400,
        ),
        Http {
            encoding: "gzip",
            ..json("JSON in gzip", || gzip(b"{}"), 200)
        },
        Http {
            encoding: "gzip",
            ..json(
                "a gzip bomb of JSON",
                || gzip(&vec![b' '; 100_000_000]),
                400,
            )
        },
    ]
}

fn grpc(name: &'static str, message: fn() -> Vec<u8>, code: Code) -> Grpc {
    Grpc {
        name,
        path: TRACE_EXPORT,
        compression: None,
        message,
        ours: code,
        theirs: code,
        why: "",
    }
}

fn malformed(name: &'static str, message: fn() -> Vec<u8>) -> Grpc {
    Grpc {
        ours: Code::InvalidArgument,
        why: SPEC,
        ..grpc(name, message, Code::Internal)
    }
}

fn grpc_cases() -> Vec<Grpc> {
    const GZIP: Option<CompressionEncoding> = Some(CompressionEncoding::Gzip);
    vec![
        grpc("nothing", Vec::new, Code::Ok),
        grpc("a good request", good, Code::Ok),
        Grpc {
            compression: GZIP,
            ..grpc("gzip", good, Code::Ok)
        },
        malformed("truncated", || truncated(good())),
        malformed("a trace id of 5 bytes", || {
            with(|span| span.trace_id = vec![1; 5])
        }),
        grpc(
            "ids of zeros",
            || with(|span| span.trace_id = vec![0; 16]),
            Code::Ok,
        ),
        grpc(
            "10,000 attributes",
            || with(|span| span.attributes = vec![attribute("k", "v"); 10_000]),
            Code::Ok,
        ),
        grpc(
            "4 MiB",
            || with(|span| span.name = "x".repeat((4 << 20) - 100)),
            Code::Ok,
        ),
        grpc(
            "over 4 MiB",
            || with(|span| span.name = "x".repeat(4 << 20)),
            Code::ResourceExhausted,
        ),
        grpc("100 MB", zeros, Code::ResourceExhausted),
        Grpc {
            compression: GZIP,
            ..grpc("gzip bomb", zeros, Code::ResourceExhausted)
        },
        Grpc {
            path: "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
            ..grpc("a method", good, Code::Unimplemented)
        },
        Grpc {
            path: "/grpc.health.v1.Health/Check",
            ..grpc("a service", Vec::new, Code::Unimplemented)
        },
        Grpc {
            path: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            ..grpc("a signal without a pipeline", Vec::new, Code::Unimplemented)
        },
    ]
}

/// What `address` answers to each case, and whether it is healthy after it.
fn http_answers(
    runtime: &Runtime,
    address: SocketAddr,
    after_each: impl Fn(),
) -> Vec<(&'static str, u16)> {
    let answer = |case: Http| {
        let mut headers = Vec::from_iter(
            case.content_type
                .map(|content_type| ("content-type", content_type)),
        );
        headers.extend(
            Some(("content-encoding", case.encoding)).filter(|(_, encoding)| !encoding.is_empty()),
        );
        let answer = runtime.block_on(post(
            address,
            case.method,
            case.path,
            &headers,
            (case.body)(),
        ));
        after_each();
        (case.name, answer.status)
    };
    http_cases().into_iter().map(answer).collect()
}

fn grpc_answers(
    runtime: &Runtime,
    address: SocketAddr,
    after_each: impl Fn(),
) -> Vec<(&'static str, Code)> {
    let answer = |case: Grpc| {
        let answer = runtime.block_on(call(address, case.path, (case.message)(), case.compression));
        after_each();
        (
            case.name,
            answer.map_or_else(|status| status.code(), |_| Code::Ok),
        )
    };
    grpc_cases().into_iter().map(answer).collect()
}

#[test]
fn every_difference_to_the_collector_has_its_reason() {
    assert!(
        http_cases()
            .iter()
            .all(|case| (case.ours == case.theirs) == case.why.is_empty())
    );
    assert!(
        grpc_cases()
            .iter()
            .all(|case| (case.ours == case.theirs) == case.why.is_empty())
    );
}

#[test]
fn garbage_over_http_gets_its_status_and_harms_nothing() {
    let harness = Harness::start();
    let address = harness.addresses.http;
    let answers = http_answers(&harness.runtime, address, || harness.assert_healthy());
    let expected: Vec<_> = http_cases()
        .iter()
        .map(|case| (case.name, case.ours))
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn garbage_over_grpc_gets_its_code_and_harms_nothing() {
    let harness = Harness::start();
    let address = harness.addresses.grpc;
    let answers = grpc_answers(&harness.runtime, address, || harness.assert_healthy());
    let expected: Vec<_> = grpc_cases()
        .iter()
        .map(|case| (case.name, case.ours))
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn the_real_collector_answers_as_the_table_says() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let Addresses { grpc, http } = collector.addresses;
    let runtime = Runtime::new().unwrap();
    let expected: Vec<_> = http_cases()
        .iter()
        .map(|case| (case.name, case.theirs))
        .collect();
    assert_eq!(http_answers(&runtime, http, || ()), expected);
    let expected: Vec<_> = grpc_cases()
        .iter()
        .map(|case| (case.name, case.theirs))
        .collect();
    assert_eq!(grpc_answers(&runtime, grpc, || ()), expected);
}

#[test]
fn what_was_wrong_is_said_in_the_format_of_the_request_and_counted() {
    use crate::harness::RpcStatus;

    let harness = Harness::start();
    let answer = harness.post(
        "/v1/traces",
        &[("content-type", PROTOBUF)],
        raw_span(b"\x00\x01"),
    );
    let status = RpcStatus::decode(answer.body).unwrap();
    assert_eq!(status.code, Code::InvalidArgument as i32);
    assert_eq!(
        status.message,
        "malformed protobuf at byte 6: invalid field number"
    );
    let answer = harness.post("/v1/traces", &[("content-type", JSON)], b"{\n7}".to_vec());
    assert_eq!(answer.content_type, JSON);
    assert_eq!(
        answer.body,
        r#"{"code":3,"message":"malformed JSON at line 2 column 1: key must be a string"}"#
    );
    let answer = harness.post(
        "/v1/traces",
        &[("content-type", PROTOBUF)],
        vec![0; 21 << 20],
    );
    assert_eq!(
        RpcStatus::decode(answer.body).unwrap().message,
        "http: request body too large"
    );
    let answer = harness.post("/v1/nothing", &[], Vec::new());
    assert_eq!(
        (answer.content_type.as_str(), &answer.body[..]),
        ("text/plain; charset=utf-8", &b"404 page not found\n"[..])
    );
    harness
        .call(TRACE_EXPORT, raw_span(b"\x00\x01"))
        .unwrap_err();
    harness.call(TRACE_EXPORT, vec![0; 5 << 20]).unwrap_err();
    let gzip = Some(CompressionEncoding::Gzip);
    let bomb = call(harness.addresses.grpc, TRACE_EXPORT, vec![0; 5 << 20], gzip);
    harness.runtime.block_on(bomb).unwrap_err();
    for (transport, outcome, requests) in [
        ("http", "malformed", 2),
        ("http", "too_large", 1),
        ("http", "unsupported", 1),
        ("grpc", "malformed", 1),
        ("grpc", "too_large", 2),
        ("grpc", "accepted", 0),
    ] {
        let labels = [("transport", transport), ("outcome", outcome)];
        assert_eq!(
            harness.count("tripod_receiver_requests_total", &labels),
            requests,
            "{labels:?}"
        );
    }
}
