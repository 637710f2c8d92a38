//! What queries find, in tables over one trace. What parents make of spans, metrics, and the cost of a look are beside it.

mod cost;
mod metrics;
mod structure;

use traceql::model::{AttributeValue, Kind, Scope};
use traceql::{Seen, parse, parse_field};

use crate::trace::{Attribute, Made, span};

const MS: u64 = 1_000_000;

/// gateway 1 ─ 2 task-service ─ 3 DynamoDB (error), 4 SQS; worker 5 below 4; 6 hangs on a span that was not stored.
fn example() -> Made {
    let mut root = span(1, 0, "POST /v1/tasks")
        .service("gateway")
        .int("status", 500)
        .lasting(900 * MS);
    root.kind = Kind::Server;
    let mut send = span(4, 2, "send jobs").service("task-service").with(
        Scope::Span,
        "tags",
        Attribute::Texts(vec!["a", "b"]),
    );
    send.events = vec![
        ("retry", 4_000_000_000 + 5 * MS),
        ("done", 4_000_000_000 + 9 * MS),
    ];
    send.links = vec![(vec![0, 0x12], vec![0x34])];
    Made {
        spans: vec![
            root,
            span(2, 1, "create")
                .service("task-service")
                .text("status", "500")
                .lasting(800 * MS),
            span(3, 2, "DynamoDB.PutItem")
                .service("task-service")
                .failed()
                .int("n", 3)
                .lasting(500 * MS),
            send,
            span(5, 4, "process")
                .service("worker")
                .int("n", 7)
                .with(Scope::Span, "ratio", Attribute::Double(0.5))
                .with(Scope::Resource, "n", Attribute::Int(100)),
            span(6, 99, "lost")
                .service("worker")
                .with(Scope::Span, "flag", Attribute::Flag(true))
                .with(Scope::Span, "one", Attribute::Texts(vec!["alone"])),
        ],
    }
}

/// Ids of the spans that a query finds, over all span sets.
fn found(trace: &Made, query: &str) -> Vec<u64> {
    let query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let sets = query
        .evaluate(trace)
        .map(|found| found.spansets)
        .unwrap_or_default();
    let mut ids: Vec<u64> = sets
        .iter()
        .flat_map(|set| &set.spans)
        .map(|index| trace.spans[*index].id)
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn selections_find_the_spans_that_they_name() {
    let trace = example();
    for (query, expected) in [
        ("{ }", &[1, 2, 3, 4, 5, 6][..]),
        ("{ false }", &[]),
        ("{ name = `create` }", &[2]),
        ("{ name =~ `DynamoDB.*` }", &[3]),
        ("{ name =~ `Dynamo` }", &[]),
        ("{ name !~ `.*o.*` }", &[1, 2]),
        ("{ status = error }", &[3]),
        (
            "{ status != error && resource.service.name = `task-service` }",
            &[2, 4],
        ),
        ("{ kind = server }", &[1]),
        ("{ statusMessage = `it broke` }", &[3]),
        ("{ duration > 800ms }", &[1, 4, 5, 6]),
        ("{ duration >= 800ms && duration < 1s }", &[1, 2]),
        ("{ duration = 0.5s }", &[3]),
        ("{ duration > 800000000 }", &[1, 4, 5, 6]),
        // Types do not mix, numbers do.
        ("{ .status = 500 }", &[1]),
        ("{ .status = `500` }", &[2]),
        ("{ .status = 500.0 }", &[1]),
        ("{ .status != 500 }", &[]),
        ("{ .status > 499.5 }", &[1]),
        ("{ .n >= 3 }", &[3, 5]),
        ("{ .n = 7 }", &[5]),
        ("{ resource.n = 100 }", &[5]),
        ("{ .n = 100 }", &[]),
        ("{ span.n = nil && resource.service.name = `worker` }", &[6]),
        ("{ .n != nil }", &[3, 5]),
        ("{ .n != 3 }", &[5]),
        ("{ .ratio < 1 }", &[5]),
        ("{ .flag }", &[6]),
        ("{ !.flag }", &[]),
        ("{ !(.n = 3) }", &[1, 2, 4, 5, 6]),
        ("{ .n + 1 = 4 }", &[3]),
        ("{ .n * 2 > 10 }", &[5]),
        ("{ 10 > .n }", &[3, 5]),
        ("{ .n % 2 = 1 && -.n < -5 }", &[5]),
        ("{ .n / 0 = 1 }", &[]),
        // Of an array: one element, or all for what must not be.
        ("{ .tags = `b` }", &[4]),
        ("{ .tags != `b` }", &[]),
        ("{ .tags != `c` }", &[4]),
        ("{ .tags =~ `a|x` }", &[4]),
        ("{ .tags !~ `a` }", &[]),
        ("{ event:name = `done` }", &[4]),
        ("{ event:timeSinceStart > 8ms }", &[4]),
        ("{ event:timeSinceStart > 9ms }", &[]),
        ("{ link:traceID = `12` }", &[4]),
        ("{ link:traceID = `0012` && link:spanID = `34` }", &[4]),
        (
            "{ instrumentation:name = `library` && instrumentation:version = `1.2` && .flag }",
            &[6],
        ),
        ("{ trace:id = `abcd` && name = `create` }", &[2]),
        (
            "{ trace:id = `0000000000000000000000000000abcd` && name = `create` }",
            &[2],
        ),
        ("{ span:id = `0000000000000003` }", &[3]),
        ("{ span:id = `3` || span:id =~ `0*4` }", &[3, 4]),
        (
            "{ span:id != `3` && span:id != `0000000000000004` && .n != nil }",
            &[5],
        ),
        ("{ span:parentID = `2` }", &[3, 4]),
        ("{ span:childCount = 2 }", &[2]),
        (
            "{ rootName = `POST /v1/tasks` && rootServiceName = `gateway` && .flag }",
            &[6],
        ),
        ("{ traceDuration >= 6s && .flag }", &[6]),
        ("{ traceDuration > 6s }", &[]),
        ("{ nestedSetParent = -1 }", &[1, 6]),
        ("{ nestedSetLeft = 1 }", &[1]),
    ] {
        assert_eq!(found(&trace, query), expected, "{query}");
    }
}

#[test]
fn operators_between_selections_and_stages_find_what_they_say() {
    let trace = example();
    for (query, expected) in [
        ("{ .n = 3 } && { .n = 7 }", &[3, 5][..]),
        ("{ .n = 3 } && { .n = 8 }", &[]),
        ("{ .n = 3 } || { .n = 8 }", &[3]),
        ("{ name = `create` } > { }", &[3, 4]),
        ("{ } < { name = `create` }", &[2]),
        ("{ kind = server } >> { .n != nil }", &[3, 5]),
        ("{ status = error } << { }", &[1, 2]),
        ("{ status = error } ~ { }", &[4]),
        ("{ } ~ { }", &[3, 4]),
        ("{ kind = server } !>> { }", &[1, 6]),
        ("{ .nothing } !> { name = `create` }", &[2]),
        ("{ kind = server } &>> { status = error }", &[1, 3]),
        ("{ name = `create` } &> { status = error }", &[2, 3]),
        ("{ .flag } > { }", &[]),
        ("{ .n != nil } | count() > 1", &[3, 5]),
        ("{ .n != nil } | count() > 2", &[]),
        ("{ .n != nil } | { .n = 7 }", &[5]),
        ("{ .n != nil } | avg(.n) = 5", &[3, 5]),
        ("{ .n != nil } | sum(.n) >= 10", &[3, 5]),
        ("{ .n != nil } | min(.n) < 3", &[]),
        ("{ } | max(duration) >= 1s", &[1, 2, 3, 4, 5, 6]),
        ("{ } | sum(.nothing) > 0", &[]),
        ("{ } | by(resource.service.name) | count() > 2", &[2, 3, 4]),
        (
            "{ } | by(resource.service.name) | count() > 2 | coalesce()",
            &[2, 3, 4],
        ),
        ("{ .n = 3 } | select(.n, resource.service.name)", &[3]),
        ("({ .n != nil } | count() > 1) && { .flag }", &[3, 5, 6]),
    ] {
        assert_eq!(found(&trace, query), expected, "{query}");
    }
}

#[test]
fn groups_and_aggregates_say_what_they_are() {
    let trace = example();
    let sets = |query: &str| parse(query).unwrap().evaluate(&trace).unwrap().spansets;
    let text = |text: &str| AttributeValue::String(text.to_owned());
    let groups =
        sets("{ .n != nil } | by(resource.service.name) | count() > 0 | avg(duration) > 0s");
    let expected = [
        [
            ("by(resource.service.name)".to_owned(), text("task-service")),
            ("count()".to_owned(), AttributeValue::Int(1)),
            ("avg(duration)".to_owned(), text("500ms")),
        ],
        [
            ("by(resource.service.name)".to_owned(), text("worker")),
            ("count()".to_owned(), AttributeValue::Int(1)),
            ("avg(duration)".to_owned(), text("1s")),
        ],
    ];
    assert_eq!(
        groups
            .iter()
            .map(|set| &set.attributes[..])
            .collect::<Vec<_>>(),
        expected
    );
    let names = |query: &str| -> Vec<AttributeValue> {
        let sets = sets(query);
        sets.iter().map(|set| set.attributes[0].1.clone()).collect()
    };
    assert_eq!(
        names("{ } | by(.n)"),
        [text("nil"), AttributeValue::Int(3), AttributeValue::Int(7)],
        "in the order in which they come"
    );
    assert_eq!(
        names("{ .tags != nil } | by(.tags)"),
        [AttributeValue::Array(vec![text("a"), text("b")])]
    );
    assert_eq!(
        names("{ } | by(duration > 800ms)"),
        [AttributeValue::Bool(true), AttributeValue::Bool(false)]
    );
    assert_eq!(
        names("{ name = `create` } | by(span:parentID)"),
        [text("0000000000000001")]
    );
    let whole = sets("{ } | by(.n) | coalesce()");
    assert_eq!(
        (whole.len(), whole[0].spans.len(), whole[0].attributes.len()),
        (1, 6, 0)
    );
}

#[test]
fn fields_are_read_as_answers_show_them() {
    let trace = example();
    let text = |text: &str| AttributeValue::String(text.to_owned());
    for (field, index, expected) in [
        (
            ".tags",
            3,
            Some(AttributeValue::Array(vec![text("a"), text("b")])),
        ),
        ("resource.service.name", 0, Some(text("gateway"))),
        ("status", 2, Some(text("error"))),
        ("kind", 0, Some(text("server"))),
        ("span.n", 4, Some(AttributeValue::Int(7))),
        ("event:name", 3, Some(text("retry"))),
        ("link:traceID", 3, Some(text("12"))),
        ("link:spanID", 3, Some(text("34"))),
        ("span:id", 3, Some(text("0000000000000004"))),
        ("trace:id", 3, Some(text("abcd"))),
        (".one", 5, Some(text("alone"))),
        (".nothing", 0, None),
    ] {
        assert_eq!(
            Seen::new(&trace).read(&parse_field(field).unwrap(), index),
            expected,
            "{field}"
        );
    }
    let keys: Vec<String> =
        parse("{ span.n = 1 && status = error } | select(resource.service.name) | by(.n)")
            .unwrap()
            .shown()
            .iter()
            .map(traceql::Field::shown_key)
            .collect();
    assert_eq!(keys, ["n", "status", "service.name", "n"]);
}
