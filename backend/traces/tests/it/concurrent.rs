//! Readers while traces come in and blocks are written and retired: each answer is whole.

use std::sync::atomic::{AtomicU64, Ordering};

use super::otlp_requests::{Change as _, NOW, SECOND, T0, int, request, service, span, trace_id};
use super::{asked, found, number, open, values};

const TRACES: u64 = 600;

#[test]
fn readers_see_whole_traces_and_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (store, acknowledged) = (&store, &AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for trace in 0..TRACES {
                let at = T0 + trace * SECOND;
                let root = span(trace, 1, 0, "root")
                    .times(at, at + 1)
                    .with("n", int(trace as i64));
                let child = span(trace, 2, 1, "child").times(at, at + 1);
                store
                    .ingest(&request(vec![service("a", vec![root])]), NOW)
                    .unwrap();
                store
                    .ingest(&request(vec![service("b", vec![child])]), NOW)
                    .unwrap();
                acknowledged.store(trace + 1, Ordering::Release);
            }
        });
        for reader in 0..2 {
            scope.spawn(move || {
                let mut turn = reader;
                while acknowledged.load(Ordering::Acquire) < TRACES {
                    read(store, acknowledged.load(Ordering::Acquire), turn);
                    turn += 1;
                }
            });
        }
    });
    assert!(store.stats().blocks > 3, "{:?}", store.stats());
    let all: Vec<u64> = (0..TRACES).rev().collect();
    assert_eq!(
        found(store, r#"{ name = "root" } > { name = "child" }"#),
        all
    );
}

fn read(store: &traces::Store, known: u64, turn: u64) {
    if known == 0 {
        return;
    }
    let trace = turn * 7_919 % known;
    assert_eq!(store.trace(trace_id(trace)).unwrap().unwrap().spans, 2);
    let mut request = asked(&format!("{{ span.n = {trace} }} >> {{ }}"));
    request.limit = 5;
    let response = store.search(&request).unwrap();
    let numbers: Vec<u64> = response
        .traces
        .iter()
        .map(|trace| number(trace.trace_id))
        .collect();
    assert_eq!((numbers, response.partial), (vec![trace], None));
    if turn.is_multiple_of(20) {
        assert!(values(store, "span.n", None).len() as u64 >= known);
    }
}
