//! Calls: each function's arguments are evaluated and handed to the one that computes it.

use super::date::Part;
use super::float::{maximum, minimum};
use super::matrix::{ABSENT, Matrix, is_absent};
use super::rate::{Extrapolated, last_change};
use super::window::{OverTime, Window, absent_steps};
use super::{Computed, Evaluator, Outcome, Steps, over_time, wrong_type};
use crate::ast::{Kind, MatchOp, Node, ValueType};
use crate::labels::{Metric, NAME, distinct_without_names};
use crate::parse::literal::quote;

/// What the name of a counter ends with, by convention.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

impl Evaluator<'_> {
    /// `at`: where the call stands in the text.
    pub(super) fn call(
        &mut self,
        name: &str,
        args: &[Node],
        at: usize,
        steps: &Steps,
    ) -> Outcome<Computed> {
        match name {
            "time" => Ok(Computed::Scalar(seconds_of(steps))),
            "pi" => Ok(Computed::Scalar(vec![std::f64::consts::PI; steps.count])),
            "scalar" => {
                let matrix = self.vector(&args[0], steps)?;
                Ok(Computed::Scalar(lone_values(&matrix)))
            }
            _ => self
                .call_vector(name, args, at, steps)
                .map(Computed::Vector),
        }
    }

    fn call_vector(
        &mut self,
        name: &str,
        args: &[Node],
        at: usize,
        steps: &Steps,
    ) -> Outcome<Matrix> {
        let range = args
            .iter()
            .find(|arg| arg.value_type() == ValueType::Matrix);
        if let Some(range) = range {
            return self.call_over_time(name, args, range, steps);
        }
        if let Some(part) = Part::from_name(name) {
            return self.date(part, args, steps);
        }
        match name {
            "vector" => Ok(one_row(Metric::default(), self.scalar(&args[0], steps)?)),
            "timestamp" => self.timestamp(&args[0], steps),
            "label_replace" => self.label_replace(args, steps),
            "label_join" => self.label_join(args, steps),
            "histogram_quantile" => self.histogram_quantile(args, steps),
            "histogram_fraction" => self.histogram_fraction(args, steps),
            "absent" => {
                let matrix = self.vector(&args[0], steps)?;
                Ok(one_row(absent_metric(&args[0]), absent_steps(&matrix)))
            }
            "sort" | "sort_desc" => {
                let matrix = self.vector(&args[0], steps)?;
                Ok(self.sort(matrix, name == "sort_desc", at))
            }
            // Of native histograms, which no series here has: floats give nothing.
            "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar"
            | "histogram_sum" => {
                self.vector(&args[0], steps)?;
                Ok(Matrix::new(steps.count))
            }
            "clamp" | "clamp_max" | "clamp_min" => self.clamp(name, args, steps),
            "round" => self.round(args, steps),
            _ => {
                let function = of_number(name).ok_or_else(wrong_type)?;
                let mut matrix = self.vector(&args[0], steps)?;
                matrix.map(function);
                matrix.without_names()
            }
        }
    }

    fn call_over_time(
        &mut self,
        name: &str,
        args: &[Node],
        range: &Node,
        steps: &Steps,
    ) -> Outcome<Matrix> {
        let param = match args
            .iter()
            .find(|arg| arg.value_type() == ValueType::Scalar)
        {
            Some(arg) => self.scalar(arg, steps)?,
            None => Vec::new(),
        };
        if name == "absent_over_time" {
            let present = self.slide_over(range, steps, &mut |_: &Window<'_>| 1.0)?;
            return Ok(one_row(absent_metric(range), absent_steps(&present)));
        }
        let range_ms = range_ms_of(range);
        let mut buffer = Vec::new();
        let matrix = match name {
            "rate" => self.slide_over(range, steps, &mut Extrapolated::rate(range_ms)),
            "increase" => self.slide_over(range, steps, &mut Extrapolated::increase()),
            "delta" => self.slide_over(range, steps, &mut Extrapolated::delta()),
            "irate" => self.slide_over(range, steps, &mut |w: &Window<'_>| last_change(w, true)),
            "idelta" => self.slide_over(range, steps, &mut |w: &Window<'_>| last_change(w, false)),
            "predict_linear" => self.slide_over(range, steps, &mut |w: &Window<'_>| {
                over_time::prediction(w, param[w.step])
            }),
            "quantile_over_time" => {
                let mut used = vec![false; steps.count];
                let matrix = self.slide_over(range, steps, &mut |w: &Window<'_>| {
                    used[w.step] = true;
                    over_time::quantile_of(w.samples, param[w.step], &mut buffer)
                })?;
                self.note_quantiles_over_time(&param, &used, args[0].bare().span.start);
                Ok(matrix)
            }
            _ => {
                let function = of_window(name).ok_or_else(wrong_type)?;
                self.slide_over(range, steps, &mut |w: &Window<'_>| function(w.samples))
            }
        }?;
        if matches!(name, "last_over_time" | "first_over_time") {
            // The value is one of the series' own, so that its name still fits.
            return Ok(matrix);
        }
        let counters_at = matches!(name, "rate" | "increase").then(|| match range.bare().kind {
            // The points of a subquery have no place in the text.
            Kind::Subquery(_) => 0,
            _ => range.bare().span.start,
        });
        self.unnamed(matrix, counters_at)
    }

    /// The function over the windows of a range, of whatever the range is.
    fn slide_over(
        &mut self,
        range: &Node,
        steps: &Steps,
        function: &mut impl OverTime,
    ) -> Outcome<Matrix> {
        let range = range.bare();
        if let Kind::Range { selector, range } = &range.kind {
            return self.slide_stored(selector, range.ms, steps, function);
        }
        let ranged = self.ranged(range, steps)?;
        let held = ranged.samples();
        let matrix = self.slide(ranged, steps, function)?;
        self.release(held);
        Ok(matrix)
    }

    /// Remarks on quantiles out of range, of the steps at which some series had a sample.
    fn note_quantiles_over_time(&mut self, quantiles: &[f64], used: &[bool], at: usize) {
        for (quantile, used) in quantiles.iter().zip(used) {
            if *used && !(0.0..=1.0).contains(quantile) {
                self.notes.bad_quantile(*quantile, at);
            }
        }
    }

    /// Without names; the result of a range function may not hold one label set twice, whatever the steps. With a place,
    /// names that are no counters' are remarked there.
    fn unnamed(&mut self, mut matrix: Matrix, counters_at: Option<usize>) -> Outcome<Matrix> {
        let notes = &mut self.notes;
        let distinct = distinct_without_names(&matrix.metrics, |name| {
            let is_counter = COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
            if let Some(at) = counters_at.filter(|_| !is_counter && !name.is_empty()) {
                let name = quote(name);
                let message = format!(
                    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name}"
                );
                notes.info(message, at);
            }
        });
        for metric in &mut matrix.metrics {
            metric.drop_name();
        }
        if distinct {
            Ok(matrix)
        } else {
            matrix.checked_distinct()
        }
    }

    fn date(&mut self, part: Part, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let Some(arg) = args.first() else {
            let row = steps.times().map(|t_ms| part.of(t_ms / 1000)).collect();
            return Ok(one_row(Metric::default(), row));
        };
        let mut matrix = self.vector(arg, steps)?;
        matrix.map(|value| part.of_value(value));
        matrix.without_names()
    }

    /// The times of the samples that a selector finds; of anything else, the time of evaluation.
    fn timestamp(&mut self, arg: &Node, steps: &Steps) -> Outcome<Matrix> {
        if let Kind::Selector(selector) = &arg.bare().kind {
            let matrix = self.instants(selector, steps, |sample| sample.t_ms as f64 / 1000.0)?;
            return matrix.without_names();
        }
        let mut matrix = self.vector(arg, steps)?;
        let seconds = seconds_of(steps);
        for row in matrix.values.chunks_exact_mut(steps.count.max(1)) {
            for (cell, seconds) in row.iter_mut().zip(&seconds) {
                if !is_absent(*cell) {
                    *cell = *seconds;
                }
            }
        }
        matrix.without_names()
    }

    fn clamp(&mut self, name: &str, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let matrix = self.vector(&args[0], steps)?;
        let first = self.scalar(&args[1], steps)?;
        let endless = |end: f64| vec![end; steps.count];
        let (lower, upper) = match name {
            "clamp_max" => (endless(f64::NEG_INFINITY), first),
            "clamp_min" => (first, endless(f64::INFINITY)),
            _ => (first, self.scalar(&args[2], steps)?),
        };
        map_by_step(matrix, |step, value| {
            if upper[step] < lower[step] {
                ABSENT
            } else {
                maximum(lower[step], minimum(upper[step], value))
            }
        })
    }

    fn round(&mut self, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let matrix = self.vector(&args[0], steps)?;
        let to_nearest = match args.get(1) {
            Some(arg) => self.scalar(arg, steps)?,
            None => vec![1.0; steps.count],
        };
        map_by_step(matrix, |step, value| {
            let inverse = 1.0 / to_nearest[step];
            (value * inverse + 0.5).floor() / inverse
        })
    }
}

fn map_by_step(mut matrix: Matrix, f: impl Fn(usize, f64) -> f64) -> Outcome<Matrix> {
    for row in matrix.values.chunks_exact_mut(matrix.steps.max(1)) {
        for (step, cell) in row.iter_mut().enumerate() {
            if !is_absent(*cell) {
                *cell = f(step, *cell);
            }
        }
    }
    matrix.compacted().without_names()
}

/// How long the windows of a range are.
fn range_ms_of(range: &Node) -> i64 {
    match &range.bare().kind {
        Kind::Range { range, .. } => range.ms,
        Kind::Subquery(subquery) => subquery.range.ms,
        _ => 0,
    }
}

fn one_row(metric: Metric, row: Vec<f64>) -> Matrix {
    let matrix = Matrix {
        steps: row.len(),
        metrics: vec![metric],
        values: row,
    };
    matrix.compacted()
}

fn seconds_of(steps: &Steps) -> Vec<f64> {
    steps.times().map(|t_ms| t_ms as f64 / 1000.0).collect()
}

/// The value of each step with exactly one series.
fn lone_values(matrix: &Matrix) -> Vec<f64> {
    let mut cells = vec![ABSENT; matrix.steps];
    let mut several = vec![false; matrix.steps];
    for (_, row) in matrix.rows() {
        for (step, value) in row
            .iter()
            .enumerate()
            .filter(|(_, value)| !is_absent(**value))
        {
            several[step] = !is_absent(cells[step]);
            cells[step] = if several[step] { f64::NAN } else { *value };
        }
    }
    cells
        .into_iter()
        .map(|value| if is_absent(value) { f64::NAN } else { value })
        .collect()
}

/// The labels that an absent series would have, as far as the selector says.
fn absent_metric(arg: &Node) -> Metric {
    let (Kind::Selector(selector) | Kind::Range { selector, .. }) = &arg.bare().kind else {
        return Metric::default();
    };
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut given = Vec::new();
    for written in &selector.matchers {
        let name = &*written.matcher.name;
        if name == NAME {
            continue;
        }
        labels.retain(|(known, _)| *known != name);
        // A label with several conditions has no one value, unless the first that gives it one comes last.
        if written.operator == MatchOp::Equal && !given.contains(&name) {
            given.push(name);
            labels.push((name, &written.value));
        }
    }
    Metric::default().with(&labels)
}

fn of_number(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

fn of_window(name: &str) -> Option<fn(&[tsdb::Sample]) -> f64> {
    Some(match name {
        "avg_over_time" => over_time::average,
        "changes" => over_time::changes,
        "count_over_time" => |samples| samples.len() as f64,
        "deriv" => over_time::derivative,
        "first_over_time" => |samples| samples[0].value,
        "last_over_time" => |samples| samples[samples.len() - 1].value,
        "max_over_time" => over_time::largest,
        "min_over_time" => over_time::smallest,
        "present_over_time" => |_| 1.0,
        "resets" => over_time::resets,
        "stddev_over_time" => |samples| over_time::variance(samples).sqrt(),
        "stdvar_over_time" => over_time::variance,
        "sum_over_time" => over_time::sum,
        _ => return None,
    })
}
