//! The values that spans have under one tag.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Instant;

use traceql::model::Value;
use traceql::{Candidates, Condition, Field, Intrinsic, Query};

use super::scan::{Visitor, Walk, candidates};
use super::tag_names::matching;
use super::{Error, Store, fields};
use crate::joined::JoinedTrace;
use crate::own_metrics::{self, Asked};
use crate::request::{Partial, TagValue, TagValues, TagValuesRequest};

/// Values of an answer.
const VALUES_MAX: usize = 10_000;
/// What `status` and `kind` can be, whatever is stored.
const STATUSES: [&str; 3] = ["error", "ok", "unset"];
const KINDS: [&str; 6] = [
    "client",
    "consumer",
    "internal",
    "producer",
    "server",
    "unspecified",
];
const KEYWORD: &str = "keyword";

impl Store {
    /// The values of a tag, each once.
    ///
    /// # Errors
    /// The tag is no name of TraceQL, or blocks cannot be read.
    pub fn tag_values(&self, request: &TagValuesRequest) -> Result<TagValues, Error> {
        let begun = Instant::now();
        let result = self.find_values(request);
        let partial = result.as_ref().map(|found| found.partial.as_ref());
        own_metrics::asked(Asked::TagValues, partial, begun.elapsed());
        result
    }

    fn find_values(&self, request: &TagValuesRequest) -> Result<TagValues, Error> {
        let field = traceql::parse_field(&request.tag).map_err(|_| Error::Tag {
            tag: request.tag.clone(),
        })?;
        if let Some(values) = fixed(&field) {
            return Ok(TagValues {
                values,
                ..TagValues::default()
            });
        }
        let mut seen = Seen {
            query: request.query.as_ref(),
            limit: request.limit.min(VALUES_MAX),
            values: Values::default(),
            field,
        };
        let walk = Walk {
            range: request.range,
            candidates: &having(&seen.field, request.query.as_ref()),
        };
        let walked = self.walk(&walk, &mut seen)?;
        Ok(TagValues {
            values: seen.values.sorted(),
            metrics: walked.metrics,
            partial: walked.partial,
        })
    }
}

/// What is known without looking: words of the language, and nothing where each span has a value of its own.
fn fixed(field: &Field) -> Option<Vec<TagValue>> {
    let words: &[&str] = match field {
        Field::Intrinsic(Intrinsic::Status) => &STATUSES,
        Field::Intrinsic(Intrinsic::Kind) => &KINDS,
        Field::Intrinsic(
            Intrinsic::Duration
            | Intrinsic::TraceDuration
            | Intrinsic::TraceId
            | Intrinsic::SpanId
            | Intrinsic::ParentId
            | Intrinsic::LinkTraceId,
        ) => &[],
        _ => return None,
    };
    let keyword = |word: &&str| TagValue {
        kind: KEYWORD,
        value: (*word).to_owned(),
    };
    Some(words.iter().map(keyword).collect())
}

/// The traces that may match and have the field.
fn having(field: &Field, query: Option<&Query>) -> Candidates {
    match (candidates(query), field) {
        (Candidates::All, Field::Attribute { key, .. }) => {
            Candidates::AnyOf(vec![vec![Condition::HasAttribute(key.clone())]])
        }
        (of_query, _) => of_query,
    }
}

struct Seen<'r> {
    query: Option<&'r Query>,
    field: Field,
    limit: usize,
    values: Values,
}

impl Visitor for Seen<'_> {
    fn trace(&mut self, trace: &JoinedTrace<'_>) -> ControlFlow<Partial> {
        let (field, values, limit) = (&self.field, &mut self.values, self.limit);
        let seen = traceql::Seen::new(trace);
        matching(trace, self.query, |index| {
            fields::each_value(&seen, index, field, &mut |value| {
                if values.count < limit {
                    values.add(value);
                }
            });
        });
        match values.count >= limit {
            true => ControlFlow::Break(Partial::Values { max: limit }),
            false => ControlFlow::Continue(()),
        }
    }
}

#[derive(Default)]
struct Values {
    by_kind: BTreeMap<&'static str, HashSet<String>>,
    count: usize,
    scratch: String,
}

impl Values {
    fn add(&mut self, value: Value<'_>) {
        self.scratch.clear();
        let text = &mut self.scratch;
        // Writing to a string does not fail.
        let (kind, _) = match value {
            Value::String(value) => ("string", text.write_str(value)),
            Value::Int(number) => ("int", write!(text, "{number}")),
            Value::Double(number) => ("float", write_float(text, number)),
            Value::Bool(flag) => ("bool", write!(text, "{flag}")),
        };
        let known = self.by_kind.entry(kind).or_default();
        if !known.contains(text.as_str()) {
            known.insert(text.clone());
            self.count += 1;
        }
    }

    fn sorted(self) -> Vec<TagValue> {
        let mut values: Vec<TagValue> = Vec::with_capacity(self.count);
        for (kind, texts) in self.by_kind {
            values.extend(texts.into_iter().map(|value| TagValue { kind, value }));
        }
        values.sort_unstable();
        values
    }
}

/// As Go writes the shortest form, with a point at least so that it is no integer.
fn write_float(text: &mut String, number: f64) -> std::fmt::Result {
    let size = number.abs();
    if number.is_nan() || number == f64::INFINITY {
        return text.write_str(if number.is_nan() { "NaN" } else { "+Inf" });
    }
    if number == f64::NEG_INFINITY {
        return text.write_str("-Inf");
    }
    if number == 0.0 || (1e-4..1e21).contains(&size) {
        let point = if number.fract() == 0.0 { ".0" } else { "" };
        return write!(text, "{number}{point}");
    }
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => write!(text, "{digits}e-{exponent:0>2}"),
        None => write!(text, "{digits}e+{exponent:0>2}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (number, expected) in [
            (1.5, "1.5"),
            (7.0, "7.0"),
            (-0.25, "-0.25"),
            (0.0, "0.0"),
            (1e20, "100000000000000000000.0"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut text = String::new();
            write_float(&mut text, number).unwrap();
            assert_eq!(text, expected);
        }
    }
}
