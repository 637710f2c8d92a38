//! Reading selectors: once for all steps, then the current sample of each step, or the samples of each window. Series are
//! worked on as they are read, so that their samples need not be kept.

use std::ops::ControlFlow;

use tsdb::{Sample, SourceError, is_stale};

use super::matrix::{Matrix, points};
use super::{Evaluator, Outcome, ROWS_PER_DEADLINE_CHECK, Steps, wrong_type};
use crate::ast::{Kind, Node, Selector, When};
use crate::engine::QueryError;
use crate::labels::Metric;

/// Series with all samples that some window of the steps holds; staleness markers are gone.
pub(super) struct Ranged {
    pub(super) rows: Vec<(Metric, Vec<Sample>)>,
    pub(super) range_ms: i64,
    offset_ms: i64,
    /// The end of every window, when `@` fixes it.
    fixed_end_ms: Option<i64>,
}

impl Ranged {
    /// Where the window ends when the evaluation is at `t_ms`. It starts, itself outside, `range_ms` before.
    pub(super) fn window_end(&self, t_ms: i64) -> i64 {
        self.fixed_end_ms
            .unwrap_or_else(|| t_ms.saturating_sub(self.offset_ms))
    }

    pub(super) fn samples(&self) -> usize {
        self.rows.iter().map(|(_, samples)| samples.len()).sum()
    }
}

impl Evaluator<'_> {
    /// The current sample of each series at each step, as `value_of` sees it.
    pub(super) fn instants(
        &mut self,
        selector: &Selector,
        steps: &Steps,
        value_of: impl Fn(Sample) -> f64,
    ) -> Outcome<Matrix> {
        let mut matrix = Matrix::new(steps.count);
        if steps.count == 0 {
            return Ok(matrix);
        }
        let lookback = self.options.lookback_ms;
        let first = self.reference(&selector.when, steps.start_ms);
        let stride = if selector.when.at.is_some() {
            0
        } else {
            steps.step_ms
        };
        self.visit(selector, lookback, steps, |evaluator, metric, samples| {
            evaluator.hold(steps.count)?;
            matrix.push_with(metric, |row| {
                let (mut next, mut found, mut at) = (0, false, first);
                for cell in row {
                    while samples.get(next).is_some_and(|sample| sample.t_ms <= at) {
                        next += 1;
                    }
                    if let Some(current) = next.checked_sub(1).map(|index| samples[index])
                        && current.t_ms > at.saturating_sub(lookback)
                        && !is_stale(current.value)
                    {
                        *cell = value_of(current);
                        found = true;
                    }
                    at = at.saturating_add(stride);
                }
                found
            });
            Ok(())
        })?;
        Ok(matrix)
    }

    /// The samples of a range selector or the points of a subquery, for all windows of the steps.
    pub(super) fn ranged(&mut self, node: &Node, steps: &Steps) -> Outcome<Ranged> {
        match &node.kind {
            Kind::Range { selector, range } => self.ranged_series(selector, range.ms, steps),
            Kind::Subquery(subquery) => {
                let inner_steps = self.subquery_steps(subquery, steps)?;
                let matrix = self.vector(&subquery.inner, &inner_steps)?;
                let rows = matrix
                    .rows()
                    .map(|(metric, row)| (metric.clone(), points(row, &inner_steps)))
                    .collect();
                let ranged = self.as_ranged(rows, subquery.range.ms, &subquery.when);
                self.hold(ranged.samples())?;
                self.release(matrix.points());
                Ok(ranged)
            }
            _ => Err(wrong_type()),
        }
    }

    fn ranged_series(
        &mut self,
        selector: &Selector,
        range_ms: i64,
        steps: &Steps,
    ) -> Outcome<Ranged> {
        let mut rows = Vec::new();
        self.visit_ranges(selector, range_ms, steps, |evaluator, metric, samples| {
            evaluator.hold(samples.len())?;
            rows.push((metric, samples.to_vec()));
            Ok(())
        })?;
        Ok(self.as_ranged(rows, range_ms, &selector.when))
    }

    /// Where the windows of a range selector lie; no series.
    pub(super) fn unread(&self, selector: &Selector, range_ms: i64) -> Ranged {
        self.as_ranged(Vec::new(), range_ms, &selector.when)
    }

    /// Shows all samples that some window of the steps holds, series by series, without staleness markers.
    pub(super) fn visit_ranges(
        &mut self,
        selector: &Selector,
        range_ms: i64,
        steps: &Steps,
        mut each: impl FnMut(&mut Self, Metric, &[Sample]) -> Outcome<()>,
    ) -> Outcome<()> {
        if steps.count == 0 {
            return Ok(());
        }
        let mut fresh = Vec::new();
        self.visit(selector, range_ms, steps, |evaluator, metric, samples| {
            if !samples.iter().any(|sample| is_stale(sample.value)) {
                return each(evaluator, metric, samples);
            }
            fresh.clear();
            fresh.extend(samples.iter().filter(|sample| !is_stale(sample.value)));
            each(evaluator, metric, &fresh)
        })
    }

    fn as_ranged(&self, rows: Vec<(Metric, Vec<Sample>)>, range_ms: i64, when: &When) -> Ranged {
        Ranged {
            rows,
            range_ms,
            offset_ms: when.offset.ms,
            fixed_end_ms: when.at.is_some().then(|| self.reference(when, 0)),
        }
    }

    /// Shows what the steps can see, `back_ms` back from each, series by series.
    fn visit(
        &mut self,
        selector: &Selector,
        back_ms: i64,
        steps: &Steps,
        mut each: impl FnMut(&mut Self, Metric, &[Sample]) -> Outcome<()>,
    ) -> Outcome<()> {
        let first = self.reference(&selector.when, steps.start_ms);
        let last = self.reference(&selector.when, steps.last_ms());
        // Left-open: a sample exactly `back_ms` old is too old.
        let from = first.saturating_sub(back_ms).saturating_add(1);
        let (source, room) = (self.source, self.room());
        let (mut seen, mut outcome) = (0_usize, Ok(()));
        let mut show = |labels, samples: &[Sample]| {
            seen += 1;
            outcome = each(self, Metric::new(labels), samples);
            if outcome.is_ok() && seen.is_multiple_of(ROWS_PER_DEADLINE_CHECK) {
                outcome = self.check_deadline();
            }
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let read = source.visit(&selector.conditions(), from..=last, room, &mut show);
        outcome?;
        read.map_err(|error| match error {
            SourceError::TooManySamples { .. } => QueryError::TooManySamples,
            other => QueryError::Source(other),
        })?;
        self.check_deadline()
    }
}
