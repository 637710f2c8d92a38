//! Ours and the real Tempo over HTTP with the same traces, in one run: a trace by its id, and searches by attributes.
//!
//! Both hold what they were just given, Tempo in its live store, queried by one client on one connection. `SPANS` (200,000)
//! says how many, 6.5 in a trace, in the order of time. Without `tempo` at hand only ours is measured; without `--bench`
//! nothing is.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/it/client.rs"]
mod client;
#[path = "../tests/it/data.rs"]
mod data;
#[path = "../tests/it/peer.rs"]
mod peer;
#[path = "../tests/it/serving.rs"]
mod serving;

use std::{
    env, thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use client::{Client, target};
use data::{Generated, Random};
use peer::Tempo;
use serde_json::Value;
use serving::Ours;

const SPANS_DEFAULT: usize = 200_000;
const BATCH: usize = 100;
/// Younger than two minutes when they arrive: Tempo does not search what is older at once.
const SPREAD_S: u64 = 60;
const READS: usize = 1_000;
const SEARCHES_EACH: usize = 7;
const SEARCHABLE_DEADLINE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(200);
/// From rare to everywhere; each returns 20 traces at most: of ours the most recent, of Tempo's any.
const SEARCHES: [&str; 8] = [
    "{ span.tripod.job.attempt = 4 && span.mixed = \"7\" && statusMessage = \"boom\" }",
    "{ resource.service.name = \"nobody\" }",
    "{ status = error && resource.service.name = \"worker\" && duration > 1s }",
    "{ span.http.route = \"/login\" && span.http.response.status_code = 500 }",
    "{ span.db.cost > 124.5 }",
    "{ name =~ \"DynamoDB.Tran.*\" && duration > 900ms }",
    "{ kind = server } >> { status = error && kind = client }",
    "{ status = error } | count() > 4",
];
const METRICS: [&str; 2] = [
    "{ status = error } | rate() by (resource.service.name)",
    "{ kind = server } | quantile_over_time(duration, .95) by (span.http.route)",
];
/// Budgets of the design.
const READ_MS_MAX: f64 = 2.0;
const SEARCH_RATIO_MAX: f64 = 0.7;

fn main() {
    // `cargo test --benches` runs it without.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let tempo = Tempo::start();
    let now_s = system_ns() / 1_000_000_000;
    let start_s = now_s - SPREAD_S - 10;
    let traces = traces(start_s);
    let spans: usize = traces.iter().map(|trace| trace.spans).sum();
    println!("{} traces, {spans} spans", traces.len());
    let range = (start_s.to_string(), (now_s - 1).to_string());
    let ours = Ours::start(system_ns);
    let begun = Instant::now();
    for trace in &traces {
        ours.store.ingest(&trace.request, system_ns()).unwrap();
    }
    println!(
        "ours took {:.0} spans/s in, one trace at a time",
        spans as f64 / begun.elapsed().as_secs_f64()
    );
    let Some(tempo) = tempo else {
        let rows = measure(&mut Client::new(ours.address), &traces, &range);
        return rows
            .iter()
            .for_each(|row| println!("{:<90} {:>9.2} ms", row.name, row.ms));
    };
    let mut push = Client::new(tempo.otlp);
    for batch in traces.chunks(BATCH) {
        let request: Vec<u8> = batch
            .iter()
            .flat_map(|trace| trace.request.clone())
            .collect();
        tempo.push(&mut push, &request);
    }
    let rows = measure(&mut Client::new(ours.address), &traces, &range);
    let mut client = Client::new(tempo.api);
    wait_until_searchable(&mut client, traces.len(), &range);
    let version: Value = serde_json::from_slice(&client.get("/api/status/buildinfo").body).unwrap();
    println!(
        "{:<90} {:>9} {:>9} {:>7}",
        "", "ours ms", "tempo ms", "ratio"
    );
    for (ours, theirs) in rows.into_iter().zip(measure(&mut client, &traces, &range)) {
        let is_met = match ours.asked {
            Asked::Read => ours.ms <= READ_MS_MAX,
            Asked::Search => ours.ms <= SEARCH_RATIO_MAX * theirs.ms,
            Asked::Metrics => true,
        };
        let mark = if is_met { "" } else { "  over the budget" };
        println!(
            "{:<90} {:>9.2} {:>9.2} {:>7.2}{mark}",
            ours.name,
            ours.ms,
            theirs.ms,
            ours.ms / theirs.ms
        );
    }
    println!("tempo {}", version["version"]);
}

/// As many as have the spans that are asked for.
fn traces(start_s: u64) -> Vec<Generated> {
    let asked = env::var("SPANS").ok().and_then(|text| text.parse().ok());
    let mut left = asked.unwrap_or(SPANS_DEFAULT);
    let mut random = Random(11);
    let mut traces = Vec::new();
    while left > 0 {
        let offset_ns = random.below(SPREAD_S * 1_000_000_000);
        let trace = data::trace(&mut random, start_s * 1_000_000_000 + offset_ns);
        left = left.saturating_sub(trace.spans);
        traces.push((offset_ns, trace));
    }
    // In the order in which they would arrive.
    traces.sort_by_key(|(offset_ns, _)| *offset_ns);
    traces.into_iter().map(|(_, trace)| trace).collect()
}

struct Row {
    name: String,
    ms: f64,
    asked: Asked,
}

#[derive(Clone, Copy)]
enum Asked {
    Read,
    Search,
    /// Without a budget.
    Metrics,
}

fn measure(client: &mut Client, traces: &[Generated], range: &(String, String)) -> Vec<Row> {
    let mut rows = Vec::new();
    for (form, headers) in [
        ("JSON", &[][..]),
        ("protobuf", &[("accept", "application/protobuf")]),
    ] {
        let mut random = Random(3);
        let times = (0..READS).map(|_| {
            let trace = &traces[random.below(traces.len() as u64) as usize];
            let id: String = trace
                .trace_id
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let begun = Instant::now();
            let answer = client.ask("GET", &format!("/api/traces/{id}"), headers, &[]);
            assert_eq!(answer.status, 200);
            begun.elapsed()
        });
        let times = sorted(times.collect());
        for (name, at) in [("p50", READS / 2), ("p99", READS * 99 / 100)] {
            rows.push(Row {
                name: format!("by id, {form}, {name}"),
                ms: times[at],
                asked: Asked::Read,
            });
        }
    }
    for (asked, path, queries) in [
        (Asked::Search, "/api/search", &SEARCHES[..]),
        (Asked::Metrics, "/api/metrics/query_range", &METRICS),
    ] {
        for query in queries {
            let times = (0..SEARCHES_EACH).map(|index| {
                // Never the same question twice: Tempo keeps the answers to metrics queries.
                let query = format!("{query} with(question={index})");
                let parameters = [
                    ("q", query.as_str()),
                    ("start", &range.0),
                    ("end", &range.1),
                ];
                let target = target(path, &parameters);
                let begun = Instant::now();
                assert_eq!(client.get(&target).status, 200, "{query}");
                begun.elapsed()
            });
            rows.push(Row {
                name: (*query).to_owned(),
                ms: sorted(times.collect())[SEARCHES_EACH / 2],
                asked,
            });
        }
    }
    rows
}

/// In milliseconds.
fn sorted(mut times: Vec<Duration>) -> Vec<f64> {
    times.sort_unstable();
    times
        .iter()
        .map(|time| time.as_secs_f64() * 1_000.0)
        .collect()
}

fn wait_until_searchable(client: &mut Client, traces: usize, range: &(String, String)) {
    let deadline = Instant::now() + SEARCHABLE_DEADLINE;
    let limit = traces.to_string();
    let parameters = [
        ("q", "{}"),
        ("limit", limit.as_str()),
        ("start", &range.0),
        ("end", &range.1),
    ];
    loop {
        let answer = client.get(&target("/api/search", &parameters));
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if found["traces"]
            .as_array()
            .is_some_and(|found| found.len() == traces)
        {
            return;
        }
        assert!(Instant::now() < deadline, "tempo does not find all traces");
        thread::sleep(POLL);
    }
}

fn system_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}
