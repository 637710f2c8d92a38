//! Any pushes, any questions: the store answers as the plain one, before and after it is opened again and has made blocks.

use logql::{Direction, Hint, Selection, Source};
use logs::{NewEntry, Options, Push, Rules, Store};
use proptest::{collection::vec, prelude::*};
use tsdb::{Labels, Match, Matcher};

use crate::plain::{Plain, scan};

/// Lines lie within two hours after it.
const START_NS: i64 = 1_700_000_000_000_000_000;
const SPAN_S: i64 = 7_200;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Push>),
    Seal,
    Reopen,
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        // Few times, so that many lines share one.
        (0..4_i64).prop_map(|number| START_NS + number),
        (0..SPAN_S * 1_000).prop_map(|ms| START_NS + ms * 1_000_000),
    ]
}

fn entry() -> impl Strategy<Value = NewEntry> {
    let line = prop_oneof!["[ab]{0,2}", "x{20,40}needle", Just("y".repeat(9_000))];
    let pair = ("(trace_id|t)", "[ab]");
    (time(), line, vec(pair, 0..3)).prop_map(|(t_ns, line, metadata)| NewEntry {
        t_ns,
        line,
        metadata,
    })
}

fn push() -> impl Strategy<Value = Push> {
    ("[ab]", prop::option::of("[xy]"), vec(entry(), 1..6)).prop_map(|(service, level, entries)| {
        Push {
            labels: Labels::new([("service", service), ("level", level.unwrap_or_default())]),
            entries,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec(push(), 1..4).prop_map(Step::Append),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let matches = prop_oneof![
        "[abx]?".prop_map(|value| Match::Equal(value.into())),
        "[abx]?".prop_map(|value| Match::NotEqual(value.into())),
        Just(Match::Regex(regex::Regex::new("^(?:a|x)$").unwrap())),
    ];
    ("(service|level|other)", matches).prop_map(|(name, matches)| Matcher {
        name: name.into(),
        matches,
    })
}

fn hint() -> impl Strategy<Value = Hint> {
    prop_oneof![
        "(needle|a|yyyy)".prop_map(|text| Hint::Contains(text.into())),
        ("(trace_id|level)", "[abx]").prop_map(|(name, value)| Hint::Field {
            name: name.into(),
            value: value.into(),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_scan_is_that_of_the_plain_store(
        steps in vec(step(), 1..12),
        questions in vec((vec(matcher(), 0..3), vec(hint(), 0..2), time(), time(), any::<bool>()), 1..6),
        shows_duplicates: bool,
    ) {
        let rules = if shows_duplicates { Rules::Anything } else { Rules::Loki };
        let options = Options { rules, ..Options::default() };
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), options.clone()).unwrap().0;
        // A line may be an hour behind the newest of its stream; later ones are judged in `rules`.
        let mut now_ns = START_NS + SPAN_S * 1_000_000_000;
        let (mut store, mut plain) = (open(), Plain::default());
        for step in steps {
            match step {
                Step::Append(pushes) => {
                    for push in pushes {
                        let appended = store.append(vec![push.clone()], now_ns).unwrap();
                        let refused: Vec<usize> =
                            appended.refused.iter().map(|(_, entry, _)| *entry).collect();
                        let mut taken = push;
                        let mut index = 0;
                        taken.entries.retain(|_| {
                            index += 1;
                            !refused.contains(&(index - 1))
                        });
                        plain.append(&[taken]);
                    }
                }
                Step::Seal => store.seal().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = open();
                    // Restarts take time.
                    now_ns += 1_000_000;
                }
            }
        }
        for (matchers, hints, one, other, is_backward) in &questions {
            let selection = Selection {
                matchers,
                range_ns: *one.min(other)..*one.max(other) + 1,
                direction: if *is_backward { Direction::Backward } else { Direction::Forward },
                hints,
            };
            let expected = plain.scan(&selection, rules);
            prop_assert_eq!(scan(&store, &selection), expected);
            let everywhere = i64::MIN..i64::MAX;
            let whole = Selection { range_ns: everywhere.clone(), hints: &[], ..selection.clone() };
            let mut streams: Vec<Labels> =
                plain.scan(&whole, rules).into_iter().map(|line| line.1).collect();
            streams.sort();
            streams.dedup();
            prop_assert_eq!(store.streams(matchers, everywhere).unwrap(), streams);
        }
    }
}
