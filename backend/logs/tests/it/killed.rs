//! SIGKILL in the middle of appending: every acknowledged line is there once, with its stream.
//!
//! The test binary starts itself again as the process that is killed; without the variable that part does nothing.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use logql::{Direction, Source};
use logs::{Options, Rules, Store};

use crate::plain::{entry, scan, select, stream};

const DIR: &str = "LOGS_TEST_KILLED_DIR";
const FIRST: &str = "LOGS_TEST_KILLED_FIRST";
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
        let acknowledged = kill_after(dir.path(), first, 40 * round);
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

/// How many lines the process had acknowledged when it was killed, all rounds together.
fn kill_after(dir: &Path, first: usize, appends: usize) -> usize {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::appends_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = said
        .filter_map(|line| {
            let line = line.unwrap();
            let number = line.strip_prefix("acknowledged ")?;
            Some(number.parse().unwrap())
        })
        .nth(appends)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

#[test]
fn appends_until_it_is_killed() {
    let Some(dir) = env::var_os(DIR) else {
        return;
    };
    let mut next: usize = env::var(FIRST).unwrap().parse().unwrap();
    let store = open(Path::new(&dir));
    let mut out = std::io::stdout();
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
        let said = writeln!(out, "\nacknowledged {next}").and_then(|()| out.flush());
        if said.is_err() {
            return;
        }
    }
}
