//! Appenders, readers and cuts at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn a_reader_sees_whole_batches_in_order_while_blocks_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let is_done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            let mut before = 0;
            while !is_done.load(Ordering::Acquire) || reads == 0 {
                let found = select(&store, &[], ALL);
                let lengths: Vec<usize> = found.iter().map(|series| series.samples.len()).collect();
                let first = lengths.first().copied().unwrap_or(0);
                assert!(first >= before, "nothing that was seen goes");
                assert!(lengths.iter().all(|length| *length == first), "{lengths:?}");
                let expected: Vec<i64> = (0..first as i64).map(|m| START + m * MINUTE).collect();
                assert!(found.iter().all(|series| times(series) == expected));
                before = first;
                reads += 1;
            }
            reads
        });
        fill(&store, 0..50, START, 24 * 60);
        is_done.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    store.flush().unwrap();
    assert!(reads > 0);
    assert_eq!(store.stats().blocks, 11);
    assert_eq!(count(&store), 50 * 24 * 60);
}

#[test]
fn two_appenders_do_not_lose_each_others_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    thread::scope(|scope| {
        scope.spawn(|| fill(&store, 0..20, START, 50));
        scope.spawn(|| fill(&store, 20..40, START, 50));
    });
    assert_eq!(count(&store), 2000);
    drop(store);
    assert_eq!(count(&open(dir.path()).0), 2000);
}
