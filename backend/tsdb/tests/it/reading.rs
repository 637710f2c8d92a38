//! Queries over head and blocks: matchers, ranges, bounds, and what there is to select from.

use std::collections::BTreeSet;

use regex::Regex;
use tsdb::SourceError;

use super::*;

/// Five hours of ten series; the first two are in a block.
fn filled(dir: &Path) -> Store {
    let (store, _) = open(dir);
    fill(&store, 0..10, START, 5 * 60);
    store.flush().unwrap();
    assert_eq!(store.stats().blocks, 1);
    store
}

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("^(?s:{pattern})$")).unwrap()
}

#[test]
fn a_series_is_whole_over_block_and_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let found = select(&store, &[], ALL);
    let expected: BTreeSet<Labels> = (0..10).map(labels).collect();
    let order: Vec<Labels> = found.iter().map(|series| series.labels.clone()).collect();
    assert_eq!(order, expected.into_iter().collect::<Vec<_>>());
    let minutes: Vec<i64> = (0..300).map(|minute| START + minute * MINUTE).collect();
    for series in &found {
        assert_eq!(times(series), minutes);
        let number: f64 = series.labels.get("n").parse().unwrap();
        let is_right = |s: &tsdb::Sample| s.value == (s.t_ms / MINUTE) as f64 + number;
        assert!(series.samples.iter().all(is_right));
    }
}

#[test]
fn both_ends_of_a_range_are_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let check = |from: i64, to: i64, expected: usize| {
        let found = select(&store, &[], START + from..=START + to);
        let samples: usize = found.iter().map(|series| series.samples.len()).sum();
        assert_eq!(samples, expected * 10, "{from}..={to}");
    };
    check(0, 0, 1);
    check(1, MINUTE - 1, 0);
    check(MINUTE, 2 * MINUTE, 2);
    check(2 * HOUR - MINUTE, 2 * HOUR, 2);
    check(2 * HOUR, 2 * HOUR, 1);
    check(-10, -1, 0);
    check(5 * HOUR, 6 * HOUR, 0);
    check(10, 0, 0);
}

#[test]
fn matchers_mean_the_same_in_block_and_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let all: Vec<Matcher> = [
        ("n", Match::Equal("3".into())),
        ("n", Match::Equal("".into())),
        ("n", Match::NotEqual("3".into())),
        ("n", Match::Regex(regex("1|3|77"))),
        ("n", Match::Regex(regex("[0-4]"))),
        ("n", Match::NotRegex(regex("[0-4]"))),
        ("n", Match::NotRegex(regex(".*"))),
        ("__name__", Match::Equal("m1".into())),
        ("__name__", Match::Regex(regex("m.*"))),
        ("__name__", Match::NotEqual("".into())),
        ("job", Match::Equal("test".into())),
        ("absent", Match::Equal("".into())),
        ("absent", Match::Regex(regex(".+"))),
        ("absent", Match::Regex(regex("a|b"))),
    ]
    .map(|(name, matches)| matcher(name, matches))
    .into();
    let ranges = [
        START..=START + HOUR,
        START + 4 * HOUR..=START + 5 * HOUR,
        ALL,
    ];
    for a in &all {
        for b in &all {
            let matchers = [a.clone(), b.clone()];
            let mut expected: Vec<Labels> = (0..10)
                .map(labels)
                .filter(|labels| matchers.iter().all(|matcher| matcher.holds(labels)))
                .collect();
            expected.sort();
            for range in ranges.clone() {
                let found = select(&store, &matchers, range.clone());
                let found: Vec<Labels> = found.into_iter().map(|series| series.labels).collect();
                assert_eq!(found, expected, "{matchers:?}");
                assert_eq!(store.series(&matchers, range).unwrap(), expected);
            }
        }
    }
}

#[test]
fn a_query_loads_no_more_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    for range in [
        ALL,
        START..=START + HOUR,
        START + 4 * HOUR..=START + 5 * HOUR,
    ] {
        let samples: usize = select(&store, &[], range.clone())
            .iter()
            .map(|series| series.samples.len())
            .sum();
        assert!(store.select(&[], range.clone(), samples).is_ok());
        let refused = store.select(&[], range, samples - 1);
        assert!(matches!(
            refused,
            Err(SourceError::TooManySamples { samples_max }) if samples_max == samples - 1
        ));
    }
}

#[test]
fn a_visit_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    for range in [ALL, START + 4 * HOUR..=START + 5 * HOUR] {
        let all = select(&store, &[], range.clone());
        let mut shown = Vec::new();
        let outcome = store.visit(&[], range, usize::MAX, &mut |labels, _| {
            shown.push(labels);
            match shown.len() {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        outcome.unwrap();
        let first: Vec<_> = all.iter().take(3).map(|one| one.labels.clone()).collect();
        assert_eq!(shown, first);
    }
}

#[test]
fn label_names_and_values_are_those_of_the_range() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    append(
        &store,
        START,
        &[(
            Labels::new([("__name__", "old"), ("gone", "1")]),
            START,
            1.0,
        )],
    );
    fill(&store, 0..4, START, 5 * 60);
    store.flush().unwrap();
    let (old, new) = (START..=START + HOUR, START + 4 * HOUR..=START + 5 * HOUR);
    let names = |matchers: &[Matcher], range| store.label_names(matchers, range).unwrap().join(" ");
    assert_eq!(names(&[], old.clone()), "__name__ gone job n");
    assert_eq!(names(&[], new.clone()), "__name__ job n");
    let of_old = [matcher("__name__", Match::Equal("old".into()))];
    assert_eq!(names(&of_old, ALL), "__name__ gone");
    assert_eq!(names(&of_old, new.clone()), "");
    let values = |name: &str, matchers: &[Matcher], range| {
        store.label_values(name, matchers, range).unwrap().join(" ")
    };
    assert_eq!(values("__name__", &[], old), "m0 m1 m2 old");
    assert_eq!(values("__name__", &[], new.clone()), "m0 m1 m2");
    assert_eq!(values("absent", &[], ALL), "");
    let of_m0 = [matcher("__name__", Match::Equal("m0".into()))];
    assert_eq!(values("n", &of_m0, ALL), "0 3");
    assert_eq!(values("gone", &of_m0, ALL), "");
}
