//! Ours and the real Tempo over HTTP with the same traces, in one run: a trace by its id, and searches by attributes.
//!
//! Both hold what they were just given, Tempo in its live store, queried by one client on one connection. `SPANS` (200,000)
//! says how many, 6.5 in a trace, each trace begun a moment before it was sent. Without `tempo` at hand only ours is measured;
//! without `--bench` nothing is.
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
/// Traces of one request to Tempo.
const BATCH: usize = 100;
/// How long before it is sent a trace begins, at most. Tempo does not search at once what is minutes old when it arrives.
const AGE_NS_MAX: u64 = 2_000_000_000;
const READS: usize = 1_000;
const SEARCHES_EACH: usize = 7;
const SEARCHABLE_DEADLINE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_secs(1);
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
    let ours = Ours::start(system_ns);
    let filled = fill(&ours, tempo.as_ref());
    let Some(tempo) = tempo else {
        let rows = measure(&mut Client::new(ours.address), &filled);
        return rows
            .iter()
            .for_each(|row| println!("{:<90} {:>9.2} ms", row.name, row.ms));
    };
    let mut client = Client::new(tempo.api);
    wait_until_searchable(&mut client, &filled);
    let rows = measure(&mut Client::new(ours.address), &filled);
    let version: Value = serde_json::from_slice(&client.get("/api/status/buildinfo").body).unwrap();
    println!(
        "{:<90} {:>9} {:>9} {:>7}",
        "", "ours ms", "tempo ms", "ratio"
    );
    for (ours, theirs) in rows.into_iter().zip(measure(&mut client, &filled)) {
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

/// What both have.
struct Filled {
    trace_ids: Vec<[u8; 16]>,
    spans: usize,
    /// Unix seconds around everything.
    range: (String, String),
}

/// Gives both the same traces, as many as have the spans that are asked for.
fn fill(ours: &Ours, tempo: Option<&Tempo>) -> Filled {
    let asked = env::var("SPANS").ok().and_then(|text| text.parse().ok());
    let asked = asked.unwrap_or(SPANS_DEFAULT);
    let mut push = tempo.map(|tempo| Client::new(tempo.otlp));
    let mut random = Random(11);
    let start_s = (system_ns() - AGE_NS_MAX) / 1_000_000_000;
    let (mut trace_ids, mut spans) = (Vec::new(), 0);
    let (mut taken, mut taken_by_tempo) = (Duration::ZERO, Duration::ZERO);
    while spans < asked {
        let now_ns = system_ns();
        let batch: Vec<Generated> = (0..BATCH)
            .map(|_| {
                let start_ns = now_ns - AGE_NS_MAX + random.below(AGE_NS_MAX);
                data::trace(&mut random, start_ns)
            })
            .collect();
        let begun = Instant::now();
        for trace in &batch {
            ours.store.ingest(&trace.request, now_ns).unwrap();
            trace_ids.push(trace.trace_id);
            spans += trace.spans;
        }
        taken += begun.elapsed();
        if let (Some(tempo), Some(push)) = (tempo, &mut push) {
            let parts: Vec<&[u8]> = batch.iter().map(|trace| &trace.request[..]).collect();
            let request = parts.concat();
            let begun = Instant::now();
            tempo.push(push, &request);
            taken_by_tempo += begun.elapsed();
        }
    }
    println!("{} traces, {spans} spans", trace_ids.len());
    println!(
        "ours took {:.0} spans/s in, one trace at a time; tempo {:.0}, {BATCH} at a time",
        spans as f64 / taken.as_secs_f64(),
        spans as f64 / taken_by_tempo.as_secs_f64()
    );
    // A trace may last longer than its age.
    let end_s = system_ns() / 1_000_000_000 + 60;
    Filled {
        trace_ids,
        spans,
        range: (start_s.to_string(), end_s.to_string()),
    }
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

fn measure(client: &mut Client, filled: &Filled) -> Vec<Row> {
    let mut rows = Vec::new();
    for (form, headers) in [
        ("JSON", &[][..]),
        ("protobuf", &[("accept", "application/protobuf")]),
    ] {
        let mut random = Random(3);
        let times = (0..READS).map(|_| {
            let trace_id = &filled.trace_ids[random.below(filled.trace_ids.len() as u64) as usize];
            let id: String = trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
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
                    ("start", &filled.range.0),
                    ("end", &filled.range.1),
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

/// Until it counts every span.
fn wait_until_searchable(client: &mut Client, filled: &Filled) {
    let deadline = Instant::now() + SEARCHABLE_DEADLINE;
    for look in 0.. {
        // Never the same question twice here either.
        let query = format!("{{}} | count_over_time() with(look={look})");
        let parameters = [
            ("q", query.as_str()),
            ("start", &filled.range.0),
            ("end", &filled.range.1),
        ];
        let answer = client.get(&target("/api/metrics/query_range", &parameters));
        let counted: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let samples = counted["series"][0]["samples"].as_array();
        let values = samples.into_iter().flatten();
        let spans: f64 = values.filter_map(|sample| sample["value"].as_f64()).sum();
        if spans as usize == filled.spans {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "tempo finds {spans} spans of {}",
            filled.spans
        );
        thread::sleep(POLL);
    }
}

fn system_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}
