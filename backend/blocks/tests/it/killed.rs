//! SIGKILL in the middle of appending: what was acknowledged is there.
//!
//! The test binary starts itself again as the process that is killed; without the variable that part does nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{append, everything, numbered, numbers, open};

const DIR: &str = "BLOCKS_TEST_KILLED_DIR";
/// Records of one append.
const BATCH: u64 = 20;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = 0;
    let mut had_blocks = false;
    for round in 1..=6 {
        let acknowledged = kill_after(dir.path(), expected, 150 * round);
        let (store, recovery) = open(dir.path());
        assert!(recovery.damaged.is_empty(), "{recovery:?}");
        let found = numbers(&store.snapshot(), &everything());
        let all: Vec<u64> = (0..found.len() as u64).collect();
        assert_eq!(found, all, "each once, none missing");
        assert!(
            found.len() as u64 >= acknowledged,
            "{} of {acknowledged}",
            found.len()
        );
        assert_eq!(
            found.len() as u64 % BATCH,
            0,
            "an append is whole or not there"
        );
        expected = found.len() as u64;
        had_blocks |= recovery.blocks > 0;
    }
    assert!(had_blocks, "blocks were written between the kills");
}

/// How many records the process had acknowledged when it was killed, all rounds together.
fn kill_after(dir: &Path, first: u64, appends: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::appends_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env("BLOCKS_TEST_KILLED_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = lines
        .filter_map(|line| {
            line.unwrap()
                .strip_prefix("acknowledged ")
                .map(|number| number.parse().unwrap())
        })
        .nth(appends as usize)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

#[test]
fn appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mut next: u64 = std::env::var("BLOCKS_TEST_KILLED_FIRST")
        .unwrap()
        .parse()
        .unwrap();
    let (store, _) = open(Path::new(&dir));
    let mut out = std::io::stdout();
    loop {
        let records: Vec<_> = (next..next + BATCH)
            .map(|number| numbered(number, 100))
            .collect();
        append(&store, &records);
        next += BATCH;
        // Ends by itself when nobody reads any more.
        if writeln!(out, "\nacknowledged {next}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}
