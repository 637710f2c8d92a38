//! The same pushes and questions to the real Loki and to ours: status, type and what is said are compared.

use serde_json::{Value, json};

use super::world::{Ours, lines, now_ns, push, real, wait_until_it_answers};
use crate::client::{Answer, Client, target};

/// Paths and parameters whose answers differ, and why.
const EXPLAINED: [(&str, &str); 0] = [];

#[test]
#[expect(clippy::print_stdout, reason = "who runs the tests wants the score")]
fn answers_are_those_of_the_real_loki() {
    let Some(real) = real() else { return };
    let ours = Ours::start();
    let (mut ours, mut theirs) = (Client::new(ours.address), Client::new(real.address));
    let now_ns = now_ns();
    let pushed = lines(now_ns);
    let range = [
        (now_ns - 60_000_000_000).to_string(),
        (now_ns + 1_000_000_000).to_string(),
    ];
    let first = target(
        "/loki/api/v1/query_range",
        &[
            ("query", r#"{service="gateway"}"#),
            ("start", &range[0]),
            ("end", &range[1]),
        ],
    );
    assert_eq!(push(&mut ours, &pushed).status, 204);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while push(&mut theirs, &pushed).status != 204 {
        assert!(std::time::Instant::now() < deadline, "loki takes no push");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    wait_until_it_answers(&mut theirs, &first);

    let (mut identical, mut different) = (0, Vec::new());
    let mut compare = |path: &str, parameters: &[(&str, &str)]| {
        let asked = target(&format!("/loki/api/v1/{path}"), parameters);
        let (a, b) = (normal(&ours.get(&asked)), normal(&theirs.get(&asked)));
        let (a, b) = (without_values(path, a), without_values(path, b));
        let name = format!("{path} {parameters:?}");
        let is_explained = EXPLAINED
            .iter()
            .any(|(explained, _)| name.contains(explained));
        match a == b {
            true => identical += 1,
            false if is_explained => {}
            false => different.push(format!("{name}\n  ours   {a}\n  theirs {b}")),
        }
    };
    let (start, end) = (range[0].as_str(), range[1].as_str());
    for query in QUERIES {
        for direction in ["forward", "backward"] {
            compare(
                "query_range",
                &[
                    ("query", query),
                    ("start", start),
                    ("end", end),
                    ("direction", direction),
                    ("step", ["5", "5s"][usize::from(direction == "forward")]),
                ],
            );
        }
        compare("query", &[("query", query), ("time", end)]);
        compare("format_query", &[("query", query)]);
    }
    for (path, parameters) in [
        (
            "query_range",
            &[
                ("query", "{service=\"gateway\"}"),
                ("limit", "3"),
                ("start", start),
                ("end", end),
            ][..],
        ),
        (
            "query_range",
            &[
                ("query", "{service=\"gateway\"}"),
                ("limit", "5001"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "query_range",
            &[
                ("query", "{service=\"gateway\"}"),
                ("limit", "x"),
                ("start", start),
                ("end", end),
            ],
        ),
        ("labels", &[("start", start), ("end", end)]),
        ("label", &[("start", start), ("end", end)]),
        ("label/service/values", &[("start", start), ("end", end)]),
        (
            "label/level/values",
            &[
                ("start", start),
                ("end", end),
                ("query", "{service=\"worker\"}"),
            ],
        ),
        ("label/nothing/values", &[("start", start), ("end", end)]),
        (
            "series",
            &[
                ("start", start),
                ("end", end),
                ("match[]", "{env=\"test\"}"),
            ],
        ),
        (
            "series",
            &[
                ("start", start),
                ("end", end),
                ("match[]", "{service=\"none\"}"),
            ],
        ),
        (
            "index/volume",
            &[("query", "{env=\"test\"}"), ("start", start), ("end", end)],
        ),
        (
            "index/volume",
            &[
                ("query", "{service=~\".+\"}"),
                ("aggregateBy", "labels"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "index/volume_range",
            &[
                ("query", "{service=~\".+\"}"),
                ("step", "10000h"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "index/volume_range",
            &[
                ("query", "{service=~\".+\"}"),
                ("step", "10000h"),
                ("targetLabels", "env"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "index/volume_range",
            &[
                ("query", "{service=\"nobody\"}"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "index/volume_range",
            &[("query", "{service="), ("start", start), ("end", end)],
        ),
        (
            "index/volume_range",
            &[
                ("query", "{service=~\".+\"}"),
                ("step", "0"),
                ("start", start),
                ("end", end),
            ],
        ),
        (
            "index/volume_range",
            &[
                ("query", "{service=~\".+\"}"),
                ("step", "1ms"),
                ("start", start),
                ("end", end),
            ],
        ),
        ("index/volume_range", &[("start", start), ("end", end)]),
    ] {
        compare(path, parameters);
    }
    println!(
        "Loki and ours: {identical} identical, {} explained, {} not",
        EXPLAINED.len(),
        different.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// None that has to choose between equals: the real one does it by chance.
const QUERIES: [&str; 24] = [
    r#"{service="gateway"}"#,
    r#"{service=~"gate.*|worker"}"#,
    r#"{env="test"} |= "job""#,
    r#"{env="test"} != "job""#,
    r#"{env="test"} |~ "job=(7|8)""#,
    r#"{app="other"}"#,
    r#"{service="gateway"} | trace_id="00000000000000000000000000000003""#,
    r#"{service="gateway"} | json"#,
    r#"{service="gateway"} | json | status > 204"#,
    r#"{service="worker"} | logfmt | took > 8ms"#,
    r#"{service="worker"} | logfmt | line_format "{{.job}} took {{.took}}""#,
    r#"{service="worker"} | pattern "level=<level> job=<job> <_>""#,
    r#"{service="worker"} | regexp "job=(?P<number>\\d+)""#,
    r#"count_over_time({env="test"}[10s])"#,
    r#"sum by (service) (rate({env="test"}[10s]))"#,
    r#"sum(bytes_over_time({service="gateway"}[1m]))"#,
    r#"max_over_time({service="gateway"} | json | unwrap status [30s]) by (service)"#,
    r#"quantile_over_time(0.5, {service="worker"} | logfmt | unwrap duration(took) [30s]) by (service)"#,
    r#"topk(2, sum by (service) (count_over_time({env="test"}[1m])))"#,
    r#"absent_over_time({service="nobody"}[1m])"#,
    r#"{service="gateway""#,
    r#"{}"#,
    r#"rate({service="gateway"})"#,
    r#"vector(1)"#,
];

/// Bytes of a part of a chunk are an estimate of the real one's; ours are counted.
fn without_values(path: &str, mut answer: Value) -> Value {
    if path.starts_with("index/volume") {
        let result = answer
            .pointer_mut("/body/data/result")
            .and_then(Value::as_array_mut);
        for series in result.into_iter().flatten() {
            if let Some(value) = series.get_mut("value") {
                value[1] = Value::Null;
            }
            let values = series.get_mut("values").and_then(Value::as_array_mut);
            values
                .into_iter()
                .flatten()
                .for_each(|value| value[1] = Value::Null);
        }
    }
    answer
}

/// What has to be the same: everything but statistics, the order of streams, and how many digits a number has.
fn normal(answer: &Answer) -> Value {
    let mut body: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| Value::from(answer.text().trim()));
    if let Some(data) = body.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("stats");
        if let Some(result) = data.get_mut("result").and_then(Value::as_array_mut) {
            result.sort_by_cached_key(|stream| {
                stream
                    .get("stream")
                    .or(stream.get("metric"))
                    .map(Value::to_string)
            });
        }
    }
    if let Some(series) = body.get_mut("data").and_then(Value::as_array_mut) {
        series.sort_by_cached_key(Value::to_string);
    }
    json!({"status": answer.status, "type": answer.content_type, "body": body})
}
