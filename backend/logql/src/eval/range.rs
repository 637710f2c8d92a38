//! Functions of ranges: lines to samples, samples to windows.
//!
//! Where a sample is in few windows it is folded into them and forgotten. Otherwise, and where a window needs all its samples
//! at once, samples are kept.

use std::{
    collections::HashMap,
    ops::{ControlFlow, Range},
};

use tsdb::{Labels, Match};

use super::{
    Evaluator, Rows, Steps,
    fold::{Fold, Kept, window},
};
use crate::{
    ast::{Conversion, Grouping, RangeExpr, RangeOp, Unwrap},
    engine::{QueryError, label_text},
    hints::{Hints, Needs},
    labels::{ERROR, LineLabels, PRESERVE_ERROR, StageError},
    source::{Entry, Selection},
    stages::Program,
    units::{parse_bytes, parse_float, parse_go_duration, seconds},
};

/// A sample is folded into this many windows at most.
const FOLDED_WINDOWS_MAX: i64 = 16;

/// Lines to samples.
struct Extractor<'q> {
    program: Program,
    labels: LineLabels,
    unwrap: Option<&'q Unwrap>,
    grouping: Option<Grouping>,
    counts_bytes: bool,
}

impl<'q> Extractor<'q> {
    fn new(range: &'q RangeExpr, pushed: Option<&Grouping>) -> Self {
        let counts_bytes = matches!(range.op, RangeOp::Bytes | RangeOp::BytesRate);
        let program = Program::for_samples(&range.log.stages, counts_bytes);
        let unwrap = range.unwrap.as_ref();
        let mut grouping = range.grouping.as_ref().or(pushed).cloned();
        if range.op == RangeOp::Absent {
            grouping = Some(Grouping::default());
        }
        if let Some(unwrap) = unwrap {
            grouping = Some(without_unwrapped(grouping, &unwrap.label));
        }
        let mut names = program.names();
        let filters = unwrap.map_or(&[][..], |unwrap| &unwrap.filters);
        filters.iter().for_each(|filter| filter.names(&mut names));
        let needs = Needs {
            stages: &names,
            grouping: grouping.as_ref(),
            unwrapped: unwrap.map(|unwrap| &*unwrap.label),
        };
        let only_filter = match filters {
            [one] => Some(one),
            _ => None,
        };
        let hints = Hints::for_samples(needs, program.filters(only_filter));
        Self {
            program,
            labels: LineLabels::new(hints),
            unwrap,
            grouping,
            counts_bytes,
        }
    }

    /// The value of a line and the labels of its series.
    fn sample(&mut self, stream: &Labels, entry: Entry<'_>) -> Option<(f64, Labels)> {
        if !self.program.takes(entry.line) {
            return None;
        }
        self.labels.reset(stream, entry.metadata);
        let line = self.program.run(entry.t_ns, entry.line, &mut self.labels)?;
        let value = match self.unwrap {
            Some(unwrap) => unwrapped(unwrap, &mut self.labels)?,
            None if self.counts_bytes => line.len() as f64,
            None => 1.0,
        };
        Some((value, self.labels.grouped(self.grouping.as_ref())))
    }
}

/// The unwrapped label is no label of the series, unless it is asked for.
fn without_unwrapped(grouping: Option<Grouping>, label: &str) -> Grouping {
    match grouping {
        Some(by) if !by.without => by,
        other => {
            let mut labels = other.map(|without| without.labels).unwrap_or_default();
            labels.push(label.into());
            Grouping {
                without: true,
                labels,
            }
        }
    }
}

fn unwrapped(unwrap: &Unwrap, labels: &mut LineLabels) -> Option<f64> {
    let text = labels.get(&unwrap.label).filter(|text| !text.is_empty())?;
    let converted = match unwrap.conversion {
        Conversion::None => parse_float(text),
        Conversion::Bytes => parse_bytes(text).map(|bytes| bytes as f64),
        Conversion::Duration | Conversion::DurationSeconds => parse_go_duration(text).map(seconds),
    };
    let value = converted.unwrap_or_else(|why| {
        labels.set_error(StageError::SampleExtraction, Some(&why));
        0.0
    });
    // All are asked, as each may set the error.
    let mut passes = true;
    for filter in &unwrap.filters {
        passes &= filter.holds(labels);
    }
    passes.then_some(value)
}

/// The samples of one series.
enum Windows {
    Folded(Vec<Fold>),
    Kept(Vec<Kept>),
}

/// All series of a range.
struct Collected {
    numbers: HashMap<Labels, usize>,
    series: Vec<(Labels, Windows)>,
    last: Option<usize>,
    held: usize,
}

impl Collected {
    /// The series of these labels. Neighbouring lines often share one.
    fn series(&mut self, labels: Labels, new: impl FnOnce() -> (Windows, usize)) -> &mut Windows {
        let last = self.last.filter(|last| self.series[*last].0 == labels);
        let known = last.or_else(|| self.numbers.get(&labels).copied());
        let number = known.unwrap_or_else(|| {
            let (windows, held) = new();
            self.held += held;
            self.numbers.insert(labels.clone(), self.series.len());
            self.series.push((labels, windows));
            self.series.len() - 1
        });
        self.last = Some(number);
        &mut self.series[number].1
    }
}

impl Evaluator<'_> {
    /// `pushed` is the grouping of the sum around it.
    pub(super) fn range(
        &mut self,
        range: &RangeExpr,
        pushed: Option<&Grouping>,
    ) -> Result<Rows, QueryError> {
        let collected = self.collect(range, pushed)?;
        let mut rows = Rows::new();
        for (labels, windows) in collected.series {
            self.deadline.check()?;
            let values = self.values(range, &windows);
            if values.iter().all(Option::is_none) {
                continue;
            }
            if !labels.get(ERROR).is_empty() && labels.get(PRESERVE_ERROR) != "true" {
                return Err(pipeline_error(&labels));
            }
            rows.push((labels, values));
        }
        if range.op == RangeOp::Absent {
            return Ok(absent(range, &rows, self.steps.count));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(rows)
    }

    fn collect(
        &mut self,
        range: &RangeExpr,
        pushed: Option<&Grouping>,
    ) -> Result<Collected, QueryError> {
        let mut extractor = Extractor::new(range, pushed);
        let hints = extractor.program.hints();
        let steps = self.steps;
        let end_ns = steps.end_ns().saturating_sub(range.offset_ns);
        let start_ns = steps
            .start_ns
            .saturating_sub(range.offset_ns)
            .saturating_sub(range.range_ns);
        let selection = Selection {
            matchers: range.log.matchers(),
            // Ranges are open at their start and closed at their end.
            range_ns: start_ns.saturating_add(1)..end_ns.saturating_add(1),
            direction: crate::source::Direction::Forward,
            hints: &hints,
        };
        let keeps = matches!(range.op, RangeOp::Quantile | RangeOp::RateCounter)
            || steps.count > 1 && range.range_ns / steps.step_ns >= FOLDED_WINDOWS_MAX;
        let new = || match keeps {
            true => (Windows::Kept(Vec::new()), 1),
            false => (
                Windows::Folded(vec![Fold::default(); steps.count]),
                steps.count,
            ),
        };
        let mut collected = Collected {
            numbers: HashMap::new(),
            series: Vec::new(),
            last: None,
            held: 0,
        };
        let samples_max = self.options.samples_max;
        let mut failed = None;
        let deadline = &mut self.deadline;
        let scanned = self.source.scan(&selection, &mut |stream, entry| {
            if deadline.is_over() {
                failed = Some(QueryError::Timeout);
                return ControlFlow::Break(());
            }
            let Some((value, labels)) = extractor.sample(stream, entry) else {
                return ControlFlow::Continue(());
            };
            let t_ns = entry.t_ns.saturating_add(range.offset_ns);
            match collected.series(labels, new) {
                Windows::Folded(folds) => {
                    for index in windows_of(t_ns, range.range_ns, steps) {
                        folds[index].add(range.op, value);
                    }
                }
                Windows::Kept(samples) => {
                    samples.push(Kept { t_ns, value });
                    collected.held += 1;
                }
            }
            if collected.held > samples_max {
                failed = Some(QueryError::TooManySamples(samples_max));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        self.scanned.lines += scanned.lines;
        self.scanned.bytes += scanned.bytes;
        failed.map_or(Ok(collected), Err)
    }

    fn values(&self, range: &RangeExpr, windows: &Windows) -> Vec<Option<f64>> {
        let of_values = range.unwrap.is_some();
        match windows {
            Windows::Folded(folds) => folds
                .iter()
                .map(|fold| {
                    let value = fold.value(range.op, of_values, range.range_ns);
                    (!fold.is_empty()).then_some(value)
                })
                .collect(),
            Windows::Kept(samples) => self
                .steps
                .times()
                .map(|end| {
                    let from = end.saturating_sub(range.range_ns);
                    let before = |t_ns| samples.partition_point(|sample| sample.t_ns <= t_ns);
                    let inside = &samples[before(from)..before(end)];
                    let value =
                        || window(range.op, range.parameter, of_values, range.range_ns, inside);
                    (!inside.is_empty()).then(value)
                })
                .collect(),
        }
    }
}

/// The steps whose window has this time: those from it on, for as long as a window is.
fn windows_of(t_ns: i64, range_ns: i64, steps: Steps) -> Range<usize> {
    let steps_before = |t_ns: i64| {
        let since = t_ns.saturating_sub(steps.start_ns);
        // The number of steps that are before it.
        let count = since
            .saturating_add(steps.step_ns - 1)
            .div_euclid(steps.step_ns);
        usize::try_from(count).unwrap_or(0).min(steps.count)
    };
    steps_before(t_ns)..steps_before(t_ns.saturating_add(range_ns))
}

fn pipeline_error(labels: &Labels) -> QueryError {
    QueryError::Pipeline {
        error: labels.get(ERROR).into(),
        series: label_text(labels),
    }
}

/// One where there is nothing, with the labels that streams would have had.
fn absent(range: &RangeExpr, rows: &Rows, steps: usize) -> Rows {
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut unknown: Vec<&str> = Vec::new();
    for matcher in range.log.matchers() {
        match &matcher.matches {
            Match::Equal(value) if labels.iter().all(|(name, _)| *name != &*matcher.name) => {
                labels.push((&matcher.name, value));
            }
            _ => unknown.push(&matcher.name),
        }
    }
    labels.retain(|(name, _)| !unknown.contains(name));
    let is_there = |step: usize| rows.iter().any(|(_, values)| values[step].is_some());
    let values = (0..steps).map(|step| (!is_there(step)).then_some(1.0));
    vec![(Labels::new(labels), values.collect())]
}
