//! Numbers: an expression becomes a table with a row per series and a column per step.
//!
//! Each range is read once for all steps. Groups and matches of series are found once, not at each step.

mod aggregate;
pub(crate) mod binary;
mod fold;
mod range;

use std::collections::HashMap;

use tsdb::Labels;

use crate::{
    ast::{AggregateExpr, AggregateOp, LabelReplaceExpr, MetricExpr, RangeOp},
    engine::{Deadline, Options, QueryError},
    source::{Scanned, Source},
};

/// Series and their value at each step, if they have one.
pub(crate) type Rows = Vec<(Labels, Vec<Option<f64>>)>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count as i64).map(move |index| self.start_ns + index * self.step_ns)
    }

    fn end_ns(self) -> i64 {
        self.start_ns + (self.count as i64 - 1) * self.step_ns
    }
}

pub(crate) struct Evaluator<'a> {
    source: &'a dyn Source,
    options: &'a Options,
    deadline: Deadline,
    steps: Steps,
    pub(crate) scanned: Scanned,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        source: &'a dyn Source,
        options: &'a Options,
        deadline: Deadline,
        steps: Steps,
    ) -> Self {
        Self {
            source,
            options,
            deadline,
            steps,
            scanned: Scanned::default(),
        }
    }

    pub(crate) fn rows(&mut self, metric: &MetricExpr) -> Result<Rows, QueryError> {
        self.deadline.check()?;
        match metric {
            MetricExpr::Literal(value) | MetricExpr::Vector(value) => Ok(vec![(
                Labels::default(),
                vec![Some(*value); self.steps.count],
            )]),
            MetricExpr::Range(range) => self.range(range, None),
            MetricExpr::Aggregate(aggregate) => self.aggregate(aggregate),
            MetricExpr::Binary(binary) => self.binary(binary),
            MetricExpr::LabelReplace(replace) => {
                let rows = self.rows(&replace.inner)?;
                Ok(replaced(replace, rows))
            }
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Rows, QueryError> {
        let rows = match &aggregate.inner {
            // A sum needs only the labels that it groups by, and adds the same in another order.
            MetricExpr::Range(range) if pushes_down(aggregate.op, range.op) => {
                self.range(range, Some(&aggregate.grouping))?
            }
            inner => self.rows(inner)?,
        };
        self.deadline.check()?;
        Ok(aggregate::aggregate(aggregate, rows, self.steps.count))
    }
}

fn pushes_down(op: AggregateOp, range: RangeOp) -> bool {
    op == AggregateOp::Sum
        && matches!(
            range,
            RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum | RangeOp::Rate | RangeOp::Count
        )
}

/// Whether the order of an instant answer is one of values.
pub(crate) fn sorts_by_value(metric: &MetricExpr) -> bool {
    match metric {
        MetricExpr::Literal(_) | MetricExpr::Vector(_) | MetricExpr::Range(_) => false,
        MetricExpr::Aggregate(aggregate) => {
            matches!(aggregate.op, AggregateOp::Sort | AggregateOp::SortDesc)
                || sorts_by_value(&aggregate.inner)
        }
        MetricExpr::Binary(binary) => sorts_by_value(&binary.left) || sorts_by_value(&binary.right),
        MetricExpr::LabelReplace(replace) => sorts_by_value(&replace.inner),
    }
}

fn replaced(replace: &LabelReplaceExpr, rows: Rows) -> Rows {
    let changed = rows.into_iter().map(|(labels, values)| {
        let source = labels.get(&replace.source);
        let Some(captures) = replace.regex.captures(source) else {
            return (labels, values);
        };
        let mut value = String::new();
        captures.expand(&replace.replacement, &mut value);
        let kept = labels.iter().filter(|(name, _)| *name != &*replace.target);
        let labels = Labels::new(kept.chain([(&*replace.target, &*value)]));
        (labels, values)
    });
    merged(changed)
}

/// Rows of the same labels become one; where both have a value, the first counts.
fn merged(rows: impl Iterator<Item = (Labels, Vec<Option<f64>>)>) -> Rows {
    let (mut out, mut numbers) = (Rows::new(), HashMap::<Labels, usize>::new());
    for (labels, values) in rows {
        match numbers.get(&labels) {
            None => {
                numbers.insert(labels.clone(), out.len());
                out.push((labels, values));
            }
            Some(number) => {
                for (old, new) in out[*number].1.iter_mut().zip(values) {
                    *old = old.or(new);
                }
            }
        }
    }
    out
}
