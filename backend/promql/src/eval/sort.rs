//! `sort` and `sort_desc`: the order of an instant query's result. A range query's result is always in label order.

use super::Evaluator;
use super::matrix::Matrix;
use super::topk::sort_by_value;

impl Evaluator<'_> {
    pub(super) fn sort(&mut self, input: Matrix, descending: bool, at: usize) -> Matrix {
        if input.steps != 1 {
            self.notes.warn(
                "sort is ineffective for range queries since results are always ordered by labels"
                    .into(),
                at,
            );
            return input;
        }
        let mut entries: Vec<_> = input.metrics.into_iter().zip(input.values).collect();
        sort_by_value(&mut entries, |entry| entry.1, descending);
        let (metrics, values) = entries.into_iter().unzip();
        Matrix {
            steps: 1,
            metrics,
            values,
        }
    }
}
