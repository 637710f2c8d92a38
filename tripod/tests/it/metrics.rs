//! The embedded Prometheus and Alertmanager from outside: golden signals, exemplars that resolve, alerts, reloads, a kill.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use conventions::resource::{BACKEND, GATEWAY, TASK_SERVICE, WORKER};
use reqwest::{Method, StatusCode, blocking::Client};
use rustix::process::Signal;
use serde_json::{Value, json};
use url::Url;

use crate::{
    api::{Api, client},
    system::{Start, System, command, run_to_end, signal, wait_for},
};

/// Short, so that exemplars resolve within the test.
const DECISION_WAIT: (&str, &str) = ("TRIPOD_DECISION_WAIT", "2s");
/// Histograms whose buckets have exemplars, by service.
const WITH_EXEMPLARS: [&str; 3] = [
    "http_server_request_duration_seconds_bucket",
    "db_client_operation_duration_seconds_bucket",
    "messaging_process_duration_seconds_bucket",
];
/// Longer than ten minutes: only such alerts are restored. After a kill there are two `up`, if the port is another.
const PENDING: &str = "groups:\n- name: test\n  rules:\n  \
                       - {alert: Pending, expr: \"max(up{service='gateway'}) == 1\", for: 1h}\n";
/// When the alert became active, Unix seconds, at each evaluation.
const PENDING_SINCE: &str = "ALERTS_FOR_STATE{alertname='Pending'}";

/// A copy of `deploy/` that scrapes and evaluates every second.
pub fn deploy(folder: &Path) -> PathBuf {
    let target = deploy_as_it_is(folder);
    for part in ["prometheus", "prometheus/rules", "alertmanager", "native"] {
        for path in files(&target.join(part)) {
            let text = fs::read_to_string(&path).unwrap();
            let fast = text.replace("interval: 15s", "interval: 1s");
            let fast = fast.replace("scrape_timeout: 10s", "scrape_timeout: 1s");
            let fast = fast.replace("group_wait: 30s", "group_wait: 1s");
            fs::write(path, fast).unwrap();
        }
    }
    fs::write(target.join("prometheus/rules/test.yml"), PENDING).unwrap();
    target
}

/// A copy of what a system reads of `deploy/`.
pub fn deploy_as_it_is(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let target = folder.join("deploy");
    for part in [
        "collector",
        "prometheus",
        "prometheus/rules",
        "alertmanager",
        "tempo",
        "loki",
        "fluent-bit",
        "native",
    ] {
        fs::create_dir_all(target.join(part)).unwrap();
        for path in files(&source.join(part)) {
            fs::copy(&path, target.join(part).join(path.file_name().unwrap())).unwrap();
        }
    }
    target
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| entry.path()).collect()
}

fn start(data: &Path, deploy: &Path) -> System {
    System::start(
        data,
        &Start {
            environment: &[DECISION_WAIT],
            arguments: &["--deploy", deploy.to_str().unwrap()],
            ..Start::default()
        },
    )
}

struct Metrics {
    client: Client,
    prometheus: String,
    alertmanager: String,
    tempo: String,
}

impl Metrics {
    fn of(system: &System) -> Self {
        let run = system.run();
        let url = |name: &str| run[name].as_str().unwrap().to_owned();
        Self {
            client: client(),
            prometheus: url("prometheus"),
            alertmanager: url("alertmanager"),
            tempo: url("tempo"),
        }
    }

    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.prometheus);
        let url = Url::parse_with_params(&url, parameters).unwrap();
        let answer: Value = self.client.get(url).send().unwrap().json().unwrap();
        assert_eq!(
            answer["status"], "success",
            "{path} {parameters:?}: {answer}"
        );
        answer["data"].clone()
    }

    /// The value of an expression that has one.
    fn value(&self, expr: &str) -> Option<f64> {
        let data = self.ask("query", &[("query", expr)]);
        let text = data["result"][0]["value"][1].as_str()?.to_owned();
        Some(text.parse().unwrap())
    }

    fn wait_for_value(&self, expr: &str, is_good: impl Fn(f64) -> bool) -> f64 {
        wait_for(expr, || self.value(expr).filter(|value| is_good(*value)))
    }

    fn alert(&self, name: &str) -> Option<Value> {
        let alerts = self.ask("alerts", &[]);
        let mut alerts = alerts["alerts"].as_array().unwrap().iter();
        alerts
            .find(|alert| alert["labels"]["alertname"] == name)
            .cloned()
    }

    /// (time, value) of the samples of the last hour.
    fn samples(&self, series: &str) -> Vec<(f64, f64)> {
        let data = self.ask("query", &[("query", &format!("{series}[1h]"))]);
        let samples = data["result"][0]["values"].as_array().into_iter().flatten();
        samples
            .map(|sample| {
                let value = sample[1].as_str().unwrap().parse().unwrap();
                (sample[0].as_f64().unwrap(), value)
            })
            .collect()
    }

    /// Trace ids of all exemplars of a metric.
    fn exemplars(&self, metric: &str) -> BTreeSet<String> {
        let now = now_s();
        let range = [
            ("query", metric),
            ("start", &(now - 600.0).to_string()),
            ("end", &(now + 60.0).to_string()),
        ];
        let data = self.ask("query_exemplars", &range);
        let series = data.as_array().unwrap().iter();
        series
            .flat_map(|series| series["exemplars"].as_array().unwrap())
            .map(|exemplar| exemplar["labels"]["trace_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn golden_signals_are_answered_and_every_exemplar_names_a_trace_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(&folder.path().join("data"), &deploy(folder.path()));
    let (api, metrics) = (Api::new(&system), Metrics::of(&system));
    for service in [GATEWAY, TASK_SERVICE, WORKER, BACKEND] {
        metrics.wait_for_value(&format!("up{{service='{service}'}}"), |up| up == 1.0);
    }
    // Traffic, some of it failing: exemplars are of errors and of one success in twenty.
    for number in 0..150 {
        api.create(&format!("Task {number}"));
    }
    fail_some(&system, &api);

    for service in [GATEWAY, TASK_SERVICE] {
        let of = format!("service='{service}'");
        let rate = |more: &str| {
            format!("sum(rate(http_server_request_duration_seconds_count{{{of}{more}}}[1m]))")
        };
        metrics.wait_for_value(&rate(""), |traffic| traffic > 0.0);
        let ratio = format!(
            "{} / {}",
            rate(",http_response_status_code=~'5..'"),
            rate("")
        );
        metrics.wait_for_value(&ratio, |ratio| ratio > 0.0 && ratio < 1.0);
        let p95 = format!(
            "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{{{of}}}[1m])))"
        );
        metrics.wait_for_value(&p95, |p95| p95 > 0.0 && p95 < 10.0);
        // The recordings of the rule files say the same.
        metrics.wait_for_value(
            &format!("service:http_requests:rate5m{{{of}}}"),
            |traffic| traffic > 0.0,
        );
    }
    let depth = "sum(queue_depth{service='worker',state='visible'})";
    metrics.wait_for_value(depth, |depth| depth >= 0.0);
    let processed = "sum(messaging_process_duration_seconds_count{service='worker'})";
    metrics.wait_for_value(processed, |jobs| jobs > 0.0);

    let mut resolved = 0;
    for metric in WITH_EXEMPLARS {
        let traces = wait_for(metric, || {
            Some(metrics.exemplars(metric)).filter(|traces| !traces.is_empty())
        });
        for trace_id in &traces {
            let url = format!("{}/api/traces/{trace_id}", metrics.tempo);
            wait_for(&format!("trace {trace_id} of {metric}"), || {
                let answer = metrics.client.get(&url).send().unwrap();
                (answer.status() == StatusCode::OK).then_some(())
            });
        }
        resolved += traces.len();
    }
    println!("{resolved} exemplars, all of them resolve");
    assert!(system.stop().success());
}

/// Requests that fail with 500 in the task-service, until some have.
fn fail_some(system: &System, api: &Api) {
    let fault = json!({
        "target": "http:GET /v1/tasks", "error": "500", "ratio": 1.0, "for_seconds": 60
    });
    let url = format!("{}/faults/broken", system.admin(TASK_SERVICE));
    let set = api.client.put(url).json(&fault).send().unwrap();
    assert!(set.status().is_success(), "{}", set.text().unwrap());
    for _ in 0..10 {
        let answer = api.request(Method::GET, "/v1/tasks").send().unwrap();
        assert!(answer.status().is_server_error());
    }
}

#[test]
fn alerts_are_told_to_the_alertmanager_and_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (data, deploy) = (folder.path().join("data"), deploy(folder.path()));
    let system = start(&data, &deploy);
    let metrics = Metrics::of(&system);
    wait_for("Watchdog at the Alertmanager", || {
        let url = format!("{}/api/v2/alerts", metrics.alertmanager);
        let alerts: Value = metrics.client.get(url).send().unwrap().json().unwrap();
        let mut alerts = alerts.as_array().unwrap().iter();
        alerts
            .any(|alert| alert["labels"]["alertname"] == "Watchdog")
            .then_some(())
    });
    let pending = wait_for("the pending alert", || metrics.alert("Pending"));
    // Over all ports that it has listened on.
    let samples = "sum(count_over_time(up{service='gateway'}[1h]))";
    let before = metrics.wait_for_value(samples, |samples| samples >= 10.0);
    system.kill();
    let killed = now_s();

    let system = start(&data, &deploy);
    let metrics = Metrics::of(&system);
    // Not more than the last scrape is gone.
    let after = metrics.value(samples).unwrap();
    assert!(after >= before - 1.0, "{after} of {before} samples");
    let (last, first, since) = wait_for("the alert that was pending", || {
        let samples = metrics.samples(PENDING_SINCE);
        let restored = samples.partition_point(|(t, _)| *t <= killed);
        let &(first, since) = samples.get(restored)?;
        Some((samples[restored - 1].0, first, since))
    });
    let (later, down) = (since - active_at_s(&pending), first - last);
    println!("pending since {later:.1} s later, after {down:.1} s without evaluation");
    // What it had waited for counts; without that it would be as old as the start. Its series has whole seconds.
    assert!(later <= down + 1.0, "{later} s later after {down} s");
    assert!(system.stop().success());
}

#[test]
fn a_reload_counts_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = deploy(folder.path());
    let rules = deploy.join("prometheus/rules/test.yml");
    let system = start(&folder.path().join("data"), &deploy);
    let metrics = Metrics::of(&system);
    let group = |name: &str| {
        let groups = metrics.ask("rules", &[]);
        let mut groups = groups["groups"].as_array().unwrap().iter();
        groups.any(|group| group["name"] == name)
    };
    assert!(group("test"));

    fs::write(
        &rules,
        "groups:\n- name: other\n  rules:\n  - {record: a, expr: 'sum('}\n",
    )
    .unwrap();
    signal(system.pid(BACKEND), Signal::HUP);
    let failed = "prometheus_config_last_reload_successful{service='backend'}";
    metrics.wait_for_value(failed, |successful| successful == 0.0);
    assert!(group("test") && !group("other"));
    let log = system.log(BACKEND);
    assert!(
        log.contains("test.yml") && log.contains("configuration is not loaded"),
        "{log}"
    );

    fs::write(
        &rules,
        "groups:\n- name: other\n  rules:\n  - {record: a, expr: 1}\n",
    )
    .unwrap();
    signal(system.pid(BACKEND), Signal::HUP);
    wait_for("the new group", || {
        (group("other") && !group("test")).then_some(())
    });
    metrics.wait_for_value("a", |value| value == 1.0);
    assert!(system.stop().success());
}

#[test]
fn a_configuration_that_cannot_be_used_is_said_with_its_file_and_line() {
    for (file, text, words) in [
        (
            "prometheus/rules/test.yml",
            "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum('}\n",
            &["test.yml", "4", "parse error"][..],
        ),
        (
            "prometheus/prometheus.yml",
            "scrape_configs:\n- {job_name: a, basic_auth: {}}\n",
            &["prometheus.yml", "line 2", "basic_auth"],
        ),
        (
            "alertmanager/alertmanager.yml",
            "route: {receiver: nobody}\nreceivers: [{name: somebody}]\n",
            &["alertmanager.yml", "nobody"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let deploy = deploy(folder.path());
        fs::write(deploy.join(file), text).unwrap();
        let arguments = ["up", "--ephemeral", "--ports", "auto", "--deploy"];
        let mut command = command(&arguments);
        command.arg(&deploy);
        let (status, errors) = run_to_end(command);
        assert_eq!(status.code(), Some(1), "{errors}");
        assert!(words.iter().all(|word| errors.contains(word)), "{errors}");
    }
}

fn active_at_s(alert: &Value) -> f64 {
    let time: jiff::Timestamp = alert["activeAt"].as_str().unwrap().parse().unwrap();
    time.as_duration().as_secs_f64()
}

fn now_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}
