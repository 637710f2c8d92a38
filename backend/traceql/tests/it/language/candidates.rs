//! What an index is asked for.

use traceql::{CONJUNCTIONS_MAX, Candidates, Condition, parse};

/// Shows candidates in one line: conditions joined by `&`, alternatives by `|`.
fn shown(query: &str) -> String {
    let Candidates::AnyOf(any_of) = parse(query).unwrap().candidates() else {
        return "all".to_owned();
    };
    let conjunctions = any_of.iter().map(|conditions| {
        let conditions: Vec<String> = conditions.iter().map(condition).collect();
        conditions.join(" & ")
    });
    conjunctions.collect::<Vec<_>>().join(" | ")
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::HasAttribute(key) => format!("has {key}"),
        Condition::Attribute { key, any_of } => format!("{key} in {any_of:?}"),
        Condition::Name(any_of) => format!("name in {any_of:?}"),
        Condition::Status(any_of) => format!("status in {any_of:?}"),
        Condition::Kind(any_of) => format!("kind in {any_of:?}"),
        Condition::Duration { min_ns, max_ns } if *max_ns == u64::MAX => {
            format!("duration {min_ns}..")
        }
        Condition::Duration { min_ns, max_ns } => format!("duration {min_ns}..={max_ns}"),
    }
}

fn check(queries: &[(&str, &str)]) {
    for (query, expected) in queries {
        assert_eq!(shown(query), *expected, "{query}");
    }
}

#[test]
fn a_comparison_with_a_literal_is_looked_up() {
    check(&[
        ("{ .a = \"x\" }", "a in [String(\"x\")]"),
        ("{ \"x\" = resource.a }", "a in [String(\"x\")]"),
        ("{ span.a = 1 }", "a in [Int(1)]"),
        ("{ span.a = 1.5 }", "a in [Double(1.5)]"),
        ("{ event.a = false }", "a in [Bool(false)]"),
        ("{ .a = 1us }", "a in [Int(1000)]"),
        ("{ .a }", "a in [Bool(true)]"),
        ("{ .a = error }", "has a"),
        ("{ .a > 1 }", "has a"),
        ("{ .a != nil }", "has a"),
        (
            "{ .a =~ \"x|y z\" }",
            "a in [String(\"x\"), String(\"y z\")]",
        ),
        ("{ .a =~ \"x.*\" }", "has a"),
        ("{ .a =~ \"x.y\" }", "has a"),
        ("{ name = \"x\" }", "name in [\"x\"]"),
        ("{ name =~ \"x|y\" }", "name in [\"x\", \"y\"]"),
        ("{ status = error }", "status in [Error]"),
        ("{ kind = client }", "kind in [Client]"),
        ("{ rootName = \"x\" }", "name in [\"x\"]"),
        (
            "{ rootServiceName = \"x\" }",
            "service.name in [String(\"x\")]",
        ),
    ]);
}

#[test]
fn durations_are_bounds_with_both_ends() {
    check(&[
        ("{ duration > 5 }", "duration 6.."),
        ("{ duration >= 1us }", "duration 1000.."),
        ("{ duration < 5 }", "duration 0..=4"),
        ("{ 5 >= duration }", "duration 0..=5"),
        ("{ duration = 5 }", "duration 5..=5"),
        ("{ duration > 1.5 }", "duration 1.."),
        ("{ duration < 1.5 }", "duration 0..=2"),
        ("{ duration > 1e300 }", &format!("duration {}..", u64::MAX)),
        ("{ duration < 0 }", "duration 0..=0"),
        ("{ duration > -1s }", "all"),
        ("{ duration > minInt }", "all"),
        ("{ duration > .a }", "all"),
    ]);
}

#[test]
fn what_an_index_cannot_say_leaves_every_trace_in() {
    check(&[
        ("{ }", "all"),
        ("{ .a != 1 }", "all"),
        ("{ .a !~ \"x\" }", "all"),
        ("{ .a = nil }", "all"),
        ("{ !.a }", "all"),
        ("{ !(.a = 1) }", "all"),
        ("{ .a = 1 = false }", "all"),
        ("{ .a + 1 = 2 }", "all"),
        ("{ .a = .b }", "all"),
        ("{ -.a = 1 }", "all"),
        ("{ name != \"x\" }", "all"),
        ("{ name =~ \"x.*\" }", "all"),
        ("{ name != nil }", "all"),
        ("{ status != error }", "all"),
        ("{ duration != 5 }", "all"),
        ("{ rootName = \"\" }", "all"),
        (
            "{ rootServiceName = \"<root span not yet received>\" }",
            "all",
        ),
        ("{ traceDuration > 1s }", "all"),
        ("{ trace:id = \"1\" }", "all"),
        ("{ event:name = \"x\" }", "all"),
        ("count() > 1", "all"),
    ]);
}

#[test]
fn conditions_of_one_span_are_joined() {
    check(&[
        ("{ .a = 1 && .b = 2 }", "a in [Int(1)] & b in [Int(2)]"),
        ("{ .a = 1 && .b != 2 }", "a in [Int(1)]"),
        ("{ .b != 2 && .a = 1 }", "a in [Int(1)]"),
        (
            "{ .a = 1 || .a = 2 || .a = 3 }",
            "a in [Int(1), Int(2), Int(3)]",
        ),
        (
            "{ .a = 1 || name = \"x\" }",
            "a in [Int(1)] | name in [\"x\"]",
        ),
        ("{ .a = 1 || .b != 2 }", "all"),
        (
            "{ (.a = 1 || .b = 2) && (.c = 3 || kind = server) }",
            "a in [Int(1)] & c in [Int(3)] | a in [Int(1)] & kind in [Server] | \
             b in [Int(2)] & c in [Int(3)] | b in [Int(2)] & kind in [Server]",
        ),
        // The root is another span than the one that is slow.
        ("{ rootName = \"x\" && duration > 5 }", "name in [\"x\"]"),
        (
            "{ .a = 1 && .b = 2 && rootName = \"x\" }",
            "a in [Int(1)] & b in [Int(2)]",
        ),
        (
            "{ (.a = 1 || rootName = \"x\") && .b = 2 }",
            "b in [Int(2)]",
        ),
        (
            "{ (rootName = \"x\" || .a = 1) && .b = 2 && .c = 3 }",
            "b in [Int(2)] & c in [Int(3)]",
        ),
    ]);
}

#[test]
fn of_several_selections_the_more_selective_is_looked_up() {
    check(&[
        ("{ .a = 1 } && { .b > 2 }", "a in [Int(1)]"),
        ("{ .b > 2 } && { .a = 1 }", "a in [Int(1)]"),
        ("{ .a = 1 } && { }", "a in [Int(1)]"),
        ("{ .a = 1 } || { .b = 2 }", "a in [Int(1)] | b in [Int(2)]"),
        ("{ .a = 1 } || { }", "all"),
        ("{ .a > 1 } >> { .b = 2 }", "b in [Int(2)]"),
        ("{ .a = 1 } > { .b > 2 }", "a in [Int(1)]"),
        ("{ .a = 1 } &> { .b > 2 }", "a in [Int(1)]"),
        ("{ .a = 1 } !> { .b > 2 }", "has b"),
        ("{ .a = 1 } !~ { }", "all"),
        ("{ .a = 1 } | { .b > 2 }", "a in [Int(1)]"),
        ("{ } | count() > 2 | { .b = 2 }", "b in [Int(2)]"),
        ("{ .a = 1 } | by(.b) | rate()", "a in [Int(1)]"),
        (
            "({ .a = 1 } | count() > 1) || ({ .b = 2 } | { .c > 3 })",
            "a in [Int(1)] | b in [Int(2)]",
        ),
        ("{ .a = 1 || kind = server } && { .b = 1 }", "b in [Int(1)]"),
    ]);
}

#[test]
fn alternatives_are_bounded() {
    let any_of = |count: usize| {
        let alternatives: Vec<String> = (0..count).map(|n| format!(".k{n} = 1")).collect();
        format!("{{ {} }}", alternatives.join(" || "))
    };
    assert_eq!(
        shown(&any_of(CONJUNCTIONS_MAX)).matches('|').count() + 1,
        CONJUNCTIONS_MAX
    );
    assert_eq!(shown(&any_of(CONJUNCTIONS_MAX + 1)), "all");
    let product = "{ (.a = 1 || .b = 1 || .c = 1) && (.d = 1 || .e = 1) }";
    assert_eq!(shown(product).matches('|').count() + 1, 6);
    let clauses = ["(.a = 1 || .b = 1 || .c = 1)"; 6].join(" && ");
    assert!(shown(&format!("{{ {clauses} }}")).matches('|').count() < CONJUNCTIONS_MAX);
}
