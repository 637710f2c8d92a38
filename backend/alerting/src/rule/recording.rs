//! A recording: the vector under a new name.

use std::collections::HashSet;

use tsdb::Labels;

use super::{EvaluationError, named};
use crate::file::RuleSpec;
use crate::labels;

pub(super) fn results(
    spec: &RuleSpec,
    vector: Vec<(Labels, f64)>,
    limit: usize,
) -> Result<Vec<(Labels, f64)>, EvaluationError> {
    if limit > 0 && vector.len() > limit {
        return Err(EvaluationError::Limit {
            limit,
            found: vector.len(),
            what: "series",
        });
    }
    let written = spec
        .labels
        .iter()
        .map(|(name, text)| (name.as_str(), text.source()));
    let result = |(labels, value): &(Labels, f64)| {
        let labels = labels::over(labels, written.clone());
        (named(&spec.name, &labels, &[]), *value)
    };
    let results: Vec<(Labels, f64)> = vector.iter().map(result).collect();
    let distinct: HashSet<&Labels> = results.iter().map(|(labels, _)| labels).collect();
    match distinct.len() == results.len() {
        true => Ok(results),
        false => Err(EvaluationError::SameLabels("rule")),
    }
}
