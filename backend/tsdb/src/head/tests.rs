//! Chunks end where blocks do, and series leave when nothing of them is left.
#![allow(clippy::unwrap_used)]

use crate::{Match, postings};

use super::*;

const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

fn at(t_ms: i64) -> Sample {
    Sample {
        t_ms,
        value: t_ms as f64,
    }
}

fn head() -> Head {
    let mut head = Head::default();
    head.insert(0, Labels::new([("__name__", "a"), ("x", "1")]));
    head.insert(1, Labels::new([("__name__", "a"), ("x", "2")]));
    head.insert(2, Labels::new([("__name__", "b")]));
    head
}

#[test]
fn no_chunk_reaches_over_the_end_of_a_block() {
    let mut head = head();
    for t_ms in [-5, -1, 0, BLOCK_MS - 1, BLOCK_MS] {
        head.push(0, at(t_ms));
    }
    let times: Vec<_> = head
        .get(0)
        .unwrap()
        .chunks(&ALL)
        .map(|c| (c.t_min, c.t_max))
        .collect();
    assert_eq!(times, [(-5, -1), (0, BLOCK_MS - 1), (BLOCK_MS, BLOCK_MS)]);
}

#[test]
fn a_chunk_is_full_at_its_bound() {
    let mut head = head();
    (0..121).for_each(|t_ms| head.push(0, at(t_ms)));
    let counts: Vec<_> = head
        .get(0)
        .unwrap()
        .chunks(&ALL)
        .map(|c| c.samples)
        .collect();
    assert_eq!(counts, [120, 1]);
}

#[test]
fn series_without_samples_leave() {
    let mut head = head();
    head.push(0, at(0));
    head.push(1, at(BLOCK_MS));
    head.push(2, at(1));
    head.valid_from = Some(BLOCK_MS);
    let empty = head.truncate(0..100);
    assert_eq!(empty, [0, 2]);
    head.remove(&empty);
    head.measure_t_min();
    assert_eq!((head.held().series, head.t_min()), (1, Some(BLOCK_MS)));
    assert_eq!((&head).all().unwrap(), [1]);
    assert_eq!((&head).pair("__name__", "a").unwrap(), [1]);
    assert_eq!((&head).values("x").unwrap(), 1);
    assert!((&head).pair("__name__", "b").unwrap().is_empty());
}

#[test]
fn matchers_are_those_of_each_series() {
    let head = head();
    let all = [
        ("x", Match::Equal("1".into())),
        ("x", Match::Equal("".into())),
        ("x", Match::NotEqual("1".into())),
        ("x", Match::NotEqual("".into())),
        ("x", Match::Regex(regex::Regex::new("^(?s:1|2)$").unwrap())),
        ("x", Match::Regex(regex::Regex::new("^(?s:.*)$").unwrap())),
        ("x", Match::Regex(regex::Regex::new("^(?s:.+)$").unwrap())),
        (
            "x",
            Match::NotRegex(regex::Regex::new("^(?s:1.?)$").unwrap()),
        ),
        (
            "__name__",
            Match::NotRegex(regex::Regex::new("^(?s:)$").unwrap()),
        ),
        ("__name__", Match::Equal("a".into())),
        ("absent", Match::NotEqual("1".into())),
        ("absent", Match::Equal("1".into())),
    ];
    let matcher = |(name, matches): &(&str, Match)| Matcher {
        name: (*name).into(),
        matches: matches.clone(),
    };
    for a in &all {
        for b in &all {
            let matchers = [matcher(a), matcher(b)];
            let expected: Vec<u32> = (0..3)
                .filter(|place| {
                    let labels = &head.get(*place).unwrap().labels;
                    matchers.iter().all(|matcher| matcher.holds(labels))
                })
                .collect();
            let found = postings::select(&mut &head, &matchers).unwrap();
            assert_eq!(found, expected, "{matchers:?}");
        }
    }
}
