//! What a trace must have to match: conditions that an index can look up before a query is evaluated.
//!
//! Only ever necessary, never sufficient: what no condition can say (negations, `!=`, `= nil`, arithmetic, comparisons of
//! two fields) leaves all traces in.

mod condition;

use crate::model::{AttributeValue, Kind, Status};
use crate::{Expr, Form, Operator, Pipeline, Query, Relation, Spansets, Stage};

/// More alternatives than this say nothing: each costs a look-up of its own.
pub const CONJUNCTIONS_MAX: usize = 64;

/// What is necessary for a match.
#[derive(Clone, Debug, PartialEq)]
pub enum Candidates {
    /// Nothing can be said.
    All,
    /// Every matching trace has, for at least one of these, a span for which it holds wholly. Never empty.
    AnyOf(Vec<Conjunction>),
}

/// All of these hold for one span. Never empty.
pub type Conjunction = Vec<Condition>;

/// Something an index knows of a span. What is said of an attribute holds in any scope (span, resource, event, link,
/// instrumentation) and for any element of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    HasAttribute(String),
    /// One of the values. Numbers are compared as doubles.
    Attribute {
        key: String,
        any_of: Vec<AttributeValue>,
    },
    Name(Vec<String>),
    Status(Vec<Status>),
    Kind(Vec<Kind>),
    /// Nanoseconds, both ends included.
    Duration {
        min_ns: u64,
        max_ns: u64,
    },
}

impl Query {
    /// The traces that may match the spanset part of the query, also of a metrics query.
    pub fn candidates(&self) -> Candidates {
        match of_pipeline(&self.pipeline) {
            Some(need) => Candidates::AnyOf(need.any_of),
            None => Candidates::All,
        }
    }
}

/// What is necessary; nothing known is `None`.
type Known = Option<Need>;

struct Need {
    any_of: Vec<Conjunction>,
    /// Whether it is the matching span itself that has it, and not only some span of the trace.
    of_the_span: bool,
}

/// Each stage lets only spans through that the ones before let through.
fn of_pipeline(pipeline: &Pipeline) -> Known {
    let of_stage = |stage: &Stage| match stage {
        Stage::Spansets(spansets) => of_spansets(spansets),
        Stage::Aggregate(_) | Stage::By(_) | Stage::Coalesce | Stage::Select(_) => None,
    };
    pipeline.stages.iter().map(of_stage).fold(None, better)
}

/// What some span of the trace needs.
fn of_spansets(spansets: &Spansets) -> Known {
    let (relation, left, right) = match spansets {
        Spansets::Filter(expr) => return of_expr(expr),
        Spansets::Pipeline(pipeline) => return of_pipeline(pipeline),
        Spansets::Operation {
            relation,
            left,
            right,
        } => (relation, left, right),
    };
    match relation {
        Relation::Or => either(of_spansets(left), of_spansets(right)),
        Relation::Structural {
            form: Form::Negated,
            ..
        } => of_spansets(right),
        Relation::And | Relation::Structural { .. } => {
            better(of_spansets(left), of_spansets(right))
        }
    }
}

fn of_expr(expr: &Expr) -> Known {
    match expr {
        Expr::Binary {
            operator: Operator::And,
            left,
            right,
        } => both(of_expr(left), of_expr(right)),
        Expr::Binary {
            operator: Operator::Or,
            left,
            right,
        } => either(of_expr(left), of_expr(right)),
        single => condition::of(single).map(|(condition, of_the_span)| Need {
            any_of: vec![vec![condition]],
            of_the_span,
        }),
    }
}

/// Both hold for one span, when both speak of it.
fn both(left: Known, right: Known) -> Known {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (known, None) | (None, known) => return known,
    };
    let products = left.any_of.len() * right.any_of.len();
    if !(left.of_the_span && right.of_the_span) || products > CONJUNCTIONS_MAX {
        return better(Some(left), Some(right));
    }
    let pairs = left
        .any_of
        .iter()
        .flat_map(|first| right.any_of.iter().map(move |second| (first, second)));
    Some(Need {
        any_of: pairs
            .map(|(first, second)| [first.as_slice(), second].concat())
            .collect(),
        of_the_span: true,
    })
}

/// One of the sides holds.
fn either(left: Known, right: Known) -> Known {
    let (mut need, right) = (left?, right?);
    need.of_the_span &= right.of_the_span;
    for conjunction in right.any_of {
        let merged = need
            .any_of
            .iter_mut()
            .any(|held| condition::merge(held, &conjunction));
        if !merged {
            need.any_of.push(conjunction);
        }
    }
    (need.any_of.len() <= CONJUNCTIONS_MAX).then_some(need)
}

/// Of two things that are both necessary, the one that fewer traces have.
fn better(left: Known, right: Known) -> Known {
    match (left, right) {
        (Some(left), Some(right)) if left.weight() >= right.weight() => Some(left),
        (Some(_), Some(right)) => Some(right),
        (known, None) | (None, known) => known,
    }
}

impl Need {
    /// How selective it is: the least selective alternative decides. What the matching span itself needs comes first,
    /// because more of it can be joined.
    fn weight(&self) -> (u32, bool) {
        let conjunctions = self.any_of.iter();
        let weights = conjunctions.map(|all| all.iter().map(condition::weight).sum());
        (weights.min().unwrap_or_default(), self.of_the_span)
    }
}
