//! The engine: limits, the three kinds of query, and the shape of their answers.
//!
//! It holds no state but its options. Queries run on the caller's thread until they are done or out of limits.

use std::{
    collections::HashMap,
    ops::{ControlFlow, Range},
    time::{Duration, Instant},
};

use tsdb::{Labels, Sample, Series};

use crate::{
    ast::{Expr, LogExpr, MetricExpr},
    eval::{Evaluator, Steps, sorts_by_value},
    pipeline::Pipeline,
    source::{Direction, Scanned, Selection, Source, SourceError},
    units::quote,
};

/// The most points per series of a range query.
pub const STEPS_MAX: usize = 11_000;

/// Lines between two looks at the clock.
const LINES_PER_CHECK: u64 = 1024;

const NS_PER_MS: i64 = 1_000_000;

/// What bounds queries.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most series of an answer. 500.
    pub series_max: usize,
    /// The most lines of an answer. 5,000.
    pub entries_max: usize,
    /// The most samples and windows that a query holds at a time. 20 million.
    pub samples_max: usize,
    /// How long a query may take. 1 minute.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            series_max: 500,
            entries_max: 5_000,
            samples_max: 20_000_000,
            timeout: Duration::from_secs(60),
        }
    }
}

/// The times of a range query, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start_ns: i64,
    pub end_ns: i64,
    pub step_ns: i64,
}

/// A result and what was looked at for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    pub value: T,
    pub scanned: Scanned,
}

/// Lines that have the same labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// All labels: of the stream, structured metadata, and what was parsed.
    pub labels: Labels,
    /// In the direction of the query.
    pub entries: Vec<OwnedEntry>,
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedEntry {
    pub t_ns: i64,
    pub line: Box<str>,
    /// Structured metadata, part of the labels of the stream.
    pub metadata: Labels,
    /// What was parsed of the line, part of the labels of the stream.
    pub parsed: Labels,
}

/// The result of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(Sample),
    /// In label order, unless the query sorts.
    Vector(Vec<(Labels, Sample)>),
}

/// Why a query has no result. Words as Loki has them.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the query timed out")]
    Timeout,
    #[error(
        "maximum number of series ({0}) reached for a single query; consider reducing query cardinality by adding more specific \
         stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"
    )]
    TooManySeries(usize),
    #[error("the query would hold more than {0} samples")]
    TooManySamples(usize),
    /// The span of a range query is not usable.
    #[error("{0}")]
    BadSpan(&'static str),
    #[error(
        "log queries are not supported as an instant query type, please change your query to a range query type"
    )]
    LinesAtAnInstant,
    /// A line could not be processed, and the query does not say what to do with it.
    #[error(
        "pipeline error: '{error}' for series: '{series}'.\n\
         Use a label filter to intentionally skip this error. (e.g | __error__!=\"{error}\").\n\
         To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n\
         The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline { error: String, series: String },
    /// The series do not allow the operation.
    #[error("{0}")]
    Execution(&'static str),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Evaluates queries.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
}

/// When a query has to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    lines: u64,
}

impl Deadline {
    fn new(timeout: Duration) -> Self {
        Self {
            at: Instant::now() + timeout,
            lines: 0,
        }
    }

    /// True when it is over. Looks at the clock only now and then.
    pub(crate) fn is_over(&mut self) -> bool {
        self.lines += 1;
        self.lines % LINES_PER_CHECK == 1 && Instant::now() >= self.at
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if Instant::now() >= self.at {
            return Err(QueryError::Timeout);
        }
        Ok(())
    }
}

impl Engine {
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Lines of a range whose start belongs to it, the end does not; streams in the order of their labels as text.
    ///
    /// # Errors
    /// When the time is over or the source fails.
    pub fn log_query(
        &self,
        source: &dyn Source,
        log: &LogExpr,
        range_ns: Range<i64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Answer<Vec<Stream>>, QueryError> {
        let limit = limit.min(self.options.entries_max);
        let mut pipeline = Pipeline::new(log);
        let hints = pipeline.hints();
        let selection = Selection {
            matchers: log.matchers(),
            range_ns,
            direction,
            hints: &hints,
        };
        let mut deadline = Deadline::new(self.options.timeout);
        let (mut streams, mut numbers) = (Vec::<Stream>::new(), HashMap::<Labels, usize>::new());
        let (mut taken, mut timed_out) = (0, false);
        if limit == 0 {
            return Ok(Answer {
                value: streams,
                scanned: Scanned::default(),
            });
        }
        let scanned = source.scan(&selection, &mut |labels, entry| {
            timed_out = deadline.is_over();
            if timed_out {
                return ControlFlow::Break(());
            }
            let Some(processed) = pipeline.process(labels, entry) else {
                return ControlFlow::Continue(());
            };
            let labels = processed.labels();
            let number = *numbers.entry(labels.clone()).or_insert_with(|| {
                streams.push(Stream {
                    labels,
                    entries: Vec::new(),
                });
                streams.len() - 1
            });
            streams[number].entries.push(OwnedEntry {
                t_ns: entry.t_ns,
                metadata: processed.metadata(),
                parsed: processed.parsed(),
                line: processed.line.into(),
            });
            taken += 1;
            if taken == limit {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if timed_out {
            return Err(QueryError::Timeout);
        }
        streams.sort_by_cached_key(|stream| label_text(&stream.labels));
        Ok(Answer {
            value: streams,
            scanned,
        })
    }

    /// The value at one time.
    ///
    /// # Errors
    /// When it is a query of lines, a line cannot be processed, series do not fit the operations, a limit is met, or the source
    /// fails.
    pub fn instant(
        &self,
        source: &dyn Source,
        expr: &Expr,
        t_ns: i64,
    ) -> Result<Answer<Value>, QueryError> {
        let Expr::Metric(metric) = expr else {
            return Err(QueryError::LinesAtAnInstant);
        };
        let sample = |value| Sample {
            t_ms: t_ns.div_euclid(NS_PER_MS),
            value,
        };
        if let MetricExpr::Literal(value) = metric {
            return Ok(Answer {
                value: Value::Scalar(sample(*value)),
                scanned: Scanned::default(),
            });
        }
        let steps = Steps {
            start_ns: t_ns,
            step_ns: 1,
            count: 1,
        };
        let (rows, scanned) = self.rows(source, metric, steps)?;
        let mut vector: Vec<(Labels, Sample)> = rows
            .into_iter()
            .filter_map(|(labels, values)| Some((labels, sample(values.first().copied()??))))
            .collect();
        self.check_series(vector.len())?;
        if !sorts_by_value(metric) {
            vector.sort_by(|a, b| a.0.cmp(&b.0));
        }
        Ok(Answer {
            value: Value::Vector(vector),
            scanned,
        })
    }

    /// The values at each step of a span, series in label order.
    ///
    /// # Errors
    /// As [`Engine::instant`], and when the span has no step, ends before it starts or has more than [`STEPS_MAX`] steps.
    pub fn range(
        &self,
        source: &dyn Source,
        expr: &Expr,
        span: Span,
    ) -> Result<Answer<Vec<Series>>, QueryError> {
        let Expr::Metric(metric) = expr else {
            return Err(QueryError::LinesAtAnInstant);
        };
        let steps = steps_of(span)?;
        let (rows, scanned) = self.rows(source, metric, steps)?;
        let mut series: Vec<Series> = Vec::new();
        for (labels, values) in rows {
            let samples: Vec<Sample> = steps
                .times()
                .zip(values)
                .filter_map(|(t_ns, value)| {
                    Some(Sample {
                        t_ms: t_ns.div_euclid(NS_PER_MS),
                        value: value?,
                    })
                })
                .collect();
            if !samples.is_empty() {
                series.push(Series { labels, samples });
            }
        }
        self.check_series(series.len())?;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Answer {
            value: series,
            scanned,
        })
    }

    fn rows(
        &self,
        source: &dyn Source,
        metric: &MetricExpr,
        steps: Steps,
    ) -> Result<(crate::eval::Rows, Scanned), QueryError> {
        let deadline = Deadline::new(self.options.timeout);
        let mut evaluator = Evaluator::new(source, &self.options, deadline, steps);
        let rows = evaluator.rows(metric)?;
        Ok((rows, evaluator.scanned))
    }

    fn check_series(&self, count: usize) -> Result<(), QueryError> {
        if count > self.options.series_max {
            return Err(QueryError::TooManySeries(self.options.series_max));
        }
        Ok(())
    }
}

/// `{a="b", c="d"}`.
pub(crate) fn label_text(labels: &Labels) -> String {
    let pairs = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", quote(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

fn steps_of(span: Span) -> Result<Steps, QueryError> {
    if span.step_ns <= 0 {
        return Err(QueryError::BadSpan(
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    let length = span.end_ns.saturating_sub(span.start_ns);
    if length < 0 {
        return Err(QueryError::BadSpan(
            "end timestamp must not be before or equal to start time",
        ));
    }
    let gaps = length / span.step_ns;
    if gaps > STEPS_MAX as i64 {
        return Err(QueryError::BadSpan(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    Ok(Steps {
        start_ns: span.start_ns,
        step_ns: span.step_ns,
        count: gaps as usize + 1,
    })
}
