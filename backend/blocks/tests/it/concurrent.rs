//! Readers and a writer at once: a snapshot is a prefix of what was appended, and contains what was acknowledged before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{append, everything, numbered, numbers, open};

const RECORDS: u64 = 6_000;
const BATCH: u64 = 10;

#[test]
fn a_snapshot_has_what_was_acknowledged_and_no_half_append() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let acknowledged = AtomicU64::new(0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let snapshot = store.snapshot();
                    let found = numbers(&snapshot, &everything());
                    assert!(found.len() as u64 >= before);
                    assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
                    assert_eq!(found.len() as u64 % BATCH, 0);
                    for number in [0, found.len() as u64 / 2, found.len() as u64]
                        .map(|at| at.saturating_sub(1))
                    {
                        let payloads = snapshot.find(numbered(number, 0).key).unwrap();
                        assert_eq!(payloads.len(), usize::from(number < found.len() as u64));
                    }
                }
            });
        }
        for first in (0..RECORDS).step_by(BATCH as usize) {
            let records: Vec<_> = (first..first + BATCH)
                .map(|number| numbered(number, 300))
                .collect();
            append(&store, &records);
            acknowledged.store(first + BATCH, Ordering::SeqCst);
        }
        is_done.store(true, Ordering::SeqCst);
    });
    assert!(store.stats().blocks > 5, "{:?}", store.stats());
    assert_eq!(
        numbers(&store.snapshot(), &everything()).len() as u64,
        RECORDS
    );
}
