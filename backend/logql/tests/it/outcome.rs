//! What a query comes to, here and there, in one shape.

use std::collections::BTreeMap;

use logql::{Direction, Engine, Expr, Span, Value, parse};
use serde_json::Value as Json;
use tsdb::Labels;

use crate::{
    memory::Memory,
    peer::Loki,
    world::{SECOND, START_NS},
};

/// How far values may be apart: sums come in another order there.
const TOLERANCE: f64 = 1e-12;

const LIMIT: usize = 2000;

/// What is compared besides the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    None,
    /// The order of values.
    OfValues,
    /// Instead of series, the values at each time: of equal values any series is chosen.
    OfTies,
}

type Names = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(i64),
    Over(Span),
    Lines(i64, i64, Direction),
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Refused(String),
    Scalar(f64),
    /// Values with their times in milliseconds.
    Series(Vec<(Names, Vec<(i64, f64)>)>),
    Lines(Vec<(Names, Vec<(i64, String)>)>),
}

fn names(labels: &Labels) -> Names {
    labels
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

pub(crate) fn ours(engine: &Engine, memory: &Memory, text: &str, when: When) -> Outcome {
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let outcome = match when {
        When::At(t_ns) => engine
            .instant(memory, &expr, t_ns)
            .map(|answer| match answer.value {
                Value::Scalar(sample) => Outcome::Scalar(sample.value),
                Value::Vector(vector) => Outcome::Series(
                    vector
                        .into_iter()
                        .map(|(labels, sample)| (names(&labels), vec![(sample.t_ms, sample.value)]))
                        .collect(),
                ),
            }),
        When::Over(span) => engine.range(memory, &expr, span).map(|answer| {
            let series = answer.value.into_iter().map(|series| {
                let samples = series
                    .samples
                    .iter()
                    .map(|sample| (sample.t_ms, sample.value));
                (names(&series.labels), samples.collect())
            });
            Outcome::Series(series.collect())
        }),
        When::Lines(start, end, direction) => {
            let Expr::Log(log) = &expr else {
                return Outcome::Refused("no query of lines".into());
            };
            let answer = engine.log_query(memory, log, start..end, direction, LIMIT);
            answer.map(|answer| {
                let streams = answer.value.into_iter().map(|stream| {
                    let entries = stream.entries.iter();
                    let entries = entries.map(|entry| (entry.t_ns, entry.line.to_string()));
                    (names(&stream.labels), entries.collect())
                });
                Outcome::Lines(streams.collect())
            })
        }
    };
    outcome.unwrap_or_else(|error| Outcome::Refused(error.to_string()))
}

pub(crate) fn theirs(loki: &Loki, tenant: &str, text: &str, when: When) -> Outcome {
    let ns = |t_ns: i64| t_ns.to_string();
    let limit = LIMIT.to_string();
    let answer = match when {
        When::At(t_ns) => loki.api(
            tenant,
            "query",
            &[("query", text), ("time", &ns(t_ns)), ("limit", &limit)],
        ),
        When::Over(span) => loki.api(
            tenant,
            "query_range",
            &[
                ("query", text),
                ("start", &ns(span.start_ns)),
                ("end", &ns(span.end_ns)),
                ("step", &format!("{}ms", span.step_ns / 1_000_000)),
            ],
        ),
        When::Lines(start, end, direction) => loki.api(
            tenant,
            "query_range",
            &[
                ("query", text),
                ("start", &ns(start)),
                ("end", &ns(end)),
                ("limit", &limit),
                (
                    "direction",
                    if direction == Direction::Forward {
                        "forward"
                    } else {
                        "backward"
                    },
                ),
            ],
        ),
    };
    match answer {
        Ok(answer) => of_json(&answer["data"]),
        Err(error) => Outcome::Refused(error),
    }
}

fn of_json(data: &Json) -> Outcome {
    let number = |value: &Json| value.as_str().unwrap().parse::<f64>().unwrap();
    let sample = |pair: &Json| {
        (
            (pair[0].as_f64().unwrap() * 1000.0).round() as i64,
            number(&pair[1]),
        )
    };
    let result = &data["result"];
    let rows = || result.as_array().unwrap().iter();
    match data["resultType"].as_str().unwrap() {
        "scalar" => Outcome::Scalar(number(&result[1])),
        "vector" => Outcome::Series(
            rows()
                .map(|row| (of_object(&row["metric"]), vec![sample(&row["value"])]))
                .collect(),
        ),
        "matrix" => Outcome::Series(
            rows()
                .map(|row| {
                    let values = row["values"].as_array().unwrap();
                    (
                        of_object(&row["metric"]),
                        values.iter().map(sample).collect(),
                    )
                })
                .collect(),
        ),
        _ => Outcome::Lines(joined(
            rows()
                .map(|row| {
                    let values = row["values"].as_array().unwrap().iter().map(|pair| {
                        let t_ns = pair[0].as_str().unwrap().parse().unwrap();
                        (t_ns, pair[1].as_str().unwrap().to_owned())
                    });
                    (of_object(&row["stream"]), values.collect())
                })
                .collect(),
        )),
    }
}

/// Streams that differ in nothing but empty labels become one.
fn joined(streams: Vec<(Names, Vec<(i64, String)>)>) -> Vec<(Names, Vec<(i64, String)>)> {
    let mut joined: Vec<(Names, Vec<(i64, String)>)> = Vec::new();
    for (names, entries) in streams {
        match joined.iter_mut().find(|(known, _)| *known == names) {
            Some((_, known)) => known.extend(entries),
            None => joined.push((names, entries)),
        }
    }
    joined
}

/// Without empty values: a label of none is no label.
fn of_object(object: &Json) -> Names {
    let pairs = object.as_object().unwrap().iter();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

pub(crate) fn equal(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

impl Outcome {
    /// One line for each thing in it; times from the start of all data.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Refused(why) => why.lines().map(|line| format!("refused: {line}")).collect(),
            Self::Scalar(value) => vec![value.to_string()],
            Self::Series(series) if series.is_empty() => vec!["nothing".into()],
            Self::Series(series) => series
                .iter()
                .map(|(names, values)| {
                    let values = values.iter().map(|(t_ms, value)| {
                        let since = (t_ms - START_NS / 1_000_000) as f64 / 1000.0;
                        // Less the last digits, which depend on the order of a sum.
                        let value: f64 = format!("{value:.12e}").parse().unwrap();
                        format!("{value}@{since}")
                    });
                    format!("{} {}", shown(names), values.collect::<Vec<_>>().join(" "))
                })
                .collect(),
            Self::Lines(streams) if streams.is_empty() => vec!["nothing".into()],
            Self::Lines(streams) => {
                let mut out = Vec::new();
                for (names, entries) in streams {
                    out.push(shown(names));
                    for (t_ns, line) in entries {
                        let since = (t_ns - START_NS) as f64 / SECOND as f64;
                        out.push(format!("  {since}s {line:?}"));
                    }
                }
                out
            }
        }
    }

    /// What differs, if anything.
    pub(crate) fn difference(&self, other: &Self, order: Order) -> Option<String> {
        match (self, other) {
            (Self::Refused(ours), Self::Refused(theirs)) => {
                // Of several series that fail, any is named.
                let [ours, theirs] =
                    [ours, theirs].map(|text| match text.split_once(" for series") {
                        Some((error, _)) => error,
                        None => text,
                    });
                (ours != theirs).then(|| format!("ours {ours}\n    theirs {theirs}"))
            }
            (Self::Scalar(a), Self::Scalar(b)) if equal(*a, *b) => None,
            (Self::Series(ours), Self::Series(theirs)) => series(ours, theirs, order),
            (Self::Lines(ours), Self::Lines(theirs)) => {
                let [ours, theirs] = [ours, theirs].map(|rows| {
                    let mut rows = rows.clone();
                    rows.iter_mut().for_each(|row| row.1.sort());
                    rows.sort();
                    rows
                });
                let wrong = ours.iter().zip(&theirs).find(|(a, b)| a != b);
                if let Some((a, b)) = wrong {
                    let line = a.1.iter().zip(&b.1).find(|(a, b)| a != b);
                    return Some(format!(
                        "ours {} with {}\n    theirs {} with {}\n    first {line:?}",
                        shown(&a.0),
                        a.1.len(),
                        shown(&b.0),
                        b.1.len()
                    ));
                }
                (ours.len() != theirs.len())
                    .then(|| format!("{} streams, not {}", ours.len(), theirs.len()))
            }
            (ours, theirs) => Some(
                format!("ours {ours:.300?}\n    theirs {theirs:.300?}")
                    .chars()
                    .take(900)
                    .collect(),
            ),
        }
    }
}

type Rows = [(Names, Vec<(i64, f64)>)];

fn series(ours: &Rows, theirs: &Rows, order: Order) -> Option<String> {
    let values = |rows: &Rows| {
        let all = rows.iter().flat_map(|row| row.1.iter().copied());
        let mut all: Vec<(i64, f64)> = all.collect();
        if order == Order::OfTies {
            all.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
        }
        all
    };
    if order != Order::None {
        let (ours, theirs) = (values(ours), values(theirs));
        let same = ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(a, b)| a.0 == b.0 && equal(a.1, b.1));
        if !same {
            return Some(format!("values {ours:.300?}\n    not {theirs:.300?}"));
        }
        if order == Order::OfTies {
            return None;
        }
    }
    let [left, right] = [ours, theirs].map(|rows| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    });
    let keys = |rows: &Rows| rows.iter().map(|row| shown(&row.0)).collect::<Vec<_>>();
    if keys(&left) != keys(&right) {
        return Some(format!(
            "series {:.500?}\n    not {:.500?}",
            keys(&left),
            keys(&right)
        ));
    }
    for ((names, ours), (_, theirs)) in left.iter().zip(&right) {
        let same = ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .all(|(a, b)| a.0 == b.0 && equal(a.1, b.1));
        if !same {
            let wrong = ours
                .iter()
                .zip(theirs)
                .find(|(a, b)| a.0 != b.0 || !equal(a.1, b.1));
            return Some(format!(
                "{} has {} values, not {}; first wrong {wrong:?}",
                shown(names),
                ours.len(),
                theirs.len()
            ));
        }
    }
    None
}

fn shown(names: &Names) -> String {
    let pairs: Vec<String> = names
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
