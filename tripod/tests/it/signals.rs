//! Everything the system emits: each line, span and metric is checked, and the list of names is the golden file
//! `docs/signals.md`.
//!
//! Runs a load that reaches every route, every kind of failure and every background task. It lasts as long as it takes
//! to reach them all; `TRIPOD_SOAK_SECONDS` makes it longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use conventions::{fields, metrics, resource, spans as names};
use opentelemetry::trace::SpanKind;
use reqwest::Method;
use serde_json::{Value as Json, json};
use telemetry::testing::{OtlpSink, Span};

use crate::{
    api::{self, Api},
    system::{DEADLINE, Start, System},
};

/// The services under test; the supervisor has no routes.
const PROCESSES: [&str; 3] = [resource::GATEWAY, resource::TASK_SERVICE, resource::WORKER];
const SOAK: &str = "TRIPOD_SOAK_SECONDS";
const GOLDEN: &str = "docs/signals.md";
/// Rounds of load without [`SOAK`]; a poisoned job needs its retries within them.
const ROUNDS: usize = 30;

/// What the rows of the table of log lines are called here.
const LOG_ROW: &str = "log lines of ";
/// Attributes that say how an operation went; any operation can go this way.
const OUTCOME_ATTRIBUTES: [&str; 4] = [
    names::ERROR_TYPE,
    names::DB_RESPONSE_STATUS_CODE,
    names::HTTP_REQUEST_RESEND_COUNT,
    names::TRIPOD_LATE,
];
/// Rows that a fast run may not reach: a job that was given up.
const RARE: &[&str] = &["`DynamoDB.UpdateItem`"];

/// Faults that are switched on and off in turn, each with the process that takes it.
const FAULTS: &[(&str, &str, &str)] = &[
    (
        resource::GATEWAY,
        "http:GET /v1/tasks/{task_id}",
        r#"{"error": "500"}"#,
    ),
    (
        resource::TASK_SERVICE,
        "http:GET /v1/tasks",
        r#"{"error": "503"}"#,
    ),
    (
        resource::TASK_SERVICE,
        "dynamodb:Query",
        r#"{"latency_ms": 600}"#,
    ),
    (
        resource::TASK_SERVICE,
        "dynamodb:TransactWriteItems",
        r#"{"error": "InternalServerError"}"#,
    ),
    (
        resource::TASK_SERVICE,
        "dynamodb:GetItem",
        r#"{"error": "unavailable"}"#,
    ),
    (
        resource::TASK_SERVICE,
        "sqs:SendMessage",
        r#"{"error": "unavailable"}"#,
    ),
    (resource::WORKER, "job:activity", r#"{"error": "refused"}"#),
    (
        resource::WORKER,
        "sqs:DeleteMessage",
        r#"{"error": "ServiceUnavailable"}"#,
    ),
];

#[test]
fn every_signal_is_whole_and_on_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let sink = OtlpSink::start().unwrap();
    let endpoint = sink.endpoint();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let system = System::start(
        folder.path(),
        &Start {
            environment: &environment,
            traffic: Some("20"),
            ..Start::default()
        },
    );

    load(&system, &sink);
    let pages = PROCESSES.map(|service| (service, openmetrics(&system.admin(service))));
    assert!(system.stop().success());
    let spans = sink.spans();
    let lines = lines(folder.path());

    let broken: Vec<_> = lines
        .iter()
        .filter_map(|(file, line)| Some((file, line, broken_line(file, line)?)))
        .collect();
    assert!(
        broken.is_empty(),
        "{} of {} lines: {:#?}",
        broken.len(),
        lines.len(),
        &broken[..broken.len().min(5)]
    );
    let incomplete: Vec<_> = spans
        .iter()
        .filter_map(|span| Some((incomplete_span(span)?, span)))
        .collect();
    assert!(
        incomplete.is_empty(),
        "{} of {} spans: {:#?}",
        incomplete.len(),
        spans.len(),
        &incomplete[..incomplete.len().min(3)]
    );
    println!(
        "signals: {} log lines, all JSON with trace_id, span_id and service; {} spans, none lacks a required attribute; {} metric pages",
        lines.len(),
        spans.len(),
        pages.len()
    );
    compare_with_golden(&inventory(&spans, &lines, &pages));
}

/// Requests of every kind, with a fault on in every round, until everything was reached.
fn load(system: &System, sink: &OtlpSink) {
    let api = Api::new(system);
    let soak = env::var(SOAK)
        .ok()
        .map(|text| Duration::from_secs(text.parse().expect("TRIPOD_SOAK_SECONDS is a number")));
    let started = Instant::now();
    let mut round = 0;
    while round < ROUNDS || soak.is_some_and(|soak| started.elapsed() < soak) {
        let (service, target, effect) = FAULTS[round % FAULTS.len()];
        let fault = format!("{}/faults/round", system.admin(service));
        let mut body: Json = serde_json::from_str(effect).unwrap();
        body["target"] = target.into();
        body["ratio"] = 1.0.into();
        body["for_seconds"] = 60.into();
        let put = api.client.put(&fault).json(&body).send().unwrap();
        assert!(put.status().is_success(), "{}", put.text().unwrap());
        every_request(&api);
        assert!(
            api.client
                .delete(&fault)
                .send()
                .unwrap()
                .status()
                .is_success()
        );
        every_request(&api);
        round += 1;
    }
    let settled = |spans: &[Span]| {
        let retried = |span: &Span| {
            span.int(names::TRIPOD_JOB_ATTEMPT)
                .is_some_and(|attempt| attempt > 1)
        };
        let purged = |span: &Span| span.text(names::TRIPOD_JOB_KIND) == Some("purge");
        spans.iter().any(retried) && spans.iter().any(purged)
    };
    sink.wait_for(DEADLINE, settled)
        .unwrap_or_else(|unmet| panic!("no retried or purge job in {} spans", unmet.spans.len()));
}

/// One of each, good and bad. What each answers is other tests' business.
fn every_request(api: &Api) {
    let send = |request: reqwest::blocking::RequestBuilder| {
        let response = request.send().unwrap();
        (
            response.headers().get("etag").cloned(),
            response.json::<Json>().unwrap_or_default(),
        )
    };
    let (etag, task) = send(
        api.request(Method::POST, "/v1/tasks")
            .json(&json!({"title": "Signals", "assignee": "ada"})),
    );
    let path = format!(
        "/v1/tasks/{}",
        task["id"]
            .as_str()
            .unwrap_or("0192f0c1-2345-7000-8000-000000000000")
    );
    let stale = reqwest::header::HeaderValue::from_static("\"99\"");
    let etag = etag.unwrap_or_else(|| stale.clone());
    send(api.request(Method::GET, &path));
    send(api.request(Method::GET, "/v1/tasks?assignee=ada&limit=3"));
    send(api.request(Method::GET, "/v1/tasks?colour=red"));
    send(
        api.request(Method::POST, &format!("{path}/comments"))
            .json(&json!({"text": "Seen"})),
    );
    send(api.request(Method::GET, &format!("{path}/comments")));
    send(api.request(Method::GET, &format!("{path}/activity")));
    send(
        api.request(Method::PATCH, &path)
            .header("if-match", stale)
            .json(&json!({"priority": "high"})),
    );
    let (after, _) = send(
        api.request(Method::PATCH, &path)
            .header("if-match", etag.clone())
            .json(&json!({"priority": "high"})),
    );
    let transition = api.request(Method::POST, &format!("{path}/transitions"));
    let (after, _) = send(
        transition
            .header("if-match", after.unwrap_or(etag.clone()))
            .json(&json!({"to": "cancelled"})),
    );
    send(
        api.request(Method::DELETE, &path)
            .header("if-match", after.unwrap_or(etag)),
    );
    send(api.request(Method::GET, "/openapi.json"));
    send(api.request(Method::GET, "/docs"));
    send(api.request(Method::PUT, "/nowhere"));
    send(api.client.get(format!("{}/v1/tasks", api.gateway)));
}

fn openmetrics(admin: &str) -> String {
    let request = api::client().get(format!("{admin}/metrics"));
    request
        .header("accept", "application/openmetrics-text; version=1.0.0")
        .send()
        .unwrap()
        .text()
        .unwrap()
}

/// Every line of every file in the log folder, with the file's service.
fn lines(data: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(data.join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let service = name.split(".log").next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        lines.extend(text.lines().map(|line| (service.clone(), line.to_owned())));
    }
    lines
}

/// What is wrong with a line.
fn broken_line(service: &str, line: &str) -> Option<String> {
    let Ok(Json::Object(line)) = serde_json::from_str::<Json>(line) else {
        return Some("no JSON object".to_owned());
    };
    let is_hex = |key: &str, digits: usize| {
        let text = line.get(key).and_then(Json::as_str).unwrap_or_default();
        text.len() == digits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
            && text.bytes().any(|byte| byte != b'0')
    };
    if !is_hex(fields::TRACE_ID, 32) || !is_hex(fields::SPAN_ID, 16) {
        return Some("no trace_id or span_id".to_owned());
    }
    if line.get(fields::SERVICE).and_then(Json::as_str) != Some(service) {
        return Some("another service".to_owned());
    }
    let missing = [
        fields::TIMESTAMP,
        fields::LEVEL,
        fields::FIELDS,
        fields::TARGET,
    ]
    .into_iter()
    .find(|key| !line.contains_key(*key));
    missing.map(|key| format!("no {key}"))
}

/// Which required attribute a span lacks, by the table of the signal contract.
fn incomplete_span(span: &Span) -> Option<String> {
    let mut required: Vec<&str> = Vec::new();
    let answered = span.attributes.contains_key(names::AWS_REQUEST_ID);
    let name = span.name.as_str();
    let is_messaging = ["send ", "receive ", "process ", "settle "]
        .iter()
        .any(|operation| name.starts_with(operation));
    if is_messaging {
        required.extend([
            names::MESSAGING_SYSTEM,
            names::MESSAGING_OPERATION_NAME,
            names::MESSAGING_OPERATION_TYPE,
            names::MESSAGING_DESTINATION_NAME,
        ]);
        if name.starts_with("process ") {
            required.extend([names::MESSAGING_MESSAGE_ID, names::TRIPOD_JOB_ATTEMPT]);
        }
        if name.starts_with("receive ") {
            required.extend([names::MESSAGING_BATCH_MESSAGE_COUNT, names::AWS_REQUEST_ID]);
        }
    } else if name.starts_with("DynamoDB.") {
        required.extend([
            names::DB_SYSTEM_NAME,
            names::DB_OPERATION_NAME,
            names::DB_COLLECTION_NAME,
            names::AWS_DYNAMODB_TABLE_NAMES,
            names::RPC_SYSTEM,
            names::RPC_SERVICE,
            names::RPC_METHOD,
            names::CLOUD_REGION,
        ]);
        if span.is_error() && answered {
            required.push(names::DB_RESPONSE_STATUS_CODE);
        }
    } else if span.kind == SpanKind::Server {
        required.extend([
            names::HTTP_REQUEST_METHOD,
            names::URL_PATH,
            names::URL_SCHEME,
            names::SERVER_ADDRESS,
            names::SERVER_PORT,
            names::NETWORK_PROTOCOL_VERSION,
            names::CLIENT_ADDRESS,
            names::USER_AGENT_ORIGINAL,
        ]);
        if name.contains(' ') {
            required.push(names::HTTP_ROUTE);
        }
        if span.text(names::ERROR_TYPE) != Some(names::ERROR_CANCELLED)
            && span.int(names::HTTP_RESPONSE_STATUS_CODE).is_none()
        {
            return Some(names::HTTP_RESPONSE_STATUS_CODE.to_owned());
        }
    } else if span.kind == SpanKind::Client
        && span.attributes.contains_key(names::HTTP_REQUEST_METHOD)
    {
        required.extend([names::SERVER_ADDRESS, names::SERVER_PORT, names::URL_FULL]);
    } else if span.kind != SpanKind::Internal {
        return Some(format!("a place in the contract: {name}"));
    }
    if span.is_error() {
        required.push(names::ERROR_TYPE);
    }
    for key in [
        resource::SERVICE_NAME,
        resource::SERVICE_NAMESPACE,
        resource::SERVICE_VERSION,
        resource::SERVICE_INSTANCE_ID,
        resource::DEPLOYMENT_ENVIRONMENT,
    ] {
        if !span.resource.contains_key(key) {
            return Some(key.to_owned());
        }
    }
    required
        .into_iter()
        .find(|key| !span.attributes.contains_key(*key))
        .map(str::to_owned)
}

/// The page for people: what is emitted, by signal.
fn inventory(spans: &[Span], lines: &[(String, String)], pages: &[(&str, String)]) -> String {
    let mut text = String::from(
        "# Signals\n\nEverything the services emit. Rewritten by `make golden` from a system under load with faults, and compared by a test, so it\nis complete and true. Names are defined in `telemetry/conventions`.\n\n## Spans\n\nOn every span: ",
    );
    let resources: BTreeSet<_> = spans
        .iter()
        .flat_map(|span| span.resource.keys())
        .map(|key| format!("`{key}`"))
        .collect();
    text.push_str(&resources.into_iter().collect::<Vec<_>>().join(", "));
    text.push_str(".\n\n`tripod.late` comes with every span that ends after its trace was decided, or close to it.\n\n| service | span | kind | attributes |\n|---|---|---|---|\n");
    let mut table: BTreeMap<(String, String, String), BTreeSet<&str>> = BTreeMap::new();
    for span in spans {
        let row = (
            span.service().to_owned(),
            span.name.clone(),
            format!("{:?}", span.kind).to_lowercase(),
        );
        table.entry(row).or_default().extend(
            span.attributes
                .keys()
                .map(String::as_str)
                .filter(|name| *name != names::TRIPOD_LATE),
        );
    }
    for ((service, name, kind), attributes) in table {
        text.push_str(&format!(
            "| {service} | `{name}` | {kind} | {} |\n",
            list(attributes)
        ));
    }

    text.push_str("\n## Metrics\n\nEvery series has the label `service`.\n\n| metric | type | labels | services | exemplars |\n|---|---|---|---|---|\n");
    for (name, family) in families(pages) {
        let exemplars = if family.exemplars { "yes" } else { "" };
        let services = family
            .services
            .iter()
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        text.push_str(&format!(
            "| `{name}` | {} | {} | {services} | {exemplars} |\n",
            family.kind,
            list(family.labels)
        ));
    }

    text.push_str("\n## Log lines\n\n| service | keys | keys under `fields` | keys under `span` |\n|---|---|---|---|\n");
    let mut keys: BTreeMap<&str, [BTreeSet<String>; 3]> = BTreeMap::new();
    for (service, line) in lines {
        let line: Json = serde_json::from_str(line).unwrap();
        let sets = keys.entry(service).or_default();
        for (set, object) in
            sets.iter_mut()
                .zip([&line, &line[fields::FIELDS], &line[fields::SPAN]])
        {
            set.extend(
                object
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.clone()),
            );
        }
    }
    for (service, sets) in keys {
        let [line, fields, span] = sets.map(list);
        text.push_str(&format!("| {service} | {line} | {fields} | {span} |\n"));
    }
    text
}

fn list(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// One metric family over all pages.
#[derive(Default)]
struct Family<'a> {
    kind: String,
    labels: BTreeSet<String>,
    services: BTreeSet<&'a str>,
    exemplars: bool,
}

fn families<'a>(pages: &[(&'a str, String)]) -> BTreeMap<String, Family<'a>> {
    let mut families: BTreeMap<String, Family<'a>> = BTreeMap::new();
    for (service, page) in pages {
        let mut current = String::new();
        for line in page.lines() {
            if let Some((name, kind)) = line
                .strip_prefix("# TYPE ")
                .and_then(|rest| rest.split_once(' '))
            {
                current = if kind == "counter" {
                    format!("{name}_total")
                } else {
                    name.to_owned()
                };
                let family = families.entry(current.clone()).or_default();
                family.kind = kind.to_owned();
                family.services.insert(service);
            } else if !line.starts_with('#') {
                let family = families
                    .get_mut(&current)
                    .expect("a sample follows its type");
                family.exemplars |= line.contains(" # {");
                let labels = line
                    .split(" # ")
                    .next()
                    .and_then(|sample| sample.split_once('{'))
                    .map_or("", |(_, rest)| rest);
                let names = labels
                    .split("=\"")
                    .filter_map(|part| part.rsplit([',', '"', '{']).next());
                let names = names.filter(|name| {
                    !name.is_empty()
                        && name
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                });
                family.labels.extend(
                    names
                        .filter(|name| !["le", metrics::SERVICE].contains(name))
                        .map(str::to_owned),
                );
            }
        }
    }
    families
}

/// Nothing may be emitted that is not on the list, and no row of the list may have ceased. A row's names may be fewer
/// than listed, and those of [`OUTCOME_ATTRIBUTES`] more: which outcomes a run sees is not the same every time.
fn compare_with_golden(found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(GOLDEN);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let (expected, found) = (
        rows(&fs::read_to_string(&path).unwrap_or_default()),
        rows(found),
    );
    let logged: BTreeSet<_> = expected
        .iter()
        .filter(|(key, _)| key.starts_with(LOG_ROW))
        .flat_map(|(_, names)| names)
        .collect();
    let outcomes = OUTCOME_ATTRIBUTES.map(|name| format!("`{name}`"));
    let is_listed = |key: &str, name: &String| match expected.get(key) {
        Some(_) if key.starts_with(LOG_ROW) => logged.contains(name),
        Some(names) => names.contains(name) || outcomes.contains(name),
        None => false,
    };
    let new: Vec<_> = found
        .iter()
        .flat_map(|(key, names)| {
            names
                .iter()
                .filter(move |name| !is_listed(key, name))
                .map(move |name| (key, name))
        })
        .collect();
    let is_rare = |key: &str| RARE.iter().any(|rare| key.contains(rare));
    let gone: Vec<_> = expected
        .keys()
        .filter(|key| !found.contains_key(*key) && !is_rare(key))
        .collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{GOLDEN} differs (`make golden` rewrites it)\nnew: {new:#?}\ngone: {gone:#?}"
    );
}

/// The rows of all tables: what a row is about, and the names it lists. In the table of log lines the first list is one
/// of three, which does no harm: all are compared.
fn rows(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let is_list =
            |cell: &&&str| cell.matches('`').count() > 2 || cell.is_empty() || **cell == "yes";
        let (lists, key): (Vec<&str>, Vec<&str>) = cells.iter().partition(|cell| is_list(cell));
        let key = if key.len() == 1 {
            format!("{LOG_ROW}{}", key[0])
        } else {
            key.join(" ")
        };
        rows.entry(key).or_default().extend(
            lists
                .iter()
                .flat_map(|list| list.split(", "))
                .map(str::to_owned),
        );
    }
    rows
}
