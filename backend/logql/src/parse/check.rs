//! What the grammar allows and the meaning forbids, in Loki's words.

use super::{ParseError, Parsed};
use crate::{
    ast::{AggregateOp, BinaryExpr, BinaryOp, Grouping, Matching, MetricExpr, RangeOp},
    eval::binary::scalar,
    units::parse_float,
};

impl Parsed {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(ParseError::new(message))
    }

    /// An expression that holds this one, unless this one is wrong.
    pub(super) fn map(self, outer: impl FnOnce(MetricExpr) -> MetricExpr) -> Self {
        match self {
            Self::Metric(inner) => Self::Metric(outer(inner)),
            other => other,
        }
    }
}

pub(super) fn aggregate_parameter(
    op: AggregateOp,
    written: Option<&str>,
    grouping: Option<&Grouping>,
) -> Result<Option<usize>, String> {
    let name = op.text();
    let takes = matches!(
        op,
        AggregateOp::BottomK | AggregateOp::TopK | AggregateOp::ApproxTopK
    );
    let sorts = matches!(op, AggregateOp::Sort | AggregateOp::SortDesc);
    let text = match (takes, written) {
        (false, Some(text)) => {
            return Err(format!(
                "unsupported parameter for operation {name}({text},"
            ));
        }
        (false, None) if sorts && grouping.is_some_and(|grouping| !grouping.labels.is_empty()) => {
            return Err("sort and sort_desc doesn't allow grouping by ".into());
        }
        (false, None) => return Ok(None),
        (true, None) => return Err(format!("parameter required for operation {name}")),
        (true, Some(text)) => text,
    };
    let number: i64 = text
        .parse()
        .map_err(|_| format!("invalid parameter {name}({text},"))?;
    let parameter = usize::try_from(number).ok().filter(|number| *number > 0);
    if parameter.is_none() {
        return Err(format!(
            "invalid parameter (must be greater than 0) {name}({text}"
        ));
    }
    match op {
        AggregateOp::ApproxTopK if grouping.is_some() => {
            Err(format!("grouping not allowed for {name} aggregation"))
        }
        AggregateOp::ApproxTopK => Err("approx_topk is not supported, use topk".into()),
        _ => Ok(parameter),
    }
}

pub(super) fn range_parameter(op: RangeOp, written: Option<&str>) -> Result<Option<f64>, String> {
    let name = op.text();
    match (op, written) {
        (RangeOp::Quantile, None) => Err(format!("parameter required for operation {name}")),
        (RangeOp::Quantile, Some(text)) => match parse_float(text) {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(format!("invalid parameter for operation {name}: {why}")),
        },
        (_, None) => Ok(None),
        (_, Some(text)) => Err(format!(
            "parameter {text} not supported for operation {name}"
        )),
    }
}

pub(super) fn check_range(op: RangeOp, unwraps: bool, grouped: bool) -> Result<(), String> {
    let groups = matches!(
        op,
        RangeOp::Avg
            | RangeOp::Stddev
            | RangeOp::Stdvar
            | RangeOp::Quantile
            | RangeOp::Max
            | RangeOp::Min
            | RangeOp::First
            | RangeOp::Last
    );
    let name = op.text();
    if grouped && !groups {
        return Err(format!("grouping not allowed for {name} aggregation"));
    }
    let of_values = groups
        || matches!(
            op,
            RangeOp::Sum | RangeOp::Rate | RangeOp::RateCounter | RangeOp::Absent
        );
    let of_lines = matches!(
        op,
        RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Count | RangeOp::Rate | RangeOp::Absent
    );
    match unwraps {
        true if !of_values => Err(format!("invalid aggregation {name} with unwrap")),
        false if !of_lines => Err(format!("invalid aggregation {name} without unwrap")),
        _ => Ok(()),
    }
}

/// Two operands and what is between them. Two literals become one.
pub(super) fn binary(
    op: BinaryOp,
    return_bool: bool,
    matching: Matching,
    operands: (Parsed, Parsed),
) -> Parsed {
    let name = op.text();
    for (side, operand) in [("left", &operands.0), ("right", &operands.1)] {
        if let Parsed::Log(log) = operand {
            let kind = if log.is_selector() {
                "Matchers"
            } else {
                "Pipeline"
            };
            return Parsed::wrong(format!(
                "unexpected type for {side} leg of binary operation ({name}): *syntax.{kind}Expr"
            ));
        }
    }
    for (side, operand) in [("left", &operands.0), ("right", &operands.1)] {
        if let (true, Parsed::Metric(MetricExpr::Literal(value))) = (op.is_set(), operand) {
            return Parsed::wrong(format!(
                "unexpected literal for {side} leg of logical/set binary operation ({name}): {value:.6}"
            ));
        }
    }
    match operands {
        (Parsed::Metric(MetricExpr::Literal(left)), Parsed::Metric(MetricExpr::Literal(right))) => {
            Parsed::Metric(MetricExpr::Literal(scalar(op, left, right)))
        }
        (Parsed::Metric(left), Parsed::Metric(right)) => {
            Parsed::Metric(MetricExpr::Binary(Box::new(BinaryExpr {
                op,
                left,
                right,
                return_bool,
                matching,
            })))
        }
        (wrong @ Parsed::Wrong(_), _) | (_, wrong) => wrong,
    }
}
