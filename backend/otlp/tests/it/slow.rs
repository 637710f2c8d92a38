//! Clients that send too slowly, too much, or nothing: each ends by a bound, and none keeps others out.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;
use tonic::{Code, codegen::tokio_stream};

use crate::harness::{Harness, PROTOBUF, TRACE_EXPORT, pending_call, request, span};

/// Longest wait for what must come: shorter than the timeouts that are not made short here.
const DEADLINE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);
const HEAD: &str =
    "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// What comes until the server closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is an end, too; no end within the deadline is none.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn impatient() -> Harness {
    Harness::with(|options| {
        options.headers_timeout = SHORT;
        options.body_timeout = SHORT;
    })
}

#[test]
fn a_silent_connection_is_closed() {
    let harness = impatient();
    for (address, sent) in [
        (harness.addresses.http, ""),
        (harness.addresses.http, HEAD),
        (harness.addresses.grpc, ""),
        (harness.addresses.grpc, "PRI * HTTP/2.0\r\n"),
        (harness.addresses.grpc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let mut stream = connect(address);
        stream.write_all(sent.as_bytes()).unwrap();
        rest(stream);
    }
    harness.assert_healthy();
}

#[test]
fn an_idle_connection_is_closed_between_two_requests() {
    let harness = impatient();
    for second in ["", HEAD] {
        let mut stream = connect(harness.addresses.http);
        write!(stream, "{HEAD}content-length: 0\r\n\r\n{second}").unwrap();
        assert_eq!(rest(stream).matches("HTTP/1.1 200").count(), 1);
    }
    harness.assert_healthy();
}

#[test]
fn a_body_that_does_not_come_in_time_is_408() {
    let harness = impatient();
    let mut stream = connect(harness.addresses.http);
    write!(stream, "{HEAD}content-length: 100\r\n\r\nhalf").unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 408");
    assert_eq!(
        harness.count(
            "tripod_receiver_requests_total",
            &[("transport", "http"), ("outcome", "timeout")]
        ),
        1
    );
    harness.assert_healthy();
}

#[test]
fn a_call_whose_message_does_not_come_in_time_is_told_so() {
    let harness = impatient();
    let never = tokio_stream::pending::<Bytes>();
    let call = pending_call(harness.addresses.grpc, TRACE_EXPORT, never);
    let status = harness.runtime.block_on(call).unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        harness.count(
            "tripod_receiver_requests_total",
            &[("transport", "grpc"), ("outcome", "timeout")]
        ),
        1
    );
    harness.assert_healthy();
}

#[test]
fn a_client_that_breaks_off_is_counted() {
    let harness = Harness::start();
    let mut stream = connect(harness.addresses.http);
    write!(stream, "{HEAD}content-length: 100\r\n\r\nhalf").unwrap();
    drop(stream);
    let broken_off = [("transport", "http"), ("outcome", "broken_off")];
    until(|| harness.count("tripod_receiver_requests_total", &broken_off) == 1);
    harness.assert_healthy();
}

#[test]
fn a_body_without_end_is_refused_while_it_is_sent() {
    let harness = Harness::with(|options| options.http_request_bytes_max = 1 << 20);
    let mut stream = connect(harness.addresses.http);
    write!(stream, "{HEAD}transfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![0; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..64 {
        stream.write_all(&chunk).unwrap();
    }
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 400");
    harness.assert_healthy();
}

#[test]
fn requests_beyond_what_fits_come_again_later() {
    // Room for two requests, as long as they are small.
    let harness = Harness::with(|options| options.under_way_bytes_max = 2 << 16);
    let slow = [(); 2].map(|()| {
        let mut stream = connect(harness.addresses.http);
        write!(stream, "{HEAD}content-length: 100\r\n\r\nhalf").unwrap();
        stream
    });
    let spans = request(&[span(1)]).encode_to_vec();
    let export = || harness.post("/v1/traces", &[("content-type", PROTOBUF)], spans.clone());
    until(|| export().status == 503);
    assert_eq!(export().retry_after.as_deref(), Some("1"));
    let status = harness.call(TRACE_EXPORT, spans.clone()).unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "too many requests under way")
    );
    assert!(!status.details().is_empty());
    drop(slow);
    until(|| export().status == 200);
    // One that grows over the room, when it is alone.
    let large = request(&[
        span(1),
        opentelemetry_proto::tonic::trace::v1::Span {
            name: "x".repeat(200_000),
            ..span(2)
        },
    ]);
    assert_eq!(
        harness
            .post(
                "/v1/traces",
                &[("content-type", PROTOBUF)],
                large.encode_to_vec()
            )
            .status,
        503
    );
    assert_eq!(
        harness
            .call(TRACE_EXPORT, large.encode_to_vec())
            .unwrap_err()
            .code(),
        Code::Unavailable
    );
    until(|| export().status == 200);
    harness.assert_healthy();
}

fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(
            Instant::now() < deadline,
            "what was waited for did not come"
        );
        std::thread::yield_now();
    }
}
