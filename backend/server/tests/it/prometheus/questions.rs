//! What both are asked: every endpoint with good and bad parameters, and expressions over the data of the comparison.

use std::sync::LazyLock;

use crate::client::target;

/// Replaced by Unix seconds: the first and last sample, and a moment between them.
const START: &str = "{start}";
const END: &str = "{end}";

/// Asked at one moment and over the range.
const EXPRESSIONS: [&str; 66] = [
    "requests_total",
    "requests_total{code=\"500\"}",
    "requests_total{code=~\"5..\",job!=\"b\"}",
    "{__name__=~\"requests.*\"}",
    "{\"http.size\", \"http.status_code\"=\"200\"}",
    "temperature",
    "temperature * 1e30",
    "temperature / 1e30",
    "-temperature",
    "temperature > 20",
    "temperature > bool 20",
    "rate(requests_total[1m])",
    "irate(requests_total[5m])",
    "increase(requests_total[10m])",
    "sum by (job) (rate(requests_total[2m]))",
    "sum without (job, code) (requests_total)",
    "avg(temperature)",
    "min by (zone) (temperature)",
    "max(temperature)",
    "count(requests_total)",
    "stddev(temperature)",
    "topk(2, requests_total)",
    "bottomk(1, temperature)",
    "quantile(0.9, temperature)",
    "quantile(1.5, temperature)",
    "count_values(\"v\", requests_total > bool 100)",
    "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))",
    "histogram_quantile(0.5, latency_bucket)",
    "requests_total / on (job) group_left () sum by (job) (requests_total)",
    "requests_total and on (job) requests_total{code=\"500\"}",
    "requests_total or temperature",
    "requests_total unless requests_total{code=\"200\"}",
    "requests_total * on (job) requests_total",
    "absent(nothing)",
    "absent_over_time(nothing[5m])",
    "changes(temperature[10m])",
    "deriv(temperature[10m])",
    "predict_linear(temperature[10m], 600)",
    "avg_over_time(temperature[5m])",
    "max_over_time(rate(requests_total[1m])[10m:1m])",
    "requests_total offset 5m",
    "requests_total @ {middle}",
    "requests_total @ end()",
    "label_replace(temperature, \"where\", \"<$1>\", \"zone\", \"(.*)\")",
    "label_join(requests_total, \"both\", \"&\", \"job\", \"code\")",
    "label_replace(temperature, \"a\", \"$1\", \"zone\", \"(((\")",
    "sort_desc(requests_total)",
    "clamp(temperature, 0, 20)",
    "scalar(sum(requests_total))",
    "vector(1)",
    "time()",
    "1 / 0",
    "0 / 0",
    "-1e-7",
    "1e21",
    "\"text <b>\"",
    "requests_total[45s]",
    "requests_total[5m:1m]",
    "timestamp(requests_total)",
    "day_of_week()",
    "rate(temperature[5m])",
    "rate(requests_total)",
    "sum(requests_total",
    "requests_total{",
    "nothing(1)",
    "",
];

/// Paths with parameters. Of those with `times` the range is asked as well.
static OTHERS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut questions = Vec::new();
    let mut ask = |path: &str, parameters: &[(&str, &str)]| {
        questions.push(target(&format!("/api/v1/{path}"), parameters));
    };
    for (name, value) in [
        ("time", "{middle}.5"),
        ("time", "{middle}.0505"),
        ("time", "1e9"),
        ("time", "-1"),
        ("time", "2020-01-01T00:00:00Z"),
        ("time", "2020-01-01T00:00:00.123456+02:00"),
        ("time", "2020-01-01"),
        ("time", "now"),
        ("time", "NaN"),
        ("timeout", "1s"),
        ("timeout", "0"),
        ("timeout", "-1"),
        ("timeout", "x"),
        ("timeout", "1e30"),
        ("limit", "1"),
        ("limit", "0"),
        ("limit", "1000000"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", "99999999999999999999"),
        ("lookback_delta", "1s"),
        ("lookback_delta", "600"),
        ("lookback_delta", "0"),
        ("lookback_delta", "x"),
    ] {
        for query in ["requests_total", "requests_total[1m]", "1", "\"a\""] {
            let time = ("time", "{end}");
            match name {
                "time" => ask("query", &[("query", query), (name, value)]),
                _ => ask("query", &[("query", query), time, (name, value)]),
            }
        }
    }
    let range = [("start", START), ("end", END), ("step", "60")];
    for (name, value) in [
        ("start", ""),
        ("start", "x"),
        ("start", "{end}.5"),
        ("start", "2020-01-01T00:00:00Z"),
        ("end", ""),
        ("end", "1"),
        ("end", "99999999999"),
        ("step", ""),
        ("step", "0"),
        ("step", "-1"),
        ("step", "1m30s"),
        ("step", "7.5"),
        ("step", "1x"),
        ("step", "1e30"),
        ("step", "0.05"),
        ("limit", "1"),
        ("limit", "x"),
        ("timeout", "x"),
        ("timeout", "0"),
        ("lookback_delta", "15"),
        ("query", "requests_total[1m]"),
        ("query", "\"a\""),
        ("query", "time()"),
    ] {
        let others = range.iter().filter(|(other, _)| *other != name);
        let mut parameters: Vec<_> = others.copied().chain([(name, value)]).collect();
        if name != "query" {
            parameters.push(("query", "requests_total"));
        }
        ask("query_range", &parameters);
    }
    let selectors = [
        "requests_total",
        "temperature{zone=\"<b>\"}",
        "{job=\"a\"}",
        "{__name__=~\"requests.*|temperature\"}",
        "{job!=\"\"}",
        "{job!=\"a\"}",
        "{code=\"500\",job=~\".+\"}",
        "nothing",
        "{}",
        "{a=~\".*\"}",
        "{a=\"",
        "1",
        "requests_total[5m]",
        "sum(requests_total)",
        "requests_total offset 1m",
        "",
    ];
    for path in [
        "series",
        "labels",
        "label/job/values",
        "label/__name__/values",
    ] {
        for selector in selectors {
            let limited = [("match[]", selector), ("start", START), ("end", END)];
            ask(path, &limited);
            ask(path, &limited[..1]);
        }
        let two = [("match[]", "requests_total"), ("match[]", "temperature")];
        for (name, value) in [
            ("limit", "1"),
            ("limit", "0"),
            ("limit", "x"),
            ("limit", "-1"),
            ("start", "x"),
            ("end", "x"),
            ("start", "-292273086-05-16T16:47:06Z"),
            ("end", "292277025-08-18T07:12:54.999999999Z"),
            ("end", "1"),
            ("match[]", "{job=\"a\"}"),
            ("match[]", "up{"),
        ] {
            ask(path, &[two[0], two[1], (name, value)]);
        }
    }
    ask("series", &[]);
    ask("labels", &[]);
    for name in [
        "code",
        "zone",
        "le",
        "nothing",
        "U__http_2e_status__code",
        "U__zone",
        "U__zone_",
        "U__",
        "http.status_code",
        "%ff",
        "a b",
    ] {
        let name = if name == "a b" { "a%20b" } else { name };
        ask(&format!("label/{name}/values"), &[]);
    }
    for query in [
        "latency_bucket",
        "rate(latency_bucket{le=\"0.1\"}[5m]) + latency_bucket",
        "sum(shop_orders_total)",
        "temperature",
        "1",
        "(",
        "",
    ] {
        ask("query_exemplars", &[("query", query)]);
        ask(
            "query_exemplars",
            &[("query", query), ("start", START), ("end", END)],
        );
    }
    for (name, value) in [("start", "x"), ("end", "x"), ("end", "1")] {
        let query = ("query", "latency_bucket");
        ask("query_exemplars", &[query, ("start", START), (name, value)]);
    }
    for query in [
        "sum(a)by(b)/1",
        "histogram_quantile(0.99,sum by(le,service)(rate(http_server_request_duration_seconds_bucket[5m])))>0.5",
        "a{b=~\"c\"}  [5m]",
        "-a ^ 2",
        "a @ 1 offset -1m",
        "\"x\"",
        "1e3",
        "sum(",
        "",
    ] {
        ask("format_query", &[("query", query)]);
    }
    for (name, value) in [
        ("", ""),
        ("limit", "1"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit_per_metric", "1"),
        ("limit_per_metric", "0"),
        ("limit_per_metric", "x"),
        ("metric", "shop_orders"),
        ("metric", "nothing"),
    ] {
        // Which metric is the only one, Prometheus leaves to chance.
        let limited = [(name, value), ("metric", "shop_orders")];
        ask("metadata", &limited[..1 + usize::from(value == "1")]);
        if name != "limit_per_metric" {
            ask("targets/metadata", &[(name, value)]);
        }
    }
    for value in ["{job=\"shop\"}", "{job=\"none\"}", "{", "1"] {
        ask("targets/metadata", &[("match_target", value)]);
    }
    for parameters in [
        &[][..],
        &[("state", "active")],
        &[("state", "Dropped")],
        &[("state", "any")],
        &[("state", "x")],
        &[("scrapePool", "shop")],
        &[("scrapePool", "none")],
        &[("scrapePool", "shop"), ("state", "dropped")],
    ] {
        ask("targets", parameters);
    }
    for parameters in [
        &[][..],
        &[("type", "alert")],
        &[("type", "RECORD")],
        &[("type", "x")],
        &[("rule_name[]", "High")],
        &[("rule_name[]", "High"), ("rule_name[]", "job:requests:sum")],
        &[("rule_name[]", "")],
        &[("rule_group[]", "alerts")],
        &[("rule_group[]", "none")],
        &[("file[]", "none")],
        &[("exclude_alerts", "true")],
        &[("exclude_alerts", "F")],
        &[("exclude_alerts", "x")],
        &[("match[]", "{severity=\"page\"}")],
        &[("match[]", "{at=~\".*value.*\"}")],
        &[
            ("match[]", "{severity!=\"page\",team=\"shop\"}"),
            ("match[]", "{at!=\"\"}"),
        ],
        &[("match[]", "{}")],
        &[("match[]", "(")],
        &[("group_limit", "1")],
        &[("group_limit", "1"), ("rule_group[]", "recordings")],
        &[("group_limit", "100")],
        &[("group_limit", "0")],
        &[("group_limit", "-1")],
        &[("group_limit", "x")],
        &[("group_limit", "3000000000")],
        &[("group_next_token", "x")],
        &[("group_limit", "1"), ("group_next_token", "x")],
    ] {
        ask("rules", parameters);
    }
    for limit in ["1", "0", "-1", "x", "10000", "10001"] {
        ask("status/tsdb", &[("limit", limit)]);
    }
    for path in [
        "alerts",
        "scrape_pools",
        "alertmanagers",
        "status/config",
        "status/flags",
        "status/buildinfo",
        "status/runtimeinfo",
        "status/tsdb",
        "nothing",
        "",
    ] {
        ask(path, &[]);
    }
    for path in [
        "query?query=%zz",
        "query?query=1;x=2&query=1&time=1",
        "query?query=1&query=2&time=1",
        "query?query=&query=2",
        "series?match[]=requests_total&x=%zz",
        "series?match[]=requests_total&a;b",
        "rules?a;b",
    ] {
        ask(path, &[]);
    }
    questions
});

/// All of them as paths, with the times put in.
pub(super) fn all(start_s: i64, middle_s: i64, end_s: i64) -> Vec<String> {
    let mut questions = Vec::new();
    for query in EXPRESSIONS {
        questions.push(target("/api/v1/query", &[("query", query), ("time", END)]));
        let range = [
            ("query", query),
            ("start", START),
            ("end", END),
            ("step", "97"),
        ];
        questions.push(target("/api/v1/query_range", &range));
    }
    questions.extend(OTHERS.iter().cloned());
    // Parameters are encoded already, and so are the places of the times.
    let times = [("start", start_s), ("middle", middle_s), ("end", end_s)];
    let put = |question: String| {
        times.iter().fold(question, |question, (name, seconds)| {
            question.replace(&format!("%7B{name}%7D"), &seconds.to_string())
        })
    };
    questions.into_iter().map(put).collect()
}
