//! What the store costs: appends by reference and by labels, memory for each series, bytes for each sample, queries; and
//! the same work done by Prometheus' storage when `promtool` is at hand.
//!
//! `TSDB_BENCH_SERIES` sets the numbers of series (`10000,100000`). The data is like scrapes of 100 series every 15 s, a millisecond or
//! two off: 60 % counters, most of which stand still, 20 % gauges with fractions, 20 % constants. Five hours of it, so that a
//! block is cut. A run without `--bench` (as `cargo test` does) does nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod beside;

use std::ops::RangeInclusive;
use std::time::Instant;

use tsdb::{Batch, Labels, Match, Matcher, Options, SeriesKey, SeriesRef, Source as _, Store};

const SERIES_PER_TARGET: usize = 100;
const SCRAPE_MS: i64 = 15_000;
const SCRAPES_PER_HOUR: i64 = 240;
const HOURS: i64 = 5;
/// 2023-11-14T22:00:00Z, where a block begins.
const START: i64 = 1_699_999_200_000;
/// Each query runs as often.
const ROUNDS: usize = 5;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") || beside::is_writer() {
        return;
    }
    let sizes = std::env::var("TSDB_BENCH_SERIES").unwrap_or_else(|_| "10000,100000".into());
    for size in sizes.split(',') {
        measure(size.trim().parse().unwrap());
    }
}

fn measure(series: usize) {
    println!("\n{series} series, one sample every 15 s, {HOURS} h");
    by_labels(series);
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    by_reference(&store, series);
    for (what, hours) in [("head", 4..=5), ("block", 0..=1), ("block and head", 1..=3)] {
        queries(&store, what, hours);
    }
    reopen(store, dir.path());
    beside::compare(series);
}

/// Values as a scrape brings them.
struct World {
    labels: Vec<Labels>,
    values: Vec<f64>,
    random: u64,
}

impl World {
    fn new(series: usize) -> Self {
        Self {
            labels: (0..series).map(labels).collect(),
            values: vec![0.0; series],
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Xorshift: the same in every run.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn step(&mut self) {
        for index in 0..self.values.len() {
            let random = self.next();
            self.values[index] = match index % 10 {
                0..6 if !random.is_multiple_of(4) => self.values[index],
                0..6 => self.values[index] + (random >> 8).rem_euclid(50) as f64,
                6..8 => (random >> 40) as f64 / 1000.0,
                _ => 1.0,
            };
        }
    }
}

/// As a histogram's: seven labels.
fn labels(number: usize) -> Labels {
    let target = number / SERIES_PER_TARGET;
    let of_target = number % SERIES_PER_TARGET;
    Labels::new([
        (
            "__name__",
            format!("http_server_request_duration_seconds_{}", of_target / 50),
        ),
        ("http_request_method", "GET".to_owned()),
        (
            "http_route",
            format!("/v1/tasks/{}/comments", of_target / 10),
        ),
        (
            "instance",
            format!("10.0.{}.{}:9101", target / 250, target % 250),
        ),
        ("job", format!("service-{}", target % 5)),
        ("le", format!("{}", of_target % 10)),
        ("service", format!("service-{}", target % 5)),
    ])
}

/// One hour; nothing is kept of what the store answers.
fn by_labels(series: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    let mut world = World::new(series);
    let mut spent = std::time::Duration::ZERO;
    for scrape in 0..SCRAPES_PER_HOUR {
        world.step();
        for start in (0..series).step_by(SERIES_PER_TARGET) {
            let t_ms = START + scrape * SCRAPE_MS + (world.next() % 3) as i64;
            let mut batch = Batch::new(t_ms);
            for index in start..(start + SERIES_PER_TARGET).min(series) {
                let key = SeriesKey::Labels(world.labels[index].clone());
                batch.push(key, t_ms, world.values[index]);
            }
            let begun = Instant::now();
            assert_eq!(store.append(&batch).unwrap().stored, batch.entries.len());
            spent += begun.elapsed();
        }
    }
    let samples = series as i64 * SCRAPES_PER_HOUR;
    println!(
        "append by labels     {:>9.0} samples/s",
        samples as f64 / spent.as_secs_f64()
    );
}

fn by_reference(store: &Store, series: usize) {
    let mut world = World::new(series);
    let mut references: Vec<Option<SeriesRef>> = vec![None; series];
    let memory_before = resident_bytes();
    let (mut spent, mut slowest) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    let mut batch = Batch::new(START);
    for scrape in 0..HOURS * SCRAPES_PER_HOUR {
        world.step();
        for start in (0..series).step_by(SERIES_PER_TARGET) {
            let end = (start + SERIES_PER_TARGET).min(series);
            let t_ms = START + scrape * SCRAPE_MS + (world.next() % 3) as i64;
            batch.clear(t_ms);
            for (index, reference) in (start..end).zip(&references[start..end]) {
                let key = match *reference {
                    Some(reference) => SeriesKey::Ref(reference),
                    None => SeriesKey::Labels(world.labels[index].clone()),
                };
                batch.push(key, t_ms, world.values[index]);
            }
            let begun = Instant::now();
            let report = store.append(&batch).unwrap();
            let took = begun.elapsed();
            assert_eq!(report.stored, end - start);
            spent += took;
            slowest = slowest.max(took);
            for (reference, entry) in references[start..end].iter_mut().zip(&report.entries) {
                *reference = entry.series;
            }
        }
        if scrape == 2 * SCRAPES_PER_HOUR {
            memory(store, series, memory_before);
        }
    }
    let samples = series as i64 * HOURS * SCRAPES_PER_HOUR;
    println!(
        "append by reference  {:>9.0} samples/s, slowest batch {:.1} ms",
        samples as f64 / spent.as_secs_f64(),
        slowest.as_secs_f64() * 1e3
    );
    let begun = Instant::now();
    store.flush().unwrap();
    let stats = store.stats();
    println!(
        "flush                {:>9.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    println!(
        "disk                 {:>9.2} bytes/sample in {} block(s) with their index, {:.2} in the log of the last hours",
        stats.block_bytes as f64 / stats.block_samples as f64,
        stats.blocks,
        stats.log_bytes as f64 / (samples - stats.block_samples as i64).max(1) as f64,
    );
}

/// After two hours: what the head has before its first cut.
fn memory(store: &Store, series: usize, before: u64) {
    let stats = store.stats();
    println!(
        "memory at 2 h        {:>9} bytes/series counted, {} resident; {:.2} bytes/sample",
        stats.head_bytes / series,
        (resident_bytes().saturating_sub(before)) / series as u64,
        stats.head_bytes as f64 / stats.head_samples as f64
    );
}

fn queries(store: &Store, what: &str, hours: RangeInclusive<i64>) {
    let at = |hour: i64| START + hour * SCRAPES_PER_HOUR * SCRAPE_MS;
    let range = at(*hours.start())..=at(*hours.end());
    let equal = |name: &str, value: &str| Matcher {
        name: name.into(),
        matches: Match::Equal(value.into()),
    };
    let regex = |name: &str, pattern: &str| Matcher {
        name: name.into(),
        matches: Match::Regex(regex::Regex::new(&format!("^(?s:{pattern})$")).unwrap()),
    };
    let cases = [
        ("all series", vec![]),
        ("one target", vec![equal("instance", "10.0.0.7:9101")]),
        (
            "name and regex",
            vec![
                equal("__name__", "http_server_request_duration_seconds_1"),
                regex("http_route", "/v1/tasks/[6-8]/.+"),
            ],
        ),
    ];
    for (query, matchers) in cases {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                store.select(&matchers, range.clone(), usize::MAX).unwrap();
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let found = store.select(&matchers, range.clone(), usize::MAX).unwrap();
        let samples: usize = found.iter().map(|series| series.samples.len()).sum();
        println!(
            "select {what}, {query}: {:.2} ms at best ({} series, {samples} samples)",
            times[0],
            found.len()
        );
    }
}

fn reopen(store: Store, dir: &std::path::Path) {
    drop(store);
    let begun = Instant::now();
    let (_, recovery) = Store::open(dir, Options::default()).unwrap();
    println!(
        "open                 {:>9.1} ms, {} samples from the log",
        begun.elapsed().as_secs_f64() * 1e3,
        recovery.head_samples
    );
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
