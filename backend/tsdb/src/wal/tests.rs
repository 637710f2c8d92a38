//! Frames come back whole, and what is not whole is said.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use crate::{Exemplar, Labels, Sample};

use super::replay::Replayed;
use super::*;

fn items() -> impl Strategy<Value = Vec<Item>> {
    let sample = (any::<i64>(), any::<u64>(), 0_u32..64).prop_map(|(t_ms, bits, shift)| Sample {
        t_ms,
        value: f64::from_bits(bits >> shift << shift),
    });
    let labels = prop::collection::vec(("[a-c]{1,3}", "\\PC{0,8}"), 0..5).prop_map(Labels::new);
    let item = prop_oneof![
        (any::<u32>(), labels.clone()).prop_map(|(place, labels)| Item::Series(place, labels)),
        (any::<u32>(), sample.clone()).prop_map(|(place, sample)| Item::Sample(place, sample)),
        (any::<u32>(), sample, labels).prop_map(|(place, sample, labels)| {
            let (t_ms, value) = (sample.t_ms, sample.value);
            Item::Exemplar(
                place,
                Exemplar {
                    labels,
                    t_ms,
                    value,
                },
            )
        }),
    ];
    prop::collection::vec(item, 0..20)
}

/// Bit by bit, since NaN is not equal to itself.
fn printed(items: &[Item]) -> String {
    let bits = |item: &Item| match item {
        Item::Sample(place, s) => format!("{place} {} {:x}", s.t_ms, s.value.to_bits()),
        Item::Exemplar(place, e) => {
            format!("{place} {:?} {} {:x}", e.labels, e.t_ms, e.value.to_bits())
        }
        Item::Series(place, labels) => format!("{place} {labels:?}"),
    };
    items.iter().map(bits).collect::<Vec<_>>().join("\n")
}

fn append(log: &mut Log, items: &[Item]) {
    let mut frame = Frame::default();
    frame.clear();
    for item in items {
        match item {
            Item::Series(place, labels) => frame.series(*place, labels),
            Item::Sample(place, sample) => frame.samples(&[(*place, *sample), (*place, *sample)]),
            Item::Exemplar(place, exemplar) => frame.exemplar(*place, exemplar),
        }
    }
    log.append(&mut frame, 0).unwrap();
}

fn read(path: &Path) -> (Vec<Item>, Replayed) {
    let mut items = Vec::new();
    let replayed = replay(path, &mut |item| items.push(item)).unwrap();
    (items, replayed)
}

/// What [`append`] writes of items.
fn doubled(items: &[Item]) -> Vec<Item> {
    let twice = |item: &Item| vec![item.clone(); 1 + usize::from(matches!(item, Item::Sample(..)))];
    items.iter().flat_map(twice).collect()
}

proptest! {
    #[test]
    fn what_was_appended_is_replayed(frames in prop::collection::vec(items(), 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path(), 1).unwrap();
        frames.iter().for_each(|items| append(&mut log, items));
        let old = log.ended();
        let (items, replayed) = read(&old.path);
        prop_assert_eq!(printed(&items), printed(&doubled(&frames.concat())));
        prop_assert_eq!(replayed, Replayed { bytes: old.bytes, ..Replayed::default() });
    }

    #[test]
    fn any_bytes_can_be_replayed(bytes: Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut frame = Frame::default();
        frame.clear();
        frame.samples(&[(1, Sample { t_ms: 1, value: 1.0 })]);
        let file = [&MAGIC[..], frame.finish().unwrap(), &bytes].concat();
        std::fs::write(&path, file).unwrap();
        let (items, _) = read(&path);
        prop_assert!(!items.is_empty());
    }

    #[test]
    fn any_body_can_be_read(body: Vec<u8>) {
        let _ = frame::read(&body, &mut |_| {});
    }
}

fn three_frames(dir: &Path) -> (OldLog, Vec<u64>) {
    let mut log = Log::create(dir, 1).unwrap();
    let mut ends = vec![log.bytes];
    for place in 0..3 {
        append(&mut log, &[Item::Series(place, Labels::new([("a", "b")]))]);
        ends.push(log.bytes);
    }
    (log.ended(), ends)
}

fn places(items: &[Item]) -> Vec<u32> {
    let place = |item: &Item| match item {
        Item::Series(place, _) => *place,
        other => panic!("{other:?}"),
    };
    items.iter().map(place).collect()
}

#[test]
fn a_torn_end_is_cut_and_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let (log, ends) = three_frames(dir.path());
    for cut in ends[2] + 1..ends[3] {
        let path = dir.path().join(format!("{cut}"));
        let bytes = std::fs::read(&log.path).unwrap();
        std::fs::write(&path, &bytes[..cut as usize]).unwrap();
        let (items, replayed) = read(&path);
        assert_eq!(places(&items), [0, 1]);
        assert_eq!(
            (replayed.bytes, replayed.torn_bytes),
            (ends[2], cut - ends[2])
        );
        assert_eq!(read(&path).1.torn_bytes, 0);
    }
}

#[test]
fn a_last_frame_of_full_length_with_wrong_bytes_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let (log, ends) = three_frames(dir.path());
    let mut bytes = std::fs::read(&log.path).unwrap();
    bytes[ends[3] as usize - 1] ^= 1;
    std::fs::write(&log.path, &bytes).unwrap();
    let (items, replayed) = read(&log.path);
    assert_eq!(places(&items), [0, 1]);
    assert_eq!(
        (replayed.torn_bytes, replayed.damaged_bytes),
        (ends[3] - ends[2], 0)
    );
    assert_eq!(std::fs::metadata(&log.path).unwrap().len(), ends[2]);
}

#[test]
fn a_damaged_frame_is_left_out_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (log, ends) = three_frames(dir.path());
    let mut bytes = std::fs::read(&log.path).unwrap();
    bytes[ends[2] as usize - 1] ^= 1;
    std::fs::write(&log.path, &bytes).unwrap();
    let (items, replayed) = read(&log.path);
    assert_eq!(places(&items), [0, 2]);
    assert_eq!(replayed.damaged_bytes, ends[2] - ends[1]);
    assert_eq!(replayed.torn_bytes, 0);
}

#[test]
fn what_is_no_log_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "something else").unwrap();
    assert!(matches!(
        replay(&path, &mut |_| {}),
        Err(Error::Damaged { .. })
    ));
}
