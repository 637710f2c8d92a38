//! Aggregations that make one series of a group of series. Those that choose among series are in `topk`.

use super::float::{Mean, kahan_add, maximum, minimum, quantile};
use super::matrix::{ABSENT, Matrix, is_absent};
use super::{Evaluator, Outcome, Steps, wrong_type};
use crate::ast::{Aggregate, Aggregator, Kind, Node};
use crate::labels::{Metric, NAME, Numbering};
use crate::number::format_value;

/// Which group each row belongs to, and what the groups are called.
pub(super) struct Groups {
    pub(super) of_rows: Vec<usize>,
    pub(super) count: usize,
    metrics: Vec<Metric>,
}

/// How the values of a group at one step become one.
trait Fold {
    type State: Clone;
    fn start(value: f64) -> Self::State;
    fn add(state: &mut Self::State, value: f64);
    fn finish(state: &Self::State) -> f64;
}

struct Sum;
struct Avg;
struct Count;
struct Min;
struct Max;
struct Group;
struct Stdvar;
struct Stddev;

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, steps: &Steps) -> Outcome<Matrix> {
        let param = match &aggregate.param {
            Some(param) if aggregate.op == Aggregator::CountValues => {
                return self.count_values(aggregate, param, steps);
            }
            Some(param) => Some((self.scalar(param, steps)?, param.bare().span.start)),
            None => None,
        };
        let input = self.vector(&aggregate.inner, steps)?;
        match (aggregate.op, param) {
            (Aggregator::Topk | Aggregator::Bottomk, Some((k, _))) => {
                self.choose(aggregate, &input, &k)
            }
            (Aggregator::Quantile, Some((quantiles, at))) => {
                self.note_quantiles(&quantiles, at);
                Ok(quantiles_of(aggregate, &input, &quantiles))
            }
            (op, None) => fold_by(op, aggregate, &input).ok_or_else(wrong_type),
            _ => Err(wrong_type()),
        }
    }

    fn note_quantiles(&mut self, quantiles: &[f64], at: usize) {
        if quantiles.iter().any(|quantile| quantile.is_nan()) {
            self.notes.bad_quantile(f64::NAN, at);
        }
        let largest = quantiles.iter().copied().fold(f64::MIN, maximum);
        let smallest = quantiles.iter().copied().fold(f64::MAX, minimum);
        if largest > 1.0 {
            self.notes.bad_quantile(largest, at);
        }
        if smallest < 0.0 {
            self.notes.bad_quantile(smallest, at);
        }
    }

    /// A series per distinct value.
    fn count_values(
        &mut self,
        aggregate: &Aggregate,
        param: &Node,
        steps: &Steps,
    ) -> Outcome<Matrix> {
        let Kind::Text(label) = &param.bare().kind else {
            return Err(wrong_type());
        };
        if label.is_empty() {
            return Err(super::execution("invalid label name \"\""));
        }
        let input = self.vector(&aggregate.inner, steps)?;
        let mut labels = aggregate.labels.clone();
        if !aggregate.without {
            labels.push(label.clone());
        }
        let grouping = Grouping {
            without: aggregate.without,
            labels: &labels,
        };
        let mut numbering = Numbering::default();
        let mut key = Vec::new();
        let mut counts = Matrix::new(steps.count);
        for step in 0..steps.count {
            for (metric, row) in input.rows().filter(|(_, row)| !is_absent(row[step])) {
                let metric = metric.with(&[(label, &format_value(row[step]))]);
                grouping.write_key(&metric, &mut key);
                let number = numbering.number(&key);
                if number == counts.len() {
                    self.hold(steps.count)?;
                    counts.push(grouping.metric(&metric), &vec![ABSENT; steps.count]);
                }
                let cell = &mut counts.row_mut(number)[step];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
            }
        }
        counts.joined()
    }
}

/// `by` and `without`.
struct Grouping<'a> {
    without: bool,
    labels: &'a [Box<str>],
}

impl Grouping<'_> {
    fn keeps(&self, label: &str) -> bool {
        let listed = self.labels.iter().any(|listed| &**listed == label);
        if self.without {
            !listed && label != NAME
        } else {
            listed
        }
    }

    fn write_key(&self, metric: &Metric, key: &mut Vec<u8>) {
        if self.without {
            metric.key_of(|label| self.keeps(label), key);
        } else {
            metric.key_of_values(self.labels, key);
        }
    }

    fn metric(&self, metric: &Metric) -> Metric {
        if !self.without && self.labels.is_empty() {
            return Metric::default();
        }
        metric.filtered(|label| self.keeps(label))
    }
}

impl Groups {
    pub(super) fn new(aggregate: &Aggregate, metrics: &[Metric]) -> Self {
        let grouping = Grouping {
            without: aggregate.without,
            labels: &aggregate.labels,
        };
        let mut numbering = Numbering::default();
        let mut key = Vec::new();
        let mut groups = Self {
            of_rows: Vec::with_capacity(metrics.len()),
            count: 0,
            metrics: Vec::new(),
        };
        for metric in metrics {
            grouping.write_key(metric, &mut key);
            let number = numbering.number(&key);
            if number == groups.count {
                groups.count += 1;
                groups.metrics.push(grouping.metric(metric));
            }
            groups.of_rows.push(number);
        }
        groups
    }
}

fn fold_by(op: Aggregator, aggregate: &Aggregate, input: &Matrix) -> Option<Matrix> {
    let groups = Groups::new(aggregate, &input.metrics);
    Some(match op {
        Aggregator::Sum => fold::<Sum>(groups, input),
        Aggregator::Avg => fold::<Avg>(groups, input),
        Aggregator::Count => fold::<Count>(groups, input),
        Aggregator::Min => fold::<Min>(groups, input),
        Aggregator::Max => fold::<Max>(groups, input),
        Aggregator::Group => fold::<Group>(groups, input),
        Aggregator::Stddev => fold::<Stddev>(groups, input),
        Aggregator::Stdvar => fold::<Stdvar>(groups, input),
        _ => return None,
    })
}

/// Values are added in the order of the rows, which decides the last bit of a sum.
fn fold<F: Fold>(groups: Groups, input: &Matrix) -> Matrix {
    let steps = input.steps;
    let mut states: Vec<Option<F::State>> = vec![None; groups.count * steps];
    for (group, (_, row)) in groups.of_rows.iter().zip(input.rows()) {
        let cells = &mut states[group * steps..][..steps];
        for (cell, value) in cells.iter_mut().zip(row) {
            if is_absent(*value) {
                continue;
            }
            match cell {
                Some(state) => F::add(state, *value),
                None => *cell = Some(F::start(*value)),
            }
        }
    }
    let values = states
        .iter()
        .map(|state| state.as_ref().map_or(ABSENT, F::finish))
        .collect();
    let matrix = Matrix {
        steps,
        metrics: groups.metrics,
        values,
    };
    matrix.compacted()
}

fn quantiles_of(aggregate: &Aggregate, input: &Matrix, quantiles: &[f64]) -> Matrix {
    let groups = Groups::new(aggregate, &input.metrics);
    let mut members = vec![Vec::new(); groups.count];
    for (row, group) in groups.of_rows.iter().enumerate() {
        members[*group].push(row);
    }
    let mut matrix = Matrix::new(input.steps);
    let mut values = Vec::new();
    for (metric, rows) in groups.metrics.into_iter().zip(members) {
        matrix.push_with(metric, |cells| {
            let mut found = false;
            for (step, cell) in cells.iter_mut().enumerate() {
                values.clear();
                values.extend(
                    rows.iter()
                        .map(|row| input.row(*row)[step])
                        .filter(|value| !is_absent(*value)),
                );
                if !values.is_empty() {
                    *cell = quantile(quantiles[step], &mut values);
                    found = true;
                }
            }
            found
        });
    }
    matrix
}

impl Fold for Sum {
    type State = (f64, f64);
    fn start(value: f64) -> Self::State {
        (value, 0.0)
    }
    fn add(state: &mut Self::State, value: f64) {
        *state = kahan_add(value, state.0, state.1);
    }
    fn finish(state: &Self::State) -> f64 {
        state.0 + state.1
    }
}

impl Fold for Avg {
    type State = Mean;
    fn start(value: f64) -> Mean {
        Mean::new(value)
    }
    fn add(state: &mut Mean, value: f64) {
        state.add(value);
    }
    fn finish(state: &Mean) -> f64 {
        state.value()
    }
}

impl Fold for Count {
    type State = f64;
    fn start(_: f64) -> f64 {
        1.0
    }
    fn add(state: &mut f64, _: f64) {
        *state += 1.0;
    }
    fn finish(state: &f64) -> f64 {
        *state
    }
}

impl Fold for Group {
    type State = ();
    fn start(_: f64) {}
    fn add((): &mut (), _: f64) {}
    fn finish((): &()) -> f64 {
        1.0
    }
}

impl Fold for Min {
    type State = f64;
    fn start(value: f64) -> f64 {
        value
    }
    fn add(state: &mut f64, value: f64) {
        if *state > value || state.is_nan() {
            *state = value;
        }
    }
    fn finish(state: &f64) -> f64 {
        *state
    }
}

impl Fold for Max {
    type State = f64;
    fn start(value: f64) -> f64 {
        value
    }
    fn add(state: &mut f64, value: f64) {
        if *state < value || state.is_nan() {
            *state = value;
        }
    }
    fn finish(state: &f64) -> f64 {
        *state
    }
}

/// Count, mean and sum of squared differences (Welford).
#[derive(Clone, Copy)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Stdvar {
    type State = Spread;
    fn start(value: f64) -> Spread {
        Spread {
            count: 1.0,
            mean: value,
            squares: if value.is_finite() { 0.0 } else { f64::NAN },
        }
    }
    fn add(state: &mut Spread, value: f64) {
        state.count += 1.0;
        let delta = value - state.mean;
        state.mean += delta / state.count;
        state.squares += delta * (value - state.mean);
    }
    fn finish(state: &Spread) -> f64 {
        state.squares / state.count
    }
}

impl Fold for Stddev {
    type State = Spread;
    fn start(value: f64) -> Spread {
        Stdvar::start(value)
    }
    fn add(state: &mut Spread, value: f64) {
        Stdvar::add(state, value);
    }
    fn finish(state: &Spread) -> f64 {
        Stdvar::finish(state).sqrt()
    }
}
