//! What is too old or too much goes, block by block; readers that are at it finish.

use std::time::Duration;

use blocks::{HEAD_AGE_MAX, Options, Store};

use super::{append, everything, files, numbered, numbers, open};

/// Ten blocks of 100 records.
fn ten_blocks(store: &Store) {
    for block in 0..10 {
        let records: Vec<_> = (0..100)
            .map(|number| numbered(block * 100 + number, 500))
            .collect();
        append(store, &records);
        store.seal().unwrap();
    }
}

#[test]
fn blocks_whose_newest_record_is_too_old_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention: Duration::from_micros(300),
        ..Options::default()
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    ten_blocks(&store);
    assert_eq!(files(dir.path(), "blk").len(), 10);
    let before = store.snapshot();
    // The newest record of block 6 ends at 700 µs.
    let retired = store.retain(1_000_000).unwrap();
    assert_eq!(retired.blocks, 6);
    assert_eq!(files(dir.path(), "blk").len(), 4);
    assert_eq!(
        numbers(&store.snapshot(), &everything()),
        (600..1_000).collect::<Vec<_>>()
    );
    assert_eq!(
        numbers(&before, &everything()).len(),
        1_000,
        "an older snapshot still reads"
    );
    assert_eq!(store.retain(1_000_000).unwrap().blocks, 0);
    store.close().unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(store.stats().records, 400);
}

#[test]
fn the_oldest_blocks_are_deleted_while_the_files_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    ten_blocks(&store);
    let all = store.stats().disk_bytes;
    store.close().unwrap();
    let options = Options {
        disk_bytes_max: all / 2,
        ..Options::default()
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    let retired = store.retain(1_000_000).unwrap();
    assert!(store.stats().disk_bytes <= all / 2);
    assert_eq!(store.stats().disk_bytes, all - retired.bytes);
    let kept = numbers(&store.snapshot(), &everything());
    assert_eq!(
        kept,
        (1_000 - kept.len() as u64..1_000).collect::<Vec<_>>(),
        "the newest stay"
    );
}

#[test]
fn an_old_head_becomes_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    append(&store, &[numbered(1, 10)]);
    let hour = 3_600_000_000_000;
    store.retain(hour).unwrap();
    assert_eq!(store.stats().head_records, 1);
    store.retain(hour + HEAD_AGE_MAX.as_nanos() as u64).unwrap();
    store.seal().unwrap();
    assert_eq!((store.stats().head_records, store.stats().records), (0, 1));
}

#[test]
fn a_key_of_several_blocks_is_known_as_such_after_a_restart_and_forgotten_with_its_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention: Duration::from_micros(50),
        ..Options::default()
    };
    let (store, _) = Store::open(dir.path(), options.clone()).unwrap();
    let first = numbered(1, 10);
    let late = super::Owned {
        time_min_ns: 90_000,
        time_max_ns: 90_000,
        ..first.clone()
    };
    append(&store, std::slice::from_ref(&first));
    store.seal().unwrap();
    assert!(!store.snapshot().is_split(first.key));
    append(&store, &[late]);
    assert!(
        store.snapshot().is_split(first.key),
        "one part in a block, one in the head"
    );
    store.seal().unwrap();
    assert!(store.snapshot().is_split(first.key));
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), options).unwrap();
    assert!(store.snapshot().is_split(first.key));
    assert_eq!(store.snapshot().find(first.key).unwrap().len(), 2);
    assert_eq!(store.retain(1_000_000).unwrap().blocks, 2);
    assert!(!store.snapshot().is_split(first.key));
}
