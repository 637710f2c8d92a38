//! Exemplars belong to series of the head, and come back after a restart.

use tsdb::{Exemplar, ExemplarEntry, ExemplarOutcome, Metadata};

use super::*;

fn exemplar(series: SeriesKey, t_ms: i64, trace_id: &str) -> ExemplarEntry {
    let labels = Labels::new([("trace_id", trace_id)]);
    let exemplar = Exemplar {
        labels,
        t_ms,
        value: 0.5,
    };
    ExemplarEntry { series, exemplar }
}

#[test]
fn exemplars_are_judged_kept_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let report = append(
        &store,
        START,
        &[(labels(0), START, 1.0), (labels(1), START, 1.0)],
    );
    let known = SeriesKey::Ref(report.entries[0].series.unwrap());
    let entries = [
        exemplar(known.clone(), START, "a"),
        exemplar(known.clone(), START, "a"),
        exemplar(known.clone(), START - 1, "b"),
        exemplar(SeriesKey::Labels(labels(1)), START + 5, "c"),
        exemplar(SeriesKey::Labels(labels(7)), START, "d"),
        exemplar(known, START + 1, &"x".repeat(200)),
    ];
    let outcomes = store.append_exemplars(&entries).unwrap();
    use ExemplarOutcome::*;
    let expected = [
        Stored,
        Duplicate,
        OutOfOrder,
        Stored,
        UnknownSeries,
        LabelsTooLong,
    ];
    assert_eq!(outcomes, expected);
    let found = |store: &Store| store.exemplars(&[], START..=START + 10);
    let before = found(&store);
    let trace_ids: Vec<&str> = before
        .iter()
        .flat_map(|(_, exemplars)| exemplars)
        .map(|exemplar| exemplar.labels.get("trace_id"))
        .collect();
    assert_eq!(trace_ids, ["a", "c"]);
    let of_one = store.exemplars(&[matcher("n", Match::Equal("1".into()))], ALL);
    assert_eq!(of_one[0].0, labels(1));
    assert!(store.exemplars(&[], START + 6..=START + 10).is_empty());
    drop(store);
    let (store, recovery) = open(dir.path());
    assert_eq!(recovery.exemplars, 2);
    assert_eq!(found(&store), before);
}

#[test]
fn an_exemplar_alone_names_its_series_in_a_new_log() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 0..1, START, 1);
    drop(store);
    // A new log, which does not name the series yet.
    let (store, _) = open(dir.path());
    let entry = exemplar(SeriesKey::Labels(labels(0)), START, "a");
    store.append_exemplars(&[entry]).unwrap();
    drop(store);
    let (_, recovery) = open(dir.path());
    assert_eq!((recovery.exemplars, recovery.head_series), (1, 1));
}

#[test]
fn metadata_is_what_was_said_last() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let metadata = |help: &str| Metadata {
        kind: "counter".into(),
        help: help.into(),
        unit: "seconds".into(),
    };
    store.set_metadata("b", metadata("second"));
    store.set_metadata("a", metadata("first"));
    store.set_metadata("a", metadata("first"));
    let expected = [
        ("a".into(), vec![metadata("first")]),
        ("b".into(), vec![metadata("second")]),
    ];
    assert_eq!(store.metadata(), expected);
}
