//! What a query must satisfy beyond its grammar: types of operands, what may be grouped and aggregated, bounds of
//! numbers. Types of attributes are only known when a span is there, so they fit everything.

use conventions::resource::SERVICE_NAME;

use crate::display::{Operand, Operation};
use crate::model::Scope;
use crate::{
    Aggregate, Comparison, Expr, Field, Intrinsic, Literal, Metrics, MetricsFunction, Operator,
    ParseError, Pipeline, Query, SecondStage, Spansets, Stage, UnaryOperator,
};

/// Fields of `by()` of a metrics query, as in Tempo.
const GROUPED_BY_MAX: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Of an attribute.
    Any,
    Number,
    String,
    Bool,
    Status,
    Kind,
}

pub(crate) fn query(query: &Query) -> Result<(), ParseError> {
    pipeline(&query.pipeline)?;
    query.metrics.as_ref().map_or(Ok(()), metrics)
}

/// The pattern out of the right side of `=~` or `!~`.
pub(crate) fn pattern(operand: &Expr, negated: bool, right: Expr) -> Result<String, ParseError> {
    let right = match right {
        Expr::Literal(Literal::String(source)) => return Ok(source),
        other => other,
    };
    expr(operand)?;
    expr(&right)?;
    let operator = if negated { "!~" } else { "=~" };
    let shown = format!("{} {operator} {}", Operand(operand), Operand(&right));
    let types = [type_of(operand), type_of(&right)];
    if !fit(types[0], types[1]) {
        return Err(different_types(&shown));
    }
    if types
        .iter()
        .any(|of| !matches!(of, Type::Any | Type::String))
    {
        return Err(illegal_types(&shown));
    }
    Err(invalid(format!(
        "invalid type for =~ or !~: {}",
        Operand(&right)
    )))
}

fn pipeline(pipeline: &Pipeline) -> Result<(), ParseError> {
    for stage in &pipeline.stages {
        match stage {
            Stage::Spansets(selected) => spansets(selected)?,
            Stage::Aggregate(filter) => aggregate(&filter.aggregate)?,
            Stage::By(by) => {
                if !reads_span(by) {
                    return Err(invalid(format!(
                        "grouping field expressions must reference the span: by({by})"
                    )));
                }
                expr(by)?;
            }
            Stage::Coalesce | Stage::Select(_) => {}
        }
    }
    Ok(())
}

fn spansets(selected: &Spansets) -> Result<(), ParseError> {
    match selected {
        Spansets::Filter(filter) => {
            expr(filter)?;
            if matches!(type_of(filter), Type::Any | Type::Bool) {
                return Ok(());
            }
            Err(invalid(format!(
                "span filter field expressions must resolve to a boolean: {selected}"
            )))
        }
        Spansets::Pipeline(inner) => pipeline(inner),
        Spansets::Operation { left, right, .. } => {
            spansets(left)?;
            spansets(right)
        }
    }
}

fn aggregate(aggregate: &Aggregate) -> Result<(), ParseError> {
    let Some(of) = aggregate.expr() else {
        return Ok(());
    };
    expr(of)?;
    if !matches!(type_of(of), Type::Any | Type::Number) {
        return Err(invalid(format!(
            "aggregate field expressions must resolve to a number type: {aggregate}"
        )));
    }
    if !reads_span(of) {
        return Err(invalid(format!(
            "aggregate field expressions must reference the span: {aggregate}"
        )));
    }
    Ok(())
}

fn metrics(metrics: &Metrics) -> Result<(), ParseError> {
    // Buckets are a group of their own.
    let bucketed = matches!(
        metrics.function,
        MetricsFunction::QuantileOverTime(..) | MetricsFunction::HistogramOverTime(_)
    );
    let groups = metrics.by.len();
    if groups + usize::from(bucketed) > GROUPED_BY_MAX {
        return Err(invalid(format!(
            "metrics group by {groups} values not yet supported"
        )));
    }
    if let MetricsFunction::QuantileOverTime(_, quantiles) = &metrics.function
        && let Some(wrong) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q))
    {
        return Err(invalid(format!(
            "quantile must be between 0 and 1: {wrong}"
        )));
    }
    let is_empty = |stage: &SecondStage| matches!(stage, SecondStage::TopK(limit) | SecondStage::BottomK(limit) if *limit == 0);
    if metrics.then.iter().any(is_empty) {
        return Err(invalid("limit must be greater than 0".to_owned()));
    }
    Ok(())
}

fn expr(checked: &Expr) -> Result<(), ParseError> {
    match checked {
        Expr::Literal(_) | Expr::Field(_) => Ok(()),
        Expr::Unary { operator, operand } => {
            expr(operand)?;
            let of = type_of(operand);
            let needed = match operator {
                UnaryOperator::Not => Type::Bool,
                UnaryOperator::Minus => Type::Number,
            };
            if of == Type::Any || of == needed {
                return Ok(());
            }
            Err(invalid(format!(
                "illegal operation for the given type: {}",
                Operation(checked)
            )))
        }
        Expr::Binary {
            operator,
            left,
            right,
        } => {
            expr(left)?;
            expr(right)?;
            let (left, right) = (type_of(left), type_of(right));
            if !fit(left, right) {
                return Err(different_types(Operation(checked)));
            }
            if !(is_legal(*operator, left) && is_legal(*operator, right)) {
                return Err(illegal_types(Operation(checked)));
            }
            Ok(())
        }
        Expr::Matches { operand, .. } => {
            expr(operand)?;
            if fit(type_of(operand), Type::String) {
                return Ok(());
            }
            Err(different_types(Operation(checked)))
        }
        Expr::Exists { operand, negated } => {
            expr(operand)?;
            if *negated {
                may_be_nil(operand)?;
            }
            Ok(())
        }
    }
}

fn may_be_nil(operand: &Expr) -> Result<(), ParseError> {
    let Expr::Field(field) = operand else {
        return Ok(());
    };
    let what = match field {
        Field::Intrinsic(_) => "intrinsics".to_owned(),
        Field::Attribute {
            scope: Some(Scope::Resource),
            key,
        } if key == SERVICE_NAME => field.to_string(),
        Field::Attribute { .. } => return Ok(()),
    };
    Err(invalid(format!(
        "{field}=nil is not valid because {what} cannot be nil"
    )))
}

fn type_of(expr: &Expr) -> Type {
    match expr {
        Expr::Literal(literal) => match literal {
            Literal::Nil => Type::Any,
            Literal::Int(_) | Literal::Float(_) | Literal::Duration(_) => Type::Number,
            Literal::String(_) => Type::String,
            Literal::Bool(_) => Type::Bool,
            Literal::Status(_) => Type::Status,
            Literal::Kind(_) => Type::Kind,
        },
        Expr::Field(Field::Attribute { .. }) => Type::Any,
        Expr::Field(Field::Intrinsic(intrinsic)) => type_of_intrinsic(*intrinsic),
        Expr::Unary { operand, .. } => type_of(operand),
        Expr::Binary {
            operator,
            left,
            right,
        } => match operator {
            Operator::And | Operator::Or | Operator::Compare(_) => Type::Bool,
            _ => match type_of(left) {
                Type::Any => type_of(right),
                known => known,
            },
        },
        Expr::Matches { .. } | Expr::Exists { .. } => Type::Bool,
    }
}

fn type_of_intrinsic(intrinsic: Intrinsic) -> Type {
    match intrinsic {
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        Intrinsic::Duration
        | Intrinsic::ChildCount
        | Intrinsic::TraceDuration
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::EventTimeSinceStart => Type::Number,
        // Without a type of their own in Tempo, too.
        Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion => Type::Any,
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::RootName
        | Intrinsic::RootServiceName
        | Intrinsic::EventName
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::TraceId
        | Intrinsic::SpanId
        | Intrinsic::ParentId => Type::String,
    }
}

fn reads_span(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => false,
        Expr::Field(_) => true,
        Expr::Unary { operand, .. }
        | Expr::Matches { operand, .. }
        | Expr::Exists { operand, .. } => reads_span(operand),
        Expr::Binary { left, right, .. } => reads_span(left) || reads_span(right),
    }
}

fn fit(left: Type, right: Type) -> bool {
    left == Type::Any || right == Type::Any || left == right
}

fn is_legal(operator: Operator, of: Type) -> bool {
    let is_equality = matches!(
        operator,
        Operator::Compare(Comparison::Equal | Comparison::NotEqual)
    );
    let is_logic = matches!(operator, Operator::And | Operator::Or);
    let is_comparison = matches!(operator, Operator::Compare(_));
    match of {
        Type::Any => true,
        Type::Number => !is_logic,
        Type::String => is_comparison,
        Type::Bool => is_logic || is_equality,
        Type::Status | Type::Kind => is_equality,
    }
}

fn different_types(shown: impl std::fmt::Display) -> ParseError {
    invalid(format!(
        "binary operations must operate on the same type: {shown}"
    ))
}

fn illegal_types(shown: impl std::fmt::Display) -> ParseError {
    invalid(format!("illegal operation for the given types: {shown}"))
}

fn invalid(reason: String) -> ParseError {
    ParseError::Invalid(reason)
}
