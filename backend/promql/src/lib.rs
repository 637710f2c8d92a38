//! PromQL with the semantics of Prometheus 3: text to a checked expression, an expression over a [`Source`] to values.
//!
//! [`parse`] and [`Engine`] are the two doors. Floating-point operations come in the order in which Prometheus does
//! them, so that results are equal to the bit. What is supported and what is refused: `docs/promql.md`. No IO here:
//! series come from a source, the time of evaluation from the caller; a clock is read for the time limit only.
//!
//! [`Source`]: tsdb::Source

mod annotations;
mod ast;
mod engine;
mod eval;
mod functions;
mod labels;
mod length;
mod number;
mod parse;
mod print;

pub use annotations::Annotations;
pub use ast::{Expr, ValueType};
pub use engine::{Answer, Engine, Options, QueryError, STEPS_MAX, Span, Value};
pub use number::format_value;
pub use parse::{DEPTH_MAX, ParseError, TEXT_BYTES_MAX, parse, parse_selector};
