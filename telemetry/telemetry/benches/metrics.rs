//! What a record costs, side by side with `metrics-exporter-prometheus` in one run, alone and with two threads on one
//! series. CPU time of the recording threads, since the machine may be shared; contention shows only while two cores
//! are free.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Duration;

use conventions::defaults::HTTP_BUCKETS;
use conventions::metrics::HTTP_SERVER_REQUEST_DURATION;
use criterion::{BenchmarkId, Criterion};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, ContextGuard};
use rustix::time::{ClockId, clock_gettime};
use telemetry::metrics::RecorderBuilder;
use telemetry::sampling::predicate;

/// Records between two drains: the peer keeps every sample until it is drained.
const CHUNK: u64 = 50_000;
/// Most that a histogram record with an exemplar may take, in nanoseconds.
const BUDGET_NS: f64 = 60.0;
const PEER: &str = "metrics-exporter-prometheus";
const WITH_EXEMPLAR: &str = "histogram, kept span: exemplar";

/// One of the two recorders.
struct Side {
    name: &'static str,
    recorder: Box<dyn metrics::Recorder + Sync>,
    drain: Box<dyn Fn() + Sync>,
    histogram: Histogram,
    counter: Counter,
}

struct Case {
    name: &'static str,
    /// Whether a span is current, and if so whether its trace is kept.
    kept: Option<bool>,
    /// Whether the time to drain counts.
    drained: bool,
    run: fn(&Side),
}

/// Nanoseconds per record, sample by sample, for each case, number of threads and side.
type Samples = RefCell<BTreeMap<(usize, usize, &'static str), Vec<f64>>>;

fn cases() -> [Case; 7] {
    let case = |name, kept, run| Case {
        name,
        kept,
        drained: false,
        run,
    };
    let record: fn(&Side) = |side| side.histogram.record(black_box(0.03));
    [
        case("histogram, no span", None, record),
        Case {
            drained: true,
            ..case("histogram, no span, drain included", None, record)
        },
        case("histogram, dropped span", Some(false), record),
        case(WITH_EXEMPLAR, Some(true), record),
        case("counter", None, |side| side.counter.increment(black_box(1))),
        case("counter! with 2 labels", None, |_| {
            metrics::counter!("jobs_total", "job" => "import", "outcome" => "success").increment(1);
        }),
        case("histogram! with 2 labels, 1 dynamic", None, |_| {
            let route = black_box("/v1/tasks").to_owned();
            metrics::histogram!("made_request_duration_seconds", "method" => "GET", "route" => route).record(0.03);
        }),
    ]
}

fn main() {
    let sides = [ours(), peer()];
    let cases = cases();
    let samples = Samples::default();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(400))
        .without_plots()
        .configure_from_args();
    for (row, case) in cases.iter().enumerate() {
        let mut group = criterion.benchmark_group(case.name);
        for (threads, side) in [1, 2]
            .into_iter()
            .flat_map(|threads| sides.iter().map(move |side| (threads, side)))
        {
            group.bench_function(BenchmarkId::new(side.name, threads), |bencher| {
                bencher.iter_custom(|records| {
                    let took = measure(side, case, threads, records);
                    let each = took.as_nanos() as f64 / records as f64;
                    samples
                        .borrow_mut()
                        .entry((row, threads, side.name))
                        .or_default()
                        .push(each);
                    took
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
    if std::env::args().any(|argument| argument == "--bench") {
        show(&cases, &samples);
    }
}

fn ours() -> Side {
    let recorder = RecorderBuilder::new("bench").build().unwrap();
    side("telemetry", Box::new(recorder), Box::new(|| ()))
}

fn peer() -> Side {
    let builder = PrometheusBuilder::new().add_global_label("service", "bench");
    let recorder = builder.set_buckets(HTTP_BUCKETS).unwrap().build_recorder();
    let handle = recorder.handle();
    side(
        PEER,
        Box::new(recorder),
        Box::new(move || handle.run_upkeep()),
    )
}

fn side(
    name: &'static str,
    recorder: Box<dyn metrics::Recorder + Sync>,
    drain: Box<dyn Fn() + Sync>,
) -> Side {
    let (histogram, counter) = metrics::with_local_recorder(&recorder, || {
        (
            metrics::histogram!(HTTP_SERVER_REQUEST_DURATION, "http_route" => "/v1/tasks"),
            metrics::counter!("tasks_created_total"),
        )
    });
    Side {
        name,
        recorder,
        drain,
        histogram,
        counter,
    }
}

/// CPU time of `records` records by each thread, on average over the threads.
fn measure(side: &Side, case: &Case, threads: usize, records: u64) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = records;
    while left > 0 {
        let chunk = left.min(CHUNK);
        total += chunk_time(side, case, threads, chunk);
        let before = cpu();
        (side.drain)();
        if case.drained {
            total += (cpu() - before) / threads as u32;
        }
        left -= chunk;
    }
    total
}

fn chunk_time(side: &Side, case: &Case, threads: usize, records: u64) -> Duration {
    let start = Barrier::new(threads);
    let run = || {
        let _current = case.kept.map(enter);
        metrics::with_local_recorder(&side.recorder, || {
            start.wait();
            let before = cpu();
            for _ in 0..records {
                (case.run)(side);
            }
            cpu() - before
        })
    };
    if threads == 1 {
        return run();
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let took: Duration = running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        took / threads as u32
    })
}

fn show(cases: &[Case], samples: &Samples) {
    let samples = samples.borrow();
    let median = |row: usize, threads: usize, side: &'static str| {
        let mut samples = samples.get(&(row, threads, side))?.clone();
        samples.sort_by(f64::total_cmp);
        Some(samples[samples.len() / 2])
    };
    println!(
        "\nCPU ns per record, median; peer: {PEER} {}",
        peer_version()
    );
    println!("{:38}{:>26}{:>30}", "", "1 thread", "2 threads, one series");
    let columns = format!("{:>10}{:>8}{:>8}", "telemetry", "peer", "ratio");
    println!("{:38}{columns}    {columns}", "");
    for (row, case) in cases.iter().enumerate() {
        print!("{:38}", case.name);
        for (threads, width) in [(1, 10), (2, 14)] {
            if let (Some(ours), Some(peer)) = (
                median(row, threads, "telemetry"),
                median(row, threads, PEER),
            ) {
                print!("{ours:>width$.1}{peer:>8.1}{:>8.2}", ours / peer);
            }
        }
        println!();
        if let (WITH_EXEMPLAR, Some(ours)) = (case.name, median(row, 1, "telemetry")) {
            let verdict = if ours <= BUDGET_NS {
                "held"
            } else {
                "EXCEEDED"
            };
            println!("{:38}{verdict:>10}: budget {BUDGET_NS} ns", "");
        }
    }
}

fn enter(kept: bool) -> ContextGuard {
    let trace_id = (1u128..)
        .map(|number| TraceId::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
        .find(|id| predicate().keeps(*id) == kept)
        .unwrap();
    let span_id = SpanId::from(1u64);
    let span = SpanContext::new(
        trace_id,
        span_id,
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    Context::new().with_remote_span_context(span).attach()
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// As the lock file has it.
fn peer_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{PEER}\"")).unwrap().1;
    entry.split('"').nth(1).unwrap()
}
