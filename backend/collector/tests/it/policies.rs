//! What configuration files mean: cases of policies with the decision on each trace, files that are refused with the place
//! and the reason, the project's own file, and all cases once more through the real Collector.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use collector::{
    Config,
    policy::{Decision, Facts, Policies},
};
use conventions::defaults;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use otlp::wire;
use peers::{Peer, component, free_address, wait_until};
use prost::Message;
use serde::Deserialize;

use crate::{
    outside::Connection,
    traffic::{START_NS, attribute, configuration_file, mix, trace_id},
};

/// Random traces that the real Collector judges beside those of the cases.
const RANDOM_TRACES: u64 = 3_000;
const TRACES_PER_REQUEST: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// Policies as they stand in a file, and traces to be decided by them.
struct Case {
    name: String,
    /// The text from `policies:` on.
    policies: String,
    traces: Vec<(TraceCase, Trace)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceCase {
    about: String,
    /// `keep NAME`, `drop`, or `drop NAME`.
    expect: String,
    /// 32 hexadecimal digits, where the trace id matters.
    id: Option<String>,
    spans: Vec<SpanCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SpanCase {
    status: String,
    start_ms: u64,
    end_ms: u64,
    attributes: BTreeMap<String, Scalar>,
    resource: BTreeMap<String, Scalar>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// A trace as it is sent: each span under a resource of its own.
struct Trace {
    id: [u8; 16],
    resource_spans: Vec<ResourceSpans>,
}

impl Default for SpanCase {
    fn default() -> Self {
        Self {
            status: "UNSET".to_owned(),
            start_ms: 0,
            end_ms: 1,
            attributes: BTreeMap::new(),
            resource: BTreeMap::new(),
        }
    }
}

#[test]
fn each_case_is_decided_as_it_says() {
    for case in cases() {
        let config = config(&case);
        for (expected, trace) in &case.traces {
            let told = match decide(&config.ontime, trace) {
                Decision::Keep { policy } => format!("keep {}", config.ontime.names()[policy]),
                Decision::Drop {
                    policy: Some(policy),
                } => format!("drop {}", config.ontime.names()[policy]),
                Decision::Drop { policy: None } => "drop".to_owned(),
            };
            assert_eq!(told, expected.expect, "{}: {}", case.name, expected.about);
        }
    }
}

#[test]
fn each_refused_file_names_the_place_and_what_is_supported() {
    for (name, text) in files("refused") {
        let (expected, _) = text.split_once('\n').unwrap();
        let expected = expected.strip_prefix("# ").unwrap();
        let error = Config::parse(&text, &|_| None).expect_err(&name);
        assert_eq!(error.to_string(), expected, "{name}");
    }
}

#[test]
fn the_projects_file_and_the_services_agree() {
    let config = Config::read(&configuration_file(), &|_| None).unwrap();
    assert_eq!(
        config.decision_wait.as_secs_f64(),
        defaults::DECISION_WAIT_SECONDS
    );
    assert_eq!(
        config.late_attribute(),
        Some(conventions::spans::TRIPOD_LATE)
    );
    assert_eq!(
        config.ontime.names(),
        ["errors", "http-5xx", "retried", "baseline"]
    );
    assert_eq!(config.late.names(), config.ontime.names());
    let wait = |name: &str| (name == defaults::DECISION_WAIT_ENV).then(|| "1m30s".to_owned());
    assert_eq!(
        Config::read(&configuration_file(), &wait)
            .unwrap()
            .decision_wait,
        Duration::from_secs(90)
    );

    let file: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(configuration_file()).unwrap()).unwrap();
    for lane in ["tail_sampling/ontime", "tail_sampling/late"] {
        let policies = &file["processors"][lane]["policies"];
        assert_eq!(
            policies[1]["numeric_attribute"]["key"],
            conventions::spans::HTTP_RESPONSE_STATUS_CODE
        );
        assert_eq!(
            policies[2]["numeric_attribute"]["key"],
            conventions::spans::TRIPOD_JOB_ATTEMPT
        );
        let baseline = &policies[3]["probabilistic"];
        assert_eq!(
            baseline["sampling_percentage"].as_f64(),
            Some(defaults::SAMPLING_PERCENTAGE)
        );
        assert_eq!(baseline["hash_salt"], defaults::SAMPLING_SALT);
    }
}

#[test]
fn a_file_that_is_missing_or_endless_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    let read = || Config::read(&path, &|_| None).unwrap_err().to_string();
    assert!(read().starts_with("cannot read "), "{}", read());
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(
        read().ends_with("is longer than 1048576 bytes"),
        "{}",
        read()
    );
}

#[test]
fn the_real_collector_accepts_the_projects_file() {
    let Some(program) = component("otelcol") else {
        return;
    };
    let output = Command::new(program)
        .arg("validate")
        .arg("--config")
        .arg(configuration_file())
        .env_clear()
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_real_collector_decides_each_trace_of_each_case_in_the_same_way() {
    let Some(program) = component("otelcol") else {
        return;
    };
    let cases = cases();
    let mut traces: Vec<&Trace> = cases
        .iter()
        .flat_map(|case| case.traces.iter().map(|(_, trace)| trace))
        .collect();
    let random: Vec<Trace> = (0..RANDOM_TRACES).map(random_trace).collect();
    traces.extend(&random);
    assert_eq!(
        traces
            .iter()
            .map(|trace| trace.id)
            .collect::<BTreeSet<_>>()
            .len(),
        traces.len(),
        "an id stands twice"
    );

    let folder = tempfile::tempdir().unwrap();
    let http = free_address();
    fs::write(folder.path().join("config.yaml"), pipelines(&cases, http)).unwrap();
    let otelcol = start(&program, folder.path(), http);
    let mut connection = Connection::open(http);
    for chunk in traces.chunks(TRACES_PER_REQUEST) {
        let resource_spans = chunk
            .iter()
            .flat_map(|trace| trace.resource_spans.clone())
            .collect();
        let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        assert_eq!(connection.post("/v1/traces", &request), 200);
    }
    drop(connection);
    stop(otelcol);

    for case in &cases {
        let policies = config(case).ontime;
        let keeps = |trace: &&&Trace| matches!(decide(&policies, trace), Decision::Keep { .. });
        let ours: BTreeSet<String> = traces
            .iter()
            .filter(keeps)
            .map(|trace| otlp::TraceId(trace.id).to_string())
            .collect();
        let kept = fs::read_to_string(folder.path().join(format!("{}.json", case.name))).unwrap();
        let theirs: BTreeSet<String> = kept
            .split("\"traceId\":\"")
            .skip(1)
            .map(|rest| rest[..32].to_owned())
            .collect();
        let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
        assert!(
            differing.is_empty(),
            "{}: ours {}, theirs {}, differing {differing:?}",
            case.name,
            ours.len(),
            theirs.len()
        );
        assert!(
            theirs.len() < traces.len() || case.name == "always_sample",
            "{}: nothing was dropped",
            case.name
        );
    }
}

/// The real Collector, with all cases side by side: each pipeline gets every trace.
fn start(program: &Path, folder: &Path, http: SocketAddr) -> Peer {
    let mut command = Command::new(program);
    command
        .args(["--config", "config.yaml"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Peer::start(command, &[http], PATIENCE).unwrap()
}

/// Stopped in order, it decides what it holds and writes what it keeps.
fn stop(mut otelcol: Peer) {
    let status = Command::new("kill")
        .args(["-INT", &otelcol.0.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    wait_until(PATIENCE, || otelcol.0.try_wait().unwrap().is_some());
}

fn pipelines(cases: &[Case], http: SocketAddr) -> String {
    let each = |line: &dyn Fn(&Case) -> String| cases.iter().map(line).collect::<String>();
    format!(
        "receivers:
  otlp:
    protocols: {{http: {{endpoint: '{http}'}}}}
processors:
{}exporters:
{}service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
{}",
        each(&|case| format!(
            "  tail_sampling/{}:\n    decision_wait: 1h\n    num_traces: 100000\n{}",
            case.name,
            indented(&case.policies)
        )),
        each(&|case| format!("  file/{0}: {{path: '{0}.json'}}\n", case.name)),
        each(&|case| format!(
            "    traces/{0}: {{receivers: [otlp], processors: [tail_sampling/{0}], exporters: [file/{0}]}}\n",
            case.name
        )),
    )
}

/// The case's policies as the only ones of a file.
fn config(case: &Case) -> Config {
    let file = format!(
        "processors:\n  tail_sampling:\n{}service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      processors: \
         [tail_sampling]\n      exporters: [file]\n",
        indented(&case.policies)
    );
    Config::parse(&file, &|_| None).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn indented(policies: &str) -> String {
    policies
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect()
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn cases() -> Vec<Case> {
    let mut number = RANDOM_TRACES;
    let mut read = |(name, text): (String, String)| {
        let (policies, traces) = text.split_once("traces:\n").unwrap();
        let traces: Vec<TraceCase> =
            serde_saphyr::from_str(traces).unwrap_or_else(|error| panic!("{name}: {error}"));
        let traces = traces.into_iter().map(|case| {
            number += 1;
            let id = case.id.as_ref().map_or_else(
                || trace_id(number),
                |id| id.parse::<otlp::TraceId>().unwrap().0,
            );
            let resource_spans = case
                .spans
                .iter()
                .enumerate()
                .map(|(at, span)| span.resource_spans(id, at as u64))
                .collect();
            (case, Trace { id, resource_spans })
        });
        Case {
            traces: traces.collect(),
            policies: policies.to_owned(),
            name,
        }
    };
    files("policies").into_iter().map(&mut read).collect()
}

impl SpanCase {
    fn resource_spans(&self, id: [u8; 16], at: u64) -> ResourceSpans {
        let code = ["UNSET", "OK", "ERROR"]
            .iter()
            .position(|name| *name == self.status)
            .unwrap() as i32;
        let span = Span {
            trace_id: id.to_vec(),
            span_id: (at + 1).to_be_bytes().to_vec(),
            start_time_unix_nano: START_NS + self.start_ms * 1_000_000,
            end_time_unix_nano: START_NS + self.end_ms * 1_000_000,
            attributes: attributes(&self.attributes),
            status: Some(Status {
                code,
                ..Status::default()
            }),
            ..Span::default()
        };
        ResourceSpans {
            resource: Some(Resource {
                attributes: attributes(&self.resource),
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    }
}

fn attributes(scalars: &BTreeMap<String, Scalar>) -> Vec<KeyValue> {
    let value = |scalar: &Scalar| match scalar.clone() {
        Scalar::Bool(value) => Value::BoolValue(value),
        Scalar::Int(value) => Value::IntValue(value),
        Scalar::Float(value) => Value::DoubleValue(value),
        Scalar::Text(value) => Value::StringValue(value),
    };
    scalars
        .iter()
        .map(|(key, scalar)| attribute(key, value(scalar)))
        .collect()
}

/// One to four spans of the vocabulary of the cases; the first is the longest, and comes first.
fn random_trace(number: u64) -> Trace {
    let id = trace_id(number);
    let length_ms = [
        0, 1, 10, 11, 99, 100, 101, 499, 500, 501, 999, 1000, 1001, 5000,
    ][mix(number) as usize % 14];
    let spans = 1 + mix(number ^ 0xA5A5) % 4;
    let span = |at: u64| {
        let seed = mix(number * 8 + at);
        let times = if at == 0 {
            (0, length_ms)
        } else {
            (length_ms / 3, length_ms / 2)
        };
        SpanCase {
            status: ["UNSET", "UNSET", "OK", "UNSET", "ERROR", "UNSET", "UNSET"][seed as usize % 7]
                .to_owned(),
            start_ms: times.0,
            end_ms: times.1,
            attributes: random_attributes(mix(seed)),
            resource: random_attributes(mix(seed ^ 1) | 1),
        }
    };
    Trace {
        id,
        resource_spans: (0..spans)
            .map(|at| span(at).resource_spans(id, at))
            .collect(),
    }
}

/// Few, so that traces of which nothing holds are among them.
fn random_attributes(seed: u64) -> BTreeMap<String, Scalar> {
    let keys = [
        "http.response.status_code",
        "tripod.job.attempt",
        "attempt",
        "tenant",
        "probe",
        "zone",
    ];
    let texts = [
        "acme",
        "umbrella",
        "Umbrella Inc",
        "acme-7",
        "acme-7x",
        "x-1.a.b",
        "a[",
        "lab",
        "test",
        "prod",
        "",
        "true",
        "503",
        "é-١",
    ];
    let numbers = [0, 1, 2, 3, 5, -4, 200, 404, 418, 499, 500, 503, 599, 600];
    (0..seed % 3)
        .map(|at| {
            let seed = mix(seed.wrapping_add(at));
            let one = (seed >> 32) as usize;
            let scalar = match seed % 8 {
                0 => Scalar::Bool(one.is_multiple_of(2)),
                1 | 2 => Scalar::Int(numbers[one % numbers.len()]),
                3 => Scalar::Float(503.0),
                _ => Scalar::Text(texts[one % texts.len()].to_owned()),
            };
            (keys[(seed >> 16) as usize % keys.len()].to_owned(), scalar)
        })
        .collect()
}

/// As the collector does: resource and span facts, merged over the trace.
fn decide(policies: &Policies, trace: &Trace) -> Decision {
    struct Reader<'p> {
        policies: &'p Policies,
        resource: Facts,
        trace: Facts,
    }
    impl<'a> wire::Visit<'a> for Reader<'_> {
        fn resource(&mut self, resource: wire::Resource<'a>) {
            self.resource = self.policies.resource_facts(&resource);
        }
        fn scope(&mut self, _: wire::Scope<'a>) {}
        fn span(&mut self, span: wire::Span<'a>) {
            let mut facts = self.resource;
            self.policies.observe(&mut facts, &span);
            self.trace.merge(&facts);
        }
    }
    let request = ExportTraceServiceRequest {
        resource_spans: trace.resource_spans.clone(),
    }
    .encode_to_vec();
    let mut reader = Reader {
        policies,
        resource: Facts::default(),
        trace: Facts::default(),
    };
    wire::walk(&request, &mut reader).unwrap();
    policies.decide(&reader.trace, &trace.id)
}
