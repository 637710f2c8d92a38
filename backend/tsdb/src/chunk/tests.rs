//! What goes into a chunk comes out of it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn chunk(samples: &[(i64, u64)]) -> Chunk {
    let sample = |&(t_ms, bits): &(i64, u64)| Sample {
        t_ms,
        value: f64::from_bits(bits),
    };
    let mut open = OpenChunk::new(sample(&samples[0]));
    samples[1..].iter().for_each(|pair| open.push(sample(pair)));
    open.sealed()
}

fn check(samples: &[(i64, u64)]) {
    let chunk = chunk(samples);
    let mut out = Vec::new();
    let read = read(&chunk.bits, chunk.samples, &(i64::MIN..=i64::MAX), &mut out);
    read.unwrap();
    let pairs: Vec<_> = out.iter().map(|s| (s.t_ms, s.value.to_bits())).collect();
    assert_eq!(pairs, samples);
}

/// Values of all kinds: whole numbers that rise, NaNs with payloads, infinities, any bits.
fn values() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u32..1000).prop_map(|count| f64::from(count).to_bits()),
        Just(crate::STALE_NAN_BITS),
        (0x7ff0_0000_0000_0000_u64..0x7ff0_0000_0000_0010),
        Just((-0.0_f64).to_bits()),
    ]
}

fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![
        14_990_i64..15_010,
        1_i64..300,
        1_i64..40_000_000,
        Just(15_000),
        1_i64..1 << 50
    ]
}

proptest! {
    #[test]
    fn samples_come_back_bit_by_bit(
        start in -(1_i64 << 50)..1 << 50,
        samples in prop::collection::vec((steps(), values()), 1..=120),
    ) {
        let mut t_ms = start;
        let samples: Vec<_> = samples.into_iter().map(|(step, value)| {
            t_ms += step;
            (t_ms, value)
        }).collect();
        check(&samples);
    }

    #[test]
    fn any_times_come_back(samples in prop::collection::vec((any::<i64>(), any::<u64>()), 1..=120)) {
        check(&samples);
    }

    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>, samples in 1_u16..200) {
        let mut out = Vec::new();
        let _ = read(&bytes, samples, &(i64::MIN..=i64::MAX), &mut out);
        prop_assert!(out.len() <= usize::from(samples));
    }
}

#[test]
fn a_chunk_that_was_cut_is_none() {
    let samples: Vec<_> = (0..120_i64)
        .map(|i| (i * 15_000 + i % 3, (i as f64 / 7.0).to_bits()))
        .collect();
    let chunk = chunk(&samples);
    for end in 0..chunk.bits.len() {
        let mut out = Vec::new();
        let range = i64::MIN..=i64::MAX;
        assert_eq!(
            read(&chunk.bits[..end], 120, &range, &mut out),
            None,
            "{end}"
        );
        let whole = samples[..out.len()].iter();
        assert!(
            whole
                .zip(&out)
                .all(|(pair, found)| (found.t_ms, found.value.to_bits()) == *pair)
        );
    }
}

#[test]
fn only_the_range_is_read() {
    let chunk = chunk(&[(10, 1), (20, 2), (30, 3), (40, 4)]);
    let mut out = Vec::new();
    read(&chunk.bits, chunk.samples, &(20..=30), &mut out).unwrap();
    assert_eq!(out.iter().map(|s| s.t_ms).collect::<Vec<_>>(), [20, 30]);
    assert!(chunk.overlaps(&(40..=50)) && chunk.overlaps(&(0..=10)));
    assert!(!chunk.overlaps(&(41..=50)) && !chunk.overlaps(&(0..=9)));
}

#[test]
fn a_regular_scrape_of_a_constant_takes_two_bits_for_each_sample() {
    let samples: Vec<_> = (0..120).map(|i| (i * 15_000, 7.0_f64.to_bits())).collect();
    check(&samples);
    // 16 bytes for the first; the second has the delta (20 bits and four before them); one bit each for time and value.
    assert_eq!(
        chunk(&samples).bits.len(),
        16 + (4 + 20 + 1 + 118 * 2_usize).div_ceil(8)
    );
}
