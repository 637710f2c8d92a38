//! Whatever is appended, sealed, reopened: reads equal those of a list in memory.

use blocks::{Record, Scan, Store};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Owned, everything, small};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Owned>),
    Seal,
    Reopen,
    Retain,
}

fn owned() -> impl Strategy<Value = Owned> {
    let payload = prop_oneof![9 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), 60_000..80_000)];
    (
        0_u64..40,
        0_u64..1_000,
        0_u64..50,
        vec(0_u64..30, 0..6),
        payload,
    )
        .prop_map(|(key, time_min_ns, length, terms, payload)| Owned {
            key: blocks::hash(&key.to_le_bytes()),
            time_min_ns,
            time_max_ns: time_min_ns + length,
            terms,
            payload,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(owned(), 0..40).prop_map(Step::Append),
        2 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => Just(Step::Retain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reads_equal_those_of_a_list(steps in vec(step(), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), small()).unwrap().0;
        let mut model: Vec<Owned> = Vec::new();
        for step in steps {
            match step {
                Step::Append(records) => {
                    let given: Vec<Record<'_>> = records.iter().map(Owned::record).collect();
                    store.append(&given).unwrap();
                    model.extend(records);
                }
                Step::Seal => store.seal().unwrap(),
                Step::Reopen => {
                    store.close().unwrap();
                    store = Store::open(dir.path(), small()).unwrap().0;
                }
                Step::Retain => {
                    store.retain(2_000).unwrap();
                }
            }
            compare(&store, &model);
        }
    }
}

fn compare(store: &Store, model: &[Owned]) {
    let snapshot = store.snapshot();
    assert_eq!(store.stats().records, model.len() as u64);
    for key in (0_u64..40).map(|key| blocks::hash(&key.to_le_bytes())) {
        let expected: Vec<&[u8]> = model
            .iter()
            .filter(|one| one.key == key)
            .map(|one| &one.payload[..])
            .collect();
        let found = snapshot.find(key).unwrap();
        let found: Vec<&[u8]> = found.iter().map(|payload| &**payload).collect();
        assert_eq!(found, expected);
        assert!(found.len() < 2 || snapshot.is_split(key));
    }
    for newest_first in [false, true] {
        let ranged = Scan {
            time_ns: 200..700,
            newest_first,
            ..everything()
        };
        same(&found(&snapshot, &ranged), model, |one| {
            one.time_min_ns < 700 && one.time_max_ns >= 200
        });
        // Pages come whole: more than asked for may be there, nothing may be missing.
        let any_of = vec![vec![vec![1, 2], vec![3]], vec![vec![4]]];
        let some = found(
            &snapshot,
            &Scan {
                any_of,
                newest_first,
                ..everything()
            },
        );
        let wanted = |one: &&Owned| {
            let has = |term| one.terms.contains(&term);
            (has(1) || has(2)) && has(3) || has(4)
        };
        for one in model.iter().filter(wanted) {
            assert!(some.contains(&(
                one.key,
                one.time_min_ns,
                one.time_max_ns,
                one.payload.clone()
            )));
        }
    }
}

type Seen = (u64, u64, u64, Vec<u8>);

/// In the order of the scan, of which the pages' times are checked.
fn found(snapshot: &blocks::Snapshot, scan: &Scan) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut last_ns = u64::MAX;
    for page in snapshot.scan(scan) {
        let page = page.unwrap();
        if scan.newest_first {
            assert!(page.time_max_ns() <= last_ns);
            last_ns = page.time_max_ns();
        }
        found.extend(page.records().map(|stored| {
            assert!(stored.time_max_ns <= page.time_max_ns());
            (
                stored.key,
                stored.time_min_ns,
                stored.time_max_ns,
                stored.payload.to_vec(),
            )
        }));
    }
    found
}

fn same(found: &[Seen], model: &[Owned], wanted: impl Fn(&Owned) -> bool) {
    let mut found = found.to_vec();
    found.sort();
    let mut expected: Vec<Seen> = model
        .iter()
        .filter(|one| wanted(one))
        .map(|one| {
            (
                one.key,
                one.time_min_ns,
                one.time_max_ns,
                one.payload.clone(),
            )
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected);
}
