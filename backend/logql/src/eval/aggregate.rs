//! Aggregations over series, at each step.

use std::{cmp::Ordering, collections::HashMap};

use tsdb::Labels;

use super::Rows;
use crate::ast::{AggregateExpr, AggregateOp, Grouping};

/// What is computed of the values of one group at one step.
#[derive(Clone, Copy, Debug)]
struct Group {
    count: f64,
    value: f64,
    mean: f64,
}

pub(super) fn aggregate(aggregate: &AggregateExpr, rows: Rows, steps: usize) -> Rows {
    let (groups, numbers) = groups(&aggregate.grouping, &rows);
    match aggregate.op {
        AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::ApproxTopK => {
            let count = aggregate.parameter.unwrap_or(1);
            let largest = aggregate.op != AggregateOp::BottomK;
            selected(rows, &numbers, (groups.len(), steps), count, largest)
        }
        AggregateOp::Sort => sorted(rows, false),
        AggregateOp::SortDesc => sorted(rows, true),
        op => {
            let mut folded = vec![vec![None; steps]; groups.len()];
            for ((_, values), number) in rows.iter().zip(&numbers) {
                for (group, value) in folded[*number].iter_mut().zip(values) {
                    if let Some(value) = value {
                        add(op, group, *value);
                    }
                }
            }
            let finished = |group: Option<Group>| group.map(|group| finish(op, group));
            groups
                .into_iter()
                .zip(folded)
                .map(|(labels, values)| (labels, values.into_iter().map(finished).collect()))
                .collect()
        }
    }
}

/// The labels of each group, and the group of each row.
fn groups(grouping: &Grouping, rows: &Rows) -> (Vec<Labels>, Vec<usize>) {
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut groups = Vec::new();
    let listed = |name: &str| grouping.labels.iter().any(|label| &**label == name);
    let numbers = rows
        .iter()
        .map(|(labels, _)| {
            let kept = labels
                .iter()
                .filter(|(name, _)| listed(name) != grouping.without);
            let labels = Labels::new(kept);
            *known.entry(labels.clone()).or_insert_with(|| {
                groups.push(labels);
                groups.len() - 1
            })
        })
        .collect();
    (groups, numbers)
}

fn add(op: AggregateOp, group: &mut Option<Group>, value: f64) {
    let Some(group) = group else {
        let spread = matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar);
        *group = Some(Group {
            count: 1.0,
            value: if spread { 0.0 } else { value },
            mean: value,
        });
        return;
    };
    group.count += 1.0;
    match op {
        AggregateOp::Sum => group.value += value,
        AggregateOp::Avg => group.mean += (value - group.mean) / group.count,
        AggregateOp::Max if group.value < value || group.value.is_nan() => group.value = value,
        AggregateOp::Min if group.value > value || group.value.is_nan() => group.value = value,
        AggregateOp::Stddev | AggregateOp::Stdvar => {
            let distance = value - group.mean;
            group.mean += distance / group.count;
            group.value += distance * (value - group.mean);
        }
        _ => {}
    }
}

fn finish(op: AggregateOp, group: Group) -> f64 {
    match op {
        AggregateOp::Avg => group.mean,
        AggregateOp::Count => group.count,
        AggregateOp::Stddev => (group.value / group.count).sqrt(),
        AggregateOp::Stdvar => group.value / group.count,
        _ => group.value,
    }
}

/// The rows with the largest or smallest values of their group, at the steps where they have them.
fn selected(
    mut rows: Rows,
    numbers: &[usize],
    (groups, steps): (usize, usize),
    count: usize,
    largest: bool,
) -> Rows {
    for step in 0..steps {
        let mut members: Vec<Vec<(f64, usize)>> = vec![Vec::new(); groups];
        for (row, number) in numbers.iter().enumerate() {
            if let Some(value) = rows[row].1[step] {
                members[*number].push((value, row));
            }
        }
        for mut members in members {
            members.sort_by(|a, b| by_value(a.0, b.0, largest));
            for (_, row) in members.into_iter().skip(count) {
                rows[row].1[step] = None;
            }
        }
    }
    rows.retain(|(_, values)| values.iter().any(Option::is_some));
    rows
}

/// By the value of the first step: the order matters to instant queries, which have one.
fn sorted(mut rows: Rows, descending: bool) -> Rows {
    let first = |values: &[Option<f64>]| values.first().copied().flatten();
    rows.sort_by(|a, b| match (first(&a.1), first(&b.1)) {
        (Some(a), Some(b)) => by_value(a, b, descending),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    rows
}

/// NaN comes last.
fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    }
}
