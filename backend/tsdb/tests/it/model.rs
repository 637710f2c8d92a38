//! The store beside a map: appends of all kinds, hours apart and not, openings and cuts between them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select as one_of;
use regex::Regex;
use tsdb::{AHEAD_MS_MAX, BEHIND_MS_MAX, SourceError};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// After some time, samples: series, distance from now, bits of the value, with or without the reference.
    Append(i64, Vec<(usize, i64, u64, bool)>),
    Reopen,
    Flush,
    /// What is asked, and a range from the end.
    Query(Vec<Matcher>, i64, i64),
}

fn matchers() -> impl Strategy<Value = Matcher> {
    let name = one_of(vec!["__name__", "job", "n", "absent"]);
    let value = one_of(vec!["", "m0", "m1", "test", "2", "5"]);
    let pattern = one_of(vec!["", ".*", ".+", "m0|m2", "m[01]", "0|3|7", "(4|)"]);
    let anchored = |pattern: &str| Regex::new(&format!("^(?s:{pattern})$")).unwrap();
    let matches = prop_oneof![
        value.clone().prop_map(|value| Match::Equal(value.into())),
        value.prop_map(|value| Match::NotEqual(value.into())),
        pattern.clone().prop_map(move |p| Match::Regex(anchored(p))),
        pattern.prop_map(move |p| Match::NotRegex(anchored(p))),
    ];
    (name, matches).prop_map(|(name, matches)| matcher(name, matches))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let distance = prop_oneof![
        5 => -20_i64..20,
        1 => -BEHIND_MS_MAX - 3..-BEHIND_MS_MAX + 3,
        1 => AHEAD_MS_MAX - 3..AHEAD_MS_MAX + 3,
    ];
    let value = prop_oneof![0_u64..3, any::<u64>(), Just(tsdb::STALE_NAN_BITS)];
    let sample = (0_usize..6, distance, value, any::<bool>());
    let pause = prop_oneof![4 => 0_i64..30_000, 2 => 0..2 * HOUR, 1 => 0..9 * HOUR];
    let step = prop_oneof![
        8 => (pause, prop::collection::vec(sample, 0..12))
            .prop_map(|(pause, samples)| Step::Append(pause, samples)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Flush),
        4 => (prop::collection::vec(matchers(), 0..3), 0..12 * HOUR, 0..12 * HOUR)
            .prop_map(|(matchers, from, to)| Step::Query(matchers, from, to)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the store has to have. The rules once more, over plain lists.
#[derive(Default)]
struct Model {
    series: BTreeMap<Labels, Vec<(i64, u64)>>,
    t_max: Option<i64>,
}

impl Model {
    fn judge(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        bits: u64,
        now_ms: i64,
        t_max: Option<i64>,
    ) -> Outcome {
        if t_max.is_some_and(|t_max| t_ms < t_max - BEHIND_MS_MAX) {
            return Outcome::TooOld;
        }
        if t_ms > now_ms + AHEAD_MS_MAX {
            return Outcome::TooFarAhead;
        }
        match self.series.get(labels).and_then(|samples| samples.last()) {
            Some((newest, _)) if t_ms < *newest => return Outcome::OutOfOrder,
            Some((newest, same)) if t_ms == *newest && *same == bits => return Outcome::Duplicate,
            Some((newest, _)) if t_ms == *newest => return Outcome::DuplicateTimestamp,
            _ => {}
        }
        self.series
            .entry(labels.clone())
            .or_default()
            .push((t_ms, bits));
        self.t_max = self.t_max.max(Some(t_ms));
        Outcome::Stored
    }

    fn select(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Vec<(Labels, Vec<(i64, u64)>)> {
        let series = self.series.iter();
        series
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.holds(labels)))
            .map(|(labels, samples)| {
                let within = samples.iter().filter(|(t_ms, _)| range.contains(t_ms));
                (labels.clone(), within.copied().collect::<Vec<_>>())
            })
            .filter(|(_, samples)| !samples.is_empty())
            .collect()
    }
}

fn check(store: &Store, model: &Model, matchers: &[Matcher], range: RangeInclusive<i64>) {
    let expected = model.select(matchers, &range);
    let bits = |series: Series| {
        let samples = series.samples.iter();
        let samples = samples
            .map(|s| (s.t_ms, s.value.to_bits()))
            .collect::<Vec<_>>();
        (series.labels, samples)
    };
    let max = expected.iter().map(|(_, samples)| samples.len()).sum();
    let found = store.select(matchers, range.clone(), max).unwrap();
    let found: Vec<_> = found.into_iter().map(bits).collect();
    assert_eq!(found, expected, "{matchers:?}");
    let visited = visit(store, matchers, range.clone(), max).unwrap();
    let visited: Vec<_> = visited.into_iter().map(bits).collect();
    assert_eq!(visited, expected, "{matchers:?}");
    if let Some(fewer) = usize::checked_sub(max, 1) {
        for refused in [
            store.select(matchers, range.clone(), fewer),
            visit(store, matchers, range.clone(), fewer),
        ] {
            assert!(
                matches!(refused, Err(SourceError::TooManySamples { samples_max }) if samples_max == fewer)
            );
        }
    }
    check_labels(store, &expected, matchers, range);
}

/// Series and labels may be those of chunks that touch the range: never fewer than the samples have, each once, in order.
fn check_labels(
    store: &Store,
    exact: &[(Labels, Vec<(i64, u64)>)],
    matchers: &[Matcher],
    range: RangeInclusive<i64>,
) {
    let series = store.series(matchers, range.clone()).unwrap();
    let names = store.label_names(matchers, range.clone()).unwrap();
    let values = store.label_values("n", matchers, range).unwrap();
    assert!(series.is_sorted_by(|a, b| a < b));
    assert!(names.is_sorted_by(|a, b| a < b) && values.is_sorted_by(|a, b| a < b));
    for labels in &series {
        assert!(matchers.iter().all(|matcher| matcher.holds(labels)));
    }
    for (labels, _) in exact {
        assert!(series.contains(labels));
        assert!(values.iter().any(|value| **value == *labels.get("n")));
        for (name, _) in labels.iter() {
            assert!(names.iter().any(|found| **found == *name));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_store_has_what_a_map_has(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Some(open(dir.path()).0);
        let mut references = BTreeMap::new();
        let mut model = Model::default();
        let mut now_ms = START;
        for step in steps {
            let current = store.as_ref().unwrap();
            match step {
                Step::Append(pause, samples) => {
                    now_ms += pause;
                    let mut batch = Batch::new(now_ms);
                    let t_max = model.t_max;
                    let mut expected = Vec::new();
                    for (number, distance, bits, by_reference) in &samples {
                        let (labels, t_ms) = (labels(*number), now_ms + distance);
                        let key = match references.get(&labels) {
                            Some(known) if *by_reference => SeriesKey::Cached(*known, labels.clone()),
                            _ => SeriesKey::Labels(labels.clone()),
                        };
                        batch.push(key, t_ms, f64::from_bits(*bits));
                        expected.push(model.judge(&labels, t_ms, *bits, now_ms, t_max));
                    }
                    let report = current.append(&batch).unwrap();
                    prop_assert_eq!(outcomes(&report), expected);
                    for ((number, ..), entry) in samples.iter().zip(&report.entries) {
                        references.extend(entry.series.map(|series| (labels(*number), series)));
                    }
                }
                Step::Reopen => {
                    drop(store.take());
                    references.clear();
                    let (opened, recovery) = open(dir.path());
                    prop_assert_eq!(recovery.torn_bytes + recovery.damaged_bytes, 0);
                    prop_assert_eq!(recovery.lost_samples, 0);
                    prop_assert!(recovery.damaged.is_empty());
                    store = Some(opened);
                }
                Step::Flush => {
                    current.flush().unwrap();
                    let stats = current.stats();
                    let span = stats.head_t_max_ms.zip(stats.head_t_min_ms).map(|(max, min)| max - min);
                    prop_assert!(span.is_none_or(|span| span < 3 * HOUR), "{:?}", stats);
                }
                Step::Query(matchers, from, to) => {
                    check(current, &model, &matchers, now_ms - from..=now_ms - from + to);
                }
            }
        }
        check(store.as_ref().unwrap(), &model, &[], ALL);
        drop(store);
        check(&open(dir.path()).0, &model, &[], ALL);
    }
}
