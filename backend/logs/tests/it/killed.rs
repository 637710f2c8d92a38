//! SIGKILL in the middle of appending: every acknowledged line is there once, with its stream.
//!
//! The test binary starts itself again as the process that is killed; otherwise that part does nothing.

use std::{collections::BTreeSet, path::Path};

use logql::{Direction, Source};
use logs::{Options, Rules, Store};
use respawn::{Life, acknowledge, kill_after};

use crate::plain::{entry, scan, select, stream};

const APPENDING: &str = "killed::appends_until_it_is_killed";
const NOW_NS: i64 = 1_700_000_000_000_000_000;
const HOUR_NS: i64 = 3_600 * 1_000_000_000;
/// Lines of one append, over two streams.
const BATCH: usize = 20;
const ROUNDS: usize = 5;

/// Shows what is there twice.
fn open(dir: &Path) -> Store {
    let options = Options {
        rules: Rules::Anything,
        ..Options::default()
    };
    let (store, recovery) = Store::open(dir, options).unwrap();
    assert!(recovery.damaged.is_empty(), "{recovery:?}");
    store
}

#[test]
fn every_acknowledged_line_survives_a_kill_and_none_is_there_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = 0;
    for round in 1..=ROUNDS {
        let acknowledged = kill_after(APPENDING, dir.path(), first, 40 * round);
        let store = open(dir.path());
        let everything = select(&[], 0..i64::MAX, Direction::Forward);
        let lines = scan(&store, &everything);
        let numbers: BTreeSet<usize> = lines.iter().map(|line| line.2.parse().unwrap()).collect();
        assert_eq!(numbers.len(), lines.len(), "none twice");
        assert!(
            numbers.iter().copied().eq(0..lines.len()),
            "none is missing"
        );
        assert!(lines.len() >= acknowledged);
        assert_eq!(
            lines.len() % BATCH,
            0,
            "an append is whole or not there at all"
        );
        let streams = store.streams(&[], 0..i64::MAX).unwrap();
        for line in &lines {
            assert!(streams.contains(&line.1));
        }
        first = lines.len();
        // Some lines are in blocks when the next one is killed.
        store.seal().unwrap();
    }
}

#[test]
fn appends_until_it_is_killed() {
    let Some(Life {
        dir,
        first: mut next,
    }) = Life::<usize>::of_this_process()
    else {
        return;
    };
    let store = open(&dir);
    loop {
        let lines = |numbers: std::ops::Range<usize>| {
            // A new hour now and then, so that streams are noted in between.
            numbers
                .map(|number| entry(NOW_NS + number as i64 * HOUR_NS / 50, &number.to_string()))
                .collect()
        };
        let middle = next + BATCH / 2;
        let pushes = vec![
            stream(&[("service", "a")], lines(next..middle)),
            stream(&[("service", "b")], lines(middle..next + BATCH)),
        ];
        store.append(pushes, NOW_NS).unwrap();
        next += BATCH;
        // Ends by itself when nobody reads any more.
        if !acknowledge(next) {
            return;
        }
    }
}
