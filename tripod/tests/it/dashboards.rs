//! What Grafana is provisioned with, without Grafana: the house rules of a dashboard, and every panel's, variable's and link's query
//! executed against the embedded backend under load, with variables replaced as Grafana replaces them.
//!
//! Whether a panel looks good is not tested here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use conventions::resource::{GATEWAY, TASK_SERVICE, WORKER};
use reqwest::{Method, StatusCode, blocking::Client};
use serde_json::{Value, json};
use url::Url;

use crate::{
    api::{Api, client, trace_id},
    metrics::deploy,
    system::{DEADLINE, Start, System, wait_for},
};

/// Dead letters soon, and decided traces sooner.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("TRIPOD_DECISION_WAIT", "2s"),
    ("TRIPOD_BACKOFF_MIN", "100ms"),
    ("TRIPOD_BACKOFF_MAX", "200ms"),
];
/// Alerts of the rule files and runbooks link to these.
const DASHBOARDS: [&str; 4] = [
    "tripod-golden-signals",
    "tripod-slo",
    "tripod-tasks",
    "tripod-telemetry",
];
/// (start of a query, why its answer may be empty here).
const MAY_BE_EMPTY: [(&str, &str); 2] = [
    (
        "sum by (name) (rate(fluentbit_",
        "only where Fluent Bit ships the logs",
    ),
    (
        "sum by (service, exporter) (otelcol_exporter_queue_size",
        "only where the exporter has a queue",
    ),
];
/// What every variable stands for at the start. Loki refuses `.*`, which also matches streams without the label.
const ALL: &str = ".+";
/// What Grafana would put in, on a system that is a few seconds old.
const VARIABLES: [(&str, &str); 9] = [
    ("$__rate_interval", "1m"),
    ("$service", ALL),
    ("$route", ALL),
    ("$queue", ALL),
    ("$slo", ALL),
    ("${prometheus}", "prometheus"),
    ("${tempo}", "tempo"),
    ("${loki}", "loki"),
    ("$__range", "1h"),
];

#[test]
fn every_dashboard_keeps_the_rules() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap();
        assert_eq!(format!("tripod-{file}"), uid);
        uids.insert(uid.to_owned());
        let broken = broken_rules(&dashboard);
        assert!(broken.is_empty(), "{uid}:\n{}", broken.join("\n"));
    }
    assert_eq!(uids, DASHBOARDS.map(str::to_owned).into());
    for link in alert_links() {
        let uid = link.trim_start_matches("/d/").split('?').next().unwrap();
        assert!(uids.contains(uid), "an alert links to {link}");
    }
}

#[test]
fn the_rules_find_what_is_wrong() {
    let (_, whole) = dashboards().remove(0);
    assert!(broken_rules(&whole).is_empty());
    let panel = whole["panels"]
        .as_array()
        .unwrap()
        .iter()
        .position(|panel| panel["type"] == "timeseries")
        .unwrap();
    let without = |change: &dyn Fn(&mut Value)| {
        let mut broken = whole.clone();
        change(&mut broken);
        broken_rules(&broken)
    };
    for pointer in [
        "/description",
        "/fieldConfig/defaults/unit",
        "/targets/0/datasource/uid",
    ] {
        let broken =
            without(&|all| *all["panels"][panel].pointer_mut(pointer).unwrap() = json!(""));
        assert_eq!(broken.len(), 1, "{pointer}: {broken:?}");
    }
    let fixed_window =
        without(&|all| all["panels"][panel]["targets"][0]["expr"] = json!("rate(a_total[1m])"));
    assert_eq!(fixed_window.len(), 1, "{fixed_window:?}");
    let editable = without(&|all| all["editable"] = json!(true));
    assert_eq!(editable.len(), 1, "{editable:?}");
}

#[test]
fn every_panel_and_link_is_answered_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = deploy(folder.path());
    let system = System::start(
        &folder.path().join("data"),
        &Start {
            environment: &ENVIRONMENT,
            arguments: &["--deploy", deploy.to_str().unwrap()],
            ..Start::default()
        },
    );
    let failed = load(&system);
    let sources = Sources::of(&system);
    sources.wait_for_trace(&failed);

    let all = dashboards();
    let all = all.iter().flat_map(|(_, dashboard)| queries(dashboard));
    let (excused, mut pending): (Vec<Query>, Vec<Query>) = all.partition(Query::may_be_empty);
    // An error ends the test at once.
    let had = excused
        .iter()
        .filter(|query| sources.ask(query) > 0)
        .count();
    let (count, deadline) = (pending.len(), Instant::now() + DEADLINE);
    while !pending.is_empty() && Instant::now() < deadline {
        pending.retain(|query| sources.ask(query) == 0);
    }
    assert!(pending.is_empty(), "answered with nothing: {pending:#?}");
    println!(
        "{count} queries have answers; of {} that may be empty {had} have",
        excused.len()
    );
    exemplars_lead_to_traces(&sources);
    traces_lead_to_logs_and_metrics(&sources, &failed);
    assert!(system.stop().success());
}

/// Tasks, a delivery that never succeeds, and failing requests. The trace of one of those.
fn load(system: &System) -> String {
    let api = Api::new(system);
    let fault = |service: &str, body: Value| {
        let url = format!("{}/faults/dashboards", system.admin(service));
        let set = api.client.put(url).json(&body).send().unwrap();
        assert!(set.status().is_success(), "{}", set.text().unwrap());
    };
    for number in 0..100 {
        let (task, _) = api.create(&format!("Task {number}"));
        if number % 10 == 0 {
            let path = format!("/v1/tasks/{task}/transitions");
            let request = api.request(Method::POST, &path).header("if-match", "*");
            let answer = request.json(&json!({"to": "in_progress"})).send().unwrap();
            assert_eq!(
                answer.status(),
                StatusCode::OK,
                "{}",
                answer.text().unwrap()
            );
        }
    }
    fault(
        WORKER,
        json!({"target": "job:*", "error": "broken", "for_seconds": 600}),
    );
    api.create("Its job fails");
    fault(
        TASK_SERVICE,
        json!({"target": "http:GET /v1/tasks", "error": "500", "ratio": 1.0, "for_seconds": 600}),
    );
    let mut failed = String::new();
    for _ in 0..20 {
        let answer = api.request(Method::GET, "/v1/tasks").send().unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        failed = trace_id(&answer);
    }
    failed
}

/// Each query that shows exemplars has some, and the first of each is a trace that is there.
fn exemplars_lead_to_traces(sources: &Sources) {
    let link = &data_source("prometheus")["exemplarTraceIdDestinations"][0];
    let label = link["name"].as_str().unwrap();
    assert_eq!(link["datasourceUid"], "tempo");
    let mut asked = 0;
    for (_, dashboard) in dashboards() {
        for query in queries(&dashboard).iter().filter(|query| query.exemplar) {
            let trace = wait_for(&format!("an exemplar of {query:?}"), || {
                let answer = sources.prometheus("query_exemplars", &query.text);
                let trace = &answer["data"][0]["exemplars"][0]["labels"][label];
                trace.as_str().map(str::to_owned)
            });
            sources.wait_for_trace(&trace);
            asked += 1;
        }
    }
    assert!(asked > 5);
    println!("{asked} queries have exemplars that resolve");
}

fn traces_lead_to_logs_and_metrics(sources: &Sources, trace: &str) {
    let tempo = data_source("tempo");
    let to_logs = &tempo["tracesToLogsV2"];
    assert_eq!(to_logs["datasourceUid"], "loki");
    for service in [GATEWAY, TASK_SERVICE] {
        let label = to_logs["tags"][0]["value"].as_str().unwrap();
        let query = to_logs["query"].as_str().unwrap();
        let query = query
            .replace("${__tags}", &format!("{label}=\"{service}\""))
            .replace("${__trace.traceId}", trace);
        // And each line leads back to the trace: its label is the one that the derived field reads.
        let field = &data_source("loki")["derivedFields"][0];
        assert_eq!(field["datasourceUid"], "tempo");
        let field_label = field["matcherRegex"].as_str().unwrap();
        wait_for(&format!("log lines: {query}"), || {
            let answer = sources.loki(&query);
            let streams = answer["data"]["result"].as_array().unwrap();
            assert!(
                streams
                    .iter()
                    .all(|stream| stream["stream"][field_label] == trace)
            );
            (!streams.is_empty()).then_some(())
        });
    }
    let to_metrics = &tempo["tracesToMetrics"];
    assert_eq!(to_metrics["datasourceUid"], "prometheus");
    let label = to_metrics["tags"][0]["value"].as_str().unwrap();
    for query in to_metrics["queries"].as_array().unwrap() {
        let query = query["query"].as_str().unwrap();
        let answered = wait_for(query, || {
            let count = [GATEWAY, TASK_SERVICE, WORKER].map(|service| {
                let query = query.replace("$__tags", &format!("{label}=\"{service}\""));
                series(&sources.prometheus("query", &query))
            });
            Some(count.iter().sum::<usize>()).filter(|count| *count > 0)
        });
        assert!(answered > 0);
    }
}

/// One query of a panel, variables replaced.
#[derive(Debug)]
struct Query {
    source: String,
    text: String,
    instant: bool,
    exemplar: bool,
}

impl Query {
    fn may_be_empty(&self) -> bool {
        MAY_BE_EMPTY
            .iter()
            .any(|(start, _)| self.text.starts_with(start))
    }
}

fn queries(dashboard: &Value) -> Vec<Query> {
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets = targets.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut queries: Vec<Query> = targets
        .map(|target| Query {
            source: replaced(target["datasource"]["uid"].as_str().unwrap()),
            text: replaced(text(target)),
            instant: target["instant"] == true,
            exemplar: target["exemplar"] == true,
        })
        .collect();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter(|variable| variable["type"] == "query");
    let further = annotations
        .map(|annotation| text(annotation).to_owned())
        .chain(variables.map(|variable| {
            // `label_values(SELECTOR, LABEL)`
            let definition = variable["definition"].as_str().unwrap();
            let inner = definition.strip_prefix("label_values(").unwrap();
            let (selector, label) = inner.trim_end_matches(')').rsplit_once(", ").unwrap();
            format!("group by ({label}) ({selector})")
        }));
    queries.extend(further.map(|text| Query {
        source: "prometheus".to_owned(),
        text: replaced(&text),
        instant: true,
        exemplar: false,
    }));
    queries
}

/// Of a target: Tempo's data source has another name for it.
fn text(target: &Value) -> &str {
    let text = target.get("expr").or_else(|| target.get("query"));
    text.and_then(Value::as_str).unwrap()
}

fn replaced(text: &str) -> String {
    let replaced = VARIABLES
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        });
    assert!(!replaced.contains('$'), "a variable is left in {replaced}");
    replaced
}

/// The backend behind the data sources.
struct Sources {
    client: Client,
    run: Value,
}

impl Sources {
    fn of(system: &System) -> Self {
        Self {
            client: client(),
            run: system.run(),
        }
    }

    /// How many series, streams or traces the answer has.
    fn ask(&self, query: &Query) -> usize {
        match (query.source.as_str(), query.instant) {
            ("prometheus", true) => series(&self.prometheus("query", &query.text)),
            ("prometheus", false) => series(&self.prometheus("query_range", &query.text)),
            ("loki", _) => series(&self.loki(&query.text)),
            ("tempo", _) => {
                let answer = self.get("tempo", "/api/search", &[("q", &query.text)]);
                answer["traces"].as_array().unwrap().len()
            }
            (other, _) => panic!("no such data source: {other}"),
        }
    }

    fn prometheus(&self, path: &str, query: &str) -> Value {
        let now = now_s();
        let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
        let range = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("step", "5"),
        ];
        let parameters = match path {
            "query" => &range[..1],
            "query_exemplars" => &range[..3],
            _ => &range[..],
        };
        self.get("prometheus", &format!("/api/v1/{path}"), parameters)
    }

    fn loki(&self, query: &str) -> Value {
        let end = format!("{}000000000", now_s() + 60);
        let parameters = [("query", query), ("end", &end), ("since", "1h")];
        self.get("loki", "/loki/api/v1/query_range", &parameters)
    }

    fn wait_for_trace(&self, trace: &str) {
        let url = format!(
            "{}/api/v2/traces/{trace}",
            self.run["tempo"].as_str().unwrap()
        );
        wait_for(&format!("trace {trace}"), || {
            let answer = self.client.get(&url).send().unwrap();
            (answer.status() == StatusCode::OK).then_some(())
        });
    }

    fn get(&self, surface: &str, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("{}{path}", self.run[surface].as_str().unwrap());
        let url = Url::parse_with_params(&url, parameters).unwrap();
        let answer = self.client.get(url).send().unwrap();
        let (status, body) = (answer.status(), answer.text().unwrap());
        assert_eq!(status, StatusCode::OK, "{path} {parameters:?}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Of a Prometheus or Loki answer.
fn series(answer: &Value) -> usize {
    assert_eq!(answer["status"], "success", "{answer}");
    answer["data"]["result"].as_array().unwrap().len()
}

/// Each rule that a dashboard breaks, in words.
fn broken_rules(dashboard: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    let has = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    demand(dashboard["editable"] == false, "it can be edited".into());
    demand(dashboard.get("id").is_none(), "it has a database id".into());
    demand(has(&dashboard["description"]), "no description".into());
    demand(has(&dashboard["title"]), "no title".into());
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let all = &variable["allValue"];
        demand(
            variable["type"] == "datasource" || all == ALL,
            format!("{} stands for {all} at the start", variable["name"]),
        );
    }
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = &panel["title"];
        demand(has(title), format!("panel {} has no title", panel["id"]));
        demand(
            ids.insert(panel["id"].as_u64()),
            format!("{title}: its id is taken"),
        );
        if panel["type"] == "row" {
            continue;
        }
        demand(
            has(&panel["description"]),
            format!("{title}: no description"),
        );
        demand(
            has(&panel["fieldConfig"]["defaults"]["unit"]),
            format!("{title}: no unit"),
        );
        let position = &panel["gridPos"];
        let right = position["x"].as_u64().unwrap() + position["w"].as_u64().unwrap();
        demand(right <= 24, format!("{title}: wider than the page"));
        for target in panel["targets"].as_array().unwrap() {
            let uid = target["datasource"]["uid"].as_str().unwrap();
            demand(
                uid.starts_with("${"),
                format!("{title}: data source {uid:?} is no variable"),
            );
            let query = text(target);
            let windows = query.split("rate(").skip(1);
            demand(
                windows
                    .into_iter()
                    .all(|rate| rate.contains("[$__rate_interval]")),
                format!("{title}: a rate over a fixed window: {query}"),
            );
        }
    }
    broken
}

/// By name of file without its ending.
fn dashboards() -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = fs::read_dir(grafana().join("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (
                name,
                serde_json::from_slice(&fs::read(file).unwrap()).unwrap(),
            )
        })
        .collect()
}

/// `jsonData` of a provisioned data source, as Grafana reads it: `$$` is a `$`.
fn data_source(uid: &str) -> Value {
    let path = grafana().join("provisioning/datasources/tripod.yaml");
    let text = fs::read_to_string(path).unwrap().replace("$$", "$");
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let mut sources = file["datasources"].as_array().unwrap().iter();
    sources.find(|source| source["uid"] == uid).unwrap()["jsonData"].clone()
}

/// `dashboard:` of every alert.
fn alert_links() -> Vec<String> {
    let rules = grafana().join("../prometheus/rules");
    let mut links = Vec::new();
    for entry in fs::read_dir(rules).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines = text.lines().filter_map(|line| {
            let (_, link) = line.split_once("dashboard: ")?;
            Some(link.trim_matches('"').to_owned())
        });
        links.extend(lines);
    }
    assert!(!links.is_empty());
    links
}

fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana")
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
