//! The tree of a query. Built by the parser, which checks types; shown by `display`.

use std::cmp::Ordering;

use super::Literal;
use crate::model::Scope;

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub(crate) pipeline: Pipeline,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) hints: Vec<Hint>,
}

/// `{ … } | by(…) | count() > 1`: never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Spansets(Spansets),
    Aggregate(AggregateFilter),
    By(Expr),
    Coalesce,
    Select(Vec<Field>),
}

/// What selects spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Spansets {
    /// `{ expression }`; `{ }` is `{ true }`.
    Filter(Expr),
    /// `( … | … )`, of more than a lone selection.
    Pipeline(Pipeline),
    Operation {
        relation: Relation,
        left: Box<Spansets>,
        right: Box<Spansets>,
    },
}

/// An operator between span sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    And,
    Or,
    Structural { side: Side, form: Form },
}

/// What the right span is to the left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Child,
    Parent,
    Descendant,
    Ancestor,
    Sibling,
}

/// Which spans a structural operator gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `>`: the right ones that are in the relation to some left one.
    Plain,
    /// `!>`: the right ones that are in it to none.
    Negated,
    /// `&>`: the spans of both sides that are in it.
    Union,
}

/// `avg(duration) > 1s`.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateFilter {
    pub aggregate: Aggregate,
    pub comparison: Comparison,
    /// A number.
    pub bound: Literal,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    Count,
    Avg(Expr),
    Min(Expr),
    Max(Expr),
    Sum(Expr),
}

/// An expression over one span.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Literal(Literal),
    Field(Field),
    Unary {
        operator: UnaryOperator,
        operand: Box<Expr>,
    },
    Binary {
        operator: Operator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `=~` and, negated, `!~`.
    Matches {
        operand: Box<Expr>,
        pattern: Pattern,
        negated: bool,
    },
    /// `!= nil` and, negated, `= nil`.
    Exists {
        operand: Box<Expr>,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    Not,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    And,
    Or,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Compare(Comparison),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

/// A compiled regular expression, anchored at both ends; `.` matches line ends.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(crate) source: String,
    pub(crate) regex: regex::Regex,
}

/// What is read of a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Without a scope: of the span, else of the resource.
    Attribute {
        scope: Option<Scope>,
        key: String,
    },
    Intrinsic(Intrinsic),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    ChildCount,
    RootName,
    RootServiceName,
    TraceDuration,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
    TraceId,
    SpanId,
    ParentId,
}

/// The metrics end of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    pub function: MetricsFunction,
    pub by: Vec<Field>,
    pub then: Vec<SecondStage>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetricsFunction {
    Rate,
    CountOverTime,
    MinOverTime(Field),
    MaxOverTime(Field),
    AvgOverTime(Field),
    SumOverTime(Field),
    /// Quantiles between 0 and 1.
    QuantileOverTime(Field, Vec<f64>),
    HistogramOverTime(Field),
}

/// What is done with the finished series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SecondStage {
    TopK(usize),
    BottomK(usize),
    /// Samples that do not compare are dropped.
    Filter(Comparison, f64),
}

/// `name=value` of `with(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    pub name: String,
    pub value: Literal,
}

impl Query {
    pub fn is_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// The value of a hint. None changes what is found: samples are always exact, results always the newest.
    pub fn hint(&self, name: &str) -> Option<&Literal> {
        let hint = self.hints.iter().find(|hint| hint.name == name);
        hint.map(|hint| &hint.value)
    }
}

/// How strongly operators bind, as in Tempo: `&&` and `||` alike.
impl Operator {
    pub(crate) const COMPARISON_BINDING: u8 = 2;

    pub(crate) fn binding(self) -> u8 {
        match self {
            Self::And | Self::Or => 1,
            Self::Compare(_) => Self::COMPARISON_BINDING,
            Self::Add | Self::Subtract => 3,
            Self::Multiply | Self::Divide | Self::Modulo => 5,
            Self::Power => 6,
        }
    }
}

impl UnaryOperator {
    /// How strongly an operator has to bind to belong to the operand: `-a * b` is `-(a * b)`, `!a = b` is `(!a) = b`.
    pub(crate) fn operand_binding(self) -> u8 {
        match self {
            Self::Minus => 4,
            Self::Not => 5,
        }
    }
}

impl Relation {
    pub(crate) fn binding(self) -> u8 {
        match self {
            Self::And | Self::Or => 1,
            Self::Structural { .. } => 2,
        }
    }
}

impl Comparison {
    pub(crate) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
        }
    }

    /// With the operands exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            same @ (Self::Equal | Self::NotEqual) => same,
        }
    }
}

impl Aggregate {
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Count => None,
            Self::Avg(expr) | Self::Min(expr) | Self::Max(expr) | Self::Sum(expr) => Some(expr),
        }
    }
}

impl MetricsFunction {
    pub(crate) fn field(&self) -> Option<&Field> {
        match self {
            Self::Rate | Self::CountOverTime => None,
            Self::MinOverTime(field)
            | Self::MaxOverTime(field)
            | Self::AvgOverTime(field)
            | Self::SumOverTime(field)
            | Self::QuantileOverTime(field, _)
            | Self::HistogramOverTime(field) => Some(field),
        }
    }
}

impl Pattern {
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
