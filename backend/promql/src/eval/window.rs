//! Functions of a range: a window slides over each series and becomes a value per step.

use std::time::Instant;

use tsdb::Sample;

use super::matrix::{ABSENT, Matrix, is_absent};
use super::select::Ranged;
use super::{Evaluator, Outcome, ROWS_PER_DEADLINE_CHECK, Steps};
use crate::ast::Selector;
use crate::engine::QueryError;

/// Samples that windows see between two looks at the deadline: a series alone may have wide windows at many steps.
const SAMPLES_PER_DEADLINE_CHECK: usize = 1 << 20;

/// What a function of a range sees at one step.
pub(super) struct Window<'a> {
    /// Never empty.
    pub(super) samples: &'a [Sample],
    /// Where they begin among the samples of the series.
    pub(super) first: usize,
    /// The time of evaluation.
    pub(super) t_ms: i64,
    /// The start of the window, itself outside, and its end.
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// The index of the step.
    pub(super) step: usize,
}

/// A function of a range.
pub(super) trait OverTime {
    /// Sees a series before its windows, which then come in order of time.
    fn begin(&mut self, _samples: &[Sample]) {}

    /// The value, or `ABSENT`.
    fn value(&mut self, window: &Window<'_>) -> f64;
}

impl<F: FnMut(&Window<'_>) -> f64> OverTime for F {
    fn value(&mut self, window: &Window<'_>) -> f64 {
        self(window)
    }
}

/// Ends the work on one series when its query is out of time.
struct Meter {
    deadline: Instant,
    /// Samples since the last look.
    seen: usize,
    is_over: bool,
}

/// Where the windows of a range stand.
#[derive(Clone, Copy)]
struct Windows {
    range_ms: i64,
    first_end_ms: i64,
    /// From one window to the next.
    stride_ms: i64,
}

impl Evaluator<'_> {
    /// The function over a range selector, whose samples are not kept.
    pub(super) fn slide_stored(
        &mut self,
        selector: &Selector,
        range_ms: i64,
        steps: &Steps,
        function: &mut impl OverTime,
    ) -> Outcome<Matrix> {
        let mut matrix = Matrix::new(steps.count);
        let windows = Windows::new(&self.unread(selector, range_ms), steps);
        let mut meter = Meter::new(self.deadline);
        self.visit_ranges(selector, range_ms, steps, |evaluator, metric, samples| {
            evaluator.hold(steps.count)?;
            matrix.push_with(metric, |row| {
                windows.slide(samples, steps, function, row, &mut meter)
            });
            meter.outcome()
        })?;
        Ok(matrix)
    }

    /// The function over series that were read or computed before.
    pub(super) fn slide(
        &mut self,
        ranged: Ranged,
        steps: &Steps,
        function: &mut impl OverTime,
    ) -> Outcome<Matrix> {
        let mut matrix = Matrix::new(steps.count);
        if steps.count == 0 {
            return Ok(matrix);
        }
        self.hold(ranged.rows.len().saturating_mul(steps.count))?;
        let windows = Windows::new(&ranged, steps);
        let mut meter = Meter::new(self.deadline);
        for (index, (metric, samples)) in ranged.rows.into_iter().enumerate() {
            if index % ROWS_PER_DEADLINE_CHECK == 0 {
                self.check_deadline()?;
            }
            matrix.push_with(metric, |row| {
                windows.slide(&samples, steps, function, row, &mut meter)
            });
            meter.outcome()?;
        }
        Ok(matrix)
    }
}

impl Meter {
    fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            seen: 0,
            is_over: false,
        }
    }

    fn count(&mut self, samples: usize) {
        self.seen += samples;
        if self.seen >= SAMPLES_PER_DEADLINE_CHECK {
            self.seen = 0;
            self.is_over = Instant::now() >= self.deadline;
        }
    }

    fn outcome(&self) -> Outcome<()> {
        match self.is_over {
            true => Err(QueryError::Timeout),
            false => Ok(()),
        }
    }
}

impl Windows {
    fn new(ranged: &Ranged, steps: &Steps) -> Self {
        let first_end_ms = ranged.window_end(steps.at(0));
        Self {
            range_ms: ranged.range_ms,
            first_end_ms,
            stride_ms: ranged.window_end(steps.at(1)).saturating_sub(first_end_ms),
        }
    }

    /// Writes the value of each step into a row, up to where the meter is over. True when there is one.
    fn slide(
        self,
        samples: &[Sample],
        steps: &Steps,
        function: &mut impl OverTime,
        row: &mut [f64],
        meter: &mut Meter,
    ) -> bool {
        function.begin(samples);
        let (mut from, mut to, mut found) = (0, 0, false);
        let mut end_ms = self.first_end_ms;
        for (step, cell) in row.iter_mut().enumerate() {
            let start_ms = end_ms.saturating_sub(self.range_ms);
            while samples.get(to).is_some_and(|sample| sample.t_ms <= end_ms) {
                to += 1;
            }
            while from < to && samples[from].t_ms <= start_ms {
                from += 1;
            }
            if from < to {
                meter.count(to - from);
                if meter.is_over {
                    return found;
                }
                let value = function.value(&Window {
                    samples: &samples[from..to],
                    first: from,
                    t_ms: steps.at(step),
                    start_ms,
                    end_ms,
                    step,
                });
                *cell = value;
                found |= !is_absent(value);
            }
            end_ms = end_ms.saturating_add(self.stride_ms);
        }
        found
    }
}

/// 1 at each step at which no row has a value.
pub(super) fn absent_steps(matrix: &Matrix) -> Vec<f64> {
    let mut cells = vec![1.0; matrix.steps];
    for (_, row) in matrix.rows() {
        for (cell, value) in cells.iter_mut().zip(row) {
            if !is_absent(*value) {
                *cell = ABSENT;
            }
        }
    }
    cells
}
