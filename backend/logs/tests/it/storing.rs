//! Subscriptions, volumes, retention, damage, and a store that is opened twice.

use std::{fs, sync::Arc, time::Duration};

use logql::{Direction, Source};
use logs::{Options, Store};
use tokio::sync::broadcast::error::TryRecvError;

use crate::plain::{entry, equal, scan, select, stream};

const NOW_NS: i64 = 1_700_000_000_000_000_000;
const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

#[test]
fn a_subscriber_gets_every_push_and_is_told_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default()).unwrap();
    let mut subscriber = store.subscribe();
    for number in 0..1_100 {
        let line = entry(NOW_NS + number, &number.to_string());
        let push = stream(&[("service", "a")], vec![line]);
        store.append(vec![push], NOW_NS).unwrap();
    }
    assert!(matches!(
        subscriber.try_recv(),
        Err(TryRecvError::Lagged(76))
    ));
    let first = subscriber.try_recv().unwrap();
    assert_eq!(first.entries[0].line, "76");
}

#[test]
fn volumes_count_what_is_in_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default()).unwrap();
    for service in ["a", "b"] {
        let lines = (0..10)
            .map(|number| entry(NOW_NS + number, "12345"))
            .collect();
        let push = stream(&[("service", service)], lines);
        store.append(vec![push], NOW_NS).unwrap();
    }
    let volumes = store.volume(&[], NOW_NS..NOW_NS + 4).unwrap();
    let shown: Vec<(&str, u64, u64, u64)> = volumes
        .iter()
        .map(|(labels, volume)| {
            let service = labels.get("service");
            (service, volume.entries, volume.bytes, volume.chunks)
        })
        .collect();
    assert_eq!(shown, [("a", 4, 20, 1), ("b", 4, 20, 1)]);
    let of_b = store.volume(&[equal("service", "b")], 0..i64::MAX).unwrap();
    assert_eq!(of_b.len(), 1);
    assert_eq!(of_b[0].1.entries, 10);
}

#[test]
fn what_is_too_old_leaves_with_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        retention: Duration::from_hours(48),
        ..Options::default()
    };
    let (store, _) = Store::open(folder.path(), options.clone()).unwrap();
    for (service, t_ns) in [("old", NOW_NS - 3 * DAY_NS), ("new", NOW_NS)] {
        let push = stream(&[("service", service)], vec![entry(t_ns, "x")]);
        store.append(vec![push], NOW_NS).unwrap();
        store.seal().unwrap();
    }
    let retired = store.retain(NOW_NS as u64).unwrap();
    assert_eq!(retired.blocks, 1);
    let everything = select(&[], 0..i64::MAX, Direction::Forward);
    let check = |store: &Store| {
        assert_eq!(scan(store, &everything).len(), 1);
        let streams = store.streams(&[], 0..i64::MAX).unwrap();
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].get("service"), "new");
    };
    check(&store);
}

#[test]
fn a_torn_note_of_a_stream_is_cut_and_two_owners_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default()).unwrap();
    let push = stream(&[("service", "a")], vec![entry(NOW_NS, "x")]);
    store.append(vec![push.clone()], NOW_NS).unwrap();
    assert!(Store::open(folder.path(), Options::default()).is_err());
    drop(store);
    let path = folder.path().join("streams");
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&[9, 0, 0, 0, 1, 2, 3]);
    fs::write(&path, &bytes).unwrap();
    let (store, recovery) = Store::open(folder.path(), Options::default()).unwrap();
    assert_eq!(recovery.streams, 1);
    assert_eq!(fs::read(&path).unwrap().len(), whole);
    store.append(vec![push], NOW_NS).unwrap();
    assert_eq!(store.streams(&[], 0..i64::MAX).unwrap().len(), 1);
}

#[test]
fn readers_see_whole_pushes_while_others_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default()).unwrap();
    let store = Arc::new(store);
    let writer = Arc::clone(&store);
    let writing = std::thread::spawn(move || {
        for number in 0..300 {
            let lines = (0..10)
                .map(|line| entry(NOW_NS + number * 10 + line, "x"))
                .collect();
            let push = stream(&[("service", "a")], lines);
            writer.append(vec![push], NOW_NS).unwrap();
        }
    });
    let mut seen = 0;
    while seen < 3_000 {
        let all = select(&[], 0..i64::MAX, Direction::Backward);
        let lines = scan(&store, &all);
        assert!(lines.len() >= seen && lines.len().is_multiple_of(10));
        seen = lines.len();
    }
    writing.join().unwrap();
}
