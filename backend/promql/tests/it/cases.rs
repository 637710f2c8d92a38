//! Golden cases: series, queries on them, and the answers, in files that run always and, where it is at hand, on the real
//! Prometheus too.
//!
//! - `load 1m` is followed by indented series, `name{label="value"} values`, a value each minute from time zero on: a
//!   number, `_` for none, `stale` for the marker, `1x3` for four times 1, `1+2x3` for 1 3 5 7. All loads of a file
//!   count for all its queries.
//! - `eval 5m: query` asks at one time, `eval 0s 10m 1m: query` at steps; the indented answer is written by
//!   `UPDATE_GOLDEN=1`. A series of an answer over steps has a value per step, `_` where it has none.
//! - `format query` is answered by the query over several lines where one would be long.
//! - `#` begins a remark.

use std::{env, fs, path::PathBuf};

use promql::{Engine, Span, Value, parse, parse_selector};
use tsdb::{Labels, Match, STALE_NAN_BITS, Sample, Series};

use crate::memory::Memory;
use crate::outcome::{Outcome, When, ours, theirs};
use crate::peer::Prometheus;

const QUERIES_MIN: usize = 200;

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn every_golden_case_has_the_answer_that_is_written_there() {
    let engine = Engine::default();
    let mut queries = 0;
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let memory = Memory::new(series(&text));
        let mut ask = |query: &str, when| {
            queries += 1;
            ours(&engine, &memory, query, when)
        };
        let answered = answered(&text, &mut ask, &|query| parse(query).unwrap().pretty());
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &answered).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        let differs = written
            .lines()
            .zip(answered.lines())
            .find(|(written, found)| written != found);
        assert!(written == answered, "{}: {differs:?}", path.display());
    }
    assert!(queries >= QUERIES_MIN, "{queries} queries");
}

#[test]
fn the_real_one_gives_the_answers_of_the_golden_cases() {
    for path in files() {
        let Some(prometheus) = Prometheus::start("groups: []\n") else {
            return;
        };
        let text = fs::read_to_string(&path).unwrap();
        prometheus.write(Memory::new(series(&text)).series());
        let formatted = |query: &str| {
            let answer = prometheus.api("format_query", &[("query", query)]).1;
            answer["data"].as_str().unwrap().to_owned()
        };
        let mut ask = |query: &str, when| theirs(&prometheus, query, when);
        let answered = answered(&text, &mut ask, &formatted);
        let differs = text
            .lines()
            .zip(answered.lines())
            .find(|(written, found)| written != found);
        assert!(text == answered, "{}: {differs:?}", path.display());
    }
}

/// The text with the answers in it replaced.
fn answered(
    text: &str,
    answer: &mut dyn FnMut(&str, When) -> Outcome,
    formatted: &dyn Fn(&str) -> String,
) -> String {
    let mut out = String::new();
    let mut in_answer = false;
    for line in text.lines() {
        if in_answer && line.starts_with("  ") {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        in_answer = false;
        if let Some(query) = line.strip_prefix("format ") {
            in_answer = true;
            for line in formatted(query).lines() {
                out.push_str(&format!("  {line}\n"));
            }
        }
        let Some((times, query)) = line
            .strip_prefix("eval ")
            .and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        in_answer = true;
        let times: Vec<i64> = times.split(' ').map(milliseconds).collect();
        let when = match times[..] {
            [t_ms] => When::At(t_ms),
            [start_ms, end_ms, step_ms] => When::Over(Span {
                start_ms,
                end_ms,
                step_ms,
            }),
            _ => panic!("one time or three: {line}"),
        };
        let ordered = query.starts_with("sort");
        for line in answer(query, when).lines(when, ordered) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

/// All series that the text loads.
fn series(text: &str) -> Vec<Series> {
    let mut series = Vec::new();
    let mut step_ms = None;
    for line in text.lines() {
        if let Some(step) = line.strip_prefix("load ") {
            step_ms = Some(milliseconds(step));
        } else if let (Some(step_ms), Some(line)) = (step_ms, line.strip_prefix("  ")) {
            series.push(one_series(line, step_ms));
        } else {
            step_ms = None;
        }
    }
    series
}

fn one_series(line: &str, step_ms: i64) -> Series {
    let name_end = line
        .find('}')
        .map_or_else(|| line.find(' ').unwrap(), |brace| brace + 1);
    let (name, values) = line.split_at(name_end);
    let values = values.split_whitespace().flat_map(sequence);
    let samples = (0..).map(|index| index * step_ms).zip(values);
    Series {
        labels: labels(name),
        samples: samples
            .filter_map(|(t_ms, value)| value.map(|value| Sample { t_ms, value }))
            .collect(),
    }
}

fn labels(text: &str) -> Labels {
    Labels::new(
        parse_selector(text)
            .unwrap()
            .into_iter()
            .map(|matcher| match matcher.matches {
                Match::Equal(value) => (matcher.name, value),
                _ => panic!("{text} is no series"),
            }),
    )
}

/// `1`, `_`, `stale`, `1x3` or `1+2x3`.
fn sequence(text: &str) -> Vec<Option<f64>> {
    let (first, repeats) = text.split_once('x').unwrap_or((text, "0"));
    let (first, increment) = match first.rfind(['+', '-']) {
        Some(sign @ 1..) if !first[..sign].ends_with('e') => first.split_at(sign),
        _ => (first, "0"),
    };
    let increment: f64 = increment.parse().unwrap();
    let mut value = match first {
        "_" => None,
        "stale" => Some(f64::from_bits(STALE_NAN_BITS)),
        number => Some(
            number
                .parse()
                .unwrap_or_else(|_| panic!("{number} is no number")),
        ),
    };
    let mut values = Vec::new();
    for _ in 0..=repeats.parse().unwrap() {
        values.push(value);
        if increment != 0.0 {
            value = value.map(|value| value + increment);
        }
    }
    values
}

/// A duration, which is a number of seconds to the language itself.
fn milliseconds(text: &str) -> i64 {
    let expr = parse(text).unwrap();
    let answer = Engine::default()
        .instant(&Memory::new(Vec::new()), &expr, 0)
        .unwrap();
    match answer.value {
        Value::Scalar(sample) => (sample.value * 1000.0) as i64,
        other => panic!("{text} is no time but {other:?}"),
    }
}
