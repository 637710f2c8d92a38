//! Files that were changed behind our back: said, passed over, and the rest answers.

use std::fs;
use std::path::PathBuf;

use traces::Partial;

use super::otlp_requests::{Change as _, SECOND, T0, int, request, service, span, trace_id};
use super::{asked, filled, found, number, open};

fn files(dir: &std::path::Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// Three blocks, of traces 0 to 9, 10 to 19 and 20 to 29.
fn three_blocks(dir: &std::path::Path) {
    let requests: Vec<Vec<u8>> = (0..30)
        .map(|trace| {
            let start_ns = T0 + trace * SECOND;
            let one = span(trace, 1, 0, "a")
                .times(start_ns, start_ns + 1)
                .with("n", int(1));
            request(vec![service("s", vec![one])])
        })
        .collect();
    for requests in requests.chunks(10) {
        let store = filled(dir, requests);
        store.seal().unwrap();
        store.close().unwrap();
    }
    assert_eq!(files(dir, "blk").len(), 3);
}

#[test]
fn a_damaged_block_is_set_aside_and_said_and_the_rest_answers() {
    let dir = tempfile::tempdir().unwrap();
    three_blocks(dir.path());
    let block = &files(dir.path(), "blk")[1];
    let mut bytes = fs::read(block).unwrap();
    let end = bytes.len();
    bytes[end - 20] ^= 1;
    fs::write(block, bytes).unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.damaged.len(), 1, "{recovery:?}");
    assert!(!recovery.is_clean() && recovery.damaged[0].exists());
    assert_eq!(found(&store, "{ span.n = 1 }").len(), 20);
    assert_eq!(store.trace(trace_id(10)).unwrap(), None);
    assert_eq!(store.trace(trace_id(9)).unwrap().unwrap().spans, 1);
    drop(store);
    assert!(open(dir.path()).1.is_clean(), "said once");
}

#[test]
fn a_page_that_is_damaged_makes_an_answer_partial() {
    let dir = tempfile::tempdir().unwrap();
    three_blocks(dir.path());
    let block = &files(dir.path(), "blk")[1];
    let mut bytes = fs::read(block).unwrap();
    bytes[100] ^= 1;
    fs::write(block, bytes).unwrap();
    let (store, recovery) = open(dir.path());
    assert!(recovery.is_clean(), "pages are checked when they are read");
    let response = store.search(&asked("{ span.n = 1 }")).unwrap();
    assert_eq!(response.partial, Some(Partial::Damaged));
    let left: Vec<u64> = response
        .traces
        .iter()
        .map(|trace| number(trace.trace_id))
        .collect();
    assert_eq!(
        left,
        (20..30).rev().chain((0..10).rev()).collect::<Vec<_>>()
    );
    let lost = store.trace(trace_id(15));
    assert!(matches!(
        lost,
        Err(traces::Error::Blocks(blocks::Error::Damaged { .. }))
    ));
    assert_eq!(store.trace(trace_id(25)).unwrap().unwrap().spans, 1);
}

#[test]
fn an_ingest_that_was_not_finished_is_cut_off_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let one = |trace| request(vec![service("s", vec![span(trace, 1, 0, "a")])]);
    filled(dir.path(), &[one(1), one(2)]).close().unwrap();
    let log = files(dir.path(), "wal").remove(0);
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 5]).unwrap();
    let (store, recovery) = open(dir.path());
    assert!(
        recovery.torn_bytes > 0 && !recovery.is_clean(),
        "{recovery:?}"
    );
    assert_eq!(recovery.fragments, 1);
    assert_eq!(found(&store, "{ }"), [1]);
}
