//! The embedded backend from outside: OTLP in, Tempo API out, exactly the predicted traces in between; across a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conventions::spans;
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData},
};
use prost::Message as _;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use telemetry::sampling::predicate;

use crate::{
    api::{Api, client},
    system::{Start, System, command, wait, wait_for},
};

/// Short, so that the test is; late spans of services are not what is tested here.
const DECISION_WAIT: (&str, &str) = ("TRIPOD_DECISION_WAIT", "2s");
const TRACES: u64 = 20_000;
const TRACES_PER_REQUEST: u64 = 250;
const READERS: u64 = 4;

/// The kinds of traces, one after the other through the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Kept if the hash of the trace id says so.
    Success,
    /// A span with status Error, in the second service.
    Error,
    /// HTTP 500 without a status.
    ServerError,
    /// A job that was delivered again.
    Retried,
    /// A success whose last span is an error that comes after the decision.
    LateError,
    /// A success whose last span comes after the decision.
    LateSuccess,
}

fn kind(number: u64) -> Kind {
    match number % 100 {
        0 | 1 => Kind::Error,
        2 => Kind::ServerError,
        3 => Kind::Retried,
        4 => Kind::LateError,
        5 => Kind::LateSuccess,
        _ => Kind::Success,
    }
}

/// Ids of the spans of a trace that have to be found again.
fn expected(number: u64) -> BTreeSet<u64> {
    let on_time: BTreeSet<u64> = (1..=3).collect();
    let kept = predicate().keeps(TraceId::from_bytes(trace_id(number)));
    match (kind(number), kept) {
        (Kind::Error | Kind::ServerError | Kind::Retried, _) | (Kind::Success, true) => on_time,
        (Kind::LateError | Kind::LateSuccess, true) => (1..=4).collect(),
        (Kind::LateError, false) => [4].into(),
        (Kind::LateSuccess | Kind::Success, false) => BTreeSet::new(),
    }
}

#[test]
fn exactly_the_predicted_spans_of_20_000_traces_are_found_again_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start {
        environment: &[DECISION_WAIT],
        ..Start::default()
    };
    let system = System::start(folder.path(), &start);
    let (otlp, tempo) = (surface(&system, "otlp_http"), surface(&system, "tempo"));
    let begun = now_ns();
    for first in (0..TRACES).step_by(TRACES_PER_REQUEST as usize) {
        let numbers = first..first + TRACES_PER_REQUEST;
        // Children before their parents, over two requests, and a part of it twice.
        post(
            &otlp,
            &numbers
                .clone()
                .flat_map(|number| on_time(number, begun)[1..].to_vec())
                .rev()
                .collect::<Vec<_>>(),
        );
        post(
            &otlp,
            &numbers
                .clone()
                .map(|number| on_time(number, begun)[0].clone())
                .collect::<Vec<_>>(),
        );
        post(
            &otlp,
            &numbers
                .step_by(10)
                .map(|number| on_time(number, begun)[1].clone())
                .collect::<Vec<_>>(),
        );
    }
    // The last decision is over when the last trace that is kept is there.
    let last_error = (0..TRACES)
        .rev()
        .find(|number| kind(*number) == Kind::Error)
        .unwrap();
    wait_for("the last decision", || {
        (spans_of(&tempo, last_error).len() == 3).then_some(())
    });
    let late: Vec<Sent> = (0..TRACES)
        .filter_map(|number| late(number, begun))
        .collect();
    late.chunks(500).for_each(|late| post(&otlp, late));
    let last_late = (0..TRACES)
        .rev()
        .find(|number| kind(*number) == Kind::LateError)
        .unwrap();
    wait_for("the late decision", || {
        spans_of(&tempo, last_late).contains_key(&4).then_some(())
    });

    let (kept, spans) = compare(&tempo);
    let errors = (0..TRACES)
        .filter(|number| matches!(kind(*number), Kind::Error | Kind::LateError))
        .count();
    assert_eq!(found(&tempo, "{ status = error }"), errors);
    assert_eq!(
        found(
            &tempo,
            "{ resource.service.name = `worker` && span.tripod.job.attempt >= 2 }"
        ),
        TRACES as usize / 100
    );
    println!(
        "{TRACES} traces sent: {kept} kept with {spans} spans, as predicted; {errors} with an error"
    );

    system.kill();
    let system = System::start(folder.path(), &start);
    assert_eq!(compare(&surface(&system, "tempo")), (kept, spans));
    assert!(system.stop().success());
}

/// Reads every trace; how many are there, and how many spans they have.
fn compare(tempo: &str) -> (u64, u64) {
    let (kept, spans) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (kept, spans) = (&kept, &spans);
            scope.spawn(move || {
                let client = client();
                for number in (0..TRACES).skip(reader as usize).step_by(READERS as usize) {
                    let found = spans_with(&client, tempo, number);
                    assert!(
                        found.values().all(|times| *times == 1),
                        "{number}: {found:?}"
                    );
                    let expected = expected(number);
                    assert_eq!(
                        found.into_keys().collect::<BTreeSet<_>>(),
                        expected,
                        "{:?} {number}",
                        kind(number)
                    );
                    kept.fetch_add(u64::from(!expected.is_empty()), Ordering::Relaxed);
                    spans.fetch_add(expected.len() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    (kept.into_inner(), spans.into_inner())
}

#[test]
fn what_was_found_once_is_found_after_a_kill_in_the_middle_of_sending() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start {
        environment: &[("TRIPOD_DECISION_WAIT", "1s")],
        ..Start::default()
    };
    let mut number = 2 * TRACES;
    for round in 0..3 {
        let system = System::start(folder.path(), &start);
        let (otlp, tempo) = (surface(&system, "otlp_http"), surface(&system, "tempo"));
        let is_over = AtomicBool::new(false);
        let known = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let client = client();
                while !is_over.load(Ordering::SeqCst) {
                    let errors: Vec<Sent> = (number..number + 50)
                        .map(|number| error(number, now_ns()))
                        .collect();
                    number += 50;
                    // The kill comes in the middle of it.
                    let _ = client
                        .post(format!("{otlp}/v1/traces"))
                        .header("content-type", "application/x-protobuf")
                        .body(request_bytes(&errors))
                        .send();
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let known = wait_for("some hundred traces", || {
                let known = ids(&tempo, "{ status = error }");
                (known.len() > 300 * (round + 1)).then_some(known)
            });
            system.kill();
            is_over.store(true, Ordering::SeqCst);
            sender.join().unwrap();
            known
        });
        let system = System::start(folder.path(), &start);
        let after = ids(&surface(&system, "tempo"), "{ status = error }");
        let lost = known.difference(&after).count();
        assert_eq!(lost, 0, "of {}", known.len());
        assert!(system.stop().success());
    }
}

#[test]
fn a_failed_request_is_shown_as_one_waterfall_of_all_services() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start {
        environment: &[DECISION_WAIT],
        ..Start::default()
    };
    let system = System::start(folder.path(), &start);
    let api = Api::new(&system);
    let fault = serde_json::json!({"target": "dynamodb:TransactWriteItems", "error": "unavailable", "ratio": 1.0, "for_seconds": 60});
    let put = client()
        .put(format!("{}/faults/broken", system.admin("task-service")))
        .json(&fault)
        .send()
        .unwrap();
    assert!(put.status().is_success(), "{}", put.text().unwrap());
    let refused = api
        .request(reqwest::Method::POST, "/v1/tasks")
        .json(&serde_json::json!({"title": "Fails"}))
        .send()
        .unwrap();
    assert!(refused.status().is_server_error(), "{}", refused.status());
    let header = refused.headers()["traceresponse"]
        .to_str()
        .unwrap()
        .to_owned();

    let data = folder.path().to_str().unwrap().to_owned();
    let shown = wait_for("the trace", || {
        let (code, shown) = show(&[&header, "--data", &data]);
        // The log line of the failed call is shipped, and the exemplar of the request scraped, a little later.
        let is_whole =
            code == Some(0) && shown.contains("▏WARN") && shown.contains("exemplars that name it");
        is_whole.then_some(shown)
    });
    for part in [
        "gateway",
        "task-service",
        "POST /v1/tasks",
        "DynamoDB.TransactWriteItems",
        "http_server_request_duration_seconds_bucket{",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    let (code, _) = show(&["00000000000000000000000000000abc", "--data", &data]);
    assert_eq!(code, Some(1), "nobody knows it");
    assert!(system.stop().success());
    let (code, _) = show(&[&header, "--data", &data]);
    assert_eq!(code, Some(2), "nobody can be asked");
}

fn show(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command(&[&["show"], arguments].concat());
    let mut process = command.spawn().unwrap();
    let status = wait(&mut process);
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut process.stdout.take().unwrap(), &mut shown).unwrap();
    (status.code(), shown)
}

fn surface(system: &System, name: &str) -> String {
    system.run()[name].as_str().unwrap().to_owned()
}

/// Trace ids that a search finds.
fn ids(tempo: &str, query: &str) -> BTreeSet<String> {
    let url = reqwest::Url::parse_with_params(
        &format!("{tempo}/api/search"),
        [("q", query), ("limit", "10000")],
    )
    .unwrap();
    let answer = client().get(url).send().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: serde_json::Value = answer.json().unwrap();
    let traces = answer["traces"].as_array().cloned().unwrap_or_default();
    traces
        .iter()
        .map(|trace| trace["traceID"].as_str().unwrap().to_owned())
        .collect()
}

fn found(tempo: &str, query: &str) -> usize {
    ids(tempo, query).len()
}

fn spans_of(tempo: &str, number: u64) -> BTreeMap<u64, usize> {
    spans_with(&client(), tempo, number)
}

/// How often each span of a trace is stored.
fn spans_with(client: &Client, tempo: &str, number: u64) -> BTreeMap<u64, usize> {
    let id: String = trace_id(number)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = client
        .get(format!("{tempo}/api/traces/{id}"))
        .header("accept", "application/protobuf");
    let answer = request.send().unwrap();
    let mut spans = BTreeMap::new();
    if answer.status() == StatusCode::NOT_FOUND {
        return spans;
    }
    assert_eq!(answer.status(), StatusCode::OK);
    let data = TracesData::decode(answer.bytes().unwrap()).unwrap();
    for span in data
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
    {
        *spans
            .entry(u64::from_be_bytes(span.span_id[..].try_into().unwrap()))
            .or_default() += 1;
    }
    spans
}

/// A span and its service.
type Sent = (&'static str, Span);

/// A root in the gateway, a child in the task-service, a child of that in the worker.
fn on_time(number: u64, start_ns: u64) -> [Sent; 3] {
    let kind = kind(number);
    let mut root = ("gateway", span(number, 1, start_ns));
    let mut child = ("task-service", span(number, 2, start_ns));
    let mut job = ("worker", span(number, 3, start_ns));
    root.1.attributes.push(int(
        spans::HTTP_RESPONSE_STATUS_CODE,
        if kind == Kind::ServerError { 500 } else { 200 },
    ));
    job.1.attributes.push(int(
        spans::TRIPOD_JOB_ATTEMPT,
        if kind == Kind::Retried { 2 } else { 1 },
    ));
    if kind == Kind::Error {
        child.1.status = failed();
    }
    [root, child, job]
}

fn late(number: u64, start_ns: u64) -> Option<Sent> {
    let kind = kind(number);
    let mut span = span(number, 4, start_ns);
    span.attributes
        .push(pair(spans::TRIPOD_LATE, Value::BoolValue(true)));
    match kind {
        Kind::LateError => span.status = failed(),
        Kind::LateSuccess => {}
        _ => return None,
    }
    Some(("worker", span))
}

fn error(number: u64, start_ns: u64) -> Sent {
    (
        "gateway",
        Span {
            status: failed(),
            ..span(number, 1, start_ns)
        },
    )
}

fn failed() -> Option<Status> {
    Some(Status {
        message: "it broke".to_owned(),
        code: 2,
    })
}

fn span(number: u64, id: u64, start_ns: u64) -> Span {
    Span {
        trace_id: trace_id(number).to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if id == 1 {
            Vec::new()
        } else {
            (id - 1).to_be_bytes().to_vec()
        },
        name: format!("operation {id}"),
        kind: 2,
        start_time_unix_nano: start_ns + id * 1_000,
        end_time_unix_nano: start_ns + id * 1_000 + 500,
        ..Span::default()
    }
}

fn int(key: &str, number: i64) -> KeyValue {
    pair(key, Value::IntValue(number))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn post(otlp: &str, spans: &[Sent]) {
    let request = client()
        .post(format!("{otlp}/v1/traces"))
        .header("content-type", "application/x-protobuf");
    let answer = request.body(request_bytes(spans)).send().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

fn request_bytes(spans: &[Sent]) -> Vec<u8> {
    let resource_spans = spans
        .chunk_by(|one, other| one.0 == other.0)
        .map(|run| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![pair(
                    conventions::resource::SERVICE_NAME,
                    Value::StringValue(run[0].0.to_owned()),
                )],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: run.iter().map(|(_, span)| span.clone()).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
    TracesData {
        resource_spans: resource_spans.collect(),
    }
    .encode_to_vec()
}

/// Spread like random ones (SplitMix64), the same in every run.
fn trace_id(number: u64) -> [u8; 16] {
    let mix = |number: u64| {
        let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (u128::from(mix(2 * number)) << 64 | u128::from(mix(2 * number + 1))).to_be_bytes()
}

fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}
