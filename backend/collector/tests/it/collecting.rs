//! Whole runs in this process: what is kept, what is refused, and that nothing is missing from the account.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use collector::{Collector, Options, monotonic};
use conventions::metrics as names;
use otlp::{Refusal, TraceSink};

use crate::{
    day,
    traffic::{
        self, Kept, START_NS, Time, config, failed, hash_keeps, request, span, text, trace_id,
    },
};

const PATIENCE: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(10);

/// Name, some labels, value.
type Sample = (&'static str, &'static [(&'static str, &'static str)], f64);

struct Run {
    time: Time,
    kept: Arc<Kept>,
    collector: Collector,
}

/// A collector whose time stands still.
fn start(options: Options) -> Run {
    let (time, kept) = (Time::default(), Arc::new(Kept::default()));
    let options = Options {
        tick: None,
        ..options
    };
    let collector =
        Collector::start(config("10s"), options, time.clock(), Arc::clone(&kept) as _).unwrap();
    Run {
        time,
        kept,
        collector,
    }
}

impl Run {
    fn send(&self, spans: &[(&str, opentelemetry_proto::tonic::trace::v1::Span)]) {
        assert!(self.collector.handle().accept(request(spans)).is_ok());
    }

    fn decide(&self) {
        self.time.pass(WAIT);
        self.collector.tick();
    }
}

/// Trace ids that the hash drops.
fn dropped_ids() -> impl Iterator<Item = [u8; 16]> {
    (0..).map(trace_id).filter(|id| !hash_keeps(id))
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn of_twenty_thousand_traces_exactly_the_predicted_spans_are_kept_each_once() {
    let run = start(Options::default());
    let day = day::day();
    for wave in &day.waves {
        for request in wave {
            assert!(run.collector.handle().accept(request.clone()).is_ok());
        }
        run.decide();
    }
    let report = run.collector.stop(PATIENCE);
    let counted = run.kept.counted();
    assert!(counted.values().all(|times| *times == 1));
    let kept: BTreeSet<_> = counted.into_keys().collect();
    let [.., expected] = &day.expected;
    assert_eq!(kept.len(), expected.len());
    assert!(kept == *expected);
    assert!(report.is_exact(), "{report}");
    assert_eq!(report.received, day.spans + day.copies);
    assert_eq!(
        (report.kept, report.refused, report.lost),
        (expected.len() as u64, 0, 0)
    );
    assert_eq!(report.decided_early, [0; 5]);
}

#[test]
fn an_error_that_comes_unmarked_after_a_decision_to_drop_is_kept_and_a_success_is_not() {
    let run = start(Options::default());
    let id = dropped_ids().next().unwrap();
    run.send(&[("gateway", span(id, 0, vec![]))]);
    run.decide();
    run.send(&[
        ("gateway", span(id, 1, vec![])),
        ("gateway", failed(span(id, 2, vec![]))),
    ]);
    run.decide();
    let report = run.collector.stop(PATIENCE);
    let kept: Vec<_> = run
        .kept
        .spans()
        .into_iter()
        .map(|(_, span)| span.name)
        .collect();
    assert_eq!(kept, ["operation 2"]);
    assert_eq!((report.kept, report.sampled_out), (1, 2), "{report}");
}

#[test]
fn after_a_decision_to_keep_further_spans_are_kept_once() {
    let run = start(Options::default());
    let id = dropped_ids().next().unwrap();
    run.send(&[("gateway", failed(span(id, 0, vec![])))]);
    run.decide();
    for _ in 0..3 {
        run.send(&[
            ("worker", span(id, 1, vec![])),
            ("gateway", failed(span(id, 0, vec![]))),
        ]);
    }
    let report = run.collector.stop(PATIENCE);
    assert_eq!(run.kept.counted().len(), 2);
    assert_eq!((report.kept, report.duplicates), (2, 5), "{report}");
}

#[test]
fn no_shards_are_one_shard() {
    let run = start(Options {
        shards: 0,
        ..Options::default()
    });
    let id = dropped_ids().next().unwrap();
    run.send(&[("gateway", failed(span(id, 0, vec![])))]);
    let report = run.collector.stop(PATIENCE);
    assert_eq!((report.received, report.kept), (1, 1), "{report}");
}

#[test]
fn a_malformed_request_is_refused_whole() {
    let run = start(Options::default());
    let ids = dropped_ids();
    let spans: Vec<_> = ids
        .take(20)
        .map(|id| ("gateway", failed(span(id, 0, vec![text("a", "b")]))))
        .collect();
    let whole = request(&spans);
    let mut malformed = 0;
    for length in 1..whole.len() {
        match run.collector.handle().accept(whole.slice(..length)) {
            Err(Refusal::Malformed(_)) => malformed += 1,
            Err(Refusal::Overloaded { .. }) => panic!("nothing is overloaded"),
            Ok(_) => panic!("{length} of {} bytes were taken for a request", whole.len()),
        }
    }
    let report = run.collector.stop(PATIENCE);
    assert_eq!((report.received, report.malformed_requests), (0, malformed));
    assert!(run.kept.spans().is_empty());
}

#[test]
fn spans_without_valid_ids_are_rejected_and_the_others_taken() {
    let run = start(Options::default());
    let id = dropped_ids().next().unwrap();
    let zero = failed(span([0; 16], 0, vec![]));
    let mut nameless = failed(span(id, 1, vec![]));
    nameless.span_id.clear();
    let accepted = run.collector.handle().accept(request(&[
        ("gateway", zero),
        ("gateway", nameless),
        ("gateway", failed(span(id, 2, vec![]))),
    ]));
    let accepted = accepted.unwrap_or_else(|_| panic!("the request is well-formed"));
    assert_eq!(accepted.rejected, 2);
    assert!(!accepted.message.is_empty());
    let report = run.collector.stop(PATIENCE);
    assert_eq!(
        (report.received, report.refused, report.kept),
        (3, 2, 1),
        "{report}"
    );
}

#[test]
fn under_memory_pressure_traces_are_decided_early_and_the_bound_holds() {
    let bound = 2 << 20;
    let run = start(Options {
        shards: 2,
        buffered_bytes_max: bound,
        ..Options::default()
    });
    let padding: String = (0..5000)
        .map(|at| char::from(b' ' + (traffic::mix(at) % 90) as u8))
        .collect();
    let ids: Vec<_> = dropped_ids().take(4000).collect();
    for (at, id) in ids.iter().enumerate() {
        let one = span(
            *id,
            0,
            vec![
                text("padding", &padding[at % 1000..]),
                text("other", &format!("{:x}", traffic::mix(at as u64))),
            ],
        );
        run.send(&[("gateway", if at % 10 == 0 { failed(one) } else { one })]);
        let held = run.collector.report().buffered_bytes;
        assert!(held <= bound as u64, "{held} bytes are held");
    }
    let report = run.collector.stop(PATIENCE);
    assert!(report.decided_early[0] > 0 && report.is_exact(), "{report}");
    assert_eq!((report.kept, report.sampled_out), (400, 3600), "{report}");
}

#[test]
fn a_trace_above_its_cap_is_decided_at_once_and_its_rest_inherits() {
    let run = start(Options {
        spans_per_trace_max: 10,
        ..Options::default()
    });
    let ids: Vec<_> = dropped_ids().take(2).collect();
    for number in 0..25 {
        run.send(&[
            ("gateway", failed(span(ids[0], number, vec![]))),
            ("gateway", span(ids[1], number, vec![])),
        ]);
    }
    let report = run.collector.report();
    assert_eq!(report.decided_early, [0, 0, 2, 0, 0], "{report}");
    let report = run.collector.stop(PATIENCE);
    assert_eq!((report.kept, report.sampled_out), (25, 25), "{report}");
    assert_eq!(run.kept.counted().len(), 25);
}

#[test]
fn a_trace_of_more_bytes_than_the_file_allows_is_dropped_whatever_its_policies_say() {
    let (time, kept) = (Time::default(), Arc::new(Kept::default()));
    let mut config = config("10s");
    config.trace_bytes_max = Some(1000);
    let options = Options {
        tick: None,
        ..Options::default()
    };
    let collector =
        Collector::start(config, options, time.clock(), Arc::clone(&kept) as _).unwrap();
    let ids: Vec<_> = dropped_ids().take(2).collect();
    let padded = |id| failed(span(id, 0, vec![text("padding", &"x".repeat(600))]));
    let more = failed(span(ids[0], 1, vec![text("padding", &"x".repeat(600))]));
    let spans = [
        ("gateway", padded(ids[0])),
        ("gateway", padded(ids[1])),
        ("gateway", more),
    ];
    assert!(collector.handle().accept(request(&spans)).is_ok());
    let report = collector.stop(PATIENCE);
    assert_eq!(
        (report.kept, report.sampled_out, report.decided_early[4]),
        (1, 2, 1),
        "{report}"
    );
    assert!(kept.spans().iter().all(|(_, span)| span.trace_id == ids[1]));
}

#[test]
fn while_the_destination_fails_requests_are_refused_and_nothing_accepted_is_lost() {
    let run = start(Options {
        export_bytes_max: 20_000,
        ..Options::default()
    });
    run.kept.broken.store(true, Ordering::SeqCst);
    let handle = run.collector.handle();
    let (mut accepted, mut refused) = (0, 0);
    for id in dropped_ids().take(1000) {
        match handle.accept(request(&[(
            "gateway",
            failed(span(id, 0, vec![text("padding", &"x".repeat(300))])),
        )])) {
            Ok(_) => accepted += 1,
            Err(Refusal::Overloaded { retry_after, .. }) => {
                assert!(!retry_after.is_zero());
                refused += 1;
            }
            Err(Refusal::Malformed(reason)) => panic!("{reason}"),
        }
        run.decide();
    }
    assert!(refused > 0 && accepted > 0);
    run.kept.broken.store(false, Ordering::SeqCst);
    eventually("what was accepted arrives", || {
        run.collector.tick();
        run.kept.counted().len() as u64 == accepted
    });
    let report = run.collector.stop(PATIENCE);
    assert!(report.is_exact(), "{report}");
    assert_eq!(
        (report.kept, report.refused, report.lost),
        (accepted, refused, 0),
        "{report}"
    );
}

#[test]
fn what_cannot_be_exported_before_the_deadline_is_counted_as_lost() {
    let run = start(Options::default());
    run.kept.broken.store(true, Ordering::SeqCst);
    for id in dropped_ids().take(50) {
        run.send(&[("gateway", failed(span(id, 0, vec![])))]);
    }
    let handle = run.collector.handle();
    let report = run.collector.stop(Duration::from_millis(50));
    assert!(report.is_exact(), "{report}");
    assert_eq!(
        (report.kept, report.lost, report.pending),
        (0, 50, 0),
        "{report}"
    );
    let after = handle.accept(request(&[("gateway", span(trace_id(0), 0, vec![]))]));
    assert!(
        matches!(after, Err(Refusal::Overloaded { .. })),
        "a stopped collector refuses"
    );
    assert!(handle.report().is_exact());
}

#[test]
fn a_stop_exports_more_than_the_queue_holds() {
    let run = start(Options {
        export_bytes_max: 10_000,
        shards: 4,
        ..Options::default()
    });
    let spans: Vec<_> = dropped_ids()
        .take(20_000)
        .map(|id| {
            (
                "gateway",
                failed(span(id, 0, vec![text("padding", &"x".repeat(200))])),
            )
        })
        .collect();
    spans.chunks(500).for_each(|spans| run.send(spans));
    let report = run.collector.stop(PATIENCE);
    assert!(report.is_exact(), "{report}");
    assert_eq!(
        (report.kept, report.lost, report.pending),
        (20_000, 0, 0),
        "{report}"
    );
}

#[test]
fn the_metrics_say_what_the_account_says() {
    let captured = telemetry::testing::capture(|| {
        let run = start(Options::default());
        let ids: Vec<_> = dropped_ids().take(3).collect();
        let kept = (0..).map(trace_id).find(hash_keeps).unwrap();
        run.send(&[("gateway", failed(span(ids[0], 0, vec![])))]);
        run.send(&[("gateway", failed(span(ids[0], 0, vec![])))]);
        run.send(&[("gateway", span(ids[1], 0, vec![]))]);
        run.send(&[("worker", traffic::late(failed(span(ids[1], 1, vec![]))))]);
        run.send(&[("gateway", span(kept, 0, vec![]))]);
        run.decide();
        run.send(&[("gateway", span(ids[1], 2, vec![]))]);
        run.send(&[("gateway", failed(span(ids[1], 3, vec![])))]);
        assert!(
            run.collector
                .handle()
                .accept(Bytes::from_static(b"\xff"))
                .is_err()
        );
        let report = run.collector.stop(PATIENCE);
        assert_eq!(
            (report.kept, report.sampled_out, report.duplicates),
            (4, 2, 1),
            "{report}"
        );
    });
    let expected: &[Sample] = &[
        (names::OTELCOL_TAIL_SAMPLING_NEW_TRACES, &[], 5.0),
        (
            names::OTELCOL_TAIL_SAMPLING_DECISIONS,
            &[
                (names::DECISION, names::DECISION_SAMPLED),
                (names::SAMPLED, "true"),
            ],
            4.0,
        ),
        (
            names::OTELCOL_TAIL_SAMPLING_DECISIONS,
            &[(names::DECISION, names::DECISION_NOT_SAMPLED)],
            1.0,
        ),
        (
            names::OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS,
            &[(names::POLICY, "ontime.errors")],
            2.0,
        ),
        (
            names::OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS,
            &[(names::POLICY, "late.errors")],
            1.0,
        ),
        (
            names::OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS,
            &[(names::POLICY, "ontime.baseline")],
            1.0,
        ),
        (
            names::OTELCOL_TAIL_SAMPLING_FROM_CACHE,
            &[(names::SAMPLED, "false")],
            1.0,
        ),
        (names::OTELCOL_TAIL_SAMPLING_TRACES_IN_MEMORY, &[], 0.0),
        (names::OTELCOL_TAIL_SAMPLING_DROPPED_TOO_EARLY, &[], 0.0),
        (names::OTELCOL_EXPORTER_SENT_SPANS, &[], 4.0),
        (
            names::COLLECTOR_SPANS,
            &[(names::OUTCOME, names::OUTCOME_KEPT)],
            4.0,
        ),
        (
            names::COLLECTOR_SPANS,
            &[(names::OUTCOME, names::OUTCOME_SAMPLED_OUT)],
            2.0,
        ),
        (
            names::COLLECTOR_SPANS,
            &[(names::OUTCOME, names::OUTCOME_DUPLICATE)],
            1.0,
        ),
        (names::COLLECTOR_LATE_SPANS, &[], 1.0),
        (names::COLLECTOR_JUDGED_AGAIN, &[], 1.0),
        (names::COLLECTOR_MALFORMED_REQUESTS, &[], 1.0),
        (
            names::COLLECTOR_DECIDED_EARLY,
            &[(names::CAUSE, "stop")],
            1.0,
        ),
        (names::COLLECTOR_BUFFERED_BYTES, &[], 0.0),
    ];
    for (name, labels, value) in expected {
        assert_eq!(
            captured.sample(name, labels),
            Some(*value),
            "{name} {labels:?}"
        );
    }
}

#[test]
fn many_senders_and_the_ticker_leave_an_exact_account() {
    const SENDERS: u64 = 4;
    const TRACES: u64 = 1000;
    let kept = Arc::new(Kept::default());
    let options = Options {
        tick: Some(Duration::from_millis(1)),
        ..Options::default()
    };
    let collector =
        Collector::start(config("10ms"), options, monotonic(), Arc::clone(&kept) as _).unwrap();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let handle = collector.handle();
            scope.spawn(move || {
                // Senders share their traces: each sends another span of it.
                for id in (0..TRACES).map(trace_id) {
                    let mut one = failed(span(id, sender, vec![]));
                    one.start_time_unix_nano = START_NS;
                    assert!(handle.accept(request(&[("gateway", one)])).is_ok());
                }
            });
        }
    });
    let report = collector.stop(PATIENCE);
    assert!(report.is_exact(), "{report}");
    assert_eq!(
        (report.received, report.kept, report.duplicates),
        (SENDERS * TRACES, SENDERS * TRACES, 0),
        "{report}"
    );
    assert_eq!(kept.counted().len() as u64, SENDERS * TRACES);
}
