//! `topk` and `bottomk`: the series of each group with the largest or smallest values, as they are.
//!
//! Among equal values the choice follows the heap that Prometheus keeps, so that it is the same.

use super::aggregate::Groups;
use super::float::nan_first;
use super::matrix::{ABSENT, Matrix, is_absent};
use super::{Evaluator, Outcome, execution};
use crate::ast::{Aggregate, Aggregator};
use crate::number::format_message;

/// The least number of 64 bits as a float.
const K_MIN: f64 = -9_223_372_036_854_775_808.0;
/// The largest float below the largest number of 64 bits.
const K_MAX: f64 = 9_223_372_036_854_774_784.0;

/// A value and its row.
type Entry = (f64, usize);

/// The smallest entry first for `topk`, the largest first for `bottomk`.
#[derive(Clone)]
struct Heap {
    entries: Vec<Entry>,
    largest: bool,
}

impl Evaluator<'_> {
    pub(super) fn choose(
        &mut self,
        aggregate: &Aggregate,
        input: &Matrix,
        k: &[f64],
    ) -> Outcome<Matrix> {
        let largest_k = k.iter().copied().fold(f64::MIN, super::float::maximum);
        if !k.is_empty() && largest_k < 1.0 {
            return Ok(Matrix::new(input.steps));
        }
        if k.iter().any(|k| k.is_nan()) {
            return Err(execution("Parameter value is NaN"));
        }
        for k in k {
            let k_text = || format_message(*k);
            if *k <= K_MIN {
                let message = format!("Scalar value {} underflows int64", k_text());
                return Err(execution(&message));
            }
            if *k >= K_MAX {
                let message = format!("Scalar value {} overflows int64", k_text());
                return Err(execution(&message));
            }
        }
        let groups = Groups::new(aggregate, &input.metrics);
        let heap = Heap {
            entries: Vec::new(),
            largest: aggregate.op == Aggregator::Topk,
        };
        if input.steps == 1 {
            return Ok(chosen_once(input, &groups, heap, k[0]));
        }
        let mut heaps = vec![heap; groups.count];
        let mut chosen = Matrix {
            steps: input.steps,
            metrics: input.metrics.clone(),
            values: vec![ABSENT; input.values.len()],
        };
        self.hold(chosen.points())?;
        for (step, k) in k.iter().enumerate() {
            fill(&mut heaps, input, &groups, step, *k);
            for (value, row) in heaps.iter().flat_map(|heap| &heap.entries) {
                chosen.row_mut(*row)[step] = *value;
            }
        }
        Ok(chosen.compacted())
    }
}

/// With one step, the order of the result is that of the values.
fn chosen_once(input: &Matrix, groups: &Groups, heap: Heap, k: f64) -> Matrix {
    let mut heaps = vec![heap; groups.count];
    fill(&mut heaps, input, groups, 0, k);
    let mut chosen = Matrix::new(1);
    for heap in heaps {
        for (value, row) in heap.into_sorted() {
            chosen.push(input.metrics[row].clone(), &[value]);
        }
    }
    chosen
}

fn fill(heaps: &mut [Heap], input: &Matrix, groups: &Groups, step: usize, k: f64) {
    for heap in &mut *heaps {
        heap.entries.clear();
    }
    let k = (k as i64).min(input.len() as i64);
    let Ok(k @ 1..) = usize::try_from(k) else {
        return;
    };
    for (row, group) in groups.of_rows.iter().enumerate() {
        let value = input.row(row)[step];
        if !is_absent(value) {
            heaps[*group].offer((value, row), k);
        }
    }
}

impl Heap {
    fn offer(&mut self, entry: Entry, k: usize) {
        if self.entries.len() < k {
            self.entries.push(entry);
            self.up(self.entries.len() - 1);
            return;
        }
        let weakest = self.entries[0].0;
        let better = if self.largest {
            weakest < entry.0
        } else {
            weakest > entry.0
        };
        if better || (weakest.is_nan() && !entry.0.is_nan()) {
            self.entries[0] = entry;
            self.down(0);
        }
    }

    fn less(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.largest { a < b } else { a > b }
    }

    fn entry_less(&self, i: usize, j: usize) -> bool {
        self.less(self.entries[i].0, self.entries[j].0)
    }

    fn up(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / 2;
            if !self.entry_less(index, parent) {
                break;
            }
            self.entries.swap(index, parent);
            index = parent;
        }
    }

    fn down(&mut self, mut index: usize) {
        loop {
            let left = 2 * index + 1;
            if left >= self.entries.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.entries.len() && self.entry_less(right, left) {
                right
            } else {
                left
            };
            if !self.entry_less(child, index) {
                break;
            }
            self.entries.swap(index, child);
            index = child;
        }
    }

    /// The strongest first.
    fn into_sorted(mut self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.entries);
        let largest = self.largest;
        sort_by_value(&mut entries, |entry| entry.0, largest);
        entries
    }
}

/// Sorts by value, NaN last.
pub(super) fn sort_by_value<T>(entries: &mut [T], value: impl Fn(&T) -> f64, descending: bool) {
    entries.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        if descending {
            nan_first(b, a)
        } else {
            nan_first(-b, -a)
        }
    });
}
