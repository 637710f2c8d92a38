//! Lengths of time in ranges, steps and offsets: literals, or formulas of them that may ask for the query's step and
//! range and are computed once per query.

use std::{fmt, sync::Arc};

use tsdb::duration;

use crate::ast::{BinaryOp, Expr, Kind, Node, Span};
use crate::engine::QueryError;
use crate::number::format_value;

/// The longest duration, in seconds: what fits 64 bits of nanoseconds.
const SECONDS_MAX: f64 = (1_u64 << 63) as f64 / 1e9;

#[derive(Clone, Debug, Default)]
pub(crate) struct Length {
    /// Zero until a formula is computed.
    pub(crate) ms: i64,
    pub(crate) formula: Option<Arc<Formula>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Formula {
    pub(crate) span: Span,
    pub(crate) term: Term,
}

#[derive(Clone, Debug)]
pub(crate) enum Term {
    Seconds {
        value: f64,
        /// Written as a duration (`5m`), and printed as one.
        duration: bool,
    },
    /// `step()`.
    Step,
    /// `range()`.
    Range,
    Operation(BinaryOp, Box<[Formula; 2]>),
    /// `max_of(a, b)` and `min_of(a, b)`.
    Extreme {
        largest: bool,
        of: Box<[Formula; 2]>,
    },
    Signed {
        negate: bool,
        inner: Box<Formula>,
    },
    Paren(Box<Formula>),
}

/// What formulas may ask of the query.
#[derive(Clone, Copy)]
pub(crate) struct QueryTimes {
    pub(crate) step_ms: i64,
    pub(crate) range_ms: i64,
}

/// Whether a length in seconds is too long, or no length.
pub(crate) fn is_out_of_range(seconds: f64) -> bool {
    seconds.is_nan() || seconds.abs() > SECONDS_MAX
}

impl Length {
    /// From a literal.
    pub(crate) fn of_seconds(seconds: f64) -> Self {
        Self {
            // Nanoseconds first, as Prometheus counts them; what is left below a millisecond is cut.
            ms: ((seconds * 1e9).round() as i64) / 1_000_000,
            formula: None,
        }
    }

    pub(crate) fn of(formula: Formula) -> Self {
        Self {
            ms: 0,
            formula: Some(Arc::new(formula)),
        }
    }

    /// Whether nothing is written there.
    pub(crate) fn is_unset(&self) -> bool {
        self.ms == 0 && self.formula.is_none()
    }

    fn compute(&mut self, times: QueryTimes, may_be_negative: bool) -> Result<(), QueryError> {
        let Some(formula) = &self.formula else {
            return Ok(());
        };
        let seconds = formula.seconds(times)?;
        if !seconds.is_finite() {
            return Err(formula.refused("duration is NaN or infinite"));
        }
        if seconds <= 0.0 && !may_be_negative {
            return Err(formula.refused("duration must be greater than 0"));
        }
        if is_out_of_range(seconds) {
            return Err(formula.refused("duration is out of range"));
        }
        self.ms = (seconds * 1000.0) as i64;
        Ok(())
    }
}

impl Formula {
    fn seconds(&self, times: QueryTimes) -> Result<f64, QueryError> {
        Ok(match &self.term {
            Term::Seconds { value, .. } => *value,
            Term::Step => times.step_ms as f64 / 1000.0,
            Term::Range => times.range_ms as f64 / 1000.0,
            Term::Paren(inner) => inner.seconds(times)?,
            Term::Signed { negate, inner } => {
                let seconds = inner.seconds(times)?;
                if *negate { -seconds } else { seconds }
            }
            Term::Extreme { largest, of } => {
                let (a, b) = (of[0].seconds(times)?, of[1].seconds(times)?);
                if *largest { a.max(b) } else { a.min(b) }
            }
            Term::Operation(op, of) => {
                let (a, b) = (of[0].seconds(times)?, of[1].seconds(times)?);
                match op {
                    BinaryOp::Div if b == 0.0 => return Err(self.refused("division by zero")),
                    BinaryOp::Mod if b == 0.0 => return Err(self.refused("modulo by zero")),
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod => a % b,
                    // The parser admits one more.
                    _ => a.powf(b),
                }
            }
        })
    }

    fn refused(&self, reason: &str) -> QueryError {
        let Span { start, end } = self.span;
        QueryError::Execution(format!("{start}:{end}: {reason}"))
    }
}

impl Expr {
    /// The tree with all lengths computed.
    pub(crate) fn with_lengths(&self, times: QueryTimes) -> Result<Arc<Node>, QueryError> {
        if !self.has_formulas {
            return Ok(self.root.clone());
        }
        let mut root = (*self.root).clone();
        compute_all(&mut root, times)?;
        Ok(Arc::new(root))
    }
}

fn compute_all(node: &mut Node, times: QueryTimes) -> Result<(), QueryError> {
    match &mut node.kind {
        Kind::Selector(selector) => selector.when.offset.compute(times, true)?,
        Kind::Range { selector, range } => {
            range.compute(times, false)?;
            selector.when.offset.compute(times, true)?;
        }
        Kind::Subquery(subquery) => {
            subquery.when.offset.compute(times, true)?;
            subquery.step.compute(times, false)?;
            subquery.range.compute(times, false)?;
        }
        _ => {}
    }
    let mut children = node.children_mut().into_iter();
    children.try_for_each(|child| compute_all(child, times))
}

/// Without a sign.
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.formula {
            Some(formula) => formula.fmt(f),
            None => f.write_str(&duration::format(self.ms.abs())),
        }
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Seconds {
                value,
                duration: true,
            } => f.write_str(&format_seconds(*value)),
            Term::Seconds { value, .. } => f.write_str(&format_value(*value)),
            Term::Step => f.write_str("step()"),
            Term::Range => f.write_str("range()"),
            Term::Operation(op, of) => write!(f, "{} {} {}", of[0], op.symbol(), of[1]),
            Term::Extreme { largest, of } => {
                let name = if *largest { "max_of" } else { "min_of" };
                write!(f, "{name}({}, {})", of[0], of[1])
            }
            Term::Signed { negate, inner } => {
                write!(f, "{}{inner}", if *negate { "-" } else { "" })
            }
            Term::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// A number of seconds that was written as a duration.
pub(crate) fn format_seconds(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let ms = (seconds.abs() * 1e3).round() as i64;
    format!("{sign}{}", duration::format(ms))
}
