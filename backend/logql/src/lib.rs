//! LogQL with the semantics of Loki 3.7: text to a checked query, a query over a [`Source`] of lines to lines or numbers.
//!
//! [`parse`] and [`Engine`] are the two doors, [`Pipeline`] a third for lines as they come. What is supported, what is refused and
//! what differs: `docs/logql.md`. No IO here: lines come from a source, the time of evaluation from the caller; a clock is
//! read for the time limit, and for the function `now` of templates.

mod ast;
mod engine;
mod eval;
mod hints;
mod labels;
mod lex;
mod line;
mod parse;
mod pipeline;
mod print;
mod source;
mod stages;
mod units;

pub use ast::{Expr, LogExpr, MetricExpr};
pub use engine::{Answer, Engine, Options, OwnedEntry, QueryError, STEPS_MAX, Span, Stream, Value};
pub use parse::{DEPTH_MAX, ParseError, TEXT_BYTES_MAX, parse, parse_matchers};
pub use pipeline::{Pipeline, Processed};
pub use print::pretty;
pub use source::{Direction, Entry, Hint, Scanned, Selection, Source, SourceError};
