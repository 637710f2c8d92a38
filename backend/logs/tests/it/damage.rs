//! Files whose bytes were changed, are missing, or cannot be had: said, the rest is there, and the store goes on.

use std::{fs, path::Path};

use logql::{Direction, Source};
use logs::{Options, Store};

use crate::plain::{entry, scan, select, stream};

const NOW_NS: i64 = 1_700_000_000_000_000_000;
const HOUR_NS: i64 = 3_600 * 1_000_000_000;
const SERVICES: [&str; 3] = ["a", "b", "c"];

/// A line in each of three hours of each of three streams, one hour in a block and the others in the log.
fn fill(folder: &Path) {
    let (store, _) = Store::open(folder, Options::default()).unwrap();
    for hour in 0..3 {
        for service in SERVICES {
            let line = entry(NOW_NS + hour * HOUR_NS, service);
            let push = stream(&[("service", service)], vec![line]);
            store.append(vec![push], NOW_NS + hour * HOUR_NS).unwrap();
        }
        if hour == 0 {
            store.seal().unwrap();
        }
    }
}

fn has_everything(store: &Store) {
    let everything = select(&[], 0..i64::MAX, Direction::Forward);
    assert_eq!(scan(store, &everything).len(), 9);
    for hour in 0..3 {
        let from = NOW_NS + hour * HOUR_NS;
        let streams = store.streams(&[], from..from + 1).unwrap();
        assert_eq!(streams.len(), 3, "in hour {hour}");
    }
}

#[test]
fn a_file_of_streams_with_a_changed_or_missing_byte_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let path = folder.path().join("streams");
    let aside = folder.path().join("streams.damaged");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(5) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        for bytes in [changed, whole[..whole.len() - 1 - at % 8].to_vec()] {
            fs::write(&path, &bytes).unwrap();
            let (store, recovery) = Store::open(folder.path(), Options::default()).unwrap();
            assert_eq!(recovery.damaged, std::slice::from_ref(&aside), "byte {at}");
            has_everything(&store);
            drop(store);
            assert_eq!(fs::read(&aside).unwrap(), bytes);
            let (_, recovery) = Store::open(folder.path(), Options::default()).unwrap();
            assert!(recovery.damaged.is_empty(), "said once");
        }
    }
    fs::remove_file(&path).unwrap();
    let (store, recovery) = Store::open(folder.path(), Options::default()).unwrap();
    assert!(recovery.damaged.is_empty());
    has_everything(&store);
}

#[test]
fn a_changed_log_or_block_loses_what_it_had_and_takes_more() {
    for extension in ["wal", "blk"] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let blocks = fs::read_dir(folder.path().join("blocks")).unwrap();
        let mut paths = blocks.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension().is_some_and(|is| is == extension));
        let path = path.unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = if extension == "wal" {
            8 + 8 + 40
        } else {
            bytes.len() - 9
        };
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (store, recovery) = Store::open(folder.path(), Options::default()).unwrap();
        let is_said = recovery.damaged_bytes > 0 || recovery.damaged.len() == 1;
        assert!(is_said, "{extension}: {recovery:?}");
        let everything = select(&[], 0..i64::MAX, Direction::Forward);
        let left = scan(&store, &everything).len();
        assert_eq!(left, if extension == "wal" { 8 } else { 6 });
        let push = stream(&[("service", "d")], vec![entry(NOW_NS, "more")]);
        store.append(vec![push], NOW_NS).unwrap();
        assert_eq!(scan(&store, &everything).len(), left + 1);
    }
}

#[test]
fn a_folder_that_cannot_be_had_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever runs the tests may write everywhere: a file in its place stands in for one without rights.
    let path = folder.path().join("logs");
    fs::write(&path, "").unwrap();
    let refused = Store::open(&path, Options::default()).err().unwrap();
    assert!(refused.to_string().contains("logs"), "{refused}");
    fs::remove_file(&path).unwrap();
    fill(&path);
    has_everything(&Store::open(&path, Options::default()).unwrap().0);
}
