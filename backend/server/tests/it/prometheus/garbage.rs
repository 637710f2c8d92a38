//! Garbage on every endpoint: an answer with a status that Prometheus gives, and a process that goes on.

use std::time::{Duration, Instant};

use ::prometheus::Configuration;

use super::{
    world::{Ours, write},
    write_request::series,
};
use crate::client::{Client, target};

const NOW_MS: i64 = 1_795_431_600_000;
/// Longest answer to anything here.
const PATIENCE: Duration = Duration::from_secs(20);
const PATHS: [&str; 17] = [
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/format_query",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/label/job/values",
    "/api/v1/metadata",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/scrape_pools",
    "/api/v1/alertmanagers",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/status/tsdb",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/config",
];
const PARAMETERS: [&str; 20] = [
    "query",
    "time",
    "timeout",
    "limit",
    "lookback_delta",
    "start",
    "end",
    "step",
    "match[]",
    "limit_per_metric",
    "metric",
    "match_target",
    "state",
    "type",
    "rule_name[]",
    "exclude_alerts",
    "group_limit",
    "group_next_token",
    "stats",
    "scrapePool",
];
const VALUES: [&str; 26] = [
    "",
    "0",
    "-1",
    "1e309",
    "NaN",
    "-Inf",
    "0x1p3",
    "18446744073709551616",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775.807",
    "9999-12-31T23:59:59Z",
    "-292273086-05-16T16:47:06Z",
    "292277025-08-18T07:12:54.999999999Z",
    "0.0000000000000001",
    "{",
    "{}",
    "up[9999y:1ms]",
    "up offset 300y",
    "up @ 1e300",
    "rate(up[5m])",
    "label_replace(up, \"a\", \"$1\", \"b\", \"(((\")",
    "\"\\",
    "\u{0}\u{7f}\u{2028}é😀",
    "9999999999y",
    "true",
];

fn start() -> Ours {
    let configuration = Configuration::BuiltIn {
        path: "prometheus.yml".into(),
        config: "scrape_configs: [{job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}]",
        rules: vec![(
            "rules.yml".into(),
            "groups: [{name: g, rules: [{alert: A, expr: up}]}]",
        )],
    };
    let ours = Ours::still(configuration, NOW_MS);
    let up = [("__name__", "up"), ("job", "a")];
    let samples: Vec<(i64, f64)> = (0..100)
        .map(|step| (NOW_MS - (99 - step) * 15_000, step as f64))
        .collect();
    let answer = write(&mut Client::new(ours.address), &[series(&up, &samples)]);
    assert_eq!(answer.status, 204);
    ours
}

#[test]
fn any_parameter_may_be_garbage() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let usual = [
        ("query", "up"),
        ("start", "1795431000"),
        ("end", "1795431600"),
        ("step", "60"),
        ("match[]", "up"),
    ];
    for path in PATHS {
        for name in PARAMETERS {
            for value in VALUES {
                let others = usual.iter().filter(|(usual, _)| *usual != name);
                let parameters: Vec<_> = others.copied().chain([(name, value)]).collect();
                check(&mut client, "GET", &target(path, &parameters), &[]);
            }
        }
    }
    assert_eq!(client.get("/-/healthy").status, 200);
}

#[test]
fn deep_and_long_queries_are_refused_or_answered() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for query in [
        format!("{}up{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{}up", "-".repeat(50_000)),
        format!("up{}", " + up".repeat(5_000)),
        format!("up{{a=~\"{}\"}}", "(a{9}){9}".repeat(200)),
        format!("up{{a=\"{}\"}}", "é".repeat(1_000_000)),
        "up[1d:1ms]".repeat(3),
    ] {
        for path in [
            "/api/v1/query",
            "/api/v1/query_exemplars",
            "/api/v1/format_query",
        ] {
            let body = &target("", &[("query", &query)])[1..];
            let headers = [form[0]];
            check_with(&mut client, "POST", path, &headers, body.as_bytes());
        }
    }
}

#[test]
fn bytes_that_are_no_url_or_form_are_refused_or_left_out() {
    let ours = start();
    let mut client = Client::new(ours.address);
    for path in [
        "/api/v1/query?query=%",
        "/api/v1/query?query=up&%=%;;&&==",
        "/api/v1/series?match[]=%ff",
        "/api/v1/label/%/values",
        "/api/v1/label/%ff%fe/values",
        "/api/v1/label/..%2f..%2fetc/values",
        "/api/v1/label//values",
        "/api/v1/../v1/query",
        "//api/v1/query",
    ] {
        check(&mut client, "GET", path, &[]);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for body in [
        &b"query=%zz"[..],
        b"\xff\xfe\x00",
        b"query=1;query=2",
        b"=&=&=",
    ] {
        check_with(&mut client, "POST", "/api/v1/query", &form, body);
    }
    for method in ["PATCH", "TRACE", "HEAD", "DELETE", "CONNECTED"] {
        let answer = client.ask(method, "/api/v1/query", &[], &[]);
        assert_eq!(answer.status, 405, "{method}");
    }
}

fn check(client: &mut Client, method: &str, path: &str, body: &[u8]) {
    check_with(client, method, path, &[], body);
}

/// It is answered as JSON or refused with a reason, in time.
fn check_with(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    let shown: String = path.chars().take(300).collect();
    let begun = Instant::now();
    let answer = client.ask(method, path, headers, body);
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status {
        204 => assert_eq!(text, "", "{shown}"),
        404 | 414 => {}
        200 | 400 | 422 | 503 => {
            let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let status = if answer.status == 200 {
                "success"
            } else {
                "error"
            };
            assert_eq!(value["status"], status, "{shown}");
            assert_eq!(
                value["error"]
                    .as_str()
                    .is_some_and(|error| !error.is_empty()),
                answer.status != 200,
                "{shown}: {text}"
            );
        }
        status => panic!("{status} {text} for {shown}"),
    }
    assert!(
        begun.elapsed() < PATIENCE,
        "{shown} took {:?}",
        begun.elapsed()
    );
}
