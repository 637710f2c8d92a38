//! The same expressions on the same series, here and in the real Prometheus: results, their order where it means
//! something, remarks, errors, and expressions as text.
//!
//! `corpus/expressions.txt` has an expression a line, `corpus/refused.txt` texts that are no expressions,
//! each with the error below it, written by `UPDATE_GOLDEN=1`. Where the two
//! are allowed to differ, `corpus/differences.txt` says why: the reason after `#`, then the expressions it excuses.

use std::{env, fmt::Write, fs, path::PathBuf};

use promql::{Engine, Span, format_value, parse};
use serde_json::Value;
use tsdb::{Labels, Sample};

use crate::memory::Memory;
use crate::outcome::{Outcome, Remarks, When, equal, ours, reason, seconds, theirs};
use crate::peer::Prometheus;
use crate::world::{self, END_MS, START_MS};

const EXPRESSIONS_MIN: usize = 500;

/// Instants: in the middle, on a sample and off it; soon after the start; after the end, where lookback begins to matter.
const INSTANTS_MS: [i64; 4] = [
    START_MS + 3_600_000,
    START_MS + 5_432_123,
    START_MS + 40_000,
    END_MS + 200_000,
];

/// Spans: steps on samples, and steps that fit nothing and reach beyond both ends.
const SPANS: [Span; 2] = [
    Span {
        start_ms: START_MS + 900_000,
        end_ms: START_MS + 4_500_000,
        step_ms: 60_000,
    },
    Span {
        start_ms: START_MS - 400_000,
        end_ms: END_MS + 700_000,
        step_ms: 347_111,
    },
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/corpus")
        .join(name)
}

fn corpus(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn is_text(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn unescaped(line: &str) -> String {
    line.replace("\\n", "\n")
}

fn lines(name: &str) -> Vec<String> {
    let text = corpus(name);
    text.lines()
        .filter(|line| is_text(line))
        .map(unescaped)
        .collect()
}

#[test]
fn every_expression_has_the_answers_of_the_real_one() {
    let Some(prometheus) = Prometheus::start("groups: []\n") else {
        return;
    };
    let memory = Memory::new(world::series());
    prometheus.write(memory.series());
    let engine = Engine::default();
    let expressions = lines("expressions.txt");
    let excused = lines("differences.txt");
    let (mut compared, mut different, mut report) = (0, 0, String::new());
    for text in &expressions {
        let mut differs = String::new();
        let instants = INSTANTS_MS.map(When::At).into_iter();
        for when in instants.chain(SPANS.map(When::Over)) {
            let (ours, theirs) = (
                ours(&engine, &memory, text, when),
                theirs(&prometheus, text, when),
            );
            let difference = difference(text, when, ours, theirs);
            compared += 1;
            different += usize::from(difference.is_some());
            if let Some(difference) = difference {
                writeln!(differs, "  {}:\n    {difference}", named(when)).unwrap();
            }
        }
        match (differs.is_empty(), excused.contains(text)) {
            (false, false) => writeln!(report, "{text}\n{differs}").unwrap(),
            (true, true) => writeln!(report, "{text}\n  is excused without a difference").unwrap(),
            _ => {}
        }
    }
    println!(
        "{} expressions, {compared} answers, {} identical",
        expressions.len(),
        compared - different
    );
    assert!(report.is_empty(), "{report}");
    assert!(expressions.len() >= EXPRESSIONS_MIN);
}

#[test]
fn what_is_no_expression_is_refused_in_the_words_that_are_written_there() {
    let golden = corpus("refused.txt");
    let mut found = String::new();
    for line in golden.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(found, "{line}").unwrap();
        if is_text(line) {
            let error = parse(&unescaped(line)).expect_err(line);
            writeln!(found, "  {error}").unwrap();
        }
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path("refused.txt"), &found).unwrap();
    }
    let golden = corpus("refused.txt");
    let differs = golden.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(golden == found, "{differs:?}");
}

#[test]
fn the_real_one_refuses_it_in_the_same_words() {
    let Some(prometheus) = Prometheus::start("groups: []\n") else {
        return;
    };
    let excused = lines("differences.txt");
    let golden = corpus("refused.txt");
    let mut report = String::new();
    let mut texts = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    while let Some(line) = texts.next() {
        let Some(ours) = texts
            .next_if(|next| next.starts_with("  "))
            .map(str::trim_start)
        else {
            continue;
        };
        let answer = prometheus
            .api("query", &[("query", &unescaped(line)), ("time", "0")])
            .1;
        let theirs = answer["error"].as_str().map_or("accepted", reason);
        if (ours != theirs) != excused.iter().any(|text| text == line) {
            writeln!(report, "{line}\n  ours   {ours}\n  theirs {theirs}").unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn an_expression_is_read_again_from_its_text() {
    for text in lines("expressions.txt") {
        if let Ok(expr) = parse(&text) {
            assert!(parse(&expr.to_string()).is_ok(), "{expr}");
            assert!(parse(&expr.pretty()).is_ok(), "{}", expr.pretty());
        }
    }
}

#[test]
fn expressions_are_written_as_the_real_one_writes_them() {
    let texts = lines("expressions.txt");
    let rules: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| serde_json::json!({"record": format!("r{index}"), "expr": text}))
        .filter(|rule| parse(rule["expr"].as_str().unwrap()).is_ok())
        .collect();
    let group =
        serde_json::json!({"groups": [{"name": "texts", "interval": "1d", "rules": rules}]});
    let Some(prometheus) = Prometheus::start(&group.to_string()) else {
        return;
    };
    let written = prometheus.rule_texts();
    assert_eq!(written.len(), rules.len());
    let mut report = String::new();
    for (text, theirs) in rules
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap())
        .zip(written)
    {
        let expr = parse(text).unwrap();
        let pretty = prometheus.api("format_query", &[("query", text)]).1;
        let pretty = pretty["data"].as_str().unwrap();
        if expr.to_string() != theirs {
            writeln!(report, "{text}\n  ours   {expr}\n  theirs {theirs}").unwrap();
        }
        if expr.pretty() != pretty {
            writeln!(
                report,
                "{text}\n  ours\n{}\n  theirs\n{pretty}",
                expr.pretty()
            )
            .unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// Remarks without their number of samples.
fn uncounted(mut outcome: Outcome) -> Outcome {
    if let Outcome::Series { remarks, .. } = &mut outcome {
        for remark in remarks.values_mut().flatten() {
            if let Some((before, after)) = remark.split_once(", over ") {
                let (_, after) = after.split_once(" samples").unwrap();
                *remark = format!("{before}{after}");
            }
        }
    }
    outcome
}

fn named(when: When) -> String {
    match when {
        When::At(t_ms) => format!("at {}", seconds(t_ms)),
        When::Over(span) => {
            let [start, end, step] = [span.start_ms, span.end_ms, span.step_ms].map(seconds);
            format!("from {start} to {end} by {step}")
        }
    }
}

/// What differs, if anything.
fn difference(text: &str, when: When, ours: Outcome, theirs: Outcome) -> Option<String> {
    // How often buckets had to be levelled is counted twice with every step there.
    let (ours, theirs) = match when {
        When::At(_) => (ours, theirs),
        When::Over(_) => (uncounted(ours), uncounted(theirs)),
    };
    match (&ours, &theirs) {
        (Outcome::Refused(ours), Outcome::Refused(theirs))
        | (Outcome::Text(ours), Outcome::Text(theirs)) => {
            (ours != theirs).then(|| format!("ours {ours}\n    theirs {theirs}"))
        }
        (
            Outcome::Series {
                kind,
                series,
                remarks,
            },
            Outcome::Series {
                kind: their_kind,
                series: their_series,
                remarks: their_remarks,
            },
        ) => {
            if kind != their_kind {
                return Some(format!("kind {kind}, not {their_kind}"));
            }
            if !same_remarks(remarks, their_remarks) {
                return Some(format!("remarks {remarks:?}\n    not {their_remarks:?}"));
            }
            let sorts = ["sort", "topk", "bottomk"]
                .iter()
                .any(|word| text.starts_with(word));
            let ordered = sorts && matches!(when, When::At(_));
            different_series(series, their_series, ordered)
        }
        _ => Some(format!("ours {ours:?}\n    theirs {theirs:?}")),
    }
}

/// The API shows some of each kind and tells how many it left out.
fn same_remarks(ours: &Remarks, theirs: &Remarks) -> bool {
    ours.keys().eq(theirs.keys())
        && ours.iter().zip(theirs.values()).all(|((_, ours), theirs)| {
            let (more, shown): (Vec<&String>, Vec<&String>) = theirs
                .iter()
                .partition(|remark| remark.ends_with(" annotations omitted"));
            let left_out = more.first().map_or(0, |more| {
                more.split(' ').next().unwrap().parse::<usize>().unwrap()
            });
            ours.len() == shown.len() + left_out && shown.iter().all(|one| ours.contains(one))
        })
}

type Rows = [(Labels, Vec<Sample>)];

fn different_series(ours: &Rows, theirs: &Rows, ordered: bool) -> Option<String> {
    if ordered {
        // Series of equal values are in no order.
        let values = |rows: &Rows| rows.iter().map(|row| row.1[0].value).collect::<Vec<_>>();
        let (ours, theirs) = (values(ours), values(theirs));
        if !ours
            .iter()
            .zip(&theirs)
            .all(|(a, b)| a == b || equal(*a, *b))
        {
            return Some(format!("order {ours:?}\n    not {theirs:?}"));
        }
    }
    let [mut left, mut right] = [ours, theirs].map(<[_]>::to_vec);
    left.sort_by(|a, b| a.0.cmp(&b.0));
    right.sort_by(|a, b| a.0.cmp(&b.0));
    let names = |rows: &Rows| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    if names(&left) != names(&right) {
        return Some(format!(
            "series {:?}\n    not {:?}",
            names(&left),
            names(&right)
        ));
    }
    for ((labels, ours), (_, theirs)) in left.iter().zip(&right) {
        let times =
            |samples: &[Sample]| samples.iter().map(|sample| sample.t_ms).collect::<Vec<_>>();
        if times(ours) != times(theirs) {
            return Some(format!(
                "{labels:?} has times {:?}\n    not {:?}",
                times(ours),
                times(theirs)
            ));
        }
        let unequal = ours
            .iter()
            .zip(theirs)
            .find(|(a, b)| !equal(a.value, b.value));
        if let Some((a, b)) = unequal {
            let (ours, theirs) = (format_value(a.value), format_value(b.value));
            return Some(format!("{labels:?} at {} is {ours}, not {theirs}", a.t_ms));
        }
    }
    None
}
