#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;
use crate::{
    labels::Fingerprint,
    log::{LogEntry, LogKey},
};

fn record(number: usize) -> Record {
    Record::Told(LogEntry {
        key: LogKey {
            group: format!("group {number}"),
            receiver: "receiver".to_owned(),
            webhook: 0,
        },
        time_ms: 1,
        firing: BTreeSet::from([Fingerprint(u64::MAX)]),
        resolved: BTreeSet::new(),
        expires_at_ms: 2,
    })
}

fn records(numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers.map(record).collect()
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, found, recovery) = Journal::open(folder.path()).unwrap();
    assert_eq!((found, recovery), (Vec::new(), Recovery::default()));
    journal.append(&records(0..2)).unwrap();
    journal.append(&records(2..3)).unwrap();
    assert!(matches!(
        Journal::open(folder.path()),
        Err(JournalError::Locked { .. })
    ));
    drop(journal);
    let (_, found, _) = Journal::open(folder.path()).unwrap();
    assert_eq!(found, records(0..3));
}

#[test]
fn a_file_cut_anywhere_gives_the_whole_records_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let (mut journal, ..) = Journal::open(folder.path()).unwrap();
    let mut ends = vec![journal.bytes];
    for number in 0..3 {
        journal.append(&records(number..number + 1)).unwrap();
        ends.push(journal.bytes);
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut journal, found, recovery) = Journal::open(folder.path()).unwrap();
        let expected = ends
            .iter()
            .filter(|end| **end <= length as u64)
            .count()
            .saturating_sub(1);
        assert_eq!(found, records(0..expected), "{length}");
        let kept = ends[expected];
        assert_eq!(recovery.lost_bytes, (length as u64).saturating_sub(kept));
        // It goes on behind the last whole one.
        journal.append(&records(7..8)).unwrap();
        drop(journal);
        let (_, found, recovery) = Journal::open(folder.path()).unwrap();
        assert_eq!((found.len(), recovery.lost_bytes), (expected + 1, 0));
    }
}

#[test]
fn a_damaged_record_ends_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let (mut journal, ..) = Journal::open(folder.path()).unwrap();
    journal.append(&records(0..1)).unwrap();
    let middle = usize::try_from(journal.bytes).unwrap() + 20;
    journal.append(&records(1..3)).unwrap();
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (_, found, recovery) = Journal::open(folder.path()).unwrap();
    assert_eq!(found, records(0..1));
    assert_eq!(recovery.lost_bytes as usize, bytes.len() - middle + 20);
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fs::write(&path, "something else").unwrap();
    assert!(matches!(
        Journal::open(folder.path()),
        Err(JournalError::Format { .. })
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
}

#[test]
fn a_file_that_has_grown_is_replaced_by_what_is_current() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(folder.path()).unwrap();
    while !journal.must_replace() {
        journal.append(&records(0..500)).unwrap();
    }
    assert!(journal.bytes > REPLACED_BYTES_MIN);
    journal.replace(records(3..5).into_iter()).unwrap();
    assert!(!journal.must_replace());
    journal.append(&records(5..6)).unwrap();
    assert!(matches!(
        Journal::open(folder.path()),
        Err(JournalError::Locked { .. })
    ));
    drop(journal);
    let (journal, found, _) = Journal::open(folder.path()).unwrap();
    assert_eq!(found, records(3..6));
    assert!(journal.bytes < 1_000);
}

#[test]
fn a_failed_append_is_made_good_by_a_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(folder.path()).unwrap();
    journal.append(&records(0..1)).unwrap();
    let whole = std::mem::replace(
        &mut journal.file,
        File::open(folder.path().join(FILE)).unwrap(),
    );
    assert!(journal.append(&records(1..2)).is_err());
    assert!(journal.must_replace());
    drop(whole);
    journal.replace(records(0..2).into_iter()).unwrap();
    drop(journal);
    assert_eq!(Journal::open(folder.path()).unwrap().1, records(0..2));
}
