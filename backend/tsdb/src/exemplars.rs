//! Exemplars: the newest ones of each series, in memory, as many as two bounds allow.
//!
//! The rules are those of Prometheus: an exemplar equal to the newest of its series is nothing new, one that is older is
//! refused. When all places are taken, the one that came first goes, whichever series has it.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use crate::{Exemplar, ExemplarOutcome, Labels, Matcher};

/// Of one series: a series that has a new one with each scrape does not take the places of all others.
pub const EXEMPLARS_PER_SERIES_MAX: usize = 1000;
/// Characters of names and values of the labels of one exemplar, as in OpenMetrics.
pub const EXEMPLAR_CHARS_MAX: usize = 128;

pub(crate) struct Exemplars {
    max: usize,
    by_series: HashMap<Labels, VecDeque<Numbered>>,
    /// Series and number of each exemplar in the order of coming, and of some that are gone.
    order: VecDeque<(Labels, u64)>,
    next: u64,
    held: usize,
}

struct Numbered {
    number: u64,
    exemplar: Exemplar,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            by_series: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            held: 0,
        }
    }

    /// What [`Self::push`] would answer.
    pub(crate) fn judge(&self, series: &Labels, exemplar: &Exemplar) -> ExemplarOutcome {
        let strings = exemplar
            .labels
            .iter()
            .flat_map(|(name, value)| [name, value]);
        if strings.flat_map(str::chars).count() > EXEMPLAR_CHARS_MAX {
            return ExemplarOutcome::LabelsTooLong;
        }
        match self.by_series.get(series).and_then(VecDeque::back) {
            Some(newest) => after(&newest.exemplar, exemplar),
            None => ExemplarOutcome::Stored,
        }
    }

    pub(crate) fn push(&mut self, series: &Labels, exemplar: &Exemplar) -> ExemplarOutcome {
        let outcome = self.judge(series, exemplar);
        if outcome != ExemplarOutcome::Stored {
            return outcome;
        }
        let ring = self.by_series.entry(series.clone()).or_default();
        if ring.len() >= EXEMPLARS_PER_SERIES_MAX {
            ring.pop_front();
            self.held -= 1;
        }
        ring.push_back(Numbered {
            number: self.next,
            exemplar: exemplar.clone(),
        });
        self.order.push_back((series.clone(), self.next));
        self.next += 1;
        self.held += 1;
        while self.held > self.max {
            self.drop_oldest();
        }
        self.forget_gone();
        outcome
    }

    /// By series, in time order.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        let matching = self
            .by_series
            .iter()
            .filter(|(series, _)| matchers.iter().all(|matcher| matcher.holds(series)));
        let mut found: Vec<(Labels, Vec<Exemplar>)> = matching
            .map(|(series, ring)| {
                let all = ring.iter().map(|numbered| &numbered.exemplar);
                let within = all.filter(|exemplar| range.contains(&exemplar.t_ms));
                (series.clone(), within.cloned().collect())
            })
            .filter(|(_, exemplars): &(_, Vec<_>)| !exemplars.is_empty())
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }

    pub(crate) fn len(&self) -> usize {
        self.held
    }

    pub(crate) fn series(&self) -> usize {
        self.by_series.len()
    }

    fn drop_oldest(&mut self) {
        let Some((series, number)) = self.order.pop_front() else {
            return;
        };
        let Some(ring) = self.by_series.get_mut(&series) else {
            return;
        };
        if ring
            .pop_front_if(|oldest| oldest.number == number)
            .is_some()
        {
            self.held -= 1;
        }
        if ring.is_empty() {
            self.by_series.remove(&series);
        }
    }

    /// The order may name as many that are gone as there are; then they are taken out at once.
    fn forget_gone(&mut self) {
        if self.order.len() <= 2 * self.held.max(EXEMPLARS_PER_SERIES_MAX) {
            return;
        }
        let by_series = &self.by_series;
        self.order.retain(|(series, number)| {
            let oldest = by_series.get(series).and_then(VecDeque::front);
            oldest.is_some_and(|oldest| oldest.number <= *number)
        });
    }
}

fn after(newest: &Exemplar, exemplar: &Exemplar) -> ExemplarOutcome {
    let is_same = newest.t_ms == exemplar.t_ms
        && newest.value.to_bits() == exemplar.value.to_bits()
        && newest.labels == exemplar.labels;
    if is_same {
        return ExemplarOutcome::Duplicate;
    }
    let is_older = exemplar.t_ms < newest.t_ms
        || exemplar.t_ms == newest.t_ms
            && (exemplar.value < newest.value
                || exemplar.value == newest.value && exemplar.labels < newest.labels);
    match is_older {
        true => ExemplarOutcome::OutOfOrder,
        false => ExemplarOutcome::Stored,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

    fn series(name: &str) -> Labels {
        Labels::new([("__name__", name)])
    }

    fn exemplar(t_ms: i64, value: f64, trace_id: &str) -> Exemplar {
        Exemplar {
            labels: Labels::new([("trace_id", trace_id)]),
            t_ms,
            value,
        }
    }

    #[test]
    fn an_older_or_smaller_one_is_out_of_order() {
        let mut exemplars = Exemplars::new(10);
        let mut check = |exemplar: Exemplar, expected| {
            assert_eq!(
                exemplars.push(&series("a"), &exemplar),
                expected,
                "{exemplar:?}"
            );
        };
        check(exemplar(10, 1.0, "b"), ExemplarOutcome::Stored);
        check(exemplar(10, 1.0, "b"), ExemplarOutcome::Duplicate);
        check(exemplar(9, 2.0, "b"), ExemplarOutcome::OutOfOrder);
        check(exemplar(10, 0.5, "b"), ExemplarOutcome::OutOfOrder);
        check(exemplar(10, 1.0, "a"), ExemplarOutcome::OutOfOrder);
        check(exemplar(10, 1.0, "c"), ExemplarOutcome::Stored);
        check(exemplar(10, 2.0, "a"), ExemplarOutcome::Stored);
        check(exemplar(11, 0.0, "a"), ExemplarOutcome::Stored);
        check(exemplar(12, 0.0, &"x".repeat(120)), ExemplarOutcome::Stored);
        check(
            exemplar(13, 0.0, &"é".repeat(121)),
            ExemplarOutcome::LabelsTooLong,
        );
    }

    #[test]
    fn the_first_that_came_goes_first() {
        let mut exemplars = Exemplars::new(3);
        for t_ms in 0..3 {
            exemplars.push(&series("a"), &exemplar(t_ms, 0.0, "x"));
        }
        exemplars.push(&series("b"), &exemplar(0, 0.0, "x"));
        let times = |name: &str| -> Vec<i64> {
            let found = exemplars.select(&[], &ALL);
            let (_, of) = found
                .iter()
                .find(|(labels, _)| *labels == series(name))
                .unwrap();
            of.iter().map(|exemplar| exemplar.t_ms).collect()
        };
        assert_eq!((times("a"), times("b")), (vec![1, 2], vec![0]));
        assert_eq!((exemplars.len(), exemplars.series()), (3, 2));
    }

    #[test]
    fn one_series_keeps_to_its_bound_and_so_does_the_order() {
        let mut exemplars = Exemplars::new(100_000);
        exemplars.push(&series("quiet"), &exemplar(0, 0.0, "x"));
        for t_ms in 0..10 * EXEMPLARS_PER_SERIES_MAX as i64 {
            exemplars.push(&series("busy"), &exemplar(t_ms, 0.0, "x"));
        }
        assert_eq!(exemplars.len(), EXEMPLARS_PER_SERIES_MAX + 1);
        assert!(exemplars.order.len() <= 2 * (EXEMPLARS_PER_SERIES_MAX + 1));
        let found = exemplars.select(&[], &ALL);
        assert_eq!(found[1].0, series("quiet"));
        assert_eq!(found[0].1.len(), EXEMPLARS_PER_SERIES_MAX);
        assert_eq!(
            found[0].1.last().unwrap().t_ms,
            10 * EXEMPLARS_PER_SERIES_MAX as i64 - 1
        );
    }
}
