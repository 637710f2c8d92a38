//! What is too large, too deep or too slow is refused, and nothing makes the process fall over.

use std::{
    fmt::Write,
    ops::{ControlFlow, Range},
    time::Duration,
};

use logql::{
    DEPTH_MAX, Direction, Engine, Entry, Expr, Options, Pipeline, QueryError, STEPS_MAX, Scanned,
    Selection, Source, SourceError, Span, TEXT_BYTES_MAX, parse,
};
use tsdb::{Labels, Matcher};

use crate::{
    memory::{Line, Memory},
    world::{self, LENGTH_S, SECOND, START_NS},
};

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn log(text: &str) -> logql::LogExpr {
    match parse(text).unwrap() {
        Expr::Log(log) => log,
        Expr::Metric(_) => panic!("{text} gives numbers"),
    }
}

#[test]
fn long_texts_and_deep_ones_are_refused() {
    let long = format!("{{app=\"{}\"}}", "a".repeat(TEXT_BYTES_MAX));
    assert!(error(&long).starts_with("parse error : input size too long"));
    let more = DEPTH_MAX + 1;
    for deep in [
        format!("{}1{}", "(".repeat(more), ")".repeat(more)),
        "(".repeat(TEXT_BYTES_MAX - 1),
        format!(
            "{{a=\"b\"}} | {}c=\"d\"{}",
            "(".repeat(more),
            ")".repeat(more)
        ),
        format!("count_over_time({}{{a=\"b\"}}", "(".repeat(more)),
        format!("{{a=\"b\"}} | c=\"d\"{}", ",c=\"d\"".repeat(more)),
        format!("1{}", "^1".repeat(more)),
    ] {
        assert!(error(&deep).contains("nest deeper"), "{deep:.50}");
    }
    let chain = format!("vector(1){}", "+vector(1)".repeat(more));
    assert!(error(&chain).contains("operators in a chain"));
    let chain = format!("{{a=\"b\"}} | c=\"d\"{}", " and c=\"d\"".repeat(more));
    assert!(error(&chain).contains("operators in a chain"));
    let templates = "{{ if .a }}".repeat(200);
    assert!(error(&format!("{{a=\"b\"}} | line_format `{templates}`")).contains("nest deeper"));
    let huge = "{a=\"b\"} |~ \"(x{1000}){1000}\"";
    assert!(error(huge).contains("error parsing regexp"));
}

fn engine(change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options::default();
    change(&mut options);
    Engine::new(options)
}

#[test]
fn answers_have_a_bound() {
    let memory = Memory::new(world::lines());
    let span = Span {
        start_ns: START_NS,
        end_ns: START_NS + LENGTH_S * SECOND,
        step_ns: 10 * SECOND,
    };
    let few = engine(|options| {
        options.series_max = 3;
        options.entries_max = 7;
        options.samples_max = 100;
    });
    let many = parse("count_over_time({app=~\".+\"}[1m])").unwrap();
    let at = few
        .instant(&memory, &many, START_NS + 60 * SECOND)
        .unwrap_err();
    assert!(matches!(at, QueryError::TooManySeries(3)), "{at}");
    let kept = parse("sum by (x) (quantile_over_time(0.5, {app=\"counter\"} | logfmt | unwrap total [1h]) by ())").unwrap();
    let over = few.range(&memory, &kept, span).unwrap_err();
    assert!(matches!(over, QueryError::TooManySamples(100)), "{over}");
    let lines = log("{app=~\".+\"}");
    let range = START_NS..START_NS + LENGTH_S * SECOND;
    let answer = few
        .log_query(&memory, &lines, range, Direction::Forward, 1000)
        .unwrap();
    assert_eq!(
        answer
            .value
            .iter()
            .map(|stream| stream.entries.len())
            .sum::<usize>(),
        7
    );
}

#[test]
fn spans_have_to_make_sense() {
    let memory = Memory::default();
    let expr = parse("vector(1)").unwrap();
    let ask = |start_ns, end_ns, step_ns| {
        let span = Span {
            start_ns,
            end_ns,
            step_ns,
        };
        Engine::default().range(&memory, &expr, span)
    };
    for wrong in [
        ask(0, 10, 0),
        ask(0, 10, -1),
        ask(10, 0, 1),
        ask(0, STEPS_MAX as i64 + 1, 1),
        ask(i64::MIN, i64::MAX, 1),
    ] {
        assert!(matches!(wrong, Err(QueryError::BadSpan(_))));
    }
    let answer = ask(0, STEPS_MAX as i64, 1).unwrap();
    assert_eq!(answer.value[0].samples.len(), STEPS_MAX + 1);
    let extreme = parse("count_over_time({a=\"b\"}[1h] offset 100y)").unwrap();
    let at = Engine::default()
        .instant(&memory, &extreme, i64::MIN)
        .unwrap();
    assert_eq!(at.value, logql::Value::Vector(Vec::new()));
    let log_at = Engine::default().instant(&memory, &parse("{a=\"b\"}").unwrap(), 0);
    assert!(matches!(log_at, Err(QueryError::LinesAtAnInstant)));
}

/// Lines without end.
struct Endless;

impl Source for Endless {
    fn scan(
        &self,
        _: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError> {
        let labels = Labels::new([("app", "a")]);
        for t_ns in START_NS.. {
            let entry = Entry {
                t_ns,
                line: "a line",
                metadata: &[],
            };
            if visit(&labels, entry).is_break() {
                break;
            }
        }
        Ok(Scanned::default())
    }

    fn streams(&self, _: &[Matcher], _: Range<i64>) -> Result<Vec<Labels>, SourceError> {
        Ok(Vec::new())
    }
}

#[test]
fn time_is_a_bound() {
    let engine = engine(|options| options.timeout = Duration::from_millis(20));
    let lines = log("{app=\"a\"} |= \"nothing\"");
    let found = engine.log_query(&Endless, &lines, 0..i64::MAX, Direction::Forward, 10);
    assert!(matches!(found, Err(QueryError::Timeout)));
    let count = parse("count_over_time({app=\"a\"}[1m])").unwrap();
    let found = engine.instant(&Endless, &count, START_NS);
    assert!(matches!(found, Err(QueryError::Timeout)));
}

#[test]
fn a_source_that_fails_is_an_error() {
    struct Broken;
    impl Source for Broken {
        fn scan(
            &self,
            _: &Selection<'_>,
            _: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
        ) -> Result<Scanned, SourceError> {
            Err(SourceError("no disk".into()))
        }

        fn streams(&self, _: &[Matcher], _: Range<i64>) -> Result<Vec<Labels>, SourceError> {
            Err(SourceError("no disk".into()))
        }
    }
    let found =
        Engine::default().log_query(&Broken, &log("{a=\"b\"}"), 0..1, Direction::Forward, 1);
    assert!(matches!(found, Err(QueryError::Source(_))));
}

#[test]
fn deep_json_and_long_output_end() {
    let mut deep = String::new();
    for _ in 0..50_000 {
        write!(deep, "{{\"a\":").unwrap();
    }
    let deep = deep.clone() + "1" + &"}".repeat(50_000);
    let line = |text: &str| Line {
        stream: Labels::new([("app", "a")]),
        t_ns: START_NS,
        metadata: Vec::new(),
        text: text.to_owned(),
    };
    let processed = |query: &str, text: &str| {
        let mut pipeline = Pipeline::new(&log(query));
        let line = line(text);
        let entry = Entry {
            t_ns: line.t_ns,
            line: &line.text,
            metadata: &[],
        };
        let processed = pipeline.process(&line.stream, entry).unwrap();
        (processed.labels(), processed.line.into_owned())
    };
    assert_eq!(processed("{app=\"a\"} | json", &deep).0.get("app"), "a");
    let (labels, text) = processed(
        "{app=\"a\"} | line_format `{{ repeat 2000000000 __line__ }}`",
        "x",
    );
    assert_eq!(
        (labels.get("__error__"), &*text),
        ("TemplateFormatErr", "x")
    );
    let inner = r#"{{ range fromJson "[1,2,3,4,5,6,7,8,9,0]" }}{{ alignLeft 99999 "x" }}{{ end }}"#;
    let outer = ["{{ range fromJson __line__ }}", inner, "{{ end }}"].concat();
    let query = format!("{{app=\"a\"}} | line_format `{outer}`");
    let (labels, _) = processed(&query, "[1,2,3]");
    assert_eq!(labels.get("__error__"), "TemplateFormatErr");
}

#[test]
fn streams_that_pass_unchanged_share_their_labels() {
    let mut pipeline = Pipeline::new(&log("{app=\"a\"} |= \"x\""));
    assert_eq!(pipeline.hints().len(), 1);
    let stream = Labels::new([("app", "a")]);
    let entry = Entry {
        t_ns: 0,
        line: "axa",
        metadata: &[],
    };
    let processed = pipeline.process(&stream, entry).unwrap();
    assert_eq!(processed.labels(), stream);
    assert_eq!(processed.stream_labels(), stream);
    assert!(processed.parsed().is_empty() && processed.metadata().is_empty());
    let entry = Entry { line: "b", ..entry };
    assert!(pipeline.process(&stream, entry).is_none());
}
