//! What an expression is, once parsed: nodes, operators, selectors, each with its place in the text.
//!
//! Times are milliseconds. Nothing is computed here; `parse` makes these, `print` writes them, `eval` computes them.

use std::{fmt, sync::Arc};

use tsdb::Matcher;

use crate::functions::Function;
use crate::length::Length;

/// A parsed and checked expression. Cheap to clone.
#[derive(Clone)]
pub struct Expr {
    pub(crate) text: Arc<str>,
    pub(crate) root: Arc<Node>,
    /// Whether a length in it has to be computed.
    pub(crate) has_formulas: bool,
}

/// The four kinds of result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    String,
    /// An instant vector.
    Vector,
    /// A range vector.
    Matrix,
}

/// Where a node stands in the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    /// How many nodes stand above each other, this one included.
    pub(crate) height: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Number {
        value: f64,
        /// Written as a duration (`5m`), and printed as one.
        duration: bool,
    },
    Text(Box<str>),
    Selector(Selector),
    Range {
        selector: Selector,
        range: Length,
    },
    Subquery(Subquery),
    Call {
        function: &'static Function,
        args: Vec<Node>,
    },
    Aggregate(Aggregate),
    Binary(Binary),
    Unary {
        negate: bool,
        inner: Box<Node>,
    },
    Paren(Box<Node>),
}

/// `name{matchers} @ at offset …`.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// The name that stands before the braces.
    pub(crate) name: Option<Box<str>>,
    /// All conditions, that of `name` last.
    pub(crate) matchers: Vec<LabelMatch>,
    pub(crate) when: When,
}

/// A condition as it was written, and as it is applied.
#[derive(Clone, Debug)]
pub(crate) struct LabelMatch {
    pub(crate) operator: MatchOp,
    pub(crate) value: Box<str>,
    pub(crate) matcher: Matcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// The modifiers of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    pub(crate) offset: Length,
    pub(crate) at: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    Ms(i64),
    Start,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) inner: Box<Node>,
    pub(crate) range: Length,
    /// Unset: the engine's own step.
    pub(crate) step: Length,
    pub(crate) when: When,
}

#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: Aggregator,
    pub(crate) param: Option<Box<Node>>,
    pub(crate) inner: Box<Node>,
    pub(crate) without: bool,
    /// As written.
    pub(crate) labels: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    /// Where the operator stands.
    pub(crate) op_at: usize,
    pub(crate) left: Box<Node>,
    pub(crate) right: Box<Node>,
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// `on` rather than `ignoring`.
    pub(crate) on: bool,
    pub(crate) labels: Vec<Box<str>>,
    pub(crate) cardinality: Cardinality,
    /// Labels that `group_left` and `group_right` take from the side of the one.
    pub(crate) include: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
    /// `</` and `>/` act on native histograms, which are never stored here.
    TrimUpper,
    TrimLower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregator {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl Expr {
    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn value_type(&self) -> ValueType {
        self.root.value_type()
    }

    /// The conditions of each selector in it, in the order of the text.
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        let mut found = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Selector(selector) | Kind::Range { selector, .. } = &node.kind {
                found.push(selector.conditions());
            }
        });
        found
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.text).finish()
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
        })
    }
}

impl ValueType {
    /// The name in messages about types.
    pub(crate) fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl Node {
    pub(crate) fn new(span: Span, kind: Kind) -> Self {
        let mut node = Self {
            span,
            kind,
            height: 1,
        };
        let highest = node.children().iter().map(|child| child.height).max();
        node.height += highest.unwrap_or(0);
        node
    }

    pub(crate) fn value_type(&self) -> ValueType {
        match &self.kind {
            Kind::Number { .. } => ValueType::Scalar,
            Kind::Text(_) => ValueType::String,
            Kind::Selector(_) | Kind::Aggregate(_) => ValueType::Vector,
            Kind::Range { .. } | Kind::Subquery(_) => ValueType::Matrix,
            Kind::Call { function, .. } => function.returns,
            Kind::Unary { inner, .. } | Kind::Paren(inner) => inner.value_type(),
            Kind::Binary(binary) => {
                let scalars = [&binary.left, &binary.right]
                    .iter()
                    .all(|side| side.value_type() == ValueType::Scalar);
                if scalars {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
        }
    }

    /// What stands inside parentheses, which mean nothing once the tree is built.
    pub(crate) fn bare(&self) -> &Self {
        match &self.kind {
            Kind::Paren(inner) => inner.bare(),
            _ => self,
        }
    }

    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number { .. } | Kind::Text(_) | Kind::Selector(_) | Kind::Range { .. } => {
                Vec::new()
            }
            Kind::Subquery(subquery) => vec![&subquery.inner],
            Kind::Call { args, .. } => args.iter().collect(),
            Kind::Aggregate(aggregate) => aggregate
                .param
                .iter()
                .map(AsRef::as_ref)
                .chain([aggregate.inner.as_ref()])
                .collect(),
            Kind::Binary(binary) => vec![&binary.left, &binary.right],
            Kind::Unary { inner, .. } | Kind::Paren(inner) => vec![inner],
        }
    }

    pub(crate) fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            Kind::Number { .. } | Kind::Text(_) | Kind::Selector(_) | Kind::Range { .. } => {
                Vec::new()
            }
            Kind::Subquery(subquery) => vec![&mut subquery.inner],
            Kind::Call { args, .. } => args.iter_mut().collect(),
            Kind::Aggregate(aggregate) => aggregate
                .param
                .iter_mut()
                .map(AsMut::as_mut)
                .chain([aggregate.inner.as_mut()])
                .collect(),
            Kind::Binary(binary) => vec![&mut binary.left, &mut binary.right],
            Kind::Unary { inner, .. } | Kind::Paren(inner) => vec![inner],
        }
    }

    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Self)) {
        see(self);
        for child in self.children() {
            child.visit(see);
        }
    }
}

impl Selector {
    pub(crate) fn conditions(&self) -> Vec<Matcher> {
        self.matchers
            .iter()
            .map(|written| written.matcher.clone())
            .collect()
    }
}

impl MatchOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl BinaryOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    /// How tightly it binds: higher before lower.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub(crate) fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether the result measures something else than its operands, so that the metric's name no longer fits.
    pub(crate) fn changes_meaning(self) -> bool {
        !self.is_comparison() && !self.is_set()
    }
}

impl Aggregator {
    const ALL: [(Self, &'static str); 14] = [
        (Self::Sum, "sum"),
        (Self::Avg, "avg"),
        (Self::Count, "count"),
        (Self::Min, "min"),
        (Self::Max, "max"),
        (Self::Group, "group"),
        (Self::Stddev, "stddev"),
        (Self::Stdvar, "stdvar"),
        (Self::Topk, "topk"),
        (Self::Bottomk, "bottomk"),
        (Self::CountValues, "count_values"),
        (Self::Quantile, "quantile"),
        (Self::Limitk, "limitk"),
        (Self::LimitRatio, "limit_ratio"),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(aggregator, _)| *aggregator)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == self)
            .map_or("", |(_, name)| name)
    }

    pub(crate) fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }

    pub(crate) fn takes_param(self) -> bool {
        self.is_experimental()
            || matches!(
                self,
                Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile
            )
    }
}
