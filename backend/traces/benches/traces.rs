//! What the trace store costs: ingest, a trace by id, searches of each kind, bytes on disk.
//!
//! `TRACES_BENCH_SPANS` sets the number of spans (1,000,000). Ten spans a trace over three services, ten attributes a span:
//! `http.route` has 20 values (common), `tenant.id` one per 1,000 traces (rare), `job.id` one per span. A run without
//! `--bench` (as `cargo test` does) does nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use otlp::TraceId;
use prost::Message as _;
use traces::{Options, SearchRequest, Store, TimeRange};

const SPANS_PER_TRACE: u64 = 10;
const TRACES_PER_REQUEST: u64 = 100;
/// The data covers this much time, whatever its amount: 2023-11-14T22:13:20Z and an hour.
const START_NS: u64 = 1_700_000_000_000_000_000;
const LENGTH_NS: u64 = 3_600_000_000_000;
const ROUNDS: usize = 200;
const SERVICES: [&str; 3] = ["gateway", "task-service", "worker"];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let spans = std::env::var("TRACES_BENCH_SPANS")
        .map_or(1_000_000, |spans| spans.parse::<u64>().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    let traces = spans / SPANS_PER_TRACE;
    ingest(&store, traces);
    by_id(&store, traces);
    for (what, query) in QUERIES {
        search(&store, what, query);
    }
    metrics(&store);
}

const QUERIES: [(&str, &str); 9] = [
    (
        "attribute, common value",
        r#"{ span.http.route = "/v1/route/7" }"#,
    ),
    (
        "attribute, rare value",
        r#"{ span.tenant.id = "tenant-3" }"#,
    ),
    ("attribute, one span", r#"{ span.job.id = "job-77777" }"#),
    (
        "attribute, absent value",
        r#"{ span.tenant.id = "nobody" }"#,
    ),
    (
        "service and status",
        r#"{ resource.service.name = "worker" && status = error }"#,
    ),
    ("duration above all", "{ duration > 10s }"),
    ("duration of one in 1000", "{ duration > 1s }"),
    (
        "number above all",
        "{ span.http.response.status_code > 599 }",
    ),
    (
        "structural",
        r#"{ resource.service.name = "gateway" } >> { resource.service.name = "worker" && status = error }"#,
    ),
];

fn ingest(store: &Store, traces: u64) {
    let (mut spent, mut bytes) = (Duration::ZERO, 0);
    let mut cpu_spent = Duration::ZERO;
    for first in (0..traces).step_by(TRACES_PER_REQUEST as usize) {
        let request = request(first..(first + TRACES_PER_REQUEST).min(traces), traces);
        bytes += request.len();
        let begun = (Instant::now(), cpu());
        store.ingest(&request, START_NS + LENGTH_NS).unwrap();
        spent += begun.0.elapsed();
        cpu_spent += cpu() - begun.1;
    }
    let spans = (traces * SPANS_PER_TRACE) as f64;
    let disk = store.stats().disk_bytes as f64;
    println!(
        "{:<34} {:>12.0} spans/s, {:.0} spans per CPU second",
        "ingest",
        spans / spent.as_secs_f64(),
        spans / cpu_spent.as_secs_f64()
    );
    println!(
        "{:<34} {:>12.1} bytes per span as OTLP, {:.1} on disk",
        "size",
        bytes as f64 / spans,
        disk / spans
    );
}

fn by_id(store: &Store, traces: u64) {
    let mut times = Vec::new();
    for round in 0..2_000 {
        let id = trace_id(mix(round) % traces);
        let begun = Instant::now();
        let found = store.trace(id).unwrap().unwrap();
        times.push(begun.elapsed());
        assert_eq!(found.spans as u64, SPANS_PER_TRACE);
    }
    report("trace by id", &mut times, "");
}

fn search(store: &Store, what: &str, query: &str) {
    let mut request = SearchRequest::new(traceql::parse(query).unwrap());
    request.range = TimeRange {
        start_ns: START_NS,
        end_ns: START_NS + LENGTH_NS,
    };
    let mut times = Vec::new();
    let mut note = String::new();
    let begun = Instant::now();
    while times.len() < ROUNDS && begun.elapsed() < Duration::from_secs(5) {
        let begun = Instant::now();
        let found = store.search(&request).unwrap();
        times.push(begun.elapsed());
        note = format!(
            "{} found, {} traces and {:.1} MB looked at",
            found.traces.len(),
            found.metrics.inspected_traces,
            found.metrics.inspected_bytes as f64 / 1e6
        );
    }
    report(what, &mut times, &note);
}

fn metrics(store: &Store) {
    let query =
        traceql::parse(r#"{ resource.service.name = "gateway" } | rate() by (span.http.route)"#)
            .unwrap();
    let request = traces::MetricsRequest {
        query,
        range: traceql::metrics::RangeQuery {
            start_ns: START_NS,
            end_ns: START_NS + LENGTH_NS,
            step_ns: 60_000_000_000,
        },
    };
    let begun = Instant::now();
    let found = store.query_range(&request).unwrap();
    report(
        "rate() by (attribute), an hour",
        &mut [begun.elapsed()],
        &format!("{} series", found.series.len()),
    );
}

fn report(what: &str, times: &mut [Duration], note: &str) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<34} {:>9.3} ms p50, {:>9.3} ms p99  {note}",
        at(0.5),
        at(0.99)
    );
}

fn request(traces: std::ops::Range<u64>, all: u64) -> Vec<u8> {
    let mut spans: [Vec<Span>; 3] = Default::default();
    for trace in traces {
        let start = START_NS + (LENGTH_NS - 1) / all * trace;
        for index in 0..SPANS_PER_TRACE {
            let service = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2][index as usize];
            spans[service].push(span(trace, index, start));
        }
    }
    let resource_spans = spans
        .into_iter()
        .zip(SERVICES)
        .map(|(spans, service)| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", service),
                    text("service.version", "1.4.2"),
                    text("deployment.environment.name", "production"),
                    text("host.name", "ip-10-0-0-1"),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
    TracesData {
        resource_spans: resource_spans.collect(),
    }
    .encode_to_vec()
}

fn span(trace: u64, index: u64, start: u64) -> Span {
    let noise = mix(trace * SPANS_PER_TRACE + index);
    let slow = trace % 1_000 == 7;
    let duration = if slow {
        2_000_000_000
    } else {
        1_000_000 + noise % 50_000_000
    };
    let failed = trace % 100 == 3 && index == 9;
    Span {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: span_id(trace, index),
        parent_span_id: if index == 0 {
            Vec::new()
        } else {
            span_id(trace, (index - 1) / 2)
        },
        name: [
            "POST /v1/tasks",
            "auth",
            "validate",
            "create task",
            "dynamodb PutItem",
            "sqs SendMessage",
            "render",
            "process job",
            "dynamodb UpdateItem",
            "notify",
        ][index as usize]
            .to_owned(),
        kind: (1 + index % 5) as i32,
        start_time_unix_nano: start + index * 1_000_000,
        end_time_unix_nano: start + index * 1_000_000 + duration,
        attributes: vec![
            text(
                "http.request.method",
                ["GET", "POST", "PUT"][(noise % 3) as usize],
            ),
            text("http.route", &format!("/v1/route/{}", noise % 20)),
            int("http.response.status_code", if failed { 503 } else { 200 }),
            text("url.path", &format!("/v1/tasks/{}", noise % 100_000)),
            text("server.address", "127.0.0.1"),
            int("server.port", 8080),
            text("tenant.id", &format!("tenant-{}", trace / 1_000)),
            text(
                "job.id",
                &format!("job-{}", trace * SPANS_PER_TRACE + index),
            ),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
        ],
        status: failed.then(|| Status {
            message: "unavailable".to_owned(),
            code: 2,
        }),
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn trace_id(trace: u64) -> TraceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(trace).to_be_bytes());
    id[8..].copy_from_slice(&mix(trace ^ 0xabcd).to_be_bytes());
    TraceId(id)
}

fn span_id(trace: u64, index: u64) -> Vec<u8> {
    mix(trace << 8 | index | 1 << 63).to_be_bytes().to_vec()
}

/// Spreads bits (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn cpu() -> Duration {
    // User and system time of all threads, in ticks of 10 ms.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
