//! Operators between series, between a series and a number, and between numbers.

use std::collections::{HashMap, HashSet};

use tsdb::Labels;

use super::{Evaluator, Rows};
use crate::{
    ast::{BinaryExpr, BinaryOp, Cardinality, Matching, MetricExpr},
    engine::QueryError,
};

const DUPLICATE_RIGHT: &str = "found duplicate series on the right hand-side;many-to-many matching not allowed: \
     matching labels must be unique on one side";
const DUPLICATE_LEFT: &str = "found duplicate series on the left hand-side;many-to-many matching not allowed: \
     matching labels must be unique on one side";
const MANY_TO_ONE: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// Of two numbers. A comparison gives one or zero.
pub(crate) fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        // Not infinite, as elsewhere.
        BinaryOp::Div | BinaryOp::Mod if right == 0.0 => f64::NAN,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Compare(op) => f64::from(u8::from(op.holds(left, right))),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => f64::NAN,
    }
}

/// Of two samples: a comparison keeps or drops `kept`, unless it gives a truth value.
fn merged(op: BinaryOp, left: f64, right: f64, kept: f64, return_bool: bool) -> Option<f64> {
    match op {
        BinaryOp::Compare(op) if !return_bool => op.holds(left, right).then_some(kept),
        _ => Some(scalar(op, left, right)),
    }
}

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, binary: &BinaryExpr) -> Result<Rows, QueryError> {
        let BinaryExpr {
            op, return_bool, ..
        } = binary;
        match (&binary.left, &binary.right) {
            (MetricExpr::Literal(left), right) => {
                let rows = self.rows(right)?;
                Ok(each(rows, |right| {
                    merged(*op, *left, right, right, *return_bool)
                }))
            }
            (left, MetricExpr::Literal(right)) => {
                let rows = self.rows(left)?;
                Ok(each(rows, |left| {
                    merged(*op, left, *right, left, *return_bool)
                }))
            }
            (left, right) => {
                let (left, right) = (self.rows(left)?, self.rows(right)?);
                self.deadline.check()?;
                if op.is_set() {
                    return Ok(set(*op, &binary.matching, left, right));
                }
                vectors(binary, left, right, self.steps.count)
            }
        }
    }
}

fn each(rows: Rows, compute: impl Fn(f64) -> Option<f64>) -> Rows {
    let computed = |value: Option<f64>| value.and_then(&compute);
    rows.into_iter()
        .map(|(labels, values)| (labels, values.into_iter().map(computed).collect()))
        .collect()
}

/// The labels by which series match.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let Some(listed) = &matching.labels else {
        return labels.clone();
    };
    let kept = |name: &str| listed.iter().any(|label| &**label == name) == matching.on;
    Labels::new(labels.iter().filter(|(name, _)| kept(name)))
}

fn set(op: BinaryOp, matching: &Matching, left: Rows, right: Rows) -> Rows {
    // At which steps each signature has a value.
    let present = |rows: &Rows| {
        let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
        for (labels, values) in rows {
            let steps = present
                .entry(signature(labels, matching))
                .or_insert_with(|| vec![false; values.len()]);
            for (there, value) in steps.iter_mut().zip(values) {
                *there |= value.is_some();
            }
        }
        present
    };
    let kept_where = |rows: Rows, other: &HashMap<Labels, Vec<bool>>, wanted: bool| -> Rows {
        let kept = rows.into_iter().map(|(labels, mut values)| {
            let steps = other.get(&signature(&labels, matching));
            for (step, value) in values.iter_mut().enumerate() {
                if steps.is_some_and(|steps| steps[step]) != wanted {
                    *value = None;
                }
            }
            (labels, values)
        });
        kept.filter(|(_, values)| values.iter().any(Option::is_some))
            .collect()
    };
    match op {
        BinaryOp::And => {
            let right = present(&right);
            kept_where(left, &right, true)
        }
        BinaryOp::Unless => {
            let right = present(&right);
            kept_where(left, &right, false)
        }
        _ => {
            let there = present(&left);
            let right = kept_where(right, &there, false);
            super::merged(left.into_iter().chain(right))
        }
    }
}

fn vectors(binary: &BinaryExpr, left: Rows, right: Rows, steps: usize) -> Result<Rows, QueryError> {
    let matching = &binary.matching;
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    let mut partners: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (row, (labels, _)) in one.iter().enumerate() {
        partners
            .entry(signature(labels, matching))
            .or_default()
            .push(row);
    }
    unique_at_each_step(&one, &partners, steps, swapped)?;
    let mut out: Vec<(Labels, Vec<Option<f64>>)> = Vec::new();
    // What has matched at a step already, by signature, or by signature and result.
    let mut seen: HashMap<(Labels, Option<Labels>), Vec<bool>> = HashMap::new();
    for (labels, values) in &many {
        let key = signature(labels, matching);
        let Some(rows) = partners.get(&key) else {
            continue;
        };
        for row in rows {
            let (one_labels, one_values) = &one[*row];
            let result = result_labels(labels, one_labels, matching);
            let explicit = matching.cardinality != Cardinality::OneToOne;
            let seen = seen
                .entry((key.clone(), explicit.then(|| result.clone())))
                .or_insert_with(|| vec![false; steps]);
            let mut computed = vec![None; steps];
            for step in 0..steps {
                let (Some(many), Some(one)) = (values[step], one_values[step]) else {
                    continue;
                };
                if std::mem::replace(&mut seen[step], true) {
                    let why = if explicit { NOT_UNIQUE } else { MANY_TO_ONE };
                    return Err(QueryError::Execution(why));
                }
                let (left, right) = if swapped { (one, many) } else { (many, one) };
                computed[step] = merged(binary.op, left, right, left, binary.return_bool);
            }
            out.push((result, computed));
        }
    }
    out.retain(|(_, values)| values.iter().any(Option::is_some));
    Ok(super::merged(out.into_iter()))
}

fn unique_at_each_step(
    one: &Rows,
    partners: &HashMap<Labels, Vec<usize>>,
    steps: usize,
    swapped: bool,
) -> Result<(), QueryError> {
    for rows in partners.values().filter(|rows| rows.len() > 1) {
        let mut there = HashSet::new();
        for row in rows {
            for step in (0..steps).filter(|step| one[*row].1[*step].is_some()) {
                if !there.insert(step) {
                    let why = if swapped {
                        DUPLICATE_LEFT
                    } else {
                        DUPLICATE_RIGHT
                    };
                    return Err(QueryError::Execution(why));
                }
            }
        }
    }
    Ok(())
}

/// Those of the side that may have many, less what it does not match by, with what is taken over from the other side.
fn result_labels(many: &Labels, one: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| {
        let labels = matching.labels.iter().flatten();
        labels.into_iter().any(|label| &**label == name)
    };
    let include = matching.include.as_deref().unwrap_or_default();
    let kept = many.iter().filter(|(name, _)| {
        let matches = match matching.cardinality {
            Cardinality::OneToOne => listed(name) == matching.on,
            _ => true,
        };
        matches && include.iter().all(|included| &**included != *name)
    });
    let taken = include.iter().map(|name| (&**name, one.get(name)));
    Labels::new(kept.chain(taken))
}
