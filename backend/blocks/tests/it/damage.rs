//! Torn tails, changed bytes, foreign files, a directory in use.

use std::fs;
use std::io::Write as _;

use blocks::{Error, Record, Store};

use super::{Owned, append, everything, files, numbered, numbers, open, small};

fn filled(dir: &std::path::Path, records: u64) -> Store {
    let (store, _) = open(dir);
    for number in 0..records {
        append(&store, &[numbered(number, 200)]);
    }
    store
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_append_and_said() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10).close().unwrap();
    let log = files(dir.path(), "wal").remove(0);
    let whole = fs::read(&log).unwrap();
    let mut last_end = whole.len();
    for cut in (whole.len() - 300..whole.len()).rev().step_by(7) {
        fs::write(&log, &whole[..cut]).unwrap();
        let (store, recovery) = open(dir.path());
        let found = numbers(&store.snapshot(), &everything());
        assert!(
            found.len() == 9 || found.len() == 8,
            "{found:?} of a log cut at {cut}"
        );
        assert_eq!(recovery.head_records, found.len() as u64);
        assert!(recovery.torn_bytes > 0 && recovery.torn_bytes < 300);
        last_end = last_end.min(cut - recovery.torn_bytes as usize);
        append(&store, &[numbered(99, 10)]);
        store.close().unwrap();
        let (store, recovery) = open(dir.path());
        assert_eq!(
            recovery.torn_bytes, 0,
            "the next append begins where the tail was cut"
        );
        assert_eq!(numbers(&store.snapshot(), &everything()).last(), Some(&99));
        store.close().unwrap();
    }
    assert!(last_end < whole.len());
}

#[test]
fn a_log_cut_before_its_first_bytes_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1).close().unwrap();
    let log = files(dir.path(), "wal").remove(0);
    fs::write(&log, b"TRP").unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!((recovery.head_records, recovery.torn_bytes), (0, 3));
    append(&store, &[numbered(1, 10)]);
    store.close().unwrap();
    assert_eq!(open(dir.path()).1.head_records, 1);
}

#[test]
fn a_frame_that_was_changed_is_left_out_and_the_ones_behind_it_stay() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10).close().unwrap();
    let log = files(dir.path(), "wal").remove(0);
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!(numbers(&store.snapshot(), &everything()).len(), 9);
    assert!(
        recovery.damaged_bytes > 200 && recovery.torn_bytes == 0,
        "{recovery:?}"
    );
}

#[test]
fn what_is_no_log_and_no_block_is_set_aside_and_the_rest_answers() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 50);
    store.seal().unwrap();
    append(&store, &[numbered(50, 10)]);
    store.close().unwrap();
    fs::write(
        dir.path().join("00000090.blk"),
        b"no block at all, but long enough to have a footer".repeat(9),
    )
    .unwrap();
    fs::write(dir.path().join("00000091.blk"), b"").unwrap();
    fs::write(dir.path().join("00000092.wal"), b"no log at all").unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.damaged.len(), 3, "{recovery:?}");
    assert_eq!(numbers(&store.snapshot(), &everything()).len(), 51);
    store.close().unwrap();
    let (_, recovery) = open(dir.path());
    assert!(recovery.damaged.is_empty(), "said once");
}

#[test]
fn a_changed_byte_anywhere_in_a_block_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 400);
    store.seal().unwrap();
    store.close().unwrap();
    let path = files(dir.path(), "blk").remove(0);
    let whole = fs::read(&path).unwrap();
    let all: Vec<u64> = (0..400).collect();
    let keys: Vec<Owned> = all.iter().map(|number| numbered(*number, 200)).collect();
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (store, recovery) = open(dir.path());
        let snapshot = store.snapshot();
        let asked = blocks::Scan {
            any_of: vec![vec![vec![7]]],
            ..everything()
        };
        let pages: Result<Vec<_>, Error> = snapshot.scan(&asked).collect();
        let found = keys
            .iter()
            .map(|one| snapshot.find(one.key))
            .collect::<Result<Vec<_>, _>>();
        if recovery.damaged.is_empty() {
            let page = pages.map(|pages| {
                pages
                    .iter()
                    .any(|page| page.records().any(|one| one.payload == keys[7].payload))
            });
            assert!(page.is_err() || page.unwrap(), "byte {at}");
            let right = found.map(|found| {
                found
                    .iter()
                    .zip(&keys)
                    .all(|(found, one)| found.len() == 1 && *found[0] == *one.payload)
            });
            assert!(right.is_err() || right.unwrap(), "byte {at}");
        }
        drop(snapshot);
        store.close().unwrap();
        for aside in recovery.damaged {
            fs::remove_file(aside).unwrap();
        }
    }
}

#[test]
fn a_page_that_cannot_be_read_is_an_error_in_its_place_and_the_others_follow() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 2_000);
    store.seal().unwrap();
    let path = files(dir.path(), "blk").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    store.close().unwrap();
    let (store, recovery) = open(dir.path());
    assert!(recovery.damaged.is_empty());
    let pages: Vec<_> = store
        .snapshot()
        .scan(&everything())
        .map(|page| page.is_ok())
        .collect();
    assert_eq!(pages.iter().filter(|is_ok| !**is_ok).count(), 1);
    assert!(pages.len() > 2);
}

#[test]
fn an_unfinished_block_is_forgotten_and_made_again_of_its_log() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 30).close().unwrap();
    fs::write(dir.path().join("00000001.tmp"), b"half a block").unwrap();
    // A newer log is there as well: the older one must become a block.
    let mut newer = fs::File::create(dir.path().join("00000002.wal")).unwrap();
    newer.write_all(b"TRPDWAL1").unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!(numbers(&store.snapshot(), &everything()).len(), 30);
    assert_eq!((recovery.blocks, recovery.head_records), (0, 30));
    assert_eq!(files(dir.path(), "blk").len(), 1);
    assert!(files(dir.path(), "tmp").is_empty());
    store.close().unwrap();
    // Killed after the block had its name and before the log was deleted: nothing is there twice.
    fs::copy(
        dir.path().join("00000002.wal"),
        dir.path().join("00000001.wal"),
    )
    .unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(numbers(&store.snapshot(), &everything()).len(), 30);
    assert!(!dir.path().join("00000001.wal").exists());
}

#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    assert!(matches!(
        Store::open(dir.path(), small()),
        Err(Error::InUse { .. })
    ));
    store.close().unwrap();
    open(dir.path());
}

#[test]
fn records_beyond_the_bounds_are_refused_and_nothing_of_their_append_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let good = numbered(1, 10);
    let huge = vec![0; blocks::PAYLOAD_BYTES_MAX + 1];
    let terms = vec![0; blocks::TERMS_MAX + 1];
    for bad in [
        Record {
            payload: &huge,
            ..good.record()
        },
        Record {
            terms: &terms,
            ..good.record()
        },
        Record {
            time_min_ns: 2,
            time_max_ns: 1,
            ..good.record()
        },
    ] {
        store.append(&[good.record(), bad]).unwrap_err();
        assert_eq!(store.stats().records, 0);
    }
    assert!(numbers(&store.snapshot(), &everything()).is_empty());
}
