//! Remote write: what is stored, what is refused and how.

use ::prometheus::Configuration;

use super::{
    world::{Ours, WRITE_HEADERS, write},
    write_request::{body, series},
};
use crate::client::{Answer, Client, target};

const NOW_MS: i64 = 1_795_431_600_000;
const UP: [(&str, &str); 2] = [("__name__", "up"), ("job", "a")];

fn start() -> Ours {
    let configuration = Configuration::BuiltIn {
        path: "prometheus.yml".into(),
        config: "",
        rules: Vec::new(),
    };
    Ours::still(configuration, NOW_MS)
}

fn check(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text()), (status, text));
}

#[test]
fn what_is_written_is_found_and_what_does_not_fit_is_refused() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let mut send = |pairs: &[(&str, &str)], samples: &[(i64, f64)]| {
        write(&mut client, &[series(pairs, samples)])
    };
    check(&send(&UP, &[(NOW_MS, 1.0)]), 204, "");
    check(&send(&UP, &[(NOW_MS, 1.0)]), 204, "");
    check(
        &send(&UP, &[(NOW_MS, 2.0)]),
        400,
        "duplicate sample for timestamp 1795431600000; overrides not allowed\n",
    );
    check(
        &send(&UP, &[(NOW_MS - 1, 1.0)]),
        400,
        "out of order sample\n",
    );
    check(
        &send(&UP, &[(NOW_MS + 3_600_000, 1.0)]),
        400,
        "out of bounds: timestamp is too far in the future\n",
    );
    check(
        &send(&[("__name__", "old")], &[(NOW_MS - 86_400_000, 1.0)]),
        400,
        "out of bounds\n",
    );
    // Prometheus counts series with invalid labels, and takes the request.
    check(&send(&[("job", "a")], &[(NOW_MS, 1.0)]), 204, "");
    let found = client.get(&target("/api/v1/query", &[("query", "up")]));
    assert_eq!(
        found.text(),
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"value\":[1795431600,\"1\"]}]}}"
    );
}

#[test]
fn other_kinds_of_request_are_refused_by_their_headers() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let request = body(&[series(&UP, &[(NOW_MS, 1.0)])]);
    for (content_type, encoding, status) in [
        ("application/x-protobuf", "snappy", 204),
        (
            "application/x-protobuf;proto=prometheus.WriteRequest",
            "snappy",
            204,
        ),
        (
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "snappy",
            415,
        ),
        ("application/json", "snappy", 415),
        ("application/x-protobuf", "gzip", 415),
    ] {
        let headers = [
            ("content-type", content_type),
            ("content-encoding", encoding),
        ];
        let answer = client.ask("POST", "/api/v1/write", &headers, &request);
        assert_eq!(answer.status, status, "{content_type} {encoding}");
        assert_eq!(answer.text().is_empty(), status == 204);
    }
    let answer = client.ask("POST", "/api/v1/write", &[], &request);
    assert_eq!(answer.status, 204, "headers may be missing");
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let request = body(&[series(&UP, &[(NOW_MS, 1.0)])]);
    let compress = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    for bad in [
        Vec::new(),
        b"\xff\xff\xff\xff\xff".to_vec(),
        request[..request.len() - 1].to_vec(),
        compress(b"\x0a\xff"),
        compress(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        // A bomb: it says how long it will be.
        compress(&vec![0; 33 << 20]),
        b"\xff\xff\xff\xff\x0f\x00".to_vec(),
    ] {
        let answer = client.ask("POST", "/api/v1/write", &WRITE_HEADERS, &bad);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
        assert!(!answer.text().trim().is_empty());
    }
    check(
        &client.get("/-/healthy"),
        200,
        "Prometheus Server is Healthy.\n",
    );
}

#[test]
fn a_body_of_a_hundred_megabytes_is_not_read() {
    let ours = start();
    let body = vec![b'a'; 100 << 20];
    for (path, content_type) in [
        ("/api/v1/write", "application/x-protobuf"),
        ("/api/v1/query", "application/x-www-form-urlencoded"),
    ] {
        // Its own connection: the server ends it.
        let mut connection = std::net::TcpStream::connect(ours.address).unwrap();
        let refused = post_large(&mut connection, path, content_type, &body);
        assert!(refused.starts_with("HTTP/1.1 413 "), "{path}: {refused}");
    }
    check(
        &Client::new(ours.address).get("/-/ready"),
        200,
        "Prometheus Server is Ready.\n",
    );
}

/// Sends until the server has had enough, and reads what it said.
fn post_large(
    connection: &mut std::net::TcpStream,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> String {
    use std::io::{Read, Write};
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    let mut said = [0; 256];
    let read = connection.read(&mut said).unwrap();
    String::from_utf8_lossy(&said[..read]).into_owned()
}
