//! More than ten times what the destination can store, over HTTP: memory stays under its bound, and every span is counted.
//!
//! Runs in a process of its own, since it looks at the memory of the whole process: the test binary starts itself again.
//! `TRIPOD_OVERLOAD_SECONDS` makes it longer.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use collector::{Collector, Export, ExportError, Options, monotonic};

use crate::{
    listening,
    outside::Connection,
    traffic::{config, failed, request, span, trace_id},
};

const CHILD: &str = "COLLECTOR_TEST_OVERLOADED";
const SECONDS: &str = "TRIPOD_OVERLOAD_SECONDS";
const SECONDS_DEFAULT: u64 = 5;
/// What the destination can store.
const STORED_PER_SECOND: u64 = 15_000;
const SPANS_PER_REQUEST: u64 = 500;
const SPANS_PER_TRACE: u64 = 5;
/// Bounds that are reached within a second or two.
const BUFFERED_BYTES_MAX: usize = 16 << 20;
const EXPORT_BYTES_MAX: usize = 4 << 20;
/// What the collector remembers of a decided trace, so that late spans get the same answer and none is kept twice: its id and
/// those of its spans. Bounded by the caches of the configuration file (a million traces).
const REMEMBERED_BYTES_PER_TRACE: u64 = 200;
/// What two senders, their connections and allocator slack may take besides.
const SLACK_BYTES: u64 = 32 << 20;

#[test]
fn an_overload_is_refused_counted_and_bounded() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "overload::the_overloaded_process", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
    println!(
        "{}",
        said.lines()
            .find(|line| line.starts_with("overload:"))
            .unwrap()
    );
}

#[test]
fn the_overloaded_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let seconds = std::env::var(SECONDS).map_or(SECONDS_DEFAULT, |text| text.parse().unwrap());
    let (runtime, store) = (listening::runtime(), Arc::new(Slow::default()));
    let options = Options {
        buffered_bytes_max: BUFFERED_BYTES_MAX,
        export_bytes_max: EXPORT_BYTES_MAX,
        ..Options::default()
    };
    let collector =
        Collector::start(config("1s"), options, monotonic(), Arc::clone(&store) as _).unwrap();
    let receiver = listening::listen(&runtime, &collector);
    let address = receiver.addresses().http;
    let memory_before = resident_bytes();
    let mut memory_max = 0;
    let (taken, refused, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for sender in 0..2 {
            let (taken, refused, is_over) = (&taken, &refused, &is_over);
            scope.spawn(move || send(sender, address, is_over, taken, refused));
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            memory_max = memory_max.max(resident_bytes());
            std::thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    runtime.block_on(receiver.stop());
    let stored_meanwhile = store.spans.load(Ordering::SeqCst);
    let report = collector.stop(Duration::from_secs(1));
    let (taken, refused) = (taken.into_inner(), refused.into_inner());
    let sent = taken + refused;
    println!(
        "overload: {seconds} s, {sent} spans sent, {taken} taken, {refused} refused, {stored_meanwhile} stored; {report}; memory {} MB before, {} MB at most",
        memory_before >> 20,
        memory_max >> 20,
    );
    assert!(sent >= 10 * stored_meanwhile, "it was no overload");
    assert!(
        refused > 0 && report.lost > 0,
        "both ways of losing were taken"
    );
    assert_eq!((report.accepted, report.refused), (taken, refused));
    assert!(report.is_exact(), "{report}");
    // What is under way when the collector gives up may be stored all the same; it is counted as lost.
    assert!(report.kept <= store.spans.load(Ordering::SeqCst));
    assert_eq!(
        report.kept + report.sampled_out + report.lost + report.duplicates,
        taken
    );
    let remembered = taken / SPANS_PER_TRACE * REMEMBERED_BYTES_PER_TRACE;
    let bound = (BUFFERED_BYTES_MAX + EXPORT_BYTES_MAX) as u64 + remembered + SLACK_BYTES;
    assert!(
        memory_max - memory_before <= bound,
        "{} bytes more",
        memory_max - memory_before
    );
}

/// Sends until it is told to stop. A refused request is not sent again: its spans are the client's loss, which it counts.
fn send(
    sender: u64,
    address: SocketAddr,
    is_over: &AtomicBool,
    taken: &AtomicU64,
    refused: &AtomicU64,
) {
    let mut connection = Connection::open(address);
    let mut next_trace = sender << 32;
    while !is_over.load(Ordering::SeqCst) {
        let body = errors(&mut next_trace);
        let count = match connection.post("/v1/traces", &body) {
            200 => taken,
            503 => refused,
            status => panic!("status {status}"),
        };
        count.fetch_add(SPANS_PER_REQUEST, Ordering::SeqCst);
    }
}

/// A request of traces that all have to be kept.
fn errors(next_trace: &mut u64) -> Bytes {
    let traces = *next_trace..*next_trace + SPANS_PER_REQUEST / SPANS_PER_TRACE;
    *next_trace = traces.end;
    let spans = traces.flat_map(|trace| {
        (0..SPANS_PER_TRACE)
            .map(move |number| ("gateway", failed(span(trace_id(trace), number, Vec::new()))))
    });
    request(&spans.collect::<Vec<_>>())
}

/// A destination that takes its time.
#[derive(Default)]
struct Slow {
    spans: AtomicU64,
}

impl Export for Slow {
    fn export(&self, _: Bytes, spans: u64) -> Result<(), ExportError> {
        std::thread::sleep(Duration::from_millis(spans * 1_000 / STORED_PER_SECOND));
        self.spans.fetch_add(spans, Ordering::SeqCst);
        Ok(())
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes << 10
}
