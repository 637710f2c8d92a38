//! Vector matching: which series of two vectors an operator brings together, and what the result is called.
//!
//! Rows are matched once for all steps. What a step may refuse (two series that fit one) is looked at again step by
//! step, but only when series share a signature at all.

use super::binary::operation;
use super::matrix::{ABSENT, Matrix, is_absent};
use super::{Outcome, execution};
use crate::ast::{Binary, Cardinality, Matching};
use crate::engine::QueryError;
use crate::labels::{Metric, NAME, Numbering, distinct_without_names};

const IMPLICIT_MANY: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// Numbers the rows of both sides such that those that match have one number; and how many numbers there are.
pub(super) fn signatures(
    matching: &Matching,
    sides: [&Vec<Metric>; 2],
) -> ([Vec<usize>; 2], usize) {
    let mut numbering = Numbering::default();
    let mut key = Vec::new();
    let numbered = sides.map(|metrics| {
        metrics
            .iter()
            .map(|metric| {
                write_signature(matching, metric, &mut key);
                numbering.number(&key)
            })
            .collect()
    });
    (numbered, numbering.len())
}

fn write_signature(matching: &Matching, metric: &Metric, key: &mut Vec<u8>) {
    if matching.on {
        metric.key_of_values(&matching.labels, key);
    } else {
        metric.key_of(
            |label| label != NAME && !names(&matching.labels, label),
            key,
        );
    }
}

fn names(labels: &[Box<str>], label: &str) -> bool {
    labels.iter().any(|listed| &**listed == label)
}

/// Arithmetic and comparisons between two vectors, with at most so many points.
pub(super) fn combine(
    binary: &Binary,
    left: &Matrix,
    right: &Matrix,
    points_max: usize,
) -> Outcome<Matrix> {
    if binary.op.is_trim() {
        return Ok(Matrix::new(left.steps));
    }
    Combination::new(binary, left, right).run(points_max)
}

struct Combination<'a> {
    binary: &'a Binary,
    /// The side that may have several series per signature, and its signatures.
    many: &'a Matrix,
    many_signatures: Vec<usize>,
    /// The side that must not.
    one: &'a Matrix,
    one_signatures: Vec<usize>,
    /// The rows of `one` by signature.
    ones: Vec<Vec<usize>>,
}

impl<'a> Combination<'a> {
    fn new(binary: &'a Binary, left: &'a Matrix, right: &'a Matrix) -> Self {
        let (many, one) = match binary.matching.cardinality {
            Cardinality::OneToMany => (right, left),
            _ => (left, right),
        };
        let ([many_signatures, one_signatures], count) =
            signatures(&binary.matching, [&many.metrics, &one.metrics]);
        let mut ones = vec![Vec::new(); count];
        for (index, signature) in one_signatures.iter().enumerate() {
            ones[*signature].push(index);
        }
        Self {
            binary,
            many,
            many_signatures,
            one,
            one_signatures,
            ones,
        }
    }

    fn run(&self, points_max: usize) -> Outcome<Matrix> {
        let shared_one = self.ones.iter().any(|rows| rows.len() > 1);
        if shared_one {
            self.check_one_side()?;
        }
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        let shared_many = one_to_one && self.shares(&self.many_signatures);
        if shared_many {
            self.check_many_side()?;
        }
        let pairs = self
            .many_signatures
            .iter()
            .map(|many| self.ones[*many].len());
        if pairs.sum::<usize>().saturating_mul(self.many.steps) > points_max {
            return Err(QueryError::TooManySamples);
        }
        let mut pairs = Vec::new();
        let matrix = self.computed(&mut pairs);
        let regrouped = !one_to_one
            && (!self.binary.matching.include.is_empty()
                || !distinct_without_names(&self.many.metrics, |_| {}));
        if regrouped {
            self.check_unique(&matrix, &pairs)?;
        }
        let matrix = matrix.compacted();
        if shared_one || shared_many || regrouped {
            return matrix.joined();
        }
        Ok(matrix)
    }

    /// A row per pair of rows that match; `pairs` tells which. Filtered cells are absent.
    fn computed(&self, pairs: &mut Vec<(usize, usize)>) -> Matrix {
        let apply = operation(self.binary.op);
        let filters = self.binary.op.is_comparison() && !self.binary.returns_bool;
        let swapped = self.binary.matching.cardinality == Cardinality::OneToMany;
        let mut matrix = Matrix::new(self.many.steps);
        for (many_index, signature) in self.many_signatures.iter().enumerate() {
            let many_row = self.many.row(many_index);
            for &one_index in &self.ones[*signature] {
                let one_row = self.one.row(one_index);
                for (many, one) in many_row.iter().zip(one_row) {
                    let (left, right) = if swapped { (one, many) } else { (many, one) };
                    let cell = if is_absent(*left) || is_absent(*right) {
                        ABSENT
                    } else {
                        let result = apply(*left, *right);
                        match (filters, result == 0.0) {
                            (false, _) => result,
                            (true, true) => ABSENT,
                            (true, false) => *left,
                        }
                    };
                    matrix.values.push(cell);
                }
                matrix
                    .metrics
                    .push(self.result_metric(many_index, one_index));
                pairs.push((many_index, one_index));
            }
        }
        matrix
    }

    fn result_metric(&self, many_index: usize, one_index: usize) -> Metric {
        let matching = &self.binary.matching;
        let mut metric = self.many.metrics[many_index].clone();
        if self.binary.op.changes_meaning() || self.binary.returns_bool {
            metric.drop_name();
        }
        if matching.cardinality == Cardinality::OneToOne {
            if matching.on || !matching.labels.is_empty() {
                return metric.filtered(|label| names(&matching.labels, label) == matching.on);
            }
            return metric;
        }
        if matching.include.is_empty() {
            return metric;
        }
        let one = &self.one.metrics[one_index];
        let included: Vec<(&str, &str)> = matching
            .include
            .iter()
            .map(|label| (&**label, one.get(label)))
            .collect();
        metric.with(&included)
    }

    fn shares(&self, signatures: &[usize]) -> bool {
        let mut seen = vec![false; self.ones.len()];
        signatures
            .iter()
            .any(|signature| std::mem::replace(&mut seen[*signature], true))
    }

    /// Refuses a step in which the side of the one has two series with one signature.
    fn check_one_side(&self) -> Outcome<()> {
        let mut first = vec![None; self.ones.len()];
        for step in 0..self.one.steps {
            // A step in which one side is empty matches nothing, and refuses nothing.
            let many_present = (0..self.many.len()).any(|row| !is_absent(self.many.row(row)[step]));
            if !many_present {
                continue;
            }
            first.fill(None);
            for (index, signature) in self.one_signatures.iter().enumerate() {
                if is_absent(self.one.row(index)[step]) {
                    continue;
                }
                if let Some(earlier) = first[*signature].replace(index) {
                    return Err(self.duplicate(index, earlier));
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, index: usize, earlier: usize) -> QueryError {
        let matching = &self.binary.matching;
        let (second, first) = (&self.one.metrics[index], &self.one.metrics[earlier]);
        let group = second.filtered(|label| {
            names(&matching.labels, label) == matching.on && (matching.on || label != NAME)
        });
        let side = match matching.cardinality {
            Cardinality::OneToMany => "left",
            _ => "right",
        };
        execution(&format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{second}, {first}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    /// Refuses a step in which several series of the left match one of the right without `group_left`.
    fn check_many_side(&self) -> Outcome<()> {
        let mut matched = vec![false; self.ones.len()];
        for step in 0..self.many.steps {
            matched.fill(false);
            for (index, signature) in self.many_signatures.iter().enumerate() {
                if is_absent(self.many.row(index)[step]) {
                    continue;
                }
                let has_one = self.ones[*signature]
                    .iter()
                    .any(|one| !is_absent(self.one.row(*one)[step]));
                if has_one && std::mem::replace(&mut matched[*signature], true) {
                    return Err(execution(IMPLICIT_MANY));
                }
            }
        }
        Ok(())
    }

    /// Refuses a step in which two series of one group get the same labels, filtered ones included.
    fn check_unique(&self, matrix: &Matrix, pairs: &[(usize, usize)]) -> Outcome<()> {
        let mut numbering = Numbering::default();
        let mut key = Vec::new();
        let numbers: Vec<usize> = matrix
            .metrics
            .iter()
            .zip(pairs)
            .map(|(metric, (many, _))| {
                metric.key_of(|_| true, &mut key);
                key.extend_from_slice(&self.many_signatures[*many].to_le_bytes());
                numbering.number(&key)
            })
            .collect();
        if numbering.len() == numbers.len() {
            return Ok(());
        }
        let mut seen = vec![false; numbering.len()];
        for step in 0..matrix.steps {
            seen.fill(false);
            for (number, (many, one)) in numbers.iter().zip(pairs) {
                let present =
                    !is_absent(self.many.row(*many)[step]) && !is_absent(self.one.row(*one)[step]);
                if present && std::mem::replace(&mut seen[*number], true) {
                    return Err(execution(NOT_UNIQUE));
                }
            }
        }
        Ok(())
    }
}
