//! What one JSON log line costs, ours with ids against the stock format of `tracing-subscriber` without.
//!
//! The event has a message and two fields and lies in a span with three; the output takes everything at once.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod measure;

use std::io;
use std::thread;
use std::time::Duration;

use measure::Cost;
use telemetry::{Config, LogOutput};
use tracing::{Span, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

const ROUNDS: usize = 10;
const SPANS: u64 = 50_000;
/// Events of one round, in bursts of this size with a pause after each, so that the writer keeps up.
const EVENTS: u64 = 100_000;
const BURST: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(2);

const CASES: &[(&str, &str)] = &[
    (
        "stock_event",
        "event, stock JSON (tracing-subscriber 0.3.23), no ids",
    ),
    ("our_event", "event, ours with trace_id, span_id, service"),
    ("our_event_outside", "event outside any span, ours"),
    ("stock_span", "span of 3 fields, 1 record, stock JSON"),
    ("our_span", "span of 3 fields, 1 record, ours"),
];

fn main() {
    match measure::case() {
        Some(case) => measure::tell(run(&case)),
        None if measure::asked_for() => table(),
        None => {}
    }
}

fn table() {
    println!(
        "{:<58} {:>12} {:>12}",
        "JSON log lines, CPU ns each", "caller", "all threads"
    );
    for (case, title) in CASES {
        let cost = measure::in_new_process(case, &[]);
        println!("{title:<58} {:>12.0} {:>12.0}", cost.caller, cost.process);
    }
    println!("budget: an event with ids costs its caller at most 1200 ns");
}

fn run(case: &str) -> Cost {
    match case {
        "stock_event" => stock(events),
        "our_event" => ours(events),
        "our_event_outside" => ours(|| measure::cheapest(ROUNDS, EVENTS, emit)),
        "stock_span" => stock(spans),
        "our_span" => without_traces(spans),
        other => panic!("unknown case {other}"),
    }
}

fn events() -> Cost {
    let span = request();
    let _entered = span.enter();
    measure::cheapest(ROUNDS, EVENTS, emit)
}

fn emit() {
    for number in 0..EVENTS {
        info!(number, outcome = "created", "task written");
        if number % BURST == 0 {
            thread::sleep(PAUSE);
        }
    }
}

fn spans() -> Cost {
    measure::cheapest(ROUNDS, SPANS, || {
        for _ in 0..SPANS {
            request().record("status", 200);
        }
    })
}

fn request() -> Span {
    info_span!(
        "request",
        method = "GET",
        route = "/v1/tasks/{id}",
        status = tracing::field::Empty
    )
}

fn stock(measured: impl FnOnce() -> Cost) -> Cost {
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(io::sink);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    measured()
}

fn ours(measured: impl FnOnce() -> Cost) -> Cost {
    with(Config::new("bench", "0"), measured)
}

/// Ours with the log layer alone at work, as the stock case has it.
fn without_traces(measured: impl FnOnce() -> Cost) -> Cost {
    let mut config = Config::new("bench", "0");
    config.sdk_disabled = true;
    with(config, measured)
}

fn with(mut config: Config, measured: impl FnOnce() -> Cost) -> Cost {
    config.log_output = LogOutput::Writer(Box::new(io::sink()));
    let guard = telemetry::init(config).unwrap();
    let cost = measured();
    let report = guard.shutdown(Duration::from_millis(100));
    assert_eq!(
        report.log_lines.dropped, 0,
        "a dropped line would cost less"
    );
    cost
}
