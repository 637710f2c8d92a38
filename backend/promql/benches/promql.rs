//! Rule and range queries on our store and engine, and on the real Prometheus with the same data: the time a query takes
//! inside the server, and the processor time of the process.
//!
//! `PROMQL_BENCH_SERIES` sets the numbers of series (`10000,100000`). An hour of samples, one every 15 s, like the scrapes of
//! targets with a hundred series. Without `prometheus` at hand only ours is measured. A run without `--bench` (as
//! `cargo test` does) does nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/it/peer.rs"]
mod peer;

use std::{
    process, thread,
    time::{Duration, Instant},
};

use peer::Prometheus;
use peers::cpu_seconds;
use promql::{Engine, Expr, Span, parse};
use tsdb::{Batch, Labels, Options, Sample, Series, SeriesKey, Store};

/// The store's and the peer's ratio is to be below this.
const BUDGET: f64 = 0.7;

const START_MS: i64 = 1_700_000_000_000;
const SCRAPE_MS: i64 = 15_000;
const SCRAPES: usize = 241;
const END_MS: i64 = START_MS + SCRAPE_MS * (SCRAPES as i64 - 1);
const SERIES_PER_TARGET: usize = 100;
const JOBS: usize = 10;

/// Each query runs at least so often and so long.
const RUNS_MIN: usize = 5;
const TIME_MIN: Duration = Duration::from_millis(500);
/// A process is idle when it takes no more than this time of processors for so long.
const IDLE_FOR: Duration = Duration::from_millis(100);
const IDLE_CPU_SECONDS: f64 = 0.01;
const PATIENCE: Duration = Duration::from_secs(60);

enum Kind {
    /// At the end, as a rule.
    Rule,
    /// Over the whole hour, as a panel.
    Panel,
}

const QUERIES: [(Kind, &str); 13] = [
    (Kind::Rule, "sum by (job) (rate(requests_total[5m]))"),
    (
        Kind::Rule,
        r#"sum by (job) (rate(requests_total{code=~"5.."}[5m])) / sum by (job) (rate(requests_total[5m]))"#,
    ),
    (
        Kind::Rule,
        r#"sum by (job) (rate(requests_total{code=~"5.."}[1h])) / sum by (job) (rate(requests_total[1h]))"#,
    ),
    (
        Kind::Rule,
        "histogram_quantile(0.99, sum by (job, le) (rate(latency_seconds_bucket[5m])))",
    ),
    (Kind::Rule, "count by (job) (up == 0) or sum by (job) (up)"),
    (Kind::Rule, "topk(10, rate(requests_total[5m]))"),
    (
        Kind::Rule,
        r#"max_over_time(sum(rate(requests_total{job="job-1"}[5m]))[30m:1m])"#,
    ),
    (Kind::Panel, "sum by (job) (rate(requests_total[5m]))"),
    (
        Kind::Panel,
        r#"sum by (path) (rate(requests_total{instance="target-00007:80"}[5m]))"#,
    ),
    (
        Kind::Panel,
        "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[5m])))",
    ),
    (
        Kind::Panel,
        "sum by (job) (queue_length * on (instance) group_left up)",
    ),
    (
        Kind::Panel,
        "max by (job) (avg_over_time(queue_length[10m]))",
    ),
    (
        Kind::Panel,
        r#"sum by (job) (requests_total{code="200"}) / ignoring (code) sum by (job) (requests_total)"#,
    ),
];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let sizes = std::env::var("PROMQL_BENCH_SERIES").unwrap_or_else(|_| "10000,100000".into());
    for size in sizes.split(',') {
        compare(size.trim().parse().unwrap());
    }
}

fn compare(size: usize) {
    let series = series(size);
    let folder = tempfile::tempdir().unwrap();
    let store = stored(&series, folder.path());
    let peer = Prometheus::start("groups: []\n").inspect(|peer| peer.write(&series));
    println!("\n{} series, {SCRAPES} samples each", series.len());
    if let Some(peer) = &peer {
        println!("beside Prometheus {}", peer.version());
    }
    println!(
        "{:>10} {:>10} {:>6} {:>10} {:>10} {:>6}  query",
        "ours ms", "theirs ms", "ratio", "CPU ms", "theirs ms", "ratio"
    );
    let engine = Engine::default();
    let mut ratios = Vec::new();
    for (kind, text) in &QUERIES {
        let expr = parse(text).unwrap();
        peer.iter()
            .for_each(|peer| wait_until_idle(peer.process.0.id()));
        let ours = measured(process::id(), || answered(&engine, &store, kind, &expr));
        let Some(peer) = &peer else {
            println!("{:>10.2} {:>36}  {text}", ours.time_ms, "");
            continue;
        };
        let theirs = measured(peer.process.0.id(), || answered_by_peer(peer, kind, text));
        let ratio = ours.time_ms / theirs.time_ms;
        ratios.push(ratio);
        println!(
            "{:>10.2} {:>10.2} {ratio:>6.2} {:>10.2} {:>10.2} {:>6.2}  {}{text}",
            ours.time_ms,
            theirs.time_ms,
            ours.cpu_ms,
            theirs.cpu_ms,
            ours.cpu_ms / theirs.cpu_ms,
            if matches!(kind, Kind::Panel) {
                "over 1h: "
            } else {
                ""
            },
        );
    }
    if !ratios.is_empty() {
        let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let most = ratios.iter().copied().fold(0.0, f64::max);
        println!("ratios of time: geometric mean {mean:.2}, largest {most:.2} (budget {BUDGET})");
    }
}

/// What the peer still does after it was filled or asked is not to slow ours down.
fn wait_until_idle(process: u32) {
    peers::wait_until(PATIENCE, || {
        let before = cpu_seconds(process);
        thread::sleep(IDLE_FOR);
        cpu_seconds(process) - before <= IDLE_CPU_SECONDS
    });
}

struct Cost {
    /// The median.
    time_ms: f64,
    cpu_ms: f64,
}

/// Runs a query, which tells its seconds, until the figures stand.
fn measured(process: u32, run: impl Fn() -> f64) -> Cost {
    run();
    let (began, cpu_before) = (Instant::now(), cpu_seconds(process));
    let mut times = Vec::new();
    while times.len() < RUNS_MIN || began.elapsed() < TIME_MIN {
        times.push(run());
    }
    let cpu = cpu_seconds(process) - cpu_before;
    times.sort_by(f64::total_cmp);
    Cost {
        time_ms: times[times.len() / 2] * 1e3,
        cpu_ms: cpu / times.len() as f64 * 1e3,
    }
}

fn answered(engine: &Engine, store: &Store, kind: &Kind, expr: &Expr) -> f64 {
    let began = Instant::now();
    let rows = match kind {
        Kind::Rule => match engine.instant(store, expr, END_MS).unwrap().value {
            promql::Value::Vector(rows) => rows.len(),
            other => panic!("{other:?}"),
        },
        Kind::Panel => engine.range(store, expr, SPAN).unwrap().value.len(),
    };
    let seconds = began.elapsed().as_secs_f64();
    assert!(rows > 0);
    seconds
}

const SPAN: Span = Span {
    start_ms: START_MS,
    end_ms: END_MS,
    step_ms: SCRAPE_MS,
};

/// As the server itself measures it, without HTTP and JSON.
fn answered_by_peer(peer: &Prometheus, kind: &Kind, text: &str) -> f64 {
    let [start, end, step] = [START_MS, END_MS, SCRAPE_MS].map(|ms| (ms / 1000).to_string());
    let (status, answer) = match kind {
        Kind::Rule => peer.api(
            "query",
            &[("query", text), ("time", &end), ("stats", "all")],
        ),
        Kind::Panel => peer.api(
            "query_range",
            &[
                ("query", text),
                ("start", &start),
                ("end", &end),
                ("step", &step),
                ("stats", "all"),
            ],
        ),
    };
    assert_eq!(status, 200, "{answer}");
    assert!(!answer["data"]["result"].as_array().unwrap().is_empty());
    let timings = &answer["data"]["stats"]["timings"];
    timings["execTotalTime"].as_f64().unwrap()
}

fn stored(series: &[Series], folder: &std::path::Path) -> Store {
    let (store, _) = Store::open(folder, Options::default()).unwrap();
    let mut keys: Vec<SeriesKey> = series
        .iter()
        .map(|series| SeriesKey::Labels(series.labels.clone()))
        .collect();
    let mut batch = Batch::new(END_MS);
    for scrape in 0..SCRAPES {
        batch.clear(END_MS);
        for (key, series) in keys.iter().zip(series) {
            let sample = series.samples[scrape];
            batch.push(key.clone(), sample.t_ms, sample.value);
        }
        let report = store.append(&batch).unwrap();
        assert_eq!(report.stored, series.len());
        let references = report
            .entries
            .iter()
            .map(|entry| SeriesKey::Ref(entry.series.unwrap()));
        keys = references.collect();
    }
    store
}

/// Of each target 60 counters, 20 buckets, 19 gauges and `up`; target by target, as scrapes bring them.
fn series(size: usize) -> Vec<Series> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|number| {
            let counts = number % SERIES_PER_TARGET < 80;
            let mut value = 0.0;
            let samples = (0..SCRAPES as i64).map(|scrape| {
                // Xorshift: the same in every run.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                value = match counts {
                    true if random.is_multiple_of(10_000) => 0.0,
                    true => value + (random >> 32).rem_euclid(40) as f64,
                    false if number % SERIES_PER_TARGET == 99 => 1.0,
                    false => (random >> 40) as f64 / 1000.0,
                };
                Sample {
                    t_ms: START_MS + scrape * SCRAPE_MS,
                    value,
                }
            });
            Series {
                samples: samples.collect(),
                labels: labels(number),
            }
        })
        .collect()
}

fn labels(number: usize) -> Labels {
    let (target, of_target) = (number / SERIES_PER_TARGET, number % SERIES_PER_TARGET);
    let common = [
        ("instance", format!("target-{target:05}:80")),
        ("job", format!("job-{}", target % JOBS)),
        ("region", "eu-central-1".to_owned()),
    ];
    let own = match of_target {
        0..60 => vec![
            ("__name__", "requests_total".to_owned()),
            ("path", format!("/api/v1/path-{}", of_target / 6)),
            (
                "code",
                ["200", "201", "400", "404", "500", "503"][of_target % 6].to_owned(),
            ),
        ],
        60..80 => vec![
            ("__name__", "latency_seconds_bucket".to_owned()),
            ("path", format!("/api/v1/path-{}", of_target / 10)),
            ("le", BOUNDS[of_target % 10].to_owned()),
        ],
        80..99 => vec![
            ("__name__", "queue_length".to_owned()),
            ("queue", format!("queue-{of_target}")),
        ],
        _ => vec![("__name__", "up".to_owned())],
    };
    Labels::new(common.into_iter().chain(own))
}

const BOUNDS: [&str; 10] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf",
];
