//! Remarks about a query that did give a result: warnings and infos, with the words and places of Prometheus.
//!
//! One message is kept once, however often it is raised; the last place counts.

use std::collections::BTreeMap;

use crate::eval::date::rfc3339;
use crate::number::{format_short, format_two_digits};
use crate::parse::line_and_column;

const MONOTONICITY: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// What a query's user should know, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

/// Remarks as they are collected.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    warnings: BTreeMap<String, usize>,
    infos: BTreeMap<String, usize>,
    forced: Option<(usize, Forced)>,
}

/// How the counts of buckets had to be changed to rise with their bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forced {
    pub(crate) bound_min: f64,
    pub(crate) bound_max: f64,
    pub(crate) difference_max: f64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) times: u64,
}

impl Notes {
    pub(crate) fn warn(&mut self, message: String, at: usize) {
        self.warnings.insert(message, at);
    }

    pub(crate) fn info(&mut self, message: String, at: usize) {
        self.infos.insert(message, at);
    }

    pub(crate) fn bad_quantile(&mut self, quantile: f64, at: usize) {
        let quantile = format_short(quantile);
        self.warn(
            format!("quantile value should be between 0 and 1, got {quantile}"),
            at,
        );
    }

    pub(crate) fn forced_monotonic(&mut self, forced: Forced, at: usize) {
        // Places merge the other way round here: the first one stays.
        self.forced = Some(match self.forced {
            None => (at, forced),
            Some((first_at, earlier)) => (first_at, earlier.merged(forced)),
        });
    }

    /// The remarks with their places in the text.
    pub(crate) fn finish(self, text: &str) -> Annotations {
        let mut infos = placed("info", self.infos, text);
        if let Some((at, forced)) = self.forced {
            infos.push(format!(
                "PromQL info: {MONOTONICITY}, {forced} {}",
                place(text, at)
            ));
        }
        Annotations {
            warnings: placed("warning", self.warnings, text),
            infos,
        }
    }
}

impl Forced {
    fn merged(self, other: Self) -> Self {
        Self {
            bound_min: self.bound_min.min(other.bound_min),
            bound_max: self.bound_max.max(other.bound_max),
            difference_max: self.difference_max.max(other.difference_max),
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            times: self.times + other.times,
        }
    }
}

impl std::fmt::Display for Forced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_short(self.bound_min),
            format_short(self.bound_max),
            format_two_digits(self.difference_max),
            self.times,
            rfc3339(self.first_ms),
            rfc3339(self.last_ms),
        )
    }
}

fn placed(kind: &str, notes: BTreeMap<String, usize>, text: &str) -> Vec<String> {
    notes
        .into_iter()
        .map(|(message, at)| format!("PromQL {kind}: {message} {}", place(text, at)))
        .collect()
}

fn place(text: &str, at: usize) -> String {
    let (line, column) = line_and_column(text, at);
    format!("({line}:{column})")
}
