//! A disk without room: appends answer an error, nothing of them is visible, and they go on by themselves; said once.
//!
//! The disk is a limit on the size of a file, set for the whole process: so each test starts the test binary again, as a process
//! in which the signal of that limit is ignored. Otherwise that part does nothing.

use std::sync::{Arc, Mutex};

use logql::{Direction, Source};
use logs::{Options, Store};
use respawn::{limit, room, run_with_a_limit};

use crate::{
    plain::{entry, scan, select, stream},
    said::Said,
};

const NOW_NS: i64 = 1_700_000_000_000_000_000;
const HOUR_NS: i64 = 3_600 * 1_000_000_000;

fn append(store: &Store, number: usize) -> Result<(), logs::Error> {
    let line = format!("{number} {}", "x".repeat(900));
    let push = stream(&[("service", "a")], vec![entry(NOW_NS, &line)]);
    store.append(vec![push], NOW_NS).map(|_| ())
}

fn lines(store: &Store) -> usize {
    scan(store, &select(&[], 0..i64::MAX, Direction::Forward)).len()
}

#[test]
fn lines_without_room_are_an_error_and_the_next_are_stored_when_there_is_room() {
    run_with_a_limit("full::lines_without_room");
}

#[test]
fn lines_without_room() {
    let Some(dir) = room() else {
        return;
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let (store, _) = Store::open(&dir, Options::default()).unwrap();
    let mut stored = 0;
    tracing::subscriber::with_default(Said(Arc::clone(&said)), || {
        limit(Some(20_000));
        while append(&store, stored).is_ok() {
            stored += 1;
        }
        assert!((15..=20).contains(&stored), "{stored}");
        let mut subscriber = store.subscribe();
        for _ in 0..5 {
            append(&store, stored).unwrap_err();
        }
        assert!(subscriber.try_recv().is_err(), "nobody is told of them");
        assert_eq!(lines(&store), stored);
        limit(None);
        append(&store, stored).unwrap();
        append(&store, stored + 1).unwrap();
        stored += 2;
    });
    assert_eq!(
        *said.lock().unwrap(),
        ["lines cannot be stored", "lines are stored again"]
    );
    assert_eq!(lines(&store), stored);
    drop(store);
    let (store, recovery) = Store::open(&dir, Options::default()).unwrap();
    assert_eq!(recovery.torn_bytes + recovery.damaged_bytes, 0);
    assert_eq!(lines(&store), stored);
}

#[test]
fn a_stream_that_cannot_be_noted_has_no_lines_and_is_noted_when_there_is_room() {
    run_with_a_limit("full::streams_without_room");
}

#[test]
fn streams_without_room() {
    let Some(dir) = room() else {
        return;
    };
    let (store, _) = Store::open(&dir, Options::default()).unwrap();
    let name = "n".repeat(300);
    let hour = |number: i64| {
        let line = entry(NOW_NS + number * HOUR_NS, "x");
        stream(&[("service", &name)], vec![line])
    };
    store.append(vec![hour(0)], NOW_NS).unwrap();
    // Room for half a note: the logs of the blocks are still smaller than that.
    limit(Some(450));
    store
        .append(vec![hour(1)], NOW_NS + 2 * HOUR_NS)
        .unwrap_err();
    assert_eq!(lines(&store), 1);
    limit(None);
    store.append(vec![hour(-1)], NOW_NS).unwrap();
    drop(store);
    let (store, recovery) = Store::open(&dir, Options::default()).unwrap();
    assert!(recovery.damaged.is_empty(), "{recovery:?}");
    let before = store.streams(&[], NOW_NS - HOUR_NS..NOW_NS - HOUR_NS + 1);
    assert_eq!(before.unwrap().len(), 1);
    let after = store.streams(&[], NOW_NS + HOUR_NS..NOW_NS + HOUR_NS + 1);
    assert_eq!(after.unwrap().len(), 0);
}
