//! The answer to a query in one form, whoever gave it: this engine, or the real Prometheus.

use std::{collections::BTreeMap, fmt};

use promql::{Annotations, Engine, QueryError, Span, format_value, parse};
use serde_json::Value;
use tsdb::{Labels, Sample, Source};

use crate::peer::Prometheus;

/// Values may differ by this share of the larger one.
const RELATIVE: f64 = 1e-12;

#[derive(Clone, Copy)]
pub(crate) enum When {
    At(i64),
    Over(Span),
}

/// `warnings` and `infos`, each sorted, empty ones left out.
pub(crate) type Remarks = BTreeMap<String, Vec<String>>;

#[derive(Debug)]
pub(crate) enum Outcome {
    Refused(String),
    Text(String),
    /// Anything with numbers: series with their points, in the order of the answer.
    Series {
        kind: String,
        series: Vec<(Labels, Vec<Sample>)>,
        remarks: Remarks,
    },
}

/// What this engine answers.
pub(crate) fn ours(engine: &Engine, source: &dyn Source, text: &str, when: When) -> Outcome {
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let refused = |error: QueryError| Outcome::Refused(error.to_string());
    match when {
        When::At(t_ms) => match engine.instant(source, &expr, t_ms) {
            Ok(answer) => of_value(
                &expr.value_type().to_string(),
                answer.value,
                answer.annotations,
            ),
            Err(error) => refused(error),
        },
        When::Over(span) => match engine.range(source, &expr, span) {
            Ok(answer) => of_value(
                "matrix",
                promql::Value::Matrix(answer.value),
                answer.annotations,
            ),
            Err(error) => refused(error),
        },
    }
}

/// What the real one answers.
pub(crate) fn theirs(prometheus: &Prometheus, text: &str, when: When) -> Outcome {
    let answer = match when {
        When::At(t_ms) => prometheus.api("query", &[("query", text), ("time", &seconds(t_ms))]),
        When::Over(span) => {
            let [start, end, step] = [span.start_ms, span.end_ms, span.step_ms].map(seconds);
            let span = [("start", &*start), ("end", &*end), ("step", &*step)];
            let parameters = [&[("query", text)], &span[..]].concat();
            prometheus.api("query_range", &parameters)
        }
    };
    of_answer(&answer.1)
}

pub(crate) fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// Whether two values are one result: any NaN is NaN, zeros of different signs are different.
pub(crate) fn equal(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return a.is_sign_negative() == b.is_sign_negative();
    }
    (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
}

fn of_value(kind: &str, value: promql::Value, annotations: Annotations) -> Outcome {
    let series = match value {
        promql::Value::String { text, .. } => return Outcome::Text(text),
        promql::Value::Scalar(sample) => vec![(Labels::default(), vec![sample])],
        promql::Value::Vector(samples) => samples
            .into_iter()
            .map(|(labels, sample)| (labels, vec![sample]))
            .collect(),
        promql::Value::Matrix(series) => series
            .into_iter()
            .map(|series| (series.labels, series.samples))
            .collect(),
    };
    Outcome::Series {
        kind: kind.to_owned(),
        series,
        remarks: remarks([annotations.warnings, annotations.infos]),
    }
}

fn of_answer(answer: &Value) -> Outcome {
    if let Some(error) = answer["error"].as_str() {
        return Outcome::Refused(reason(error).to_owned());
    }
    let kind = answer["data"]["resultType"].as_str().unwrap();
    let result = &answer["data"]["result"];
    let list = || result.as_array().unwrap().iter();
    let series = match kind {
        "string" => return Outcome::Text(result[1].as_str().unwrap().to_owned()),
        "scalar" => vec![(Labels::default(), vec![sample(result)])],
        "vector" => list()
            .map(|one| (labels(&one["metric"]), vec![sample(&one["value"])]))
            .collect(),
        _ => list()
            .map(|one| {
                let samples = one["values"].as_array().unwrap().iter().map(sample);
                (labels(&one["metric"]), samples.collect())
            })
            .collect(),
    };
    let strings = |key: &str| {
        let list = answer[key].as_array().into_iter().flatten();
        list.map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    Outcome::Series {
        kind: kind.to_owned(),
        series,
        remarks: remarks([strings("warnings"), strings("infos")]),
    }
}

fn remarks([mut warnings, mut infos]: [Vec<String>; 2]) -> Remarks {
    warnings.sort();
    infos.sort();
    let both = [
        ("warnings".to_owned(), warnings),
        ("infos".to_owned(), infos),
    ];
    both.into_iter()
        .filter(|(_, list)| !list.is_empty())
        .collect()
}

/// An error of the API without what it adds to those of the engine.
pub(crate) fn reason(error: &str) -> &str {
    let added = ["invalid parameter \"query\": ", "expanding series: "];
    let without = added.iter().find_map(|prefix| error.strip_prefix(prefix));
    without.unwrap_or(error)
}

fn labels(metric: &Value) -> Labels {
    let pairs = metric.as_object().unwrap().iter();
    Labels::new(pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

fn sample(pair: &Value) -> Sample {
    Sample {
        t_ms: (pair[0].as_f64().unwrap() * 1000.0).round() as i64,
        value: pair[1].as_str().unwrap().parse().unwrap(),
    }
}

/// A label set as golden files write it: `name{label="value", …}`.
pub(crate) struct Written<'a>(pub(crate) &'a Labels);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.get("__name__");
        f.write_str(name)?;
        let others = self.0.iter().filter(|(label, _)| *label != "__name__");
        let others: Vec<String> = others
            .map(|(label, value)| format!("{label}={value:?}"))
            .collect();
        if name.is_empty() || !others.is_empty() {
            write!(f, "{{{}}}", others.join(", "))?;
        }
        Ok(())
    }
}

/// As golden files write it: a line per series, error or remark.
impl Outcome {
    pub(crate) fn lines(&self, when: When, ordered: bool) -> Vec<String> {
        let (kind, series, remarks) = match self {
            Self::Refused(error) => return vec![format!("error: {error}")],
            Self::Text(text) => return vec![format!("text {text:?}")],
            Self::Series {
                kind,
                series,
                remarks,
            } => (kind, series, remarks),
        };
        let mut lines: Vec<String> = series
            .iter()
            .map(|(labels, samples)| {
                let labels = Written(labels);
                match when {
                    _ if kind == "scalar" => format_value(samples[0].value),
                    When::At(_) if kind == "vector" => {
                        format!("{labels} {}", format_value(samples[0].value))
                    }
                    When::At(_) => {
                        let points = samples.iter().map(|sample| {
                            format!(
                                " {}@{}",
                                format_value(sample.value),
                                sample.t_ms as f64 / 1000.0
                            )
                        });
                        format!("{labels}{}", points.collect::<String>())
                    }
                    When::Over(span) => format!("{labels}{}", by_step(samples, span)),
                }
            })
            .collect();
        if !ordered {
            lines.sort();
        }
        if lines.is_empty() {
            lines.push("nothing".to_owned());
        }
        for (kind, list) in remarks {
            let kind = kind.trim_end_matches('s');
            lines.extend(list.iter().map(|remark| format!("{kind}: {remark}")));
        }
        lines
    }
}

/// The values at the steps, `_` where there is none.
fn by_step(samples: &[Sample], span: Span) -> String {
    let mut samples = samples.iter().peekable();
    let steps = (span.start_ms..=span.end_ms).step_by(span.step_ms as usize);
    steps
        .map(|t_ms| match samples.next_if(|sample| sample.t_ms == t_ms) {
            Some(sample) => format!(" {}", format_value(sample.value)),
            None => " _".to_owned(),
        })
        .collect()
}
