//! Which spans become exemplars: a bounded number, spread over the range, at most one of a trace. No labels and no values here.

use otlp::{SpanId, TraceId};

use super::RangeQuery;

/// Exemplars of one answer, at most and unless the query says otherwise.
pub const EXEMPLARS_MAX: usize = 100;
/// Exemplars of one slot of time. The range has so many slots that all of them full are all exemplars, as in Tempo.
const EXEMPLARS_PER_SLOT_MAX: usize = 2;

/// How many exemplars there are already, and when.
pub(super) struct Slots {
    range: RangeQuery,
    max: usize,
    total: usize,
    taken: Vec<usize>,
}

/// Of the spans of a trace the one with the lowest lot is its exemplar. Always the first one would leave series out that only
/// have later spans; chance would give other exemplars each time.
pub(super) fn lot(trace: TraceId, span: SpanId) -> u64 {
    // The last step of SplitMix64, which spreads what ids that count up have in common.
    let mut lot = u128::from_be_bytes(trace.0) as u64 ^ u64::from_be_bytes(span.0);
    lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    lot ^ (lot >> 31)
}

impl Slots {
    pub(super) fn new(range: RangeQuery, max: usize) -> Self {
        Self {
            range,
            max,
            total: 0,
            taken: vec![0; (max / EXEMPLARS_PER_SLOT_MAX).max(1)],
        }
    }

    /// Whether an exemplar of this time is wanted; if so, it counts from now on.
    pub(super) fn take(&mut self, time_ns: u64) -> bool {
        let slot = self.slot(time_ns);
        let is_wanted = self.total < self.max && self.taken[slot] < EXEMPLARS_PER_SLOT_MAX;
        self.total += usize::from(is_wanted);
        self.taken[slot] += usize::from(is_wanted);
        is_wanted
    }

    fn slot(&self, time_ns: u64) -> usize {
        let length_ns = self.range.end_ns.saturating_sub(self.range.start_ns);
        let width_ns = (length_ns / self.taken.len() as u64).max(1);
        let slot = time_ns.saturating_sub(self.range.start_ns) / width_ns;
        usize::try_from(slot)
            .unwrap_or(usize::MAX)
            .min(self.taken.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: RangeQuery = RangeQuery {
        start_ns: 1_000,
        end_ns: 2_000,
        step_ns: 100,
    };

    #[test]
    fn a_crowd_at_one_time_leaves_room_for_others() {
        let mut slots = Slots::new(RANGE, 100);
        let taken = |slots: &mut Slots, time_ns| (0..10).filter(|_| slots.take(time_ns)).count();
        assert_eq!(taken(&mut slots, 1_001), 2);
        assert_eq!(taken(&mut slots, 1_019), 0, "50 slots of 20 ns");
        assert_eq!(taken(&mut slots, 1_020), 2);
        assert_eq!(
            taken(&mut slots, 2_000),
            2,
            "the end belongs to the last slot"
        );
        assert_eq!(taken(&mut slots, 1_999), 0);
    }

    #[test]
    fn there_are_never_more_than_asked_for() {
        for (max, expected) in [(0, 0), (1, 1), (3, 2), (4, 4), (100, 100)] {
            let mut slots = Slots::new(RANGE, max);
            let taken = (1_001..=2_000)
                .filter(|time_ns| slots.take(*time_ns))
                .count();
            assert_eq!(taken, expected, "{max}");
        }
    }
}
