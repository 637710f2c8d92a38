//! The same queries on the same lines, here and in the real Loki: lines, numbers, errors, and queries as text.
//!
//! `corpus/expressions.txt` has a query a line, `corpus/refused.txt` texts that are no queries, each with the error below it,
//! written by `UPDATE_GOLDEN=1`. Where the two are allowed to differ, `corpus/differences.txt` says why: the reason after `#`,
//! then the queries it excuses.

use std::{env, fmt::Write, fs, path::PathBuf};

use tsdb::Labels;

use logql::{Direction, Engine, Expr, Span, parse, pretty};

use crate::{
    cases,
    memory::{Line, Memory},
    outcome::{Order, When, ours, theirs},
    peer::Loki,
    world::{self, LENGTH_S, SECOND, START_NS},
};

const QUERIES_MIN: usize = 400;

const TENANT: &str = "world";
const REFUSED: &str = "refused";

/// Instants: in the middle, and after the end.
const INSTANTS_NS: [i64; 2] = [
    START_NS + 301 * SECOND + 123_000_000,
    START_NS + (LENGTH_S + 60) * SECOND,
];

/// Spans: windows that overlap or not, and steps that reach beyond both ends.
const SPANS: [Span; 2] = [
    Span {
        start_ns: START_NS + 60 * SECOND,
        end_ns: START_NS + 540 * SECOND,
        step_ns: 30 * SECOND,
    },
    Span {
        start_ns: START_NS - 100 * SECOND,
        end_ns: START_NS + (LENGTH_S + 200) * SECOND,
        step_ns: 100 * SECOND,
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
        .map(str::to_owned)
        .collect()
}

/// Each text that is refused and the error below it.
fn refused() -> Vec<(String, String)> {
    let golden = corpus("refused.txt");
    let texts: Vec<&str> = golden.lines().filter(|line| is_text(line)).collect();
    let pairs = texts.chunks(2);
    pairs
        .map(|pair| (pair[0].to_owned(), pair[1].trim_start().to_owned()))
        .collect()
}

#[test]
fn the_real_one_gives_the_same_answers() {
    let Some(loki) = Loki::start() else {
        return;
    };
    let memory = Memory::new(world::lines());
    loki.push(TENANT, memory.lines());
    let mut report = String::new();
    same_answers(&loki, &memory, &mut report);
    same_refusals(&loki, &mut report);
    same_texts(&loki, &mut report);
    cases::same_answers(&loki, &mut report);
    assert!(report.is_empty(), "{report}");
}

fn same_answers(loki: &Loki, memory: &Memory, report: &mut String) {
    let engine = Engine::default();
    let expressions = lines("expressions.txt");
    let excused = lines("differences.txt");
    let (mut compared, mut different) = (0, 0);
    for text in &expressions {
        let whens: Vec<When> = match parse(text) {
            Ok(Expr::Log(_)) => [Direction::Forward, Direction::Backward]
                .map(|direction| When::Lines(START_NS, START_NS + LENGTH_S * SECOND, direction))
                .to_vec(),
            _ => INSTANTS_NS
                .map(When::At)
                .into_iter()
                .chain(SPANS.map(When::Over))
                .collect(),
        };
        let mut differs = String::new();
        for when in whens {
            let order = order(text, when);
            let ours = ours(&engine, memory, text, when);
            let difference = ours.difference(&theirs(loki, TENANT, text, when), order);
            compared += 1;
            different += usize::from(difference.is_some());
            if let Some(difference) = difference {
                writeln!(differs, "  {when:?}\n    {difference}").unwrap();
            }
        }
        match (differs.is_empty(), excused.contains(text)) {
            (false, false) => writeln!(report, "{text}\n{differs}").unwrap(),
            (true, true) => writeln!(report, "{text}\n  is excused without a difference").unwrap(),
            _ => {}
        }
    }
    println!(
        "{} queries, {compared} answers, {} identical",
        expressions.len(),
        compared - different
    );
    assert!(
        expressions.len() >= QUERIES_MIN,
        "{} queries",
        expressions.len()
    );
}

fn order(text: &str, when: When) -> Order {
    if text.starts_with("topk") || text.starts_with("bottomk") {
        Order::OfTies
    } else if text.starts_with("sort") && matches!(when, When::At(_)) {
        Order::OfValues
    } else {
        Order::None
    }
}

fn same_refusals(loki: &Loki, report: &mut String) {
    let excused = lines("differences.txt");
    let refused = refused();
    // Stages are looked at only where there is a stream.
    let line = Line {
        stream: Labels::new([("app", "a")]),
        t_ns: START_NS,
        metadata: Vec::new(),
        text: "a line".into(),
    };
    loki.push(REFUSED, &[line]);
    let mut same = 0;
    for (line, ours) in &refused {
        let text = unescaped(line);
        let asked = [
            ("query", &*text),
            ("start", "1790002800000000000"),
            ("end", "1790002801000000000"),
            ("step", "1s"),
        ];
        let theirs = match loki.api(REFUSED, "query_range", &asked) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.replace('\n', "\\n"),
        };
        same += usize::from(*ours == theirs);
        if (*ours != theirs) != excused.contains(line) {
            writeln!(report, "{line}\n  ours   {ours}\n  theirs {theirs}").unwrap();
        }
    }
    println!("{} texts refused, {same} in the same words", refused.len());
}

fn same_texts(loki: &Loki, report: &mut String) {
    let excused = lines("differences.txt");
    let (mut compared, mut same) = (0, 0);
    for text in lines("expressions.txt") {
        let Ok(expr) = parse(&text) else {
            continue;
        };
        let answer = loki.api(TENANT, "format_query", &[("query", &text)]);
        let theirs = answer.map(|answer| answer["data"].as_str().unwrap().to_owned());
        let ours = pretty(&expr);
        compared += 1;
        same += usize::from(theirs.as_ref() == Ok(&ours));
        if theirs.as_ref() != Ok(&ours) && !excused.contains(&format!("format {text}")) {
            writeln!(
                report,
                "format {text}\n  ours\n{ours}\n  theirs\n{theirs:?}"
            )
            .unwrap();
        }
    }
    println!("{compared} queries as text, {same} identical");
}

#[test]
fn what_is_no_query_is_refused_in_the_words_that_are_written_there() {
    let golden = corpus("refused.txt");
    let mut found = String::new();
    for line in golden.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(found, "{line}").unwrap();
        if is_text(line) {
            let error = parse(&unescaped(line)).expect_err(line);
            writeln!(found, "  {}", error.to_string().replace('\n', "\\n")).unwrap();
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
fn a_query_is_read_again_from_its_text() {
    for text in lines("expressions.txt") {
        if let Ok(expr) = parse(&text) {
            let written = expr.to_string();
            let again = parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(again.to_string(), written);
            let pretty = pretty(&expr);
            let again = parse(&pretty).unwrap_or_else(|error| panic!("{pretty}: {error}"));
            assert_eq!(again.to_string(), written);
        }
    }
}
