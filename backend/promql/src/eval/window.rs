//! Functions of a range: a window slides over each series and becomes a value per step.

use tsdb::Sample;

use super::matrix::{ABSENT, Matrix, is_absent};
use super::select::Ranged;
use super::{Evaluator, Outcome, Steps};

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

/// How many series are computed between two looks at the clock.
const ROWS_PER_DEADLINE_CHECK: usize = 64;

impl Evaluator<'_> {
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
        matrix.metrics.reserve(ranged.rows.len());
        matrix.values.reserve(ranged.rows.len() * steps.count);
        let (first_end, second_end) = (
            ranged.window_end(steps.at(0)),
            ranged.window_end(steps.at(1)),
        );
        let stride = second_end.saturating_sub(first_end);
        let range_ms = ranged.range_ms;
        for (index, (metric, samples)) in ranged.rows.into_iter().enumerate() {
            if index % ROWS_PER_DEADLINE_CHECK == 0 {
                self.check_deadline()?;
            }
            function.begin(&samples);
            matrix.push_with(metric, |row| {
                let (mut from, mut to, mut found) = (0, 0, false);
                let mut end_ms = first_end;
                for (step, cell) in row.iter_mut().enumerate() {
                    let start_ms = end_ms.saturating_sub(range_ms);
                    while samples.get(to).is_some_and(|sample| sample.t_ms <= end_ms) {
                        to += 1;
                    }
                    while from < to && samples[from].t_ms <= start_ms {
                        from += 1;
                    }
                    if from < to {
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
                    end_ms = end_ms.saturating_add(stride);
                }
                found
            });
        }
        Ok(matrix)
    }

    /// 1 at each step at which no series has a sample in its window.
    pub(super) fn steps_without_samples(
        &mut self,
        ranged: Ranged,
        steps: &Steps,
    ) -> Outcome<Vec<f64>> {
        let present = self.slide(ranged, steps, &mut |_: &Window<'_>| 1.0)?;
        Ok(absent_steps(&present))
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
