//! What leaves memory and what leaves the disk.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn series_without_samples_leave_memory_and_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for hour in 0..10 {
        let first = hour as usize * 100;
        fill(&store, first..first + 100, START + hour * HOUR, 60);
        store.flush().unwrap();
        assert!(store.stats().series <= 400, "{:?}", store.stats());
    }
    let stats = store.stats();
    assert_eq!(stats.blocks, 4);
    assert_eq!((stats.series, stats.head_samples), (200, 12_000));
    assert_eq!(stats.block_samples, 48_000);
    assert_eq!(store.series(&[], ALL).unwrap().len(), 1000);
    assert_eq!(count(&store), 60_000);
}

#[test]
fn logs_whose_samples_are_in_blocks_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..10, START, 12 * 60);
    store.flush().unwrap();
    let logs = files(dir.path(), "log");
    // Of at least 17: one for each hour and each cut. How many are left depends on how late the cuts came.
    assert!((1..=9).contains(&logs.len()), "{logs:?}");
    drop(store);
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.head_samples, 10 * 2 * 60);
    assert_eq!(count(&store), 10 * 12 * 60);
}

#[test]
fn blocks_leave_by_age_counted_from_the_newest_sample() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Duration::from_secs(6 * 3600);
    let options = Options {
        retention,
        ..Options::default()
    };
    let (store, _) = open_with(dir.path(), &options);
    fill(&store, 0..3, START, 12 * 60);
    store.flush().unwrap();
    assert_eq!(store.stats().blocks, 5);
    // Nothing yet by an earlier clock.
    assert_eq!(store.retain(START).unwrap().blocks, 0);
    let retired = store.retain(START + 100 * HOUR).unwrap();
    assert_eq!(
        retired.blocks,
        2,
        "those that ended before {}",
        START + 6 * HOUR
    );
    assert!(retired.bytes > 0);
    let found = select(&store, &[], ALL);
    assert_eq!(times(&found[0])[0], START + 4 * HOUR);
    drop(store);
    assert_eq!(open(dir.path()).1.blocks, 3);
}

#[test]
fn the_oldest_blocks_leave_when_all_files_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..3, START, 12 * 60);
    store.flush().unwrap();
    let stats = store.stats();
    drop(store);
    let disk_bytes_max = stats.log_bytes + stats.block_bytes * 7 / 10;
    let options = Options {
        disk_bytes_max,
        ..Options::default()
    };
    let (store, _) = open_with(dir.path(), &options);
    assert_eq!(store.retain(START + 12 * HOUR).unwrap().blocks, 2);
    let stats = store.stats();
    assert!(stats.log_bytes + stats.block_bytes <= disk_bytes_max);
    assert_eq!(times(&select(&store, &[], ALL)[0])[0], START + 4 * HOUR);
}

#[test]
fn blocks_are_cut_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..3, START, 3 * 60 + 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.stats().series == 0 || store.stats().blocks == 0 {
        assert!(Instant::now() < deadline, "no block was cut");
        std::thread::yield_now();
    }
    assert_eq!(count(&store), 3 * 181);
}
