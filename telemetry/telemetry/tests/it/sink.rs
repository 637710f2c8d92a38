//! The test collector itself: what it says to requests that are none, and how it goes away and comes back.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use telemetry::testing::{Answer, OtlpSink};

const LONG: Duration = Duration::from_secs(20);

fn client() -> Client {
    // The process's cryptography is chosen by `init`, which this test has no use for.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn post(url: &str, content_type: &'static str, body: &'static [u8]) -> Response {
    let request = client()
        .post(url)
        .header("content-type", content_type)
        .body(body);
    request.send().unwrap()
}

#[test]
fn what_is_no_export_request_gets_the_status_a_collector_gives() {
    let sink = OtlpSink::start().unwrap();
    let traces = format!("{}/v1/traces", sink.endpoint());
    let protobuf = "application/x-protobuf";
    assert_eq!(post(&traces, protobuf, b"\xff\xff\xff").status(), 400);
    assert_eq!(post(&traces, "application/json", b"{}").status(), 415);
    assert_eq!(
        post(&format!("{}/v1/logs", sink.endpoint()), protobuf, b"").status(),
        404
    );
    assert_eq!(client().get(&traces).send().unwrap().status(), 405);
    let accepted = post(&traces, protobuf, b"");
    assert_eq!(accepted.status(), 200);
    assert_eq!(accepted.headers()["content-type"], protobuf);
    assert_eq!(sink.requests(), 3);
    assert_eq!(sink.spans(), []);
}

#[test]
fn a_sink_that_refuses_is_not_there_until_it_accepts_again() {
    let sink = OtlpSink::start().unwrap();
    let address = sink.endpoint().strip_prefix("http://").unwrap().to_owned();
    let becomes = |listening: bool| {
        let end = Instant::now() + LONG;
        while TcpStream::connect(&address).is_ok() != listening {
            assert!(Instant::now() < end, "still not listening={listening}");
            std::thread::yield_now();
        }
    };
    becomes(true);
    sink.answer(Answer::Refuse);
    becomes(false);
    sink.answer(Answer::Accept);
    becomes(true);
}

#[test]
fn waiting_in_vain_says_what_came_instead() {
    let sink = OtlpSink::start().unwrap();
    let unmet = sink
        .wait_for(Duration::from_millis(1), |spans| !spans.is_empty())
        .unwrap_err();
    assert_eq!(
        unmet.to_string(),
        "what was waited for did not arrive, but 0 spans:"
    );
}

#[test]
fn a_taken_port_is_an_error() {
    let sink = OtlpSink::start().unwrap();
    let port = sink.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(
        OtlpSink::start_on(port).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
}
