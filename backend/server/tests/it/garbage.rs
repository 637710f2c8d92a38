//! Garbage on every endpoint: an answer with a status that Tempo gives, and a process that goes on.

use std::time::{Duration, Instant};

use crate::{
    client::{Client, target},
    data::{self, Random},
    golden::now_ns,
    serving::Ours,
};

/// Longest answer to anything here.
const PATIENCE: Duration = Duration::from_secs(20);
const PATHS: [&str; 8] = [
    "/api/search",
    "/api/search/tags",
    "/api/v2/search/tags",
    "/api/search/tag/name/values",
    "/api/v2/search/tag/name/values",
    "/api/metrics/query_range",
    "/api/metrics/query",
    "/api/traces/ab",
];
const PARAMETERS: [&str; 14] = [
    "q",
    "query",
    "tags",
    "start",
    "end",
    "since",
    "step",
    "limit",
    "spss",
    "scope",
    "minDuration",
    "maxDuration",
    "exemplars",
    "mode",
];
const VALUES: [&str; 24] = [
    "",
    "0",
    "-1",
    "1e309",
    "NaN",
    "18446744073709551616",
    "9223372036854775807",
    "9999-12-31T23:59:59Z",
    "-9223372036854775808",
    "0.0000000000000001",
    "{",
    "{}",
    "{} | rate()",
    "{ .a =~ \"(((((\" }",
    "{ 1 / 0 = 1 }",
    "{ duration > 99999999999999999999h }",
    "{} | quantile_over_time(duration, -1, 5, NaN)",
    "\"\\",
    "a=b a=b",
    "\u{0}\u{7f}\u{2028}é😀",
    "1ns",
    "9999999999y",
    "292277026596y",
    "span",
];

#[test]
fn any_parameter_may_be_garbage() {
    let ours = Ours::start(now_ns);
    let mut random = Random(1);
    for index in 0..20 {
        let trace = data::trace(&mut random, now_ns() - (index + 1) * 1_000_000_000);
        ours.store.ingest(&trace.request, now_ns()).unwrap();
    }
    let mut client = Client::new(ours.address);
    let mut asked = 0;
    for path in PATHS {
        for name in PARAMETERS {
            for value in VALUES {
                let pairs = [("q", "{} | rate()"), (name, value)];
                let parameters = if name == "q" || name == "tags" {
                    &pairs[1..]
                } else {
                    &pairs[..]
                };
                check(&mut client, &target(path, parameters));
                asked += 1;
            }
        }
    }
    assert_eq!(asked, PATHS.len() * PARAMETERS.len() * VALUES.len());
    assert_eq!(client.get("/api/echo").text(), "echo");
}

#[test]
fn deep_and_long_queries_are_refused_or_answered() {
    let ours = Ours::start(now_ns);
    let mut client = Client::new(ours.address);
    let deep = |open: &str, close: &str, times| {
        format!("{{ {}true{} }}", open.repeat(times), close.repeat(times))
    };
    for query in [
        deep("(", ")", 10_000),
        deep("!", "", 20_000),
        format!("{{ {} true }}", "true && ".repeat(4_000)),
        format!("{{}}{}", " && {}".repeat(4_000)),
        format!("{{}}{}", " | count() > 0".repeat(2_000)),
        format!("{{ .a = \"{}\" }}", "é".repeat(10_000)),
        format!("{{ .a =~ \"{}\" }}", "(a{9}){9}".repeat(200)),
        format!("{{ .a = \"{}\" }}", "x".repeat(100_000)),
    ] {
        for path in [
            "/api/search",
            "/api/metrics/query_range",
            "/api/v2/search/tags",
        ] {
            check(&mut client, &target(path, &[("q", &query)]));
        }
    }
}

#[test]
fn a_query_with_an_error_is_refused_with_its_position() {
    let ours = Ours::start(now_ns);
    let mut client = Client::new(ours.address);
    for (path, query, position) in [
        ("/api/search", "{ nope", "line 1, col 3"),
        ("/api/search", "{\n\n  nope }", "line 3, col 3"),
        (
            "/api/metrics/query_range",
            "{} | rate() by(nope)",
            "line 1, col 16",
        ),
        (
            "/api/metrics/query",
            "{} | rate() by(nope)",
            "line 1, col 16",
        ),
    ] {
        let answer = client.get(&target(path, &[("q", query)]));
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
        assert!(answer.text().contains(position), "{}", answer.text());
    }
}

#[test]
fn bytes_that_are_no_url_get_400_or_404() {
    let ours = Ours::start(now_ns);
    let mut client = Client::new(ours.address);
    for target in [
        "/api/traces/%",
        "/api/traces/%ff%fe",
        "/api/traces/..%2f..%2fetc",
        "/api/search?q=%",
        "/api/search?q=%ff&%=%",
        "/api/v2/search/tag/%ff/values",
        "/api/search?&&&===&",
    ] {
        check(&mut client, target);
    }
    let long_id = format!("/api/traces/{}", "a".repeat(60_000));
    assert_eq!(client.get(&long_id).status, 400);
}

/// It is answered as JSON or refused with a reason, in time.
fn check(client: &mut Client, target: &str) {
    let shown: String = target.chars().take(300).collect();
    let begun = Instant::now();
    let answer = client.get(target);
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status {
        200 => drop(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()),
        400 => assert!(!text.is_empty(), "{shown}"),
        404 | 414 => {}
        status => panic!("{status} {text} for {shown}"),
    }
    assert!(
        begun.elapsed() < PATIENCE,
        "{shown} took {:?}",
        begun.elapsed()
    );
}
