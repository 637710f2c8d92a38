//! Pushes in every form, and refusals in Loki's words.

use serde_json::json;

use super::world::{Ours, lines, now_ns, push};
use crate::client::{Client, target};

#[test]
fn what_is_pushed_is_found_at_once_by_its_trace() {
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    let answer = push(&mut client, &lines(now_ns()));
    assert_eq!(answer.status, 204, "{}", answer.text());
    let trace = format!("{:032x}", 7);
    let target = format!(
        "/loki/api/v1/query_range?query=%7Bservice%3D%22gateway%22%7D%7Ctrace_id%3D%22{trace}%22"
    );
    let answer = client.get(&target);
    assert_eq!(answer.status, 200);
    let found: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let streams = found["data"]["result"].as_array().unwrap();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0]["stream"]["trace_id"], trace);
    assert_eq!(streams[0]["values"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_push_is_refused_and_nothing_of_it_is_stored() {
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    let protobuf = [("content-type", "application/x-protobuf")];
    let json = [("content-type", "application/json")];
    let bomb = {
        let mut bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        bomb.extend([0; 10]);
        bomb
    };
    for (headers, body, status) in [
        (&protobuf, &b"nonsense"[..], 400),
        (&protobuf, &bomb, 413),
        (&protobuf, b"", 400),
        (&json, b"{", 400),
        (&json, b"{\"streams\": 1}", 400),
        (&json, b"{\"streams\": []}", 422),
        (
            &json,
            b"{\"streams\": [{\"stream\": {\"a\": \"b\"}, \"values\": [[\"soon\", \"x\"]]}]}",
            400,
        ),
        (
            &json,
            b"{\"streams\": [{\"stream\": {}, \"values\": [[\"1\", \"x\"]]}]}",
            400,
        ),
    ] {
        let answer = client.ask("POST", "/loki/api/v1/push", headers, body);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    let labels = client.get("/loki/api/v1/labels");
    assert_eq!(labels.text(), "{\"status\":\"success\"}");
}

#[test]
fn lines_that_are_refused_are_said_and_the_others_stored() {
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    let now = now_ns();
    let old = (now - 8 * 24 * 3_600 * 1_000_000_000).to_string();
    let body = json!({"streams": [{"stream": {"service": "a"}, "values": [
        [now.to_string(), "good"], [old, "old"], [(now + 3_600_000_000_000).to_string(), "new"],
    ]}]});
    let answer = push(&mut client, &body);
    assert_eq!(answer.status, 400);
    let text = answer.text();
    for words in [
        "timestamp too old",
        "timestamp too new",
        "total ignored: 2 out of 3",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let found = client.get("/loki/api/v1/query_range?query=%7Bservice%3D%22a%22%7D");
    assert!(found.text().contains("\"good\"") && !found.text().contains("\"old\""));
}

#[test]
fn garbage_gets_a_refusal_and_nothing_breaks() {
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    for path in [
        "query",
        "query_range",
        "labels",
        "label/x/values",
        "series",
        "index/stats",
        "index/volume",
        "detected_labels",
        "detected_fields",
        "format_query",
    ] {
        for parameters in [
            "query=%7B",
            "query=%7Ba%3D%22b%22%7D&start=soon",
            "query=%7Ba%3D%22b%22%7D&limit=-1",
            "query=%00",
            "match%5B%5D=%7B",
            "start=9223372036854775807&end=0",
            "step=0&query=rate(%7Ba%3D%22b%22%7D%5B1m%5D)",
            "time=x",
            "direction=up&query=%7Ba%3D%22b%22%7D",
            "since=never",
        ] {
            let answer = client.get(&format!("/loki/api/v1/{path}?{parameters}"));
            assert!(
                [200, 400].contains(&answer.status),
                "{path}?{parameters}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(client.get("/ready").text(), "ready\n");
    assert_eq!(client.get("/nowhere").status, 404);
}

#[test]
fn the_volume_of_each_step_is_the_bytes_of_its_lines() {
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    let minute_ns = 60_000_000_000;
    let start_ns = (now_ns() / minute_ns - 5) * minute_ns;
    let at =
        |seconds: i64, line: &str| json!([(start_ns + seconds * 1_000_000_000).to_string(), line]);
    let body = json!({"streams": [
        {"stream": {"app": "a"}, "values": [at(0, "12"), at(59, "345"), at(60, "6"), at(200, "7890")]},
        {"stream": {"app": "b"}, "values": [at(61, "1")]},
    ]});
    assert_eq!(push(&mut client, &body).status, 204);
    let (start, end) = (start_ns.to_string(), (start_ns + 4 * minute_ns).to_string());
    let mut asked = |limit: &str| {
        let parameters = [
            ("query", r#"{app=~".+"}"#),
            ("start", &start),
            ("end", &end),
            ("step", "60"),
            ("limit", limit),
        ];
        let answer = client.get(&target("/loki/api/v1/index/volume_range", &parameters));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        body["data"].clone()
    };
    let first = start_ns as f64 / 1e9;
    let last_of = |minute: f64| first + 60.0 * minute - 0.001;
    let a = json!({"metric": {"app": "a"}, "values": [
        [last_of(1.0), "5"], [last_of(2.0), "1"], [start_ns / 1_000_000_000 + 240, "4"],
    ]});
    let b = json!({"metric": {"app": "b"}, "values": [[last_of(2.0), "1"]]});
    assert_eq!(
        asked("9"),
        json!({"resultType": "matrix", "result": [a, b]})
    );
    assert_eq!(asked("1"), json!({"resultType": "matrix", "result": [a]}));
}
