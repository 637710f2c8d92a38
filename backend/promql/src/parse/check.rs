//! What the grammar alone does not decide: types of operands and arguments, numbers of arguments, vector matching,
//! selectors that select everything. Order and words of the errors are those of Prometheus.

use tsdb::Match;

use super::literal::quote;
use crate::ast::{Aggregate, Aggregator, Binary, Cardinality, Kind, Node, Selector, ValueType};
use crate::functions::{Function, Optional};
use crate::labels::NAME;

/// Where, and why.
type Refused = Result<(), (usize, String)>;

pub(super) fn check(node: &Node) -> Refused {
    let at = node.span.start;
    match &node.kind {
        Kind::Number { .. } | Kind::Text(_) => Ok(()),
        Kind::Selector(selector) | Kind::Range { selector, .. } => check_selector(selector, at),
        Kind::Paren(inner) => check(inner),
        Kind::Unary { inner, .. } => {
            check(inner)?;
            match inner.value_type() {
                ValueType::Scalar | ValueType::Vector => Ok(()),
                other => Err((
                    at,
                    format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(other.documented())
                    ),
                )),
            }
        }
        Kind::Subquery(subquery) => {
            check(&subquery.inner)?;
            match subquery.inner.value_type() {
                ValueType::Vector => Ok(()),
                other => Err((
                    at,
                    format!("subquery is only allowed on instant vector, got {other} instead"),
                )),
            }
        }
        Kind::Call { function, args } => check_call(function, args, at),
        Kind::Aggregate(aggregate) => check_aggregate(aggregate),
        Kind::Binary(binary) => check_binary(binary, at),
    }
}

fn check_selector(selector: &Selector, at: usize) -> Refused {
    if let Some(name) = &selector.name {
        let within = &selector.matchers[..selector.matchers.len() - 1];
        if let Some(second) = within.iter().find(|written| &*written.matcher.name == NAME) {
            let (name, second) = (quote(name), quote(&second.value));
            return Err((
                at,
                format!("metric name must not be set twice: {name} or {second}"),
            ));
        }
        return Ok(());
    }
    let narrows = |matches: &Match| !matches.holds("");
    if selector
        .matchers
        .iter()
        .any(|written| narrows(&written.matcher.matches))
    {
        return Ok(());
    }
    Err((
        at,
        "vector selector must contain at least one non-empty matcher".into(),
    ))
}

fn check_call(function: &Function, args: &[Node], at: usize) -> Refused {
    let listed = function.args.len();
    let name = quote(function.name);
    let given = args.len();
    match function.optional {
        Optional::None if listed != given => {
            return Err((
                at,
                format!("expected {listed} argument(s) in call to {name}, got {given}"),
            ));
        }
        Optional::Last | Optional::Repeated if given + 1 < listed => {
            let least = listed - 1;
            return Err((
                at,
                format!("expected at least {least} argument(s) in call to {name}, got {given}"),
            ));
        }
        Optional::Last if given > listed => {
            return Err((
                at,
                format!("expected at most {listed} argument(s) in call to {name}, got {given}"),
            ));
        }
        _ => {}
    }
    for (index, arg) in args.iter().enumerate() {
        check(arg)?;
        let wanted = function.args[index.min(listed - 1)];
        expect_type(arg, wanted, &format!("call to function {name}"))?;
    }
    Ok(())
}

fn check_aggregate(aggregate: &Aggregate) -> Refused {
    check(&aggregate.inner)?;
    expect_type(
        &aggregate.inner,
        ValueType::Vector,
        "aggregation expression",
    )?;
    let Some(param) = &aggregate.param else {
        return Ok(());
    };
    check(param)?;
    let wanted = match aggregate.op {
        Aggregator::CountValues => ValueType::String,
        _ => ValueType::Scalar,
    };
    expect_type(param, wanted, "aggregation parameter")
}

fn expect_type(node: &Node, wanted: ValueType, place: &str) -> Refused {
    let found = node.value_type();
    if found == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.documented(), found.documented());
    Err((
        node.span.start,
        format!("expected type {wanted} in {place}, got {found}"),
    ))
}

fn check_binary(binary: &Binary, at: usize) -> Refused {
    check(&binary.left)?;
    check(&binary.right)?;
    let (left, right) = (binary.left.value_type(), binary.right.value_type());
    let (op, matching) = (binary.op, &binary.matching);
    let refuse = |at: usize, reason: String| Err((at, reason));
    if binary.returns_bool && !op.is_comparison() {
        let reason = "bool modifier can only be used on comparison operators";
        return refuse(binary.op_at, reason.into());
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if op.is_comparison() && !binary.returns_bool && scalars {
        let reason = "comparisons between scalars must use BOOL modifier";
        return refuse(binary.op_at, reason.into());
    }
    if let Some(label) = matching
        .labels
        .iter()
        .find(|label| matching.on && matching.include.contains(label))
    {
        let label = quote(label);
        let reason = format!("label {label} must not occur in ON and GROUP clause at once");
        return refuse(binary.op_at, reason);
    }
    for side in [&binary.left, &binary.right] {
        if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
            let reason = "binary expression must contain only scalar and instant vector types";
            return refuse(side.span.start, reason.into());
        }
    }
    if left != ValueType::Vector || right != ValueType::Vector {
        if !matching.labels.is_empty() {
            let reason = "vector matching only allowed between instant vectors";
            return refuse(at, reason.into());
        }
        if op.is_set() {
            let op = quote(op.symbol());
            let reason = format!("set operator {op} not allowed in binary scalar expression");
            return refuse(at, reason);
        }
    } else if op.is_set() && matching.cardinality != Cardinality::OneToOne {
        let op = quote(op.symbol());
        return refuse(at, format!("no grouping allowed for {op} operation"));
    }
    Ok(())
}
