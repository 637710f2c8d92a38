//! What a query is made of once it has been parsed and checked. No text, no evaluation: see `print` and `engine`.

use std::sync::Arc;

use tsdb::Matcher;

use crate::line::LineTest;
use crate::stages::{ip::IpMatcher, json_path::JsonPath, pattern::Pattern, template::Template};

/// A query: lines, or numbers computed from lines.
#[derive(Clone, Debug)]
pub enum Expr {
    Log(LogExpr),
    Metric(MetricExpr),
}

/// Streams, and what happens to their lines.
#[derive(Clone, Debug)]
pub struct LogExpr {
    pub(crate) selector: Arc<Selector>,
    pub(crate) stages: Vec<Stage>,
}

impl LogExpr {
    /// What labels of streams have to be.
    pub fn matchers(&self) -> &[Matcher] {
        &self.selector.compiled
    }

    /// Whether lines are taken as they are.
    pub fn is_selector(&self) -> bool {
        self.stages.is_empty()
    }
}

/// Conditions as they were written, and the same ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) written: Vec<Condition>,
    pub(crate) compiled: Vec<Matcher>,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) name: Box<str>,
    pub(crate) op: MatchOp,
    pub(crate) value: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// One step of a pipeline.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Lines(Vec<LineFilter>),
    Json(Vec<JsonParameter>),
    Logfmt(Logfmt),
    Regexp {
        written: Box<str>,
        regex: regex::bytes::Regex,
        /// The names of the groups that have one, by their number.
        names: Vec<(usize, Box<str>)>,
    },
    Pattern {
        written: Box<str>,
        pattern: Pattern,
    },
    Unpack,
    Labels(LabelFilter),
    LineFormat(Template),
    LabelFormat(Vec<LabelFormat>),
    Decolorize,
    Drop(Vec<Named>),
    Keep(Vec<Named>),
}

/// A test of the line: one of the alternatives holds, or none of one when negated.
#[derive(Clone, Debug)]
pub(crate) struct LineFilter {
    pub(crate) op: LineOp,
    pub(crate) alternatives: Vec<LineMatch>,
}

#[derive(Clone, Debug)]
pub(crate) struct LineMatch {
    pub(crate) written: Box<str>,
    /// Written as `ip("…")`.
    pub(crate) ip: bool,
    pub(crate) test: LineTest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineOp {
    Contains,
    NotContains,
    Regex,
    NotRegex,
    Pattern,
    NotPattern,
}

impl LineOp {
    pub(crate) fn is_negated(self) -> bool {
        matches!(self, Self::NotContains | Self::NotRegex | Self::NotPattern)
    }
}

/// `name="path"` of `json`.
#[derive(Clone, Debug)]
pub(crate) struct JsonParameter {
    pub(crate) name: Box<str>,
    pub(crate) written: Box<str>,
    pub(crate) path: JsonPath,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Logfmt {
    pub(crate) strict: bool,
    pub(crate) keep_empty: bool,
    /// `name="key"`; without any, all keys become labels.
    pub(crate) parameters: Vec<LogfmtParameter>,
}

#[derive(Clone, Debug)]
pub(crate) struct LogfmtParameter {
    pub(crate) name: Box<str>,
    pub(crate) written: Box<str>,
    pub(crate) key: Box<str>,
}

#[derive(Clone, Debug)]
pub(crate) enum LabelFilter {
    Text {
        condition: Condition,
        matcher: Matcher,
    },
    Number {
        name: Box<str>,
        op: CompareOp,
        value: f64,
    },
    Duration {
        name: Box<str>,
        op: CompareOp,
        ns: i64,
    },
    Bytes {
        name: Box<str>,
        op: CompareOp,
        bytes: u64,
    },
    Ip {
        name: Box<str>,
        negated: bool,
        written: Box<str>,
        ip: IpMatcher,
    },
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompareOp {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

impl CompareOp {
    pub(crate) fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        }
    }
}

/// One assignment of `label_format`.
#[derive(Clone, Debug)]
pub(crate) struct LabelFormat {
    pub(crate) name: Box<str>,
    pub(crate) value: LabelValue,
}

#[derive(Clone, Debug)]
pub(crate) enum LabelValue {
    Rename(Box<str>),
    Template(Template),
}

/// What `drop` and `keep` take: a name, or a condition.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    Name(Box<str>),
    Condition(Condition, Matcher),
}

/// Numbers: series over time.
#[derive(Clone, Debug)]
pub enum MetricExpr {
    Literal(f64),
    /// `vector(1)`.
    Vector(f64),
    /// A function over a range of lines.
    Range(Box<RangeExpr>),
    Aggregate(Box<AggregateExpr>),
    Binary(Box<BinaryExpr>),
    LabelReplace(Box<LabelReplaceExpr>),
}

#[derive(Clone, Debug)]
pub struct RangeExpr {
    pub(crate) op: RangeOp,
    /// Of `quantile_over_time`.
    pub(crate) parameter: Option<f64>,
    pub(crate) log: LogExpr,
    pub(crate) unwrap: Option<Unwrap>,
    pub(crate) range_ns: i64,
    pub(crate) offset_ns: i64,
    pub(crate) grouping: Option<Grouping>,
}

#[derive(Clone, Debug)]
pub(crate) struct Unwrap {
    pub(crate) label: Box<str>,
    pub(crate) conversion: Conversion,
    pub(crate) filters: Vec<LabelFilter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    None,
    Bytes,
    Duration,
    DurationSeconds,
}

impl Conversion {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RangeOp {
    Count,
    Rate,
    RateCounter,
    Bytes,
    BytesRate,
    Avg,
    Sum,
    Min,
    Max,
    Stdvar,
    Stddev,
    Quantile,
    First,
    Last,
    Absent,
}

impl RangeOp {
    /// With the names that queries use.
    pub(crate) const ALL: [(&'static str, Self); 15] = [
        ("count_over_time", Self::Count),
        ("rate", Self::Rate),
        ("rate_counter", Self::RateCounter),
        ("bytes_over_time", Self::Bytes),
        ("bytes_rate", Self::BytesRate),
        ("avg_over_time", Self::Avg),
        ("sum_over_time", Self::Sum),
        ("min_over_time", Self::Min),
        ("max_over_time", Self::Max),
        ("stdvar_over_time", Self::Stdvar),
        ("stddev_over_time", Self::Stddev),
        ("quantile_over_time", Self::Quantile),
        ("first_over_time", Self::First),
        ("last_over_time", Self::Last),
        ("absent_over_time", Self::Absent),
    ];

    pub(crate) fn text(self) -> &'static str {
        name_of(&Self::ALL, self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) labels: Vec<Box<str>>,
}

impl Grouping {
    /// `by ()`: one group of everything.
    pub(crate) fn is_single(&self) -> bool {
        !self.without && self.labels.is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct AggregateExpr {
    pub(crate) op: AggregateOp,
    /// Of `topk` and `bottomk`.
    pub(crate) parameter: Option<usize>,
    pub(crate) inner: MetricExpr,
    pub(crate) grouping: Grouping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    Stddev,
    Stdvar,
    BottomK,
    TopK,
    Sort,
    SortDesc,
    /// Known by name, refused.
    ApproxTopK,
}

impl AggregateOp {
    /// With the names that queries use.
    pub(crate) const ALL: [(&'static str, Self); 12] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("max", Self::Max),
        ("min", Self::Min),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("bottomk", Self::BottomK),
        ("topk", Self::TopK),
        ("sort", Self::Sort),
        ("sort_desc", Self::SortDesc),
        ("approx_topk", Self::ApproxTopK),
    ];

    pub(crate) fn text(self) -> &'static str {
        name_of(&Self::ALL, self)
    }
}

#[derive(Clone, Debug)]
pub struct BinaryExpr {
    pub(crate) op: BinaryOp,
    pub(crate) left: MetricExpr,
    pub(crate) right: MetricExpr,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    /// `on` or `ignoring` was written, with these labels.
    pub(crate) labels: Option<Vec<Box<str>>>,
    pub(crate) on: bool,
    /// What `group_left` and `group_right` take over; none without parentheses.
    pub(crate) include: Option<Vec<Box<str>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Cardinality {
    #[default]
    OneToOne,
    ManyToOne,
    OneToMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Or,
    And,
    Unless,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Compare(CompareOp),
}

impl BinaryOp {
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Compare(op) => op.text(),
        }
    }

    /// Higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Compare(_) => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
        }
    }
}

#[derive(Clone, Debug)]
pub struct LabelReplaceExpr {
    pub(crate) inner: MetricExpr,
    pub(crate) target: Box<str>,
    pub(crate) replacement: Box<str>,
    pub(crate) source: Box<str>,
    pub(crate) written: Box<str>,
    pub(crate) regex: regex::Regex,
}

fn name_of<T: PartialEq + Copy>(names: &[(&'static str, T)], op: T) -> &'static str {
    names
        .iter()
        .find(|(_, other)| *other == op)
        .map_or("", |(name, _)| name)
}
