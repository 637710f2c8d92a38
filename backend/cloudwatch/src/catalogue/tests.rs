//! What the catalogue knows after it was opened again, whatever the end of its file looks like.

#![allow(clippy::unwrap_used)]

use std::{fs, fs::OpenOptions, io::Write};

use super::*;

fn open(dir: &Path) -> Catalogue {
    Catalogue::open(dir).unwrap().0
}

fn times(first: i64, last: i64, ingested: i64) -> Ingested {
    Ingested {
        first_event_ms: first,
        last_event_ms: last,
        last_ingestion_ms: ingested,
    }
}

fn take(catalogue: &mut Catalogue, sequence: u64, times: Ingested) {
    let taken = Taken {
        events: 2,
        sequence,
        message_bytes: 10,
        times,
    };
    catalogue.count("g", "s", taken).unwrap();
}

/// Groups with their retention, each with its streams and their numbers.
fn known(catalogue: &Catalogue) -> Vec<String> {
    let shown = |group: &Group| {
        let streams = catalogue.streams(&group.name);
        let streams: Vec<String> = streams
            .map(|stream| format!("{}={}", stream.name, stream.id))
            .collect();
        format!("{} {:?} {streams:?}", group.name, group.retention_days)
    };
    catalogue.groups().map(shown).collect()
}

fn example(dir: &Path) -> Catalogue {
    let mut catalogue = open(dir);
    catalogue.create_group("g", 1).unwrap();
    catalogue.create_group("gone", 1).unwrap();
    catalogue.set_retention("g", Some(7)).unwrap();
    catalogue.create_stream("g", "s", 2).unwrap();
    catalogue.create_stream("g", "t", 3).unwrap();
    catalogue.create_stream("gone", "s", 3).unwrap();
    catalogue.delete_stream("g", "t").unwrap();
    catalogue.delete_group("gone").unwrap();
    catalogue
}

#[test]
fn what_is_known_outlives_a_process_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalogue = example(dir.path());
    take(&mut catalogue, 2, times(10, 20, 30));
    take(&mut catalogue, 4, times(5, 15, 31));
    let before = known(&catalogue);
    let mut expected = catalogue.stream("g", "s").unwrap().clone();
    assert_eq!(expected.ingested, Some(times(5, 20, 31)));
    assert_eq!(expected.stored_bytes, 2 * (10 + 2 * 26));
    // No destructor runs in a process that is killed.
    std::mem::forget(catalogue);
    let reopened = open(dir.path());
    assert_eq!(known(&reopened), before);
    expected.sequence += SEQUENCE_MARGIN;
    assert_eq!(reopened.stream("g", "s"), Some(&expected));
}

#[test]
fn a_number_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalogue = example(dir.path());
    let used = catalogue.known.next_id;
    drop(catalogue);
    catalogue = open(dir.path());
    catalogue.create_stream("g", "t", 9).unwrap();
    assert_eq!(catalogue.stream("g", "t").unwrap().id, used);
}

#[test]
fn a_torn_end_is_cut_at_any_byte() {
    let dir = tempfile::tempdir().unwrap();
    drop(example(dir.path()));
    drop(open(dir.path()));
    let path = dir.path().join("catalogue.jsonl");
    let whole = fs::read(&path).unwrap();
    let lines = whole
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::len);
    let ends: Vec<usize> = lines
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();
    for end in 0..=whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let (catalogue, recovery) = Catalogue::open(dir.path()).unwrap();
        let kept = ends
            .iter()
            .copied()
            .filter(|kept| *kept <= end)
            .max()
            .unwrap_or(0);
        assert_eq!(recovery.cut_bytes, (end - kept) as u64, "at {end}");
        assert_eq!(known(&catalogue).is_empty(), kept < ends[2], "at {end}");
    }
}

#[test]
fn a_damaged_record_ends_the_catalogue_and_a_foreign_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(example(dir.path()));
    let path = dir.path().join("catalogue.jsonl");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"00000000 {\"group_gone\":{\"name\":\"g\"}}\n")
        .unwrap();
    let (catalogue, recovery) = Catalogue::open(dir.path()).unwrap();
    assert_eq!(recovery.cut_bytes, 37);
    assert!(catalogue.group("g").is_some());
    for foreign in ["something else\n", "tripod cloudwatch catalogue 2\n"] {
        fs::write(&path, foreign).unwrap();
        assert!(Catalogue::open(dir.path()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    }
}

#[test]
fn the_file_does_not_grow_with_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalogue = example(dir.path());
    for sequence in 1..=25_000 {
        take(&mut catalogue, sequence, times(1, 2, 3));
    }
    let bytes = fs::metadata(dir.path().join("catalogue.jsonl"))
        .unwrap()
        .len();
    assert!(bytes < 3_000_000, "{bytes} bytes");
    let expected = catalogue.stream("g", "s").unwrap().stored_bytes;
    drop(catalogue);
    assert_eq!(
        open(dir.path()).stream("g", "s").unwrap().stored_bytes,
        expected
    );
}

#[test]
fn a_change_that_cannot_be_written_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalogue = example(dir.path());
    // A file that is open for reading alone refuses every write.
    catalogue.journal.refuse_writes();
    let error = catalogue.create_group("new", 1).unwrap_err();
    assert!(matches!(error, ChangeError::Write { .. }));
    assert!(catalogue.group("new").is_none());
    let taken = Taken {
        events: 1,
        sequence: 7,
        message_bytes: 1,
        times: times(1, 1, 1),
    };
    assert!(catalogue.count("g", "s", taken).is_err());
    // The events are stored: their numbers are used.
    assert_eq!(catalogue.stream("g", "s").unwrap().sequence, 7);
    assert!(open(dir.path()).group("new").is_none());
}

#[test]
fn groups_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalogue = open(dir.path());
    for index in 0..GROUPS_MAX {
        catalogue.create_group(&format!("g{index}"), 1).unwrap();
    }
    assert!(matches!(
        catalogue.create_group("one more", 1),
        Err(ChangeError::Full)
    ));
    assert!(matches!(
        catalogue.create_group("g1", 1),
        Err(ChangeError::Exists)
    ));
    catalogue.delete_group("g1").unwrap();
    catalogue.create_group("one more", 1).unwrap();
}
