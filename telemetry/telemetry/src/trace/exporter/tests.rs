//! The account of spans under collectors of every kind, without a network.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use proptest::prelude::*;
use prost::Message as _;

use super::super::batch::Limits;
use super::super::encode::tests::sample;
use super::*;
use crate::report::Spans;

const LONG: Duration = Duration::from_secs(20);

/// A collector that answers each request, given its spans, as the function says.
struct Collector<F>(F);

impl<F: FnMut(usize) -> Result<usize, SendError>> Transport for Collector<F> {
    fn send(&mut self, body: Bytes, _: Duration) -> Result<usize, SendError> {
        (self.0)(decoded(&body))
    }
}

fn decoded(body: &Bytes) -> usize {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

fn away() -> SendError {
    SendError::Unavailable {
        reason: "away".to_owned(),
        retry_after: None,
    }
}

fn queue(queue_max: usize, batch_max: usize) -> Arc<Queue> {
    Arc::new(Queue::new(Limits {
        queue_max,
        batch_max,
        delay: Duration::from_millis(5),
    }))
}

fn export(
    queue: &Arc<Queue>,
    answer: impl FnMut(usize) -> Result<usize, SendError> + Send + 'static,
) -> JoinHandle<()> {
    let encoder = Encoder::new(&ResourceAttributesWithSchema::default());
    let pace = Pace {
        timeout: LONG,
        backoff_min: Duration::from_millis(1),
    };
    let exporter = Exporter::new(Arc::clone(queue), Collector(answer), encoder, pace);
    thread::spawn(move || exporter.run())
}

fn push(queue: &Queue, spans: usize) {
    (0..spans).for_each(|_| queue.push(sample()));
}

/// Drains within `deadline` and returns the account, which must balance.
fn drained(queue: &Queue, deadline: Duration) -> Spans {
    queue.drain(Instant::now() + deadline);
    let totals = queue.totals();
    let accounted = totals.exported + totals.failed + totals.dropped;
    assert_eq!(totals.ended, accounted, "{totals:?}");
    totals
}

fn counts(totals: Spans) -> [u64; 4] {
    [totals.ended, totals.exported, totals.failed, totals.dropped]
}

#[test]
fn everything_reaches_a_collector_that_is_there_in_bounded_batches() {
    let queue = queue(1_000, 100);
    let (sent, batches) = mpsc::channel();
    push(&queue, 950);
    let exporter = export(&queue, move |spans| {
        sent.send(spans).unwrap();
        Ok(0)
    });
    assert_eq!(counts(drained(&queue, LONG)), [950, 950, 0, 0]);
    exporter.join().unwrap();
    let batches: Vec<usize> = batches.iter().collect();
    assert_eq!(batches.iter().sum::<usize>(), 950);
    assert!(batches.iter().all(|batch| *batch <= 100), "{batches:?}");
}

#[test]
fn a_span_alone_is_exported_without_a_flush() {
    let queue = queue(10, 5);
    let (sent, batches) = mpsc::channel();
    let _exporter = export(&queue, move |spans| {
        sent.send(spans).unwrap();
        Ok(0)
    });
    push(&queue, 1);
    assert_eq!(batches.recv_timeout(LONG).unwrap(), 1);
    assert_eq!(counts(drained(&queue, LONG)), [1, 1, 0, 0]);
}

#[test]
fn a_full_queue_drops_exactly_what_exceeds_it_spans_under_way_included() {
    let queue = queue(10, 4);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let exporter = export(&queue, move |_| {
        started.send(()).unwrap();
        let _ = released.recv();
        Ok(0)
    });
    push(&queue, 4);
    has_started.recv_timeout(LONG).unwrap();
    push(&queue, 9);
    assert_eq!(queue.totals().dropped, 3);
    drop(release);
    assert_eq!(counts(drained(&queue, LONG)), [13, 10, 0, 3]);
    exporter.join().unwrap();
}

#[test]
fn a_batch_is_sent_again_until_the_collector_is_back() {
    let queue = queue(100, 100);
    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    push(&queue, 7);
    let _exporter = export(&queue, move |_| {
        match counted.fetch_add(1, Ordering::Relaxed) {
            0..5 => Err(away()),
            _ => Ok(0),
        }
    });
    assert!(queue.flush(LONG));
    assert_eq!(counts(queue.totals()), [7, 7, 0, 0]);
    assert_eq!(attempts.load(Ordering::Relaxed), 6);
}

#[test]
fn what_the_collector_refuses_or_rejects_has_failed() {
    let queue = queue(100, 100);
    let mut requests = 0;
    let _exporter = export(&queue, move |_| {
        requests += 1;
        match requests {
            1 => Err(SendError::Refused {
                reason: "400".to_owned(),
            }),
            _ => Ok(2),
        }
    });
    push(&queue, 5);
    assert!(queue.flush(LONG));
    push(&queue, 5);
    assert_eq!(counts(drained(&queue, LONG)), [10, 3, 7, 0]);
}

#[test]
fn more_rejected_spans_than_were_sent_are_no_more_than_were_sent() {
    let queue = queue(10, 10);
    let _exporter = export(&queue, |_| Ok(1_000));
    push(&queue, 3);
    assert_eq!(counts(drained(&queue, LONG)), [3, 0, 3, 0]);
}

#[test]
fn a_shutdown_gives_a_missing_collector_three_attempts_and_does_not_wait_for_the_deadline() {
    let queue = queue(100, 10);
    push(&queue, 30);
    let began = Instant::now();
    let (sent, attempts) = mpsc::channel();
    let draining = Arc::clone(&queue);
    let exporter = export(&queue, move |_| {
        // Only attempts of the shutdown count, so the first one waits for it.
        while draining.remaining().is_none() {
            thread::yield_now();
        }
        sent.send(()).unwrap();
        Err(away())
    });
    assert_eq!(counts(drained(&queue, LONG)), [30, 0, 0, 30]);
    exporter.join().unwrap();
    assert!(began.elapsed() < LONG / 2);
    assert_eq!(attempts.iter().count(), 3);
}

#[test]
fn a_deadline_passes_over_a_request_under_way_and_its_late_answer_counts_nothing() {
    let queue = queue(100, 10);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    push(&queue, 30);
    let exporter = export(&queue, move |_| {
        let _ = started.send(());
        let _ = released.recv();
        Ok(0)
    });
    has_started.recv_timeout(LONG).unwrap();
    let began = Instant::now();
    let totals = drained(&queue, Duration::from_millis(50));
    assert!(began.elapsed() < LONG / 2);
    assert_eq!(counts(totals), [30, 0, 0, 30]);
    drop(release);
    exporter.join().unwrap();
    assert_eq!(queue.totals(), totals);
    push(&queue, 1);
    assert_eq!(counts(queue.totals()), [31, 0, 0, 31]);
}

#[test]
fn waits_are_jittered_between_half_and_all() {
    let wait = Duration::from_secs(1);
    let waits: Vec<Duration> = (0..100).map(|_| jittered(wait)).collect();
    assert!(
        waits
            .iter()
            .all(|jittered| (wait / 2..=wait).contains(jittered))
    );
    assert!(waits.iter().any(|jittered| *jittered != waits[0]));
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(0..60usize).prop_map(Step::Push), Just(Step::Flush)];
    proptest::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_account_balances_and_agrees_with_the_collector_whatever_it_answers(
        steps in steps(),
        answers in proptest::collection::vec(0..5u8, 1..20),
        (queue_max, batch_max) in (1..100usize, 1..40usize),
    ) {
        let queue = queue(queue_max, batch_max.min(queue_max));
        let taken = Arc::new(AtomicU64::new(0));
        let lost = Arc::new(AtomicU64::new(0));
        let (count_taken, count_lost) = (Arc::clone(&taken), Arc::clone(&lost));
        let mut answers = answers.into_iter().cycle();
        let exporter = export(&queue, move |spans| match answers.next() {
            Some(0) => Err(away()),
            Some(1) => {
                count_lost.fetch_add(spans as u64, Ordering::Relaxed);
                Err(SendError::Refused { reason: "400".to_owned() })
            }
            Some(2) => {
                count_lost.fetch_add(1, Ordering::Relaxed);
                count_taken.fetch_add(spans as u64 - 1, Ordering::Relaxed);
                Ok(1)
            }
            _ => {
                count_taken.fetch_add(spans as u64, Ordering::Relaxed);
                Ok(0)
            }
        });
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push(spans) => {
                    push(&queue, spans);
                    pushed += spans as u64;
                }
                Step::Flush => drop(queue.flush(Duration::from_millis(20))),
            }
        }
        let totals = drained(&queue, LONG);
        exporter.join().unwrap();
        prop_assert_eq!(totals.ended, pushed);
        prop_assert_eq!(totals.exported, taken.load(Ordering::Relaxed));
        prop_assert_eq!(totals.failed, lost.load(Ordering::Relaxed));
    }
}
