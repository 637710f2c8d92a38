//! The same samples, rules and target in the real Prometheus and in ours, and the same questions to both. Bodies are compared
//! to the byte, but for what differs from one moment to the next, and for lists that Prometheus leaves in no order.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use ::prometheus::Configuration;
use peers::{Peer, component, free_address, wait_until};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    differences::{EXPLAINED, Extent, PARTS, explained},
    questions,
    world::{Ours, WRITE_HEADERS, system_ms, target as scraped},
    write_request::{self, Exemplar, TimeSeries, body, series},
};
use crate::client::{Answer, Client, target};

const PATIENCE: Duration = Duration::from_secs(60);
/// The samples of remote write begin so long before now, which is young enough for both.
const AGE_S: i64 = 40 * 60;
const STEP_S: i64 = 15;
const STEPS: i64 = 150;

/// What is scraped. Its exemplars say when they were, so that both store the same.
const PAGE: &str = "# TYPE shop_orders counter
# HELP shop_orders Orders <of> \"all\" kinds.
shop_orders_total{kind=\"a\"} 5 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 1 {at}.5
shop_orders_total{kind=\"b\"} 1e30
# TYPE shop_wait_seconds histogram
# UNIT shop_wait_seconds seconds
shop_wait_seconds_bucket{le=\"0.1\"} 3 # {trace_id=\"1af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"} 0.05 {at}
shop_wait_seconds_bucket{le=\"+Inf\"} 4
shop_wait_seconds_sum 1.5
shop_wait_seconds_count 4
# TYPE shop_info info
shop_info{version=\"1\"} 1
# EOF
";

const RULES: &str = "groups:
- name: recordings
  interval: 1s
  rules:
  - {record: 'job:requests:sum', expr: 'sum by (job) (requests_total)', labels: {team: shop}}
- name: alerts
  interval: 1s
  limit: 70
  rules:
  - {alert: High, expr: 'max_over_time(requests_total[1h]) > 100', for: 1h, keep_firing_for: 90s, labels: {severity: page, at: '{{ $value }}'}, annotations: {summary: '<{{ $labels.code }}> & {{ humanize $value }}'}}
  - {alert: Always, expr: 'vector(1.5)', labels: {team: shop}}
  - {alert: Bad, expr: 'label_replace(vector(1), \"a\", \"b\", \"c\", \"(\")'}
";

struct Real {
    process: Peer,
    address: SocketAddr,
}

impl Real {
    fn start(folder: &Path, config: &Path) -> Option<Self> {
        let program = component("prometheus")?;
        let address = free_address();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .arg("--web.enable-remote-write-receiver")
            .arg("--web.enable-lifecycle")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Peer::start(command, &[address], PATIENCE).unwrap();
        wait_until(PATIENCE, || {
            Client::new(address).get("/-/ready").status == 200
        });
        Some(Self { process, address })
    }
}

#[derive(Default)]
struct Score {
    compared: usize,
    identical: usize,
    used: BTreeSet<usize>,
    unexplained: Vec<String>,
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "who runs the tests must know what was compared"
)]
fn answers_are_those_of_the_real_prometheus() {
    let folder = TempDir::new().unwrap();
    let now_s = system_ms() / 1_000;
    let runtime = Runtime::new().unwrap();
    let page = scraped(&runtime, &PAGE.replace("{at}", &(now_s - 60).to_string()));
    let config = configuration(folder.path(), page);
    let Some(real) = Real::start(folder.path(), &config) else {
        return;
    };
    let ours = Ours::running(Configuration::File(config));
    let start_s = (now_s - AGE_S) / STEP_S * STEP_S;
    let end_s = start_s + STEPS * STEP_S;
    let mut both = Both {
        ours: Client::new(ours.address),
        theirs: Client::new(real.address),
        score: Score::default(),
    };
    both.fill(&samples(start_s));
    both.wait();
    for question in questions::all(start_s, start_s + STEPS / 2 * STEP_S, end_s) {
        both.ask("GET", &question, &[], b"");
    }
    both.pages();
    both.forms(end_s);
    both.headers();
    both.writes(end_s);
    both.elsewhere();
    let score = both.score;
    drop(real.process);
    println!(
        "Prometheus 3.14.0 and ours: {} answers compared, {} identical, {} explained, {} not",
        score.compared,
        score.identical,
        score.compared - score.identical - score.unexplained.len(),
        score.unexplained.len(),
    );
    assert!(
        score.unexplained.is_empty(),
        "not explained:\n{}",
        score.unexplained.join("\n")
    );
    for (index, (question, ..)) in EXPLAINED.iter().enumerate() {
        assert!(
            score.used.contains(&index),
            "{question:?} is no difference any more"
        );
    }
}

fn configuration(folder: &Path, page: SocketAddr) -> std::path::PathBuf {
    let rules = folder.join("rules.yml");
    fs::write(&rules, RULES).unwrap();
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{}']\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:1']}}]}}]}}\n\
         scrape_configs:\n- job_name: shop\n  scrape_timeout: 500ms\n  static_configs: [{{targets: ['{page}', 'dropped:1'], labels: {{zone: x}}}}]\n  \
         relabel_configs: [{{source_labels: [__address__], regex: 'dropped:.*', action: drop}}]\n\
         - {{job_name: away, scrape_interval: 1m, metrics_path: /m, params: {{a: [b, c]}}, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n",
        rules.display()
    );
    fs::write(&config, text).unwrap();
    config
}

/// Counters with a reset and a gap, gauges with values of every kind, a histogram with exemplars.
fn samples(start_s: i64) -> Vec<TimeSeries> {
    let times = || (0..=STEPS).map(move |step| (step, (start_s + step * STEP_S) * 1_000));
    let mut all = Vec::new();
    for job in ["a", "b"] {
        for code in ["200", "404", "500"] {
            let rise = code.parse::<f64>().unwrap() / 700.0 + f64::from(job.as_bytes()[0]);
            let kept = times().filter(|(step, _)| job == "a" || !(40..70).contains(step));
            let values: Vec<_> = kept
                .map(|(step, t_ms)| (t_ms, rise * (step % 100 + 1) as f64))
                .collect();
            all.push(series(
                &[("__name__", "requests_total"), ("job", job), ("code", code)],
                &values,
            ));
        }
    }
    for (zone, factor) in [
        ("a", 0.1),
        ("<b>", 1e-9),
        ("c\"\\\n", f64::NAN),
        ("é", f64::INFINITY),
    ] {
        let values: Vec<_> = times()
            .map(|(step, t_ms)| (t_ms, factor * (step % 17) as f64 + factor))
            .collect();
        all.push(series(
            &[("__name__", "temperature"), ("zone", zone)],
            &values,
        ));
    }
    for (place, le) in ["0.1", "1", "+Inf"].into_iter().enumerate() {
        let values: Vec<_> = times()
            .map(|(step, t_ms)| (t_ms, (step * (place as i64 + 1)) as f64))
            .collect();
        let mut bucket = series(&[("__name__", "latency_bucket"), ("le", le)], &values);
        bucket.exemplars = (0..3)
            .map(|number| Exemplar {
                labels: write_request::labels(&[
                    ("trace_id", &format!("{place}{number}<")),
                    ("n", "é"),
                ]),
                value: 0.05 * number as f64,
                t_ms: (start_s + number * 60) * 1_000 + 50,
            })
            .collect();
        all.push(bucket);
    }
    let values: Vec<_> = times().map(|(_, t_ms)| (t_ms, 1e21)).collect();
    all.push(series(
        &[("__name__", "http.size"), ("http.status_code", "200")],
        &values,
    ));
    all
}

struct Both {
    ours: Client,
    theirs: Client,
    score: Score,
}

impl Both {
    fn fill(&mut self, samples: &[TimeSeries]) {
        for client in [&mut self.ours, &mut self.theirs] {
            let answer = client.ask("POST", "/api/v1/write", &WRITE_HEADERS, &body(samples));
            assert_eq!(
                answer.status,
                204,
                "{}",
                String::from_utf8_lossy(&answer.body)
            );
        }
    }

    /// Until both have scraped and evaluated.
    fn wait(&mut self) {
        for client in [&mut self.ours, &mut self.theirs] {
            let mut counts = |query: &str, number: usize| {
                wait_until(PATIENCE, || {
                    let answer = client.get(&target("/api/v1/query", &[("query", query)]));
                    let found: Value = serde_json::from_slice(&answer.body).unwrap();
                    found["data"]["result"]
                        .as_array()
                        .is_some_and(|found| found.len() == number)
                });
            };
            counts("shop_orders_total", 2);
            counts("up{job=\"away\"}", 1);
            counts("{__name__=\"job:requests:sum\"}", 2);
            counts("ALERTS_FOR_STATE", 7);
        }
    }

    /// Rule groups, one at a time.
    fn pages(&mut self) {
        let mut path = "/api/v1/rules?group_limit=1".to_owned();
        for page in 1.. {
            self.ask("GET", &path, &[], b"");
            let answer = self.theirs.get(&path);
            let found: Value = serde_json::from_slice(&answer.body).unwrap();
            let Some(token) = found["data"]["groupNextToken"].as_str() else {
                assert_eq!(page, 2, "there are two groups");
                return;
            };
            path = format!("/api/v1/rules?group_limit=1&group_next_token={token}");
        }
    }

    /// Parameters in a body.
    fn forms(&mut self, end_s: i64) {
        let form = ("content-type", "application/x-www-form-urlencoded");
        for path in [
            "query",
            "query_range",
            "query_exemplars",
            "format_query",
            "series",
            "labels",
        ] {
            let path = format!("/api/v1/{path}");
            let parameters = format!(
                "query=sum(requests_total)&match[]=temperature&time={end_s}&start={}&end={end_s}&step=30",
                end_s - 60
            );
            for headers in [
                &[form][..],
                &[(
                    "content-type",
                    "application/x-www-form-urlencoded; charset=UTF-8",
                )],
                &[],
                &[("content-type", "text/plain")],
            ] {
                self.ask("POST", &path, headers, parameters.as_bytes());
                self.ask(
                    "POST",
                    &format!("{path}?query=2&time={end_s}&match[]=x"),
                    headers,
                    parameters.as_bytes(),
                );
            }
            self.ask("POST", &path, &[form], b"query=%zz&a;b");
        }
    }

    fn headers(&mut self) {
        let path = "/api/v1/query?query=1&time=1";
        for headers in [
            [("origin", "http://elsewhere.test"), ("x-a", "b")],
            [("accept-encoding", "br, gzip"), ("origin", "null")],
            [("accept-encoding", "deflate,gzip"), ("x-a", "b")],
            [("accept-encoding", "gzip;q=1"), ("x-a", "b")],
            [("accept", "text/html"), ("x-a", "b")],
        ] {
            for (method, path) in [
                ("GET", path),
                ("GET", "/api/v1/query"),
                ("GET", "/api/v1/nothing"),
                ("OPTIONS", "/api/v1/query"),
                ("OPTIONS", "/api/v1/nothing"),
                ("GET", "/-/ready"),
                ("DELETE", path),
            ] {
                self.ask(method, path, &headers, b"");
            }
        }
    }

    fn writes(&mut self, end_s: i64) {
        let one = |t_ms: i64, value: f64| {
            body(&[series(
                &[("__name__", "written"), ("job", "a")],
                &[(t_ms, value)],
            )])
        };
        let t_ms = end_s * 1_000;
        let usual = WRITE_HEADERS;
        let (kind, snappy) = (usual[0], usual[1]);
        let requests = [
            (usual.to_vec(), one(t_ms, 1.0)),
            (usual.to_vec(), one(t_ms, 1.0)),
            (usual.to_vec(), one(t_ms, 2.0)),
            (usual.to_vec(), one(t_ms - 1, 1.0)),
            (usual.to_vec(), one(t_ms + 86_400_000, 1.0)),
            (
                usual.to_vec(),
                body(&[series(&[("__name__", "old")], &[(t_ms - 86_400_000, 1.0)])]),
            ),
            (
                usual.to_vec(),
                body(&[series(&[("job", "nameless")], &[(t_ms, 1.0)])]),
            ),
            (usual.to_vec(), body(&[])),
            (usual.to_vec(), b"".to_vec()),
            (usual.to_vec(), b"\xff\xff\xff".to_vec()),
            (
                usual.to_vec(),
                snap::raw::Encoder::new().compress_vec(b"\x0a\xff").unwrap(),
            ),
            (vec![], one(t_ms, 1.0)),
            (vec![kind], one(t_ms, 1.0)),
            (vec![kind, ("content-encoding", "gzip")], one(t_ms, 1.0)),
            (
                vec![("content-type", "application/json"), snappy],
                one(t_ms, 1.0),
            ),
            (
                vec![
                    (
                        "content-type",
                        "application/x-protobuf;proto=prometheus.WriteRequest",
                    ),
                    snappy,
                ],
                one(t_ms, 1.0),
            ),
            (
                vec![("content-type", "application/x-protobuf;proto=x"), snappy],
                one(t_ms, 1.0),
            ),
            (
                vec![
                    (
                        "content-type",
                        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                    ),
                    snappy,
                ],
                b"\x00".to_vec(),
            ),
        ];
        for (number, (headers, body)) in requests.iter().enumerate() {
            self.ask(
                "POST",
                &format!("/api/v1/write?number={number}"),
                headers,
                body,
            );
        }
    }

    fn elsewhere(&mut self) {
        for (method, path) in [
            ("GET", "/-/healthy"),
            ("HEAD", "/-/healthy"),
            ("GET", "/-/ready"),
            ("HEAD", "/-/ready"),
            ("POST", "/-/ready"),
            ("GET", "/-/reload"),
            ("POST", "/-/reload"),
            ("PUT", "/-/reload"),
            ("HEAD", "/api/v1/query"),
            ("DELETE", "/api/v1/query"),
            ("PUT", "/api/v1/query"),
            ("POST", "/api/v1/rules"),
            ("POST", "/api/v1/label/a/values"),
            ("GET", "/api/v1/write"),
            ("POST", "/api/v1/nothing"),
            ("POST", "/api/v1/admin/tsdb/delete_series"),
            ("PUT", "/api/v1/admin/tsdb/clean_tombstones"),
            ("POST", "/api/v1/admin/tsdb/snapshot"),
            ("GET", "/api/v1/admin/tsdb/snapshot"),
            ("GET", "/api/v2/query"),
        ] {
            self.ask(method, path, &[], b"");
        }
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let ours = normal(path, &self.ours.ask(method, path, headers, body));
        let theirs = normal(path, &self.theirs.ask(method, path, headers, body));
        let score = &mut self.score;
        score.compared += 1;
        if ours == theirs {
            score.identical += 1;
            return;
        }
        let question = format!("{method} {path} {headers:?}");
        match explained(&question, &theirs) {
            Some(index) => {
                score.used.insert(index);
            }
            None => score
                .unexplained
                .push(format!("{question}\n  ours   {ours}\n  theirs {theirs}")),
        }
    }
}

/// What is compared of an answer, as text.
fn normal(path: &str, answer: &Answer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "date" && name != "x-powered-by")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    let text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut value) if has_moments(path) || is_unordered(path) => {
            still(&mut value);
            value.to_string()
        }
        _ => String::from_utf8(answer.body.clone()).unwrap_or_else(|_| "compressed".to_owned()),
    };
    format!(
        "{} {} {headers:?} {text}",
        answer.status, answer.content_type
    )
}

/// Endpoints whose answers say when something happened or how long it took, or have lists in no order.
fn has_moments(path: &str) -> bool {
    ["targets", "rules", "alerts", "metadata", "series"]
        .iter()
        .any(|name| path.starts_with(&format!("/api/v1/{name}")))
}

/// The elements of a vector come in the order of storage, if the expression does not sort them.
fn is_unordered(path: &str) -> bool {
    let sorts = ["sort", "topk", "bottomk"];
    path.starts_with("/api/v1/query?") && !sorts.iter().any(|name| path.contains(name))
}

/// Takes away what is not compared, see [`PARTS`], and sorts lists but those of rules and points.
fn still(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (part, ..) in PARTS
                .iter()
                .filter(|(_, extent, _)| *extent == Extent::Left)
            {
                map.remove(*part);
            }
            for (name, value) in map.iter_mut() {
                let part = PARTS.iter().find(|(part, ..)| part == name);
                match part.map(|(_, extent, _)| extent) {
                    Some(Extent::Kind) => *value = kind(value),
                    _ if name == "rules" => {
                        value.as_array_mut().unwrap().iter_mut().for_each(still);
                    }
                    _ if name == "value" || name == "values" => {}
                    _ => still(value),
                }
            }
        }
        Value::Array(list) => {
            list.iter_mut().for_each(still);
            list.sort_by_cached_key(Value::to_string);
        }
        _ => {}
    }
}

/// What is left of a value of which only the kind is compared.
fn kind(value: &Value) -> Value {
    let kind = match value {
        Value::String(text) if text.is_empty() => "nothing",
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => "a moment",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        _ => "something else",
    };
    kind.into()
}
