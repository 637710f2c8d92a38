//! The canonical text of a query, which parses back to the same tree. It has no parentheses but those it needs, so that it
//! is never nested deeper than what it was parsed from. Errors show an operation the way Tempo does.

use std::fmt::{self, Display, Formatter};

use crate::lexer::is_plain_in_attribute;
use crate::model::{Kind, Scope, Status};
use crate::{
    Aggregate, AggregateFilter, Comparison, Expr, Field, Form, Hint, Intrinsic, Literal, Metrics,
    MetricsFunction, Operator, Pattern, Pipeline, Query, Relation, SecondStage, Side, Spansets,
    Stage, UnaryOperator,
};

/// An operation as errors show it: its operands in parentheses when they are operations.
pub(crate) struct Operation<'e>(pub(crate) &'e Expr);

/// An operand of it.
pub(crate) struct Operand<'e>(pub(crate) &'e Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            simple @ (Expr::Literal(_) | Expr::Field(_)) => write!(f, "{simple}"),
            operation => write!(f, "({operation})"),
        }
    }
}

impl Display for Operation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Unary { operator, operand } => write!(f, "{operator}{}", Operand(operand)),
            Expr::Binary {
                operator,
                left,
                right,
            } => write!(f, "{} {operator} {}", Operand(left), Operand(right)),
            Expr::Matches {
                operand,
                pattern,
                negated,
            } => {
                write!(f, "{}", Operand(operand))?;
                matches(f, pattern, *negated)
            }
            other => write!(f, "{other}"),
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pipeline)?;
        if let Some(metrics) = &self.metrics {
            write!(f, " | {metrics}")?;
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        f.write_str(" with(")?;
        list(f, &self.hints)?;
        f.write_str(")")
    }
}

impl Display for Hint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, stage) in self.stages.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{stage}")?;
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spansets(spansets) => write!(f, "{spansets}"),
            Self::Aggregate(filter) => write!(f, "{filter}"),
            Self::By(expr) => write!(f, "by({expr})"),
            Self::Coalesce => f.write_str("coalesce()"),
            Self::Select(fields) => {
                f.write_str("select(")?;
                list(f, fields)?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Spansets {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_spansets(f, self, 0)
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (side, form) = match self {
            Self::And => return f.write_str("&&"),
            Self::Or => return f.write_str("||"),
            Self::Structural { side, form } => (side, form),
        };
        f.write_str(match form {
            Form::Plain => "",
            Form::Negated => "!",
            Form::Union => "&",
        })?;
        f.write_str(match side {
            Side::Child => ">",
            Side::Parent => "<",
            Side::Descendant => ">>",
            Side::Ancestor => "<<",
            Side::Sibling => "~",
        })
    }
}

impl Display for AggregateFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.aggregate, self.comparison, self.bound)
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count()"),
            Self::Avg(expr) => write!(f, "avg({expr})"),
            Self::Min(expr) => write!(f, "min({expr})"),
            Self::Max(expr) => write!(f, "max({expr})"),
            Self::Sum(expr) => write!(f, "sum({expr})"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show(f, self, 0, 0)
    }
}

impl Display for UnaryOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Not => "!",
            Self::Minus => "-",
        })
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Compare(comparison) => return write!(f, "{comparison}"),
        })
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        })
    }
}

/// As a query writes it; also the names of labels and of set attributes.
impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (scope, key) = match self {
            Self::Intrinsic(intrinsic) => return write!(f, "{intrinsic}"),
            Self::Attribute { scope, key } => (scope, key),
        };
        f.write_str(match scope {
            None => "",
            Some(Scope::Span) => "span",
            Some(Scope::Resource) => "resource",
            Some(Scope::Event) => "event",
            Some(Scope::Link) => "link",
            Some(Scope::Instrumentation) => "instrumentation",
        })?;
        // A dot and a digit without a scope would be a number.
        let is_number = scope.is_none() && key.starts_with(|c: char| c.is_ascii_digit());
        if !key.is_empty() && !is_number && key.chars().all(is_plain_in_attribute) {
            return write!(f, ".{key}");
        }
        let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, ".\"{escaped}\"")
    }
}

impl Display for Intrinsic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "duration",
            Self::Name => "name",
            Self::Status => "status",
            Self::StatusMessage => "statusMessage",
            Self::Kind => "kind",
            Self::ChildCount => "span:childCount",
            Self::RootName => "rootName",
            Self::RootServiceName => "rootServiceName",
            Self::TraceDuration => "traceDuration",
            Self::NestedSetLeft => "nestedSetLeft",
            Self::NestedSetRight => "nestedSetRight",
            Self::NestedSetParent => "nestedSetParent",
            Self::EventName => "event:name",
            Self::EventTimeSinceStart => "event:timeSinceStart",
            Self::LinkTraceId => "link:traceID",
            Self::LinkSpanId => "link:spanID",
            Self::InstrumentationName => "instrumentation:name",
            Self::InstrumentationVersion => "instrumentation:version",
            Self::TraceId => "trace:id",
            Self::SpanId => "span:id",
            Self::ParentId => "span:parentID",
        })
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            // It cannot be written in digits: the sign is an operator.
            Self::Int(i64::MIN) => f.write_str("minInt"),
            Self::Int(number) => write!(f, "{number}"),
            // With a point or an exponent, always.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::String(text) => string(f, text),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Duration(nanoseconds) => duration(f, *nanoseconds),
            Self::Status(status) => write!(f, "{status}"),
            Self::Kind(kind) => write!(f, "{kind}"),
        }
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        })
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        if !self.by.is_empty() {
            f.write_str(" by(")?;
            list(f, &self.by)?;
            f.write_str(")")?;
        }
        for stage in &self.then {
            match stage {
                SecondStage::TopK(limit) => write!(f, " | topk({limit})")?,
                SecondStage::BottomK(limit) => write!(f, " | bottomk({limit})")?,
                SecondStage::Filter(comparison, bound) => write!(f, " {comparison} {bound:?}")?,
            }
        }
        Ok(())
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate()"),
            Self::CountOverTime => f.write_str("count_over_time()"),
            Self::MinOverTime(field) => write!(f, "min_over_time({field})"),
            Self::MaxOverTime(field) => write!(f, "max_over_time({field})"),
            Self::AvgOverTime(field) => write!(f, "avg_over_time({field})"),
            Self::SumOverTime(field) => write!(f, "sum_over_time({field})"),
            Self::QuantileOverTime(field, quantiles) => {
                write!(f, "quantile_over_time({field}")?;
                for quantile in quantiles {
                    write!(f, ", {quantile:?}")?;
                }
                f.write_str(")")
            }
            Self::HistogramOverTime(field) => write!(f, "histogram_over_time({field})"),
        }
    }
}

/// Shows an expression where only operators of at least `level` may stand, with an operator of binding `next` behind it.
/// A prefix in front of an operand would take such an operator for its own if it binds strongly enough.
fn show(f: &mut Formatter<'_>, expr: &Expr, level: u8, next: u8) -> fmt::Result {
    let fits = match expr {
        Expr::Literal(literal) => return write!(f, "{literal}"),
        Expr::Field(field) => return write!(f, "{field}"),
        Expr::Unary { operator, .. } => next < operator.operand_binding(),
        Expr::Binary { operator, .. } => operator.binding() >= level,
        Expr::Matches { .. } | Expr::Exists { .. } => Operator::COMPARISON_BINDING >= level,
    };
    if fits {
        return show_operation(f, expr, next);
    }
    f.write_str("(")?;
    show_operation(f, expr, 0)?;
    f.write_str(")")
}

fn show_operation(f: &mut Formatter<'_>, expr: &Expr, next: u8) -> fmt::Result {
    let comparison = Operator::COMPARISON_BINDING;
    match expr {
        Expr::Literal(literal) => write!(f, "{literal}"),
        Expr::Field(field) => write!(f, "{field}"),
        Expr::Unary { operator, operand } => {
            write!(f, "{operator}")?;
            show(f, operand, operator.operand_binding(), next)
        }
        Expr::Binary {
            operator,
            left,
            right,
        } => {
            let binding = operator.binding();
            let is_power = *operator == Operator::Power;
            show(f, left, binding + u8::from(is_power), binding)?;
            write!(f, " {operator} ")?;
            show(f, right, binding + u8::from(!is_power), next)
        }
        Expr::Matches {
            operand,
            pattern,
            negated,
        } => {
            show(f, operand, comparison, comparison)?;
            matches(f, pattern, *negated)
        }
        Expr::Exists { operand, negated } => {
            show(f, operand, comparison, comparison)?;
            f.write_str(if *negated { " = nil" } else { " != nil" })
        }
    }
}

fn matches(f: &mut Formatter<'_>, pattern: &Pattern, negated: bool) -> fmt::Result {
    f.write_str(if negated { " !~ " } else { " =~ " })?;
    string(f, pattern.source())
}

fn show_spansets(f: &mut Formatter<'_>, spansets: &Spansets, level: u8) -> fmt::Result {
    match spansets {
        Spansets::Filter(expr) => write!(f, "{{ {expr} }}"),
        Spansets::Pipeline(pipeline) => write!(f, "({pipeline})"),
        Spansets::Operation { relation, .. } if relation.binding() < level => {
            write!(f, "({spansets})")
        }
        Spansets::Operation {
            relation,
            left,
            right,
        } => {
            show_spansets(f, left, relation.binding())?;
            write!(f, " {relation} ")?;
            show_spansets(f, right, relation.binding() + 1)
        }
    }
}

fn list(f: &mut Formatter<'_>, entries: &[impl Display]) -> fmt::Result {
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{entry}")?;
    }
    Ok(())
}

/// In backticks, as Tempo shows it, unless it holds one, or what would not be seen.
fn string(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if !text.contains(|c: char| c == '`' || c.is_control()) {
        return write!(f, "`{text}`");
    }
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// As Go writes durations: `1h0m1.5s`, `1.5ms`, `0s`.
fn duration(f: &mut Formatter<'_>, nanoseconds: i64) -> fmt::Result {
    if nanoseconds < 0 {
        f.write_str("-")?;
    }
    let rest = nanoseconds.unsigned_abs();
    let (unit, name) = match rest {
        0 => return f.write_str("0s"),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let whole = rest / unit;
    let (hours, minutes) = (whole / 3_600, whole / 60 % 60);
    let mut shown = whole;
    if unit == 1_000_000_000 && whole >= 60 {
        shown = whole % 60;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        write!(f, "{minutes}m")?;
    }
    write!(f, "{shown}")?;
    let fraction = rest % unit;
    if fraction > 0 {
        let width = unit.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}
