//! What the log store costs, and the real Loki beside it with the same lines: ingest, disk, memory, a trace's lines, a rare text.
//!
//! `LOGS_BENCH_LINES` (300,000) sets the number of lines. Ours is called in this process, Loki over HTTP, each with a thousand
//! lines a push, one push at a time; Loki is asked after it has written everything out, as ours is. Without `loki` at hand only
//! ours is measured; without `--bench` nothing is.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "logs/data.rs"]
mod data;
#[path = "logs/loki.rs"]
mod loki;

use std::{
    env, fs,
    ops::ControlFlow,
    path::Path,
    process,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use data::{Data, LINES_PER_TRACE, NEEDLE};
use logql::{Direction, Hint, Selection, Source};
use logs::{Options, Store};
use loki::Loki;
use peers::cpu_seconds;
use tsdb::{Match, Matcher};

const LINES_DEFAULT: u64 = 300_000;
const ENV: &str = "production";
/// Questions of one kind; fewer if they take long.
const READS_MAX: u64 = 1_000;
const READS_MIN: u64 = 3;
const READS_TIME_MAX: Duration = Duration::from_secs(20);
/// How often the store is opened to see what its first answer costs.
const OPENINGS: u64 = 5;
/// Budget of the design, up to ten million lines.
const TRACE_MS_MAX: f64 = 10.0;

/// What one store needed. Times in milliseconds.
struct Costs {
    /// Until every push was acknowledged.
    ingest_s: f64,
    /// Of that, and of writing everything out.
    cpu_s: f64,
    disk_bytes: u64,
    trace_ms: Vec<f64>,
    needle_ms: Vec<f64>,
    peak_mb: f64,
}

fn main() {
    // `cargo test --benches` runs it without.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let lines = env::var("LOGS_BENCH_LINES").map_or(LINES_DEFAULT, |text| text.parse().unwrap());
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let data = Data {
        lines,
        end_ns: since_1970.as_nanos() as i64,
    };
    let folder = tempfile::tempdir().unwrap();
    let ours = ours(&data, folder.path());
    let first_ms = first_answers(&data, folder.path());
    drop(folder);
    let theirs = Loki::start().map(|loki| (theirs(&data, &loki), loki.version()));
    println!("{lines} lines");
    println!("{:<34} {:>12} {:>12}", "", "ours", "loki");
    let row = |name: &str, value: &dyn Fn(&Costs) -> f64| {
        let theirs = theirs.as_ref().map(|(costs, _)| value(costs));
        let theirs = theirs.map_or(String::new(), |value| format!("{value:.2}"));
        println!("{name:<34} {:>12.2} {theirs:>12}", value(&ours));
    };
    row("ingest, lines/s", &|costs| lines as f64 / costs.ingest_s);
    row("ingest, lines per CPU second", &|costs| {
        lines as f64 / costs.cpu_s
    });
    row("bytes per line on disk", &|costs| {
        costs.disk_bytes as f64 / lines as f64
    });
    row("peak of resident memory, MB", &|costs| costs.peak_mb);
    row("by trace_id, p50, ms", &|costs| share(&costs.trace_ms, 0.5));
    row("by trace_id, p99, ms", &|costs| {
        share(&costs.trace_ms, 0.99)
    });
    row("rare substring, p50, ms", &|costs| {
        share(&costs.needle_ms, 0.5)
    });
    println!(
        "{:<34} {:>12.2}",
        "by trace_id, first after opening, ms", first_ms
    );
    if share(&ours.trace_ms, 0.99).max(first_ms) > TRACE_MS_MAX {
        println!("by trace_id: over the budget of {TRACE_MS_MAX} ms");
    }
    if let Some((_, version)) = theirs {
        println!("beside loki {version}");
    }
}

fn ours(data: &Data, folder: &Path) -> Costs {
    let (store, _) = Store::open(folder, Options::default()).unwrap();
    let (mut ingest, mut cpu_s) = (Duration::ZERO, 0.0);
    for pushes in data.appends() {
        let begun = (Instant::now(), cpu_seconds(process::id()));
        let appended = store.append(pushes, data.end_ns).unwrap();
        ingest += begun.0.elapsed();
        cpu_s += cpu_seconds(process::id()) - begun.1;
        assert_eq!(appended.refused, []);
    }
    let before = cpu_seconds(process::id());
    store.seal().unwrap();
    cpu_s += cpu_seconds(process::id()) - before;
    Costs {
        ingest_s: ingest.as_secs_f64(),
        cpu_s,
        disk_bytes: store.stats().disk_bytes,
        trace_ms: reads(|number| find_trace(&store, data, number)),
        needle_ms: reads(|_| {
            let found = count(&store, data, &[Hint::Contains(NEEDLE.into())]);
            assert_eq!(found, data.needles());
        }),
        peak_mb: peak_mb(process::id()),
    }
}

/// The slowest first lookup of several openings, milliseconds. What it reads was read before: the system has it in memory.
fn first_answers(data: &Data, folder: &Path) -> f64 {
    let mut first_ms = 0.0_f64;
    for number in 0..OPENINGS {
        let (store, _) = Store::open(folder, Options::default()).unwrap();
        let begun = Instant::now();
        find_trace(&store, data, number);
        first_ms = first_ms.max(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    first_ms
}

fn theirs(data: &Data, loki: &Loki) -> Costs {
    let (mut ingest, before) = (Duration::ZERO, cpu_seconds(loki.process()));
    for pushes in data.appends() {
        let body = loki::body(&pushes);
        let begun = Instant::now();
        loki.push(&body);
        ingest += begun.elapsed();
    }
    let disk_bytes = loki.flushed_bytes();
    let cpu_s = cpu_seconds(loki.process()) - before;
    let everywhere = format!("{{env=\"{ENV}\"}}");
    Costs {
        ingest_s: ingest.as_secs_f64(),
        cpu_s,
        disk_bytes,
        trace_ms: reads(|number| {
            let query = format!("{everywhere} | trace_id=\"{}\"", data.some_trace(number));
            assert_eq!(
                loki.count(data, &query, 10 * LINES_PER_TRACE),
                LINES_PER_TRACE
            );
        }),
        needle_ms: reads(|_| {
            let query = format!("{everywhere} |= \"{NEEDLE}\"");
            let found = loki.count(data, &query, data.needles() + 1);
            assert_eq!(found, data.needles());
        }),
        peak_mb: peak_mb(loki.process()),
    }
}

fn find_trace(store: &Store, data: &Data, number: u64) {
    let field = Hint::Field {
        name: "trace_id".into(),
        value: data.some_trace(number).into(),
    };
    assert_eq!(count(store, data, &[field]), LINES_PER_TRACE);
}

fn count(store: &Store, data: &Data, hints: &[Hint]) -> u64 {
    let everywhere = [Matcher {
        name: "env".into(),
        matches: Match::Equal(ENV.into()),
    }];
    let selection = Selection {
        matchers: &everywhere,
        range_ns: data.range_ns(),
        direction: Direction::Backward,
        hints,
    };
    let mut found = 0;
    let scanned = store.scan(&selection, &mut |_, _| {
        found += 1;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found
}

/// Sorted.
fn reads(mut ask: impl FnMut(u64)) -> Vec<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 0..READS_MAX {
        if number >= READS_MIN && begun.elapsed() > READS_TIME_MAX {
            break;
        }
        let begun = Instant::now();
        ask(number);
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

fn share(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn peak_mb(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() / 1e3
}
