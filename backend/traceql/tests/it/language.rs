//! The language: golden queries with their canonical text or their error, bounds, positions, fields, hints.
//!
//! A golden file holds queries at the start of a line; the indented line below says `= canonical text` or `! error`.

mod candidates;
mod properties;
mod soundness;

use std::path::Path;
use std::{fs, thread};

use traceql::{
    LIST_MAX, Literal, NESTING_MAX, OPERATORS_MAX, PATTERNS_MAX, ParseError, QUERY_BYTES_MAX,
    parse, parse_field,
};

/// The stack of the threads that queries are answered on.
const STACK_BYTES: usize = 2 << 20;

fn outcome(query: &str) -> String {
    match parse(query) {
        Ok(parsed) => format!("= {parsed}"),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn every_golden_query_is_accepted_or_refused_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/language");
    let mut queries = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let golden = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = golden.lines().collect();
        for pair in lines.chunks(2) {
            let (query, expected) = (pair[0], pair[1].trim_start());
            assert_eq!(outcome(query), expected, "{query} in {}", path.display());
            queries += 1;
        }
    }
    assert!(queries > 350, "{queries} queries");
}

#[test]
fn operators_bind_as_in_tempo() {
    for (text, same) in [
        (".a || .b && .c", "(.a || .b) && .c"),
        (".a && .b || .c", "(.a && .b) || .c"),
        (".a = 1 && .b", "(.a = 1) && .b"),
        (".a = 1 = true", "(.a = 1) = true"),
        (".a =~ `x` = true", "(.a =~ `x`) = true"),
        (".a + 1 = 2", "(.a + 1) = 2"),
        (".a - 1 - 2 = 3", "((.a - 1) - 2) = 3"),
        (".a - 1 * 2 = 3", "(.a - (1 * 2)) = 3"),
        (".a / 1 % 2 = 3", "((.a / 1) % 2) = 3"),
        (".a ^ 2 ^ 3 = 0", "(.a ^ (2 ^ 3)) = 0"),
        (".a * 2 ^ 3 = 0", "(.a * (2 ^ 3)) = 0"),
        ("-.a = 1", "(-.a) = 1"),
        ("-.a * 2 = 1", "(-(.a * 2)) = 1"),
        ("-.a + 2 = 1", "((-.a) + 2) = 1"),
        ("2 * -.a * 3 = 1", "(2 * (-(.a * 3))) = 1"),
        ("2 ^ -.a * 3 = 1", "(2 ^ (-(.a * 3))) = 1"),
        ("!.a = true", "(!.a) = true"),
        ("!.a && .b", "(!.a) && .b"),
        (".a = nil = true", "(.a = nil) = true"),
        ("nil = .a + 1 && .b", "((.a + 1) = nil) && .b"),
    ] {
        let (text, same) = (format!("{{ {text} }}"), format!("{{ {same} }}"));
        assert_eq!(parse(&text).unwrap(), parse(&same).unwrap(), "{text}");
    }
    for (text, same) in [
        ("{.a} || {.b} && {.c}", "({.a} || {.b}) && {.c}"),
        ("{.a} || {.b} >> {.c}", "{.a} || ({.b} >> {.c})"),
        ("{.a} >> {.b} > {.c}", "({.a} >> {.b}) > {.c}"),
        ("{.a} | {.b} || {.c}", "{.a} | ({.b} || {.c})"),
    ] {
        assert_eq!(parse(text).unwrap(), parse(same).unwrap(), "{text}");
    }
}

#[test]
fn canonical_text_parses_to_the_same_query() {
    let goldens = [
        include_str!("language/fields.txt"),
        include_str!("language/filters.txt"),
        include_str!("language/literals.txt"),
        include_str!("language/metrics.txt"),
        include_str!("language/pipelines.txt"),
        include_str!("language/structure.txt"),
    ];
    for line in goldens.iter().flat_map(|golden| golden.lines()) {
        let text = line.trim_start().trim_start_matches("= ");
        let query = parse(text).unwrap();
        assert_eq!(parse(&query.to_string()).unwrap(), query, "{text}");
    }
}

#[test]
fn an_error_says_line_and_column() {
    let check = |query: &str, line: usize, column: usize| match parse(query) {
        Err(ParseError::Syntax {
            line: at_line,
            column: at_column,
            ..
        }) => assert_eq!((at_line, at_column), (line, column), "{query}"),
        other => panic!("{query}: {other:?}"),
    };
    check("{ nope }", 1, 3);
    check("{\n  .a =\n  nope }", 3, 3);
    check("{ .größe = nope }", 1, 12);
    check("{ .a = `two\nlines` nope }", 2, 8);
    check("{ .a", 1, 5);
    check("  ", 1, 3);
    check("/* not closed", 1, 1);
    assert_eq!(parse(""), Err(ParseError::Empty));
}

#[test]
fn strings_end_at_the_line_unless_they_are_raw() {
    assert!(parse("{ .a = \"x\ny\" }").is_err());
    let raw = parse("{ .a = `x\r\ny` }").unwrap();
    assert_eq!(raw, parse(r#"{ .a = "x\ny" }"#).unwrap());
}

#[test]
fn what_is_too_large_is_refused_and_what_just_fits_is_not() {
    let check = |query: String, refusal: Option<&str>| {
        let outcome = parse(&query).map_err(|error| error.to_string()).err();
        assert_eq!(outcome.as_deref(), refusal, "{:.80}", query);
    };
    let padded = |bytes: usize| format!("{{ }}{}", " ".repeat(bytes - 3));
    check(padded(QUERY_BYTES_MAX), None);
    let refusal = format!(
        "query of {} bytes is longer than {QUERY_BYTES_MAX}",
        QUERY_BYTES_MAX + 1
    );
    check(padded(QUERY_BYTES_MAX + 1), Some(&refusal));

    let chain = |operators: usize| format!("{{ .a{} }}", " && .a".repeat(operators));
    check(chain(OPERATORS_MAX), None);
    let refusal = format!("more than {OPERATORS_MAX} operators");
    check(chain(OPERATORS_MAX + 1), Some(&refusal));
    check(
        format!("{{ }}{}", " | coalesce()".repeat(OPERATORS_MAX + 1)),
        Some(&refusal),
    );
    check(
        format!("{{ }}{}", " && { }".repeat(OPERATORS_MAX + 1)),
        Some(&refusal),
    );
    check(
        format!("{{ }} | rate(){}", " > 1".repeat(OPERATORS_MAX + 1)),
        Some(&refusal),
    );

    let matches = |count: usize| format!("{{ .a =~ `x`{} }}", " && .a =~ `x`".repeat(count - 1));
    check(matches(PATTERNS_MAX), None);
    let refusal = format!("more than {PATTERNS_MAX} regular expressions");
    check(matches(PATTERNS_MAX + 1), Some(&refusal));

    let select = |count: usize| format!("{{ }} | select(.a{})", ", .a".repeat(count - 1));
    check(select(LIST_MAX), None);
    let refusal = format!("list of more than {LIST_MAX} entries");
    check(select(LIST_MAX + 1), Some(&refusal));
}

#[test]
fn nesting_is_bounded_before_the_stack_is() {
    let refusal = ParseError::Invalid(format!("nested deeper than {NESTING_MAX}"));
    let deep = |open: &str, middle: &str, close: &str| {
        let depth = NESTING_MAX + 1;
        format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
    };
    let queries = [
        deep("(", "{ }", ")"),
        format!("{{ {} }}", deep("(", ".a", ")")),
        format!("{{ {} }}", deep("!", ".a", "")),
        format!("{{ {} }}", deep("- ", ".a", "")),
        format!("{{ {} = 1 }}", deep("2 ^ ", ".a", "")),
    ];
    for query in queries {
        assert_eq!(parse(&query), Err(refusal.clone()), "{query:.80}");
    }
    let shallow = format!("{{ {}.a{} }}", "(".repeat(40), ")".repeat(40));
    assert!(parse(&shallow).is_ok());
}

#[test]
fn the_deepest_query_fits_the_stack_of_a_thread() {
    let filter = format!("{{ .a{} }}", " && .a = 1".repeat(OPERATORS_MAX / 2));
    let spansets = format!("{{ }}{}", " && { }".repeat(OPERATORS_MAX));
    let walk = move || {
        for text in [filter, spansets] {
            let query = parse(&text).unwrap();
            assert_eq!(parse(&query.to_string()).as_ref(), Ok(&query));
            query.candidates();
            assert_eq!(query.clone(), query);
        }
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(walk).unwrap().join().unwrap();
}

#[test]
fn a_field_is_read_alone() {
    for text in [
        "span.http.route",
        ".key",
        "resource.\"a b\"",
        "name",
        "event:name",
        "trace:id",
        "span:childCount",
    ] {
        assert_eq!(parse_field(text).unwrap().to_string(), text);
    }
    assert_eq!(
        parse_field("trace:duration").unwrap().to_string(),
        "traceDuration"
    );
    for text in [
        "", "a", "1", "span.", ".a = 1", ".a .b", "parent.a", "count",
    ] {
        assert!(parse_field(text).is_err(), "{text}");
    }
    let huge = ".a".repeat(QUERY_BYTES_MAX);
    assert!(parse_field(&huge).is_err());
}

#[test]
fn hints_are_found_by_name() {
    let query = parse("{ } | rate() with(exemplars=7, sample=true, exemplars=8)").unwrap();
    assert!(query.is_metrics());
    assert_eq!(query.hint("exemplars"), Some(&Literal::Int(7)));
    assert_eq!(query.hint("sample"), Some(&Literal::Bool(true)));
    assert_eq!(query.hint("most_recent"), None);
}
