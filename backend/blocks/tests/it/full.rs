//! A disk without room, and names that cannot be taken: errors, nothing half written, and it goes on by itself afterwards.
//!
//! The disk is a limit on the size of a file, set for this whole process: so each test starts the test binary again, as a process
//! in which the signal of that limit is ignored. Otherwise that part does nothing.

use std::fs;
use std::time::{Duration, Instant};

use blocks::{Error, Record, Store};
use respawn::{limit, room, run_with_a_limit};

use super::{Owned, everything, files, numbered, numbers, open};

const PATIENCE: Duration = Duration::from_secs(30);

fn try_append(store: &Store, records: &[Owned]) -> Result<(), Error> {
    let records: Vec<Record<'_>> = records.iter().map(Owned::record).collect();
    store.append(&records)
}

/// Appends twenty records at a time until one fails; the number of those that are stored.
fn until_full(store: &Store, first: u64) -> u64 {
    let mut next = first;
    let batch = |first| -> Vec<Owned> { (first..first + 20).map(|at| numbered(at, 500)).collect() };
    while try_append(store, &batch(next)).is_ok() {
        next += 20;
        assert!(next < 100_000, "the limit was never reached");
    }
    next
}

fn has_all(store: &Store, records: u64) {
    let all: Vec<u64> = (0..records).collect();
    assert_eq!(numbers(&store.snapshot(), &everything()), all);
}

#[test]
fn an_append_without_room_is_not_there_and_the_next_ones_are_when_there_is_room() {
    run_with_a_limit("full::appends_without_room");
}

#[test]
fn appends_without_room() {
    let Some(dir) = room() else {
        return;
    };
    let dir = &*dir;
    let (store, _) = open(dir);
    limit(Some(30_000));
    let full = until_full(&store, 0);
    has_all(&store, full);
    assert_eq!(until_full(&store, full), full, "still without room");
    let log = files(dir, "wal").remove(0);
    assert!(
        fs::metadata(&log).unwrap().len() < 30_000,
        "what did not fit was cut off"
    );
    limit(None);
    try_append(&store, &[numbered(full, 500)]).unwrap();
    has_all(&store, full + 1);
    store.close().unwrap();
    let (store, recovery) = open(dir);
    assert_eq!(recovery.torn_bytes + recovery.damaged_bytes, 0);
    has_all(&store, full + 1);
}

#[test]
fn a_block_without_room_is_written_when_there_is_some() {
    run_with_a_limit("full::blocks_without_room");
}

#[test]
fn blocks_without_room() {
    let Some(dir) = room() else {
        return;
    };
    let dir = &*dir;
    let (store, _) = open(dir);
    let records: Vec<Owned> = (0..150).map(|at| numbered(at, 500)).collect();
    try_append(&store, &records).unwrap();
    // Room for a new log, none for a block.
    limit(Some(1_000));
    let more: Vec<Owned> = (150..220).map(|at| numbered(at, 500)).collect();
    assert!(
        try_append(&store, &more).is_err(),
        "nor for more in the log"
    );
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| store.seal());
        let until = Instant::now() + PATIENCE;
        while files(dir, "wal").len() < 2 {
            assert!(Instant::now() < until, "no block was begun");
            std::thread::yield_now();
        }
        has_all(&store, 150);
        assert!(files(dir, "blk").is_empty());
        limit(None);
        sealing.join().unwrap().unwrap();
    });
    has_all(&store, 150);
    assert_eq!(store.stats().blocks, 1);
    assert!(files(dir, "tmp").is_empty());
    try_append(&store, &more).unwrap();
    has_all(&store, 220);
}

#[test]
fn a_log_that_cannot_be_begun_bounds_the_one_before_and_is_begun_later() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    // Whoever runs the tests may write everywhere: a folder in the place of the next log stands in for one without rights.
    let in_its_place = dir.path().join("00000002.wal");
    fs::create_dir(&in_its_place).unwrap();
    let full = until_full(&store, 0);
    let payload = full * 500;
    assert!((400_000..500_000).contains(&payload), "{payload}");
    has_all(&store, full);
    assert!(store.seal().is_err());
    fs::remove_dir(&in_its_place).unwrap();
    try_append(&store, &[numbered(full, 500)]).unwrap();
    store.seal().unwrap();
    assert!(store.stats().blocks >= 1);
    has_all(&store, full + 1);
}

#[test]
fn a_log_that_could_not_be_begun_for_want_of_room_is_not_in_the_way() {
    run_with_a_limit("full::logs_without_room");
}

#[test]
fn logs_without_room() {
    let Some(dir) = room() else {
        return;
    };
    let dir = &*dir;
    let (store, _) = open(dir);
    try_append(&store, &[numbered(0, 500)]).unwrap();
    limit(Some(4));
    assert!(store.seal().is_err());
    assert_eq!(files(dir, "wal").len(), 1);
    limit(None);
    store.seal().unwrap();
    assert_eq!(store.stats().blocks, 1);
    has_all(&store, 1);
}
