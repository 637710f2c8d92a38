//! The same configuration, alerts and silences for the real one and for ours: both must tell the same, message by message, and
//! answer the same queries. All scenarios run at the same time, each on a route of its own.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use alertmanager::{
    config::Config,
    machine::{Filter, Options},
    manager::{Manager, system_clock},
};
use jiff::{SignedDuration, Timestamp};
use peers::{Peer, component, free_address};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::sink::Sink;

const PATIENCE: Duration = Duration::from_secs(60);
const EXTERNAL_URL: &str = "http://alertmanager.example:9093";

/// A route and a receiver for each scenario. `SINK` is the address, `SIDE` is who sends.
const CONFIG: &str = r#"
global: {resolve_timeout: 3s}
route:
  receiver: none
  group_by: [g]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - {receiver: grouping, matchers: [scenario=grouping]}
    - {receiver: ends, matchers: [scenario=ends]}
    - {receiver: repeat, matchers: [scenario=repeat], group_interval: 1s, repeat_interval: 2500ms}
    - {receiver: inhibition, matchers: [scenario=inhibition]}
    - {receiver: silence, matchers: [scenario=silence]}
    - {receiver: firing-only, matchers: [scenario=firing-only]}
    - {receiver: truncated, matchers: [scenario=truncated]}
    - {receiver: failing, matchers: [scenario=failing]}
    - {receiver: refusing, matchers: [scenario=refusing]}
    - {receiver: muted, matchers: [scenario=muted, muted=yes], mute_time_intervals: [always], continue: true}
    - {receiver: muted, matchers: [scenario=muted, inactive=yes], active_time_intervals: [never]}
    - {receiver: muted, matchers: [scenario=muted], group_by: [h], mute_time_intervals: [never], active_time_intervals: [always]}
    - {receiver: all-labels, match: {scenario: all-labels}, group_by: ['...']}
    - {receiver: no-labels, match_re: {scenario: no-l.*}, group_by: []}
    - {receiver: old, matchers: [scenario=old], group_wait: 1h}
    - {receiver: timeout, matchers: ['scenario="timeout"']}
    - receiver: nested
      matchers: ['{scenario="nested"}']
      routes:
        - {receiver: nested.deep, matchers: ['"größe mit \"Zeichen\""=~"[a-z\\\\]*"', 'a!=b,c!~"d|e"'], continue: true}
        - {matchers: [a=~".*"]}
inhibit_rules:
  - {source_matchers: [scenario=inhibition, severity=page], target_matchers: [severity=ticket], equal: [service, slo]}
time_intervals:
  - {name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}
  - {name: never, time_intervals: [{years: ['1990:1999']}]}
receivers:
  - {name: none}
"#;

const RECEIVERS: [&str; 15] = [
    "grouping",
    "ends",
    "repeat",
    "inhibition",
    "silence",
    "firing-only",
    "truncated",
    "failing",
    "refusing",
    "muted",
    "all-labels",
    "no-labels",
    "old",
    "timeout",
    "nested",
];

/// Has no scenario of its own. The point is not one in messages, where names are expressions.
const NESTED: &str = "nested.deep";

/// Both, and what they tell.
#[derive(Clone)]
struct Twins {
    sink: Sink,
    client: reqwest::Client,
    real: String,
    ours: Manager,
    start: Timestamp,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_tells_and_answers_the_same() {
    let Some(program) = component("alertmanager") else {
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().await;
    let (_process, real) = start_real(&program, folder.path(), &sink);
    let options = Options {
        external_url: EXTERNAL_URL.to_owned(),
        ..Options::default()
    };
    let config = Config::parse(&text("ours", &sink), Path::new(".")).unwrap();
    let (ours, _) = Manager::open(
        &folder.path().join("ours"),
        Arc::new(config),
        options,
        system_clock(),
    )
    .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (ours, stop) = (ours.clone(), stop.clone());
        async move { ours.run(stop).await }
    });
    let twins = Twins {
        sink,
        client: reqwest::Client::new(),
        real,
        ours,
        // The real one keeps finer digits than milliseconds.
        start: Timestamp::from_second(Timestamp::now().as_second()).unwrap(),
    };
    tokio::join!(
        twins.grouping(),
        twins.ends(),
        twins.repeat(),
        twins.inhibition(),
        twins.silence(),
        twins.firing_only(),
        twins.truncated(),
        twins.failing(),
        twins.refusing(),
        twins.muted(),
        twins.by_labels(),
        twins.timeout(),
        twins.nested(),
    );
    let receivers = RECEIVERS.into_iter().chain([NESTED]);
    let told: usize = receivers.map(|receiver| twins.compare(receiver)).sum();
    assert!(told >= 30, "{told} messages");
    twins.compare_answers().await;
    stop.cancel();
    running.await.unwrap();
}

fn start_real(program: &Path, folder: &Path, sink: &Sink) -> (Peer, String) {
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, text("real", sink)).unwrap();
    let address = free_address();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("real").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg(format!("--web.external-url={EXTERNAL_URL}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Peer::start(command, &[address], PATIENCE).unwrap();
    (process, format!("http://{address}/api/v2"))
}

fn text(side: &str, sink: &Sink) -> String {
    let mut text = CONFIG.to_owned();
    for receiver in RECEIVERS.into_iter().chain([NESTED]) {
        let options = match receiver {
            "firing-only" => ", send_resolved: false",
            "truncated" => ", max_alerts: 2",
            _ => "",
        };
        let url = format!(
            "{{url: 'http://{}/{side}/{receiver}'{options}}}",
            sink.address
        );
        text += &format!("  - {{name: {receiver}, webhook_configs: [{url}]}}\n");
    }
    text
}

impl Twins {
    fn time(&self, seconds: i64) -> String {
        (self.start + SignedDuration::from_secs(seconds)).to_string()
    }

    /// Posts an alert to both. Seconds are from the start; without an end it is a timeout.
    async fn post(&self, scenario: &str, labels: &str, start_s: i64, end_s: Option<i64>) {
        let pairs = labels
            .split_whitespace()
            .map(|pair| pair.split_once('=').unwrap());
        let mut alert = json!({
            "labels": pairs.collect::<std::collections::BTreeMap<_, _>>(),
            "annotations": {"summary": format!("{scenario} <&>"), "labels": labels},
            "startsAt": self.time(start_s),
            "generatorURL": "http://prometheus.example/graph",
        });
        alert["labels"]["scenario"] = scenario.into();
        if let Some(end_s) = end_s {
            alert["endsAt"] = self.time(end_s).into();
        }
        let alerts = json!([alert]);
        let invalid = self
            .ours
            .receive(serde_json::from_value(alerts.clone()).unwrap());
        assert!(invalid.is_empty());
        let answer = self
            .client
            .post(format!("{}/alerts", self.real))
            .json(&alerts);
        assert_eq!(answer.send().await.unwrap().status(), 200);
    }

    /// From the near future on: what has fired for longer than its group waits is told at once, which would be a race.
    async fn fire(&self, scenario: &str, labels: &str) {
        self.post(scenario, labels, 60, Some(3_600)).await;
    }

    /// The end is the start: it is past on both.
    async fn resolve(&self, scenario: &str, labels: &str) {
        self.post(scenario, labels, -1, Some(0)).await;
    }

    async fn told(&self, receiver: &str, times: usize) {
        for side in ["real", "ours"] {
            self.sink
                .wait_for(&format!("/{side}/{receiver}"), times)
                .await;
        }
    }

    async fn grouping(&self) {
        self.fire("grouping", "g=x n=2 job=b").await;
        self.fire("grouping", "g=x n=1 job=b instance=i").await;
        self.fire("grouping", "g=x n=3").await;
        self.told("grouping", 1).await;
        self.fire("grouping", "g=x n=4 job=a").await;
        self.told("grouping", 2).await;
    }

    async fn ends(&self) {
        self.fire("ends", "g=x n=1").await;
        self.fire("ends", "g=x n=2").await;
        self.told("ends", 1).await;
        self.resolve("ends", "g=x n=1").await;
        self.told("ends", 2).await;
        self.resolve("ends", "g=x n=2").await;
        self.told("ends", 3).await;
        self.fire("ends", "g=x n=2").await;
        self.told("ends", 4).await;
    }

    async fn repeat(&self) {
        self.fire("repeat", "g=x n=1").await;
        self.told("repeat", 3).await;
    }

    async fn inhibition(&self) {
        self.fire("inhibition", "g=x n=1 severity=page service=a")
            .await;
        self.fire("inhibition", "g=x n=2 severity=ticket service=a")
            .await;
        self.fire("inhibition", "g=x n=3 severity=ticket service=b")
            .await;
        self.told("inhibition", 1).await;
        self.resolve("inhibition", "g=x n=1 severity=page service=a")
            .await;
        self.told("inhibition", 2).await;
    }

    async fn silence(&self) {
        let silence = json!({
            "matchers": [
                {"name": "n", "value": "1|3", "isRegex": true},
                {"name": "scenario", "value": "silence", "isRegex": false, "isEqual": true},
            ],
            "startsAt": self.time(-10),
            "endsAt": self.time(3_600),
            "createdBy": "test",
            "comment": "<none>",
        });
        let id = self
            .ours
            .set_silence(serde_json::from_value(silence.clone()).unwrap())
            .unwrap();
        let url = format!("{}/silences", self.real);
        let answer = self.client.post(url).json(&silence).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        self.fire("silence", "g=x n=1").await;
        self.fire("silence", "g=x n=2").await;
        self.told("silence", 1).await;
        self.ours.expire_silence(id).unwrap();
        let url = format!(
            "{}/silence/{}",
            self.real,
            answer["silenceID"].as_str().unwrap()
        );
        assert_eq!(self.client.delete(url).send().await.unwrap().status(), 200);
        self.told("silence", 2).await;
    }

    async fn firing_only(&self) {
        self.fire("firing-only", "g=x n=11").await;
        self.fire("firing-only", "g=x n=12").await;
        self.told("firing-only", 1).await;
        self.resolve("firing-only", "g=x n=11").await;
        self.fire("firing-only", "g=x n=13").await;
        self.told("firing-only", 2).await;
    }

    async fn truncated(&self) {
        for n in 11..15 {
            self.fire("truncated", &format!("g=x n={n} severity=s{n}"))
                .await;
        }
        self.told("truncated", 1).await;
    }

    async fn failing(&self) {
        for side in ["real", "ours"] {
            self.sink.answer(&format!("/{side}/failing"), &[500, 503]);
        }
        self.fire("failing", "g=x n=11").await;
        self.told("failing", 3).await;
    }

    async fn refusing(&self) {
        for side in ["real", "ours"] {
            self.sink.answer(&format!("/{side}/refusing"), &[400, 404]);
        }
        self.fire("refusing", "g=x n=11").await;
        self.told("refusing", 1).await;
        self.resolve("refusing", "g=x n=11").await;
        self.fire("refusing", "g=x n=12").await;
        self.told("refusing", 3).await;
    }

    async fn muted(&self) {
        self.fire("muted", "g=x h=x n=11 muted=yes").await;
        self.fire("muted", "g=x h=y n=12 inactive=yes").await;
        self.fire("muted", "g=x h=z n=13").await;
        self.told("muted", 2).await;
    }

    async fn by_labels(&self) {
        for scenario in ["all-labels", "no-labels"] {
            self.fire(scenario, "g=x n=11").await;
            self.fire(scenario, "g=y n=11").await;
        }
        self.post("old", "g=x n=11", -7_200, Some(3_600)).await;
        self.told("all-labels", 2).await;
        self.told("no-labels", 1).await;
        self.told("old", 1).await;
    }

    async fn timeout(&self) {
        self.post("timeout", "g=x n=11", 2, None).await;
        self.told("timeout", 2).await;
    }

    async fn nested(&self) {
        self.fire("nested", "g=\"x\"\\ n=11 c=f").await;
        self.told("nested", 1).await;
        self.told(NESTED, 1).await;
    }

    /// Messages of both are the same, in each group in the same order. Their number.
    fn compare(&self, receiver: &str) -> usize {
        let of = |side: &str| {
            let mut told = self.sink.requests(&format!("/{side}/{receiver}"));
            if receiver == "timeout" {
                // The end is when each has received it.
                let alerts = told
                    .iter_mut()
                    .map(|request| &mut request.body["alerts"][0]);
                alerts
                    .filter(|alert| alert["status"] == "resolved")
                    .for_each(|alert| {
                        alert["endsAt"] = Value::Null;
                    });
            }
            let mut told: Vec<_> = told
                .into_iter()
                .map(|request| (request.answer, request.body))
                .collect();
            told.sort_by_key(|(_, body)| body["groupKey"].to_string());
            told
        };
        let (mut real, mut ours) = (of("real"), of("ours"));
        if receiver == "repeat" {
            // It goes on.
            real.truncate(3);
            ours.truncate(3);
        }
        assert_eq!(real.len(), ours.len(), "{receiver}");
        for (real, ours) in real.iter().zip(&ours) {
            assert_eq!(real, ours, "{receiver}");
        }
        real.len()
    }

    async fn compare_answers(&self) {
        let get = async |path: &str| -> Value {
            let answer = self
                .client
                .get(format!("{}/{path}", self.real))
                .send()
                .await;
            let mut answer = answer.unwrap().json().await.unwrap();
            timeless(&mut answer);
            answer
        };
        let ours = |query: &dyn Fn(&alertmanager::machine::Machine, i64) -> Value| {
            let mut answer = self.ours.ask(query);
            timeless(&mut answer);
            answer
        };
        let filter = |matcher: &str| Filter {
            matchers: alertmanager::matcher::parse_matchers(matcher).unwrap(),
            ..Filter::default()
        };
        // What fires is on both; the rest is dropped at times of their own.
        for matcher in ["", "n=~1.*,scenario!=timeout", "service=\"a\"", "g!=x"] {
            let query: String = match matcher {
                "" => String::new(),
                _ => matcher
                    .split(',')
                    .map(|one| format!("filter={one}&"))
                    .collect(),
            };
            let alerts = ours(&|machine, now_ms| json!(machine.alerts(&filter(matcher), now_ms)));
            assert_eq!(get(&format!("alerts?{query}")).await, alerts, "{matcher}");
            let groups =
                ours(&|machine, now_ms| json!(machine.alert_groups(&filter(matcher), now_ms)));
            assert_eq!(
                sorted(get(&format!("alerts/groups?{query}")).await),
                sorted(groups),
                "{matcher}"
            );
        }
        let receivers = ours(&|machine, _| json!(machine.receivers()));
        assert_eq!(get("receivers").await, receivers);
        let silences = ours(&|machine, now_ms| json!(machine.silences(&[], now_ms)));
        assert_eq!(get("silences").await, silences);
        let status = ours(&|machine, _| json!(machine.server_status(Default::default(), 0)));
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let real = get("status").await;
        assert_eq!(keys(&real), keys(&status));
        assert_eq!(keys(&real["versionInfo"]), keys(&status["versionInfo"]));
        assert_eq!(real["cluster"], status["cluster"]);
    }
}

/// Without what is different for each: times of receipt, and ids.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("updatedAt");
            map.remove("id");
            if map.get("createdBy").is_some() {
                map.remove("startsAt");
                map.remove("endsAt");
            }
            map.values_mut().for_each(timeless);
        }
        Value::Array(items) => items.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// The real one's order of groups with the same labels and receiver is not always the same.
fn sorted(mut groups: Value) -> Value {
    groups.as_array_mut().unwrap().sort_by_key(Value::to_string);
    groups
}
