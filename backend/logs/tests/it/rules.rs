//! Which lines are taken, as Loki takes them.

use logql::Direction;
use logs::{
    AHEAD_NS_MAX, BEHIND_NS_MAX, LINE_BYTES_MAX, METADATA_MAX, OLD_NS_MAX, Options, Refused, Rules,
    Store,
};

use crate::plain::{entry, scan, select, stream};

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn store(options: Options) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), options).unwrap();
    (folder, store)
}

#[test]
fn a_line_out_of_its_time_is_refused_and_the_others_are_stored() {
    let (_folder, store) = store(Options::default());
    let pushes = vec![stream(
        &[("service", "a")],
        vec![
            entry(NOW_NS, "now"),
            entry(NOW_NS - OLD_NS_MAX - 1, "old"),
            entry(NOW_NS + AHEAD_NS_MAX + 1, "ahead"),
            entry(NOW_NS - BEHIND_NS_MAX, "just in time"),
            entry(NOW_NS - BEHIND_NS_MAX - 1, "behind"),
        ],
    )];
    let appended = store.append(pushes, NOW_NS).unwrap();
    assert_eq!(appended.stored, 2);
    let oldest_ns = NOW_NS - OLD_NS_MAX;
    assert_eq!(
        appended.refused,
        [
            (0, 1, Refused::TooOld { oldest_ns }),
            (0, 2, Refused::TooFarAhead),
            (
                0,
                4,
                Refused::TooFarBehind {
                    oldest_ns: NOW_NS - BEHIND_NS_MAX
                }
            ),
        ]
    );
    // Another stream has its own newest line.
    let other = vec![stream(
        &[("service", "b")],
        vec![entry(NOW_NS - 2 * BEHIND_NS_MAX, "late")],
    )];
    assert_eq!(store.append(other, NOW_NS).unwrap().stored, 1);
}

#[test]
fn what_is_too_large_is_refused() {
    let (_folder, store) = store(Options {
        streams_max: 2,
        ..Options::default()
    });
    let mut with_metadata = entry(NOW_NS, "m");
    with_metadata.metadata = (0..=METADATA_MAX)
        .map(|number| (format!("k{number}"), "v".to_owned()))
        .collect();
    let mut with_long = entry(NOW_NS, "m");
    with_long.metadata = vec![("k".to_owned(), "v".repeat(70 << 10))];
    let many: Vec<(String, String)> = (0..16)
        .map(|number| (format!("l{number}"), "v".to_owned()))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (&**n, &**v)).collect();
    let appended = store
        .append(
            vec![
                stream(
                    &[("service", "a")],
                    vec![
                        entry(NOW_NS, &"x".repeat(LINE_BYTES_MAX + 1)),
                        with_metadata,
                        with_long,
                        entry(NOW_NS, "good"),
                    ],
                ),
                stream(&[], vec![entry(NOW_NS, "nobody's")]),
                stream(&many, vec![entry(NOW_NS, "everybody's")]),
            ],
            NOW_NS,
        )
        .unwrap();
    assert_eq!(appended.stored, 1);
    let reasons: Vec<Refused> = appended
        .refused
        .into_iter()
        .map(|(_, _, why)| why)
        .collect();
    assert!(matches!(
        reasons[..],
        [
            Refused::LineTooLong { .. },
            Refused::TooMuchMetadata { count: 129 },
            Refused::MetadataTooLong { .. },
            Refused::InvalidLabels,
            Refused::InvalidLabels,
        ]
    ));
    for (name, expected) in [("b", 1), ("c", 0), ("b", 1)] {
        let push = stream(&[("service", name)], vec![entry(NOW_NS, "x")]);
        let appended = store.append(vec![push], NOW_NS).unwrap();
        assert_eq!(appended.stored, expected, "{name}");
        if expected == 0 {
            assert_eq!(appended.refused, [(0, 0, Refused::StreamLimit)]);
        }
    }
}

#[test]
fn whoever_has_judged_already_may_store_any_time() {
    let (_folder, store) = store(Options {
        rules: Rules::Anything,
        ..Options::default()
    });
    let lines = vec![entry(5, "x"), entry(5, "x"), entry(NOW_NS * 2, "y")];
    let push = stream(&[("service", "a")], lines);
    assert_eq!(store.append(vec![push], NOW_NS).unwrap().stored, 3);
    let all = select(&[], 0..i64::MAX, Direction::Forward);
    assert_eq!(scan(&store, &all).len(), 3);
}
