//! Golden cases: lines, queries on them, and the answers, in files that run always and, where it is at hand, on the real Loki
//! too.
//!
//! - `load` is followed by indented lines, `5s {app="a"} text` or `5s {app="a"} [trace_id=x,span_id=y] text`, at that time from
//!   the start. A `\t`, `\e` or `\"` in the text is a tab, an escape or a quote. All loads of a file count for all its queries.
//! - `eval 5m: query` asks for numbers at one time, `eval 0s 10m 1m: query` at steps, `lines 0s 1m: query` for lines,
//!   `back 0s 1m: query` for lines from the end; the indented answer is written by `UPDATE_GOLDEN=1`.
//! - `format query` is answered by the query over several lines where one would be long.
//! - `#` begins a remark.

use std::{env, fmt::Write, fs, path::PathBuf};

use logql::{Direction, Engine, Span, parse, parse_matchers, pretty};
use tsdb::{Labels, Match};

use crate::{
    memory::{Line, Memory},
    outcome::{Outcome, When, ours, theirs},
    peer::Loki,
    world::{SECOND, START_NS},
};

const QUERIES_MIN: usize = 100;

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
        let memory = Memory::new(loaded(&text));
        let mut ask = |query: &str, when| {
            queries += 1;
            ours(&engine, &memory, query, when)
        };
        let answered = answered(&text, &mut ask, &|query| pretty(&parse(query).unwrap()));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &answered).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        let differs = written.lines().zip(answered.lines()).find(|(a, b)| a != b);
        assert!(written == answered, "{}: {differs:?}", path.display());
    }
    assert!(queries >= QUERIES_MIN, "{queries} queries");
}

/// The same on the real one.
pub(crate) fn same_answers(loki: &Loki, report: &mut String) {
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let tenant = path.file_stem().unwrap().to_str().unwrap();
        loki.push(tenant, Memory::new(loaded(&text)).lines());
        let mut ask = |query: &str, when| theirs(loki, tenant, query, when);
        let formatted = |query: &str| {
            let answer = loki
                .api(tenant, "format_query", &[("query", query)])
                .unwrap();
            answer["data"].as_str().unwrap().to_owned()
        };
        let answered = answered(&text, &mut ask, &formatted);
        for (line, (ours, theirs)) in text.lines().zip(answered.lines()).enumerate() {
            if ours != theirs {
                let place = format!("{}:{}", path.display(), line + 1);
                writeln!(report, "{place}\n  ours   {ours}\n  theirs {theirs}").unwrap();
                break;
            }
        }
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
        writeln!(out, "{line}").unwrap();
        in_answer = false;
        if let Some(query) = line.strip_prefix("format ") {
            in_answer = true;
            for line in formatted(query).lines() {
                writeln!(out, "  {line}").unwrap();
            }
        }
        let Some((when, query)) = asked(line) else {
            continue;
        };
        in_answer = true;
        for line in answer(query, when).lines() {
            writeln!(out, "  {line}").unwrap();
        }
    }
    out
}

/// The kind, the times and the query of a line that asks.
fn asked(line: &str) -> Option<(When, &str)> {
    let (kind, rest) = line.split_once(' ')?;
    if !["eval", "lines", "back"].contains(&kind) {
        return None;
    }
    let (times, query) = rest.split_once(": ")?;
    let times: Vec<i64> = times
        .split(' ')
        .map(|time| START_NS + nanoseconds(time))
        .collect();
    let when = match (kind, &times[..]) {
        ("eval", [at]) => When::At(*at),
        ("eval", [start, end, step]) => When::Over(Span {
            start_ns: *start,
            end_ns: *end,
            step_ns: *step - START_NS,
        }),
        ("lines", [start, end]) => When::Lines(*start, *end, Direction::Forward),
        ("back", [start, end]) => When::Lines(*start, *end, Direction::Backward),
        _ => panic!("times do not fit: {line}"),
    };
    Some((when, query))
}

/// `90s` or `5m`.
fn nanoseconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: i64 = number
        .parse()
        .unwrap_or_else(|_| panic!("{text} is no time"));
    number * if unit == "m" { 60 * SECOND } else { SECOND }
}

fn loaded(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut in_load = false;
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(line) if in_load => lines.push(one_line(line)),
            _ => in_load = line == "load",
        }
    }
    lines
}

fn one_line(line: &str) -> Line {
    let (time, rest) = line.split_once(' ').unwrap();
    let (labels, rest) = rest.split_once('}').unwrap();
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let (metadata, text) = match rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((metadata, text)) => (metadata, text),
        None => ("", rest),
    };
    let metadata = metadata.split(',').filter_map(|pair| pair.split_once('='));
    Line {
        stream: stream(&format!("{labels}}}")),
        t_ns: START_NS + nanoseconds(time),
        metadata: metadata
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        text: text.replace("\\t", "\t").replace("\\e", "\u{1b}"),
    }
}

fn stream(text: &str) -> Labels {
    let matchers = parse_matchers(text).unwrap();
    Labels::new(matchers.into_iter().map(|matcher| match matcher.matches {
        Match::Equal(value) => (matcher.name, value),
        _ => panic!("{text} is no stream"),
    }))
}
