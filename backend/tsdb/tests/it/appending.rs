//! The rules of Prometheus without a window for out-of-order samples, references, limits, what a batch is.

use tsdb::{AHEAD_MS_MAX, BEHIND_MS_MAX, Error, LABELS_MAX, Outcome::*, STALE_NAN_BITS, is_stale};

use super::*;

#[test]
fn only_the_newest_sample_of_a_series_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let check = |t_ms: i64, value: f64, expected: Outcome| {
        let report = append(&store, START, &[(labels(0), START + t_ms, value)]);
        assert_eq!(outcomes(&report), [expected], "{t_ms} {value}");
        assert!(report.entries[0].series.is_some());
    };
    check(100, 1.0, Stored);
    check(100, 1.0, Duplicate);
    check(100, 2.0, DuplicateTimestamp);
    check(99, 1.0, OutOfOrder);
    check(101, nan, Stored);
    check(101, nan, Duplicate);
    check(101, f64::NAN, DuplicateTimestamp);
    check(102, 0.0, Stored);
    check(102, -0.0, DuplicateTimestamp);
    let found = select(&store, &[], ALL);
    assert_eq!(times(&found[0]), [START + 100, START + 101, START + 102]);
}

#[test]
fn a_batch_is_judged_in_its_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let of = |t_ms: i64, value: f64| (labels(0), START + t_ms, value);
    let samples = [of(2, 1.0), of(1, 1.0), of(2, 1.0), of(2, 3.0), of(3, 1.0)];
    let report = append(&store, START, &samples);
    let expected = [Stored, OutOfOrder, Duplicate, DuplicateTimestamp, Stored];
    assert_eq!(outcomes(&report), expected);
    assert_eq!((report.stored, report.series_created), (2, 1));
}

#[test]
fn what_is_too_old_or_too_far_ahead_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    append(&store, START, &[(labels(0), START, 1.0)]);
    let check = |t_ms: i64, expected: Outcome| {
        let report = append(&store, START, &[(labels(1), t_ms, 1.0)]);
        assert_eq!(outcomes(&report), [expected], "{t_ms}");
    };
    check(START - BEHIND_MS_MAX - 1, TooOld);
    check(START + AHEAD_MS_MAX + 1, TooFarAhead);
    check(i64::MIN, TooOld);
    check(i64::MAX, TooFarAhead);
    assert_eq!(
        select(&store, &[], ALL).len(),
        1,
        "a refused sample makes no series"
    );
    check(START - BEHIND_MS_MAX, Stored);
    check(START + AHEAD_MS_MAX, Stored);
}

#[test]
fn a_reference_means_one_series_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let first = append(&store, START, &[(labels(0), START, 1.0)]);
    let old = first.entries[0].series.unwrap();
    let by_reference = |t_ms: i64| {
        let mut batch = Batch::new(t_ms);
        batch.push(SeriesKey::Ref(old), t_ms, 2.0);
        store.append(&batch).unwrap().entries[0]
    };
    let answer = by_reference(START + 1);
    assert_eq!((answer.outcome, answer.series), (Stored, Some(old)));
    // Other series go on until the first is in a block only; its place is given to a new one.
    fill(&store, 1..3, START + MINUTE, 4 * 60);
    store.flush().unwrap();
    assert_eq!(store.stats().series, 2);
    let now = START + 4 * HOUR;
    let other = append(&store, now, &[(labels(9), now, 1.0)]);
    assert_ne!(other.entries[0].series, Some(old));
    let answer = by_reference(now);
    assert_eq!((answer.outcome, answer.series), (UnknownSeries, None));
    let mut batch = Batch::new(now);
    batch.push(SeriesKey::Cached(old, labels(0)), now, 3.0);
    let again = store.append(&batch).unwrap();
    assert_eq!(
        (again.entries[0].outcome, again.series_created),
        (Stored, 1)
    );
    let found = select(&store, &[matcher("n", Match::Equal("0".into()))], ALL);
    assert_eq!(times(&found[0]), [START, START + 1, now]);
    let found = select(&store, &[matcher("n", Match::Equal("9".into()))], ALL);
    assert_eq!(times(&found[0]), [now]);
}

#[test]
fn further_series_are_refused_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        series_max: 2,
        ..Options::default()
    };
    let (store, _) = open_with(dir.path(), &options);
    let batch = |t_ms: i64| {
        let samples: Vec<_> = (0..4).map(|number| (labels(number), t_ms, 1.0)).collect();
        outcomes(&append(&store, t_ms, &samples))
    };
    assert_eq!(batch(START), [Stored, Stored, SeriesLimit, SeriesLimit]);
    assert_eq!(batch(START + 1), [Stored, Stored, SeriesLimit, SeriesLimit]);
    assert_eq!(store.stats().series, 2);
}

#[test]
fn label_sets_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let many = |count: usize| Labels::new((0..count).map(|n| (format!("l{n}"), "x".to_owned())));
    let long = |bytes: usize| Labels::new([("a", "x".repeat(bytes))]);
    let samples = [
        (Labels::default(), START, 1.0),
        (many(LABELS_MAX), START, 1.0),
        (many(LABELS_MAX + 1), START, 1.0),
        (long(60_000), START, 1.0),
        (long(70_000), START, 1.0),
    ];
    let report = append(&store, START, &samples);
    let expected = [InvalidLabels, Stored, InvalidLabels, Stored, InvalidLabels];
    assert_eq!(outcomes(&report), expected);
    drop(store);
    let (store, recovery) = open(dir.path());
    assert_eq!((count(&store), recovery.lost_samples), (2, 0));
}

#[test]
fn staleness_markers_are_samples_with_their_bits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let stale = f64::from_bits(STALE_NAN_BITS);
    fill(&store, 0..1, START, 1);
    append(&store, START, &[(labels(0), START + 1, stale)]);
    fill(&store, 1..2, START + MINUTE, 4 * 60);
    store.flush().unwrap();
    drop(store);
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.blocks, 1);
    let found = select(&store, &[matcher("n", Match::Equal("0".into()))], ALL);
    let is_stale: Vec<bool> = found[0].samples.iter().map(|s| is_stale(s.value)).collect();
    assert_eq!(is_stale, [false, true]);
}

#[test]
fn a_closed_store_takes_nothing_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..1, START, 1);
    store.close().unwrap();
    store.close().unwrap();
    let refused = store.append(&Batch::new(START));
    assert!(matches!(refused, Err(Error::Closed)));
    assert_eq!(count(&store), 1);
}

#[test]
fn a_directory_has_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let second = Store::open(dir.path(), Options::default());
    assert!(matches!(second, Err(Error::InUse { .. })));
    drop(store);
    open(dir.path());
}
