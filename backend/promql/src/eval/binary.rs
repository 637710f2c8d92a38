//! Operators on numbers, between a vector and a scalar, and the set operators. Vector matching is in `matching`.

use super::Outcome;
use super::matching::signatures;
use super::matrix::{ABSENT, Matrix, is_absent};
use crate::ast::{Binary, BinaryOp};

/// The operation on two numbers; a comparison gives 1 or 0.
pub(super) fn operation(op: BinaryOp) -> fn(f64, f64) -> f64 {
    match op {
        BinaryOp::Add => |a, b| a + b,
        BinaryOp::Sub => |a, b| a - b,
        BinaryOp::Mul => |a, b| a * b,
        BinaryOp::Div => |a, b| a / b,
        BinaryOp::Mod => |a, b| a % b,
        BinaryOp::Pow => power,
        BinaryOp::Atan2 => f64::atan2,
        BinaryOp::Equal => |a, b| truth(a == b),
        BinaryOp::NotEqual => |a, b| truth(a != b),
        BinaryOp::Less => |a, b| truth(a < b),
        BinaryOp::LessOrEqual => |a, b| truth(a <= b),
        BinaryOp::Greater => |a, b| truth(a > b),
        BinaryOp::GreaterOrEqual => |a, b| truth(a >= b),
        // The others act on no two numbers: the check and `sets` see to that.
        BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => |_, _| ABSENT,
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn power(base: f64, exponent: f64) -> f64 {
    base.powf(exponent)
}

pub(super) fn scalars(op: BinaryOp, left: &[f64], right: &[f64]) -> Vec<f64> {
    let apply = operation(op);
    left.iter()
        .zip(right)
        .map(|(left, right)| apply(*left, *right))
        .collect()
}

/// `swapped`: the scalar stands on the left.
pub(super) fn vector_and_scalar(
    binary: &Binary,
    mut matrix: Matrix,
    scalar: &[f64],
    swapped: bool,
) -> Outcome<Matrix> {
    let apply = operation(binary.op);
    let filters = binary.op.is_comparison() && !binary.returns_bool;
    if matrix.steps > 0 {
        for row in matrix.values.chunks_exact_mut(matrix.steps) {
            for (cell, scalar) in row.iter_mut().zip(scalar) {
                if is_absent(*cell) {
                    continue;
                }
                let result = if swapped {
                    apply(*scalar, *cell)
                } else {
                    apply(*cell, *scalar)
                };
                if !filters {
                    *cell = result;
                } else if result == 0.0 {
                    *cell = ABSENT;
                }
            }
        }
    }
    if filters || binary.op.is_trim() {
        return Ok(matrix.compacted());
    }
    matrix.without_names()
}

/// `and`, `or`, `unless`.
pub(super) fn sets(binary: &Binary, mut left: Matrix, mut right: Matrix) -> Outcome<Matrix> {
    let steps = left.steps;
    let ([left_signatures, right_signatures], count) =
        signatures(&binary.matching, [&left.metrics, &right.metrics]);
    let present_in = |matrix: &Matrix, signatures: &[usize]| {
        let mut present = vec![false; count * steps];
        for (index, signature) in signatures.iter().enumerate() {
            let cells = &mut present[signature * steps..][..steps];
            for (cell, value) in cells.iter_mut().zip(matrix.row(index)) {
                *cell |= !is_absent(*value);
            }
        }
        present
    };
    let keep = |matrix: &mut Matrix, signatures: &[usize], present: &[bool], wanted: bool| {
        for (index, signature) in signatures.iter().enumerate() {
            let cells = &present[signature * steps..][..steps];
            for (value, cell) in matrix.row_mut(index).iter_mut().zip(cells) {
                if *cell != wanted {
                    *value = ABSENT;
                }
            }
        }
    };
    if binary.op == BinaryOp::Or {
        let present = present_in(&left, &left_signatures);
        keep(&mut right, &right_signatures, &present, false);
        let right = right.compacted();
        if right.len() == 0 {
            return Ok(left);
        }
        left.metrics.extend(right.metrics);
        left.values.extend(right.values);
        return left.joined();
    }
    let present = present_in(&right, &right_signatures);
    let wanted = binary.op == BinaryOp::And;
    keep(&mut left, &left_signatures, &present, wanted);
    Ok(left.compacted())
}
