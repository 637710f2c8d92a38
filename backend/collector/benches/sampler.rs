//! How many spans per second one core takes in and decides, without a network, and what an undecided trace costs.
//!
//! The buffer holds as many traces as ten seconds of a busy system; time is simulated, so that one batch in decides about
//! one batch out. What is kept goes nowhere.
#![allow(clippy::print_stdout)]

mod batches;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use batches::{Batches, SPANS_PER_BATCH};
use bytes::Bytes;
use collector::{Collector, Config, Export, ExportError, Options};
use otlp::TraceSink;

/// Simulated time per batch.
const BATCH_TIME: Duration = Duration::from_millis(10);
const MEASURED: Duration = Duration::from_secs(4);
/// The peer, from the project's own measurements: per buffered 10-span trace.
const PEER_TRACE_BYTES: f64 = 21.0 * 1024.0;

struct Nowhere;

impl Export for Nowhere {
    fn export(&self, _: Bytes, _: u64) -> Result<(), ExportError> {
        Ok(())
    }
}

fn main() {
    println!(
        "{:>15} {:>8} {:>16} {:>14} {:>14} {:>12} {:>12}",
        "spans per trace",
        "shards",
        "traces buffered",
        "spans/s",
        "bytes/trace",
        "RSS/trace",
        "slowest ms"
    );
    for (spans_per_trace, buffered, shards) in
        [(3, 233_000, 16), (10, 100_000, 16), (10, 100_000, 1)]
    {
        run(spans_per_trace, buffered, shards);
    }
    println!(
        "for scale, the real Collector: 70,000 spans/s with HTTP, {PEER_TRACE_BYTES:.0} bytes of RSS per buffered 10-span trace"
    );
}

fn run(spans_per_trace: usize, traces_buffered: u64, shards: usize) {
    let mut batches = Batches::new(spans_per_trace, 0);
    let (_, traces_per_batch) = batches.next();
    let wait =
        BATCH_TIME * u32::try_from(traces_buffered / traces_per_batch).expect("a small number");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/collector/collector.yaml");
    let mut config = Config::read(&path, &|_| None).expect("the file in the tree is valid");
    config.decision_wait = wait;
    config.num_traces = usize::MAX / 2;

    let now = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&now);
    let clock = Arc::new(move || Duration::from_nanos(read.load(Ordering::Relaxed)));
    let options = Options {
        tick: None,
        shards,
        buffered_bytes_max: 4 << 30,
        ..Options::default()
    };
    let before = resident();
    let collector = Collector::start(config, options, clock, Arc::new(Nowhere))
        .expect("threads can be started");
    let handle = collector.handle();
    let mut send = || {
        let (bytes, _) = batches.next();
        let request = Bytes::copy_from_slice(bytes);
        let started = Instant::now();
        assert!(handle.accept(request).is_ok(), "the collector refuses");
        let taken = started.elapsed();
        now.fetch_add(
            u64::try_from(BATCH_TIME.as_nanos()).expect("ten milliseconds"),
            Ordering::Relaxed,
        );
        collector.tick();
        taken
    };

    let mut sent = Duration::ZERO;
    while sent < wait {
        send();
        sent += BATCH_TIME;
    }
    let (started, mut spans, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while started.elapsed() < MEASURED {
        slowest = slowest.max(send());
        spans += SPANS_PER_BATCH;
    }
    let per_second = spans as f64 / started.elapsed().as_secs_f64();
    let (report, resident) = (collector.report(), resident().saturating_sub(before));
    let traces = report.pending as f64 / spans_per_trace as f64;
    println!(
        "{spans_per_trace:>15} {shards:>8} {traces:>16.0} {per_second:>14.0} {:>14.0} {:>12.0} {:>12.1}",
        report.buffered_bytes as f64 / traces,
        resident as f64 / traces,
        slowest.as_secs_f64() * 1e3,
    );
    assert_eq!(
        report.decided_early, [0; 5],
        "the bounds are out of the way"
    );
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or_default()
        * 1024
}
