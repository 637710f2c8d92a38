//! SIGKILL in the middle of appending: what was acknowledged is there.
//!
//! The test binary starts itself again as the process that is killed; otherwise that part does nothing.

use respawn::{Life, acknowledge, kill_after};

use super::{append, everything, numbered, numbers, open};

const APPENDING: &str = "killed::appends_until_it_is_killed";
/// Records of one append.
const BATCH: u64 = 20;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = 0;
    let mut had_blocks = false;
    for round in 1..=6 {
        let acknowledged = kill_after(APPENDING, dir.path(), expected, 150 * round);
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

#[test]
fn appends_until_it_is_killed() {
    let Some(Life {
        dir,
        first: mut next,
    }) = Life::of_this_process()
    else {
        return;
    };
    let (store, _) = open(&dir);
    loop {
        let records: Vec<_> = (next..next + BATCH)
            .map(|number| numbered(number, 100))
            .collect();
        append(&store, &records);
        next += BATCH;
        // Ends by itself when nobody reads any more.
        if !acknowledge(next) {
            return;
        }
    }
}
