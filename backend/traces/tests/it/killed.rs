//! SIGKILL in the middle of ingesting: every trace that was acknowledged is found.
//!
//! The test binary starts itself again as the process that is killed; otherwise that part does nothing.

use respawn::{Life, acknowledge, kill_after};

use super::otlp_requests::{Change as _, NOW, int, request, service, span, trace_id};
use super::{asked, number, open};

const INGESTING: &str = "killed::ingests_until_it_is_killed";
/// Traces of one ingest.
const BATCH: u64 = 5;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    for round in 1..=4 {
        let acknowledged = kill_after(INGESTING, dir.path(), next, 60 * round);
        let (store, recovery) = open(dir.path());
        assert!(
            recovery.damaged.is_empty() && recovery.damaged_bytes == 0,
            "{recovery:?}"
        );
        for trace in 0..acknowledged {
            let stored = store.trace(trace_id(trace)).unwrap();
            assert_eq!(stored.map(|stored| stored.spans), Some(2), "trace {trace}");
        }
        let mut everything = asked("{ }");
        everything.limit = 10_000;
        let response = store.search(&everything).unwrap();
        let numbers = response.traces.iter();
        let mut all: Vec<u64> = numbers.map(|trace| number(trace.trace_id)).collect();
        all.sort_unstable();
        assert_eq!(
            all,
            Vec::from_iter(0..all.len() as u64),
            "each once, none missing"
        );
        assert_eq!(
            all.len() as u64 % BATCH,
            0,
            "an ingest is whole or not there"
        );
        next = all.len() as u64;
    }
    let (store, recovery) = open(dir.path());
    assert!(recovery.is_clean() && recovery.blocks > 0, "{recovery:?}");
    drop(store);
}

#[test]
fn ingests_until_it_is_killed() {
    let Some(Life {
        dir,
        first: mut next,
    }) = Life::<u64>::of_this_process()
    else {
        return;
    };
    let (store, _) = open(&dir);
    loop {
        let spans = (next..next + BATCH).flat_map(|trace| {
            let root = span(trace, 1, 0, "root").with("n", int(trace as i64));
            [root, span(trace, 2, 1, "child")]
        });
        let sent = request(vec![service("s", spans.collect())]);
        store.ingest(&sent, NOW).unwrap();
        next += BATCH;
        // Ends by itself when nobody reads any more.
        if !acknowledge(next) {
            return;
        }
    }
}
