//! Files that are not what was written: set aside or cut, said, and the rest answers.

use std::fs;

use super::*;

/// Two blocks and a head, of three series.
fn filled(dir: &Path) {
    let (store, _) = open(dir);
    fill(&store, 0..3, START, 6 * 60);
    store.flush().unwrap();
    assert_eq!(store.stats().blocks, 2);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// It is noticed when the block is opened, or by the query that reads it; the rest answers.
#[test]
fn a_changed_byte_of_a_block_is_never_a_sample() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let block = files(dir.path(), "block").remove(0);
    let bytes = fs::metadata(&block).unwrap().len() as usize;
    let (mut at_once, mut by_query) = (0, 0);
    for at in (0..bytes).step_by(5) {
        flip(&block, at);
        let (store, recovery) = open(dir.path());
        assert_eq!(count(&store), 3 * 4 * 60, "byte {at} of {bytes}");
        assert_eq!(store.stats().blocks, 1);
        assert_eq!(store.series(&[], ALL).unwrap().len(), 3);
        drop(store);
        match recovery.damaged.len() {
            0 => by_query += 1,
            _ => at_once += 1,
        }
        let aside = files(dir.path(), "damaged");
        assert_eq!(aside.len(), 1, "byte {at} of {bytes}");
        fs::rename(&aside[0], &block).unwrap();
        flip(&block, at);
    }
    assert!(at_once > 10 && by_query > at_once, "{at_once} {by_query}");
    assert_eq!(count(&open(dir.path()).0), 3 * 6 * 60);
}

#[test]
fn a_torn_log_loses_what_was_torn_only() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..3, START, 10);
    drop(store);
    let log = files(dir.path(), "log").pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    let (store, recovery) = open(dir.path());
    assert!(recovery.torn_bytes > 0, "{recovery:?}");
    assert_eq!((count(&store), recovery.head_samples), (27, 27));
    fill(&store, 0..3, START + 9 * MINUTE, 1);
    drop(store);
    let (store, recovery) = open(dir.path());
    assert_eq!((count(&store), recovery.torn_bytes), (30, 0));
}

#[test]
fn a_damaged_frame_in_the_middle_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..3, START, 10);
    drop(store);
    let log = files(dir.path(), "log").pop().unwrap();
    let length = fs::metadata(&log).unwrap().len() as usize;
    // In the fifth scrape or so, whose frame holds samples only.
    flip(&log, length * 2 / 3);
    let (store, recovery) = open(dir.path());
    assert!(recovery.damaged_bytes > 0, "{recovery:?}");
    assert_eq!((count(&store), recovery.lost_samples), (27, 0));
    drop(store);
    // In the first, which names the series.
    flip(&log, 30);
    let (store, recovery) = open(dir.path());
    assert_eq!((count(&store), recovery.lost_samples), (0, 24));
}

#[test]
fn what_is_no_log_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("00000000.log"), "this is something else").unwrap();
    fs::write(dir.path().join("0000.block"), "and this").unwrap();
    fs::write(dir.path().join("1.tmp"), "unfinished").unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.damaged.len(), 2);
    assert_eq!(count(&store), 3 * 6 * 60);
    assert!(files(dir.path(), "tmp").is_empty());
}

#[test]
fn a_lost_newest_block_comes_back_from_the_log_as_far_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::remove_file(&files(dir.path(), "block")[1]).unwrap();
    let (store, _) = open(dir.path());
    let found = select(&store, &[], START + 4 * HOUR..=START + 6 * HOUR);
    assert!(found.iter().all(|series| times(series).len() == 120));
}

#[test]
fn while_blocks_cannot_be_written_the_head_grows_to_its_bound_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    // A folder where the first block has to be.
    let end = (START + tsdb::BLOCK_MS) as u64 ^ 1 << 63;
    let obstacle = dir.path().join(format!("{end:016x}.block"));
    fs::create_dir(&obstacle).unwrap();
    let at = |minute: i64| {
        let t_ms = START + minute * MINUTE;
        let mut batch = Batch::new(t_ms);
        batch.push(SeriesKey::Labels(labels(0)), t_ms, 1.0);
        store.append(&batch)
    };
    let minutes = tsdb::HEAD_MS_MAX / MINUTE + 2;
    let taken = (0..minutes)
        .take_while(|minute| at(*minute).is_ok())
        .count() as i64;
    assert_eq!(taken, minutes, "one past the bound");
    let refused = at(minutes);
    assert!(matches!(refused, Err(Error::Behind { .. })), "{refused:?}");
    assert!(store.flush().is_err());
    assert_eq!(count(&store) as i64, taken);
    fs::remove_dir(&obstacle).unwrap();
    store.flush().unwrap();
    at(minutes).unwrap();
    assert_eq!(count(&store) as i64, taken + 1);
    assert_eq!(store.stats().blocks, 5);
}
