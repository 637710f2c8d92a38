//! TraceQL: text to [`Query`], a query over a [`model::Trace`], and what is necessary for a match ([`Candidates`]).
//!
//! Pure: no IO, no clock. Semantics are Tempo's; `docs/traceql.md` says what is refused and what differs.

mod ast;
mod candidates;
mod check;
mod display;
mod evaluate;
mod fields;
mod lexer;
mod literal;
pub mod metrics;
pub mod model;
mod parser;
mod structure;

pub use ast::{
    Aggregate, AggregateFilter, Comparison, Expr, Field, Form, Hint, Intrinsic, Metrics,
    MetricsFunction, Operator, Pattern, Pipeline, Query, Relation, SecondStage, Side, Spansets,
    Stage, UnaryOperator,
};
pub use candidates::{CONJUNCTIONS_MAX, Candidates, Condition, Conjunction};
pub use evaluate::{Match, SpanSet};
pub use fields::Seen;
pub use literal::Literal;
pub use parser::{
    LIST_MAX, NESTING_MAX, OPERATORS_MAX, PATTERNS_MAX, ParseError, QUERY_BYTES_MAX, parse,
    parse_field,
};
