//! What a store that is opened again has, and what leaves it.

use std::time::Duration;

use traces::{Options, Store};

use super::otlp_requests::{
    Change as _, MS, NOW, SECOND, T0, int, request, service, span, trace_id,
};
use super::{filled, found, names, open, options, values};

#[test]
fn a_store_that_is_opened_again_answers_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let requests: Vec<Vec<u8>> = (0..200)
        .map(|trace| {
            let one = span(trace, 1, 0, "root").with("n", int(trace as i64 % 7));
            request(vec![service("s", vec![one])])
        })
        .collect();
    let store = filled(dir.path(), &requests);
    let answers = |store: &Store| {
        let by_id: Vec<_> = (0..200)
            .map(|trace| store.trace(trace_id(trace)).unwrap())
            .collect();
        let tags = (names(store, None, None), values(store, "span.n", None));
        (by_id, found(store, "{ span.n = 3 }"), tags)
    };
    let before = answers(&store);
    assert_eq!(before.1.len(), 29);
    store.close().unwrap();
    let (store, recovery) = open(dir.path());
    assert!(recovery.is_clean() && recovery.blocks > 0, "{recovery:?}");
    assert_eq!(recovery.fragments, 200);
    assert_eq!(answers(&store), before);
}

#[test]
fn a_directory_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let second = Store::open(dir.path(), options());
    assert!(matches!(
        second,
        Err(traces::Error::Blocks(blocks::Error::InUse { .. }))
    ));
    drop(store);
    open(dir.path());
}

#[test]
fn old_traces_leave_and_young_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention: Duration::from_secs(60),
        ..options()
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    for (trace, start_ns) in [(1, T0), (2, T0 + 50 * SECOND)] {
        let one = span(trace, 1, 0, "a").times(start_ns, start_ns + MS);
        store
            .ingest(&request(vec![service("s", vec![one])]), NOW)
            .unwrap();
        store.seal().unwrap();
    }
    assert_eq!(store.retain(T0 + 55 * SECOND).unwrap().blocks, 0);
    assert_eq!(found(&store, "{ }"), [2, 1]);
    assert_eq!(store.retain(T0 + 62 * SECOND).unwrap().blocks, 1);
    assert_eq!(found(&store, "{ }"), [2]);
    assert_eq!(store.trace(trace_id(1)).unwrap(), None);
    assert_eq!(store.trace(trace_id(2)).unwrap().unwrap().spans, 1);
}

#[test]
fn the_oldest_traces_leave_when_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        disk_bytes_max: 40 << 10,
        ..options()
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    for traces in Vec::from_iter(0..400).chunks(50) {
        for trace in traces {
            let start_ns = T0 + trace * SECOND;
            let one = span(*trace, 1, 0, "a").times(start_ns, start_ns + MS);
            store
                .ingest(&request(vec![service("s", vec![one])]), NOW)
                .unwrap();
        }
        store.seal().unwrap();
    }
    assert!(store.stats().disk_bytes > 40 << 10);
    assert!(store.retain(NOW).unwrap().blocks > 0);
    assert!(store.stats().disk_bytes <= 40 << 10);
    let left = found(&store, "{ }");
    assert!(!left.is_empty() && left.len() < 400, "{left:?}");
    let newest: Vec<u64> = (400 - left.len() as u64..400).rev().collect();
    assert_eq!(left, newest);
}
