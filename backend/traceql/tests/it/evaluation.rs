//! What queries find: tables over one trace, structural operators against a naive reading of them, metrics by hand.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use traceql::metrics::{Aggregation, RangeQuery};
use traceql::model::{AttributeValue, Kind, Scope, Status, Trace};
use traceql::{parse, parse_field};

use crate::trace::{Attribute, Made, MadeSpan, span};

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
                .with(Scope::Span, "flag", Attribute::Flag(true)),
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
        ("link:spanID", 3, Some(text("34"))),
        (".nothing", 0, None),
    ] {
        assert_eq!(
            parse_field(field).unwrap().read(&trace, index),
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

#[test]
fn a_deep_chain_and_a_circle_are_walked_without_harm() {
    let chain = Chain(100_000);
    for (query, expected) in [
        ("{ nestedSetLeft = 1 } >> { }", 99_999),
        ("{ } << { }", 99_999),
        ("{ } > { }", 99_999),
    ] {
        let found = parse(query).unwrap().evaluate(&chain).unwrap();
        assert_eq!(found.spansets[0].spans.len(), expected, "{query}");
    }
    let circle = Made {
        spans: vec![span(1, 2, "a"), span(2, 1, "b"), span(3, 0, "c")],
    };
    assert!(found(&circle, "{ } >> { }").is_empty());
    assert!(found(&circle, "{ } ~ { }").is_empty());
    assert_eq!(found(&circle, "{ } !>> { }"), [1, 2, 3]);
}

/// Each span the parent of the next one.
struct Chain(usize);

impl Trace for Chain {
    type Span<'s> = Link;

    fn id(&self) -> otlp::TraceId {
        otlp::TraceId([1; 16])
    }

    fn len(&self) -> usize {
        self.0
    }

    fn span(&self, index: usize) -> Link {
        Link(index)
    }

    fn root(&self) -> Option<usize> {
        Some(0)
    }
}

struct Link(usize);

impl traceql::model::Span for Link {
    fn id(&self) -> otlp::SpanId {
        otlp::SpanId((self.0 as u64 + 1).to_be_bytes())
    }
    fn parent(&self) -> Option<usize> {
        self.0.checked_sub(1)
    }
    fn name(&self) -> &str {
        "link"
    }
    fn kind(&self) -> Kind {
        Kind::Internal
    }
    fn status(&self) -> Status {
        Status::Unset
    }
    fn status_message(&self) -> &str {
        ""
    }
    fn start_ns(&self) -> u64 {
        0
    }
    fn duration_ns(&self) -> u64 {
        1
    }
    fn attribute<'s>(
        &'s self,
        _: Scope,
        _: &str,
        _: &mut dyn FnMut(traceql::model::Value<'s>) -> bool,
    ) {
    }
    fn attributes<'s>(&'s self, _: Scope, _: &mut dyn FnMut(&'s str, traceql::model::Value<'s>)) {}
    fn events<'s>(&'s self, _: &mut dyn FnMut(&'s str, u64)) {}
    fn links<'s>(&'s self, _: &mut dyn FnMut(&'s [u8], &'s [u8])) {}
    fn instrumentation(&self) -> (&str, &str) {
        ("", "")
    }
}

/// Spans with random parents (some of which are not there, some of which make circles), each marked left, right, or both.
fn marked() -> impl Strategy<Value = Made> {
    vec((0_u64..14, any::<bool>(), any::<bool>()), 1..12).prop_map(|parents| {
        let spans = parents
            .into_iter()
            .enumerate()
            .map(|(index, (parent, left, right))| {
                let parent = if parent == index as u64 + 1 {
                    0
                } else {
                    parent
                };
                span(index as u64 + 1, parent, "span")
                    .int("l", left.into())
                    .int("r", right.into())
            });
        Made {
            spans: spans.collect(),
        }
    })
}

/// The ancestors of a span, nearest first; `None` when they make a circle.
fn ancestors(trace: &Made, of: &MadeSpan) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    let mut at = of.parent;
    while let Some(parent) = trace.spans.iter().find(|span| span.id == at) {
        if found.contains(&parent.id) || parent.id == of.id {
            return None;
        }
        found.push(parent.id);
        at = parent.parent;
    }
    Some(found)
}

/// Whether `right` is what the operator says to `left`, read literally.
fn related(trace: &Made, operator: &str, left: &MadeSpan, right: &MadeSpan) -> bool {
    let (Some(of_left), Some(of_right)) = (ancestors(trace, left), ancestors(trace, right)) else {
        return false;
    };
    match operator {
        ">" => of_right.first() == Some(&left.id),
        "<" => of_left.first() == Some(&right.id),
        ">>" => of_right.contains(&left.id),
        "<<" => of_left.contains(&right.id),
        _ => {
            left.id != right.id && !of_left.is_empty() && of_left.first() == of_right.first()
        }
    }
}

proptest! {
    #[test]
    fn structural_operators_find_what_a_literal_reading_finds(trace in marked()) {
        for operator in [">", "<", ">>", "<<", "~"] {
            let (mut plain, mut negated, mut union) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let is = |span: &MadeSpan, key: &str| span.attributes.contains(&(Scope::Span, if key == "l" { "l" } else { "r" }, Attribute::Int(1)));
            for right in trace.spans.iter().filter(|span| is(span, "r")) {
                negated.insert(right.id);
                for left in trace.spans.iter().filter(|span| is(span, "l")) {
                    if related(&trace, operator, left, right) {
                        plain.insert(right.id);
                        union.extend([left.id, right.id]);
                    }
                }
            }
            let negated: BTreeSet<u64> = negated.difference(&plain).copied().collect();
            for (form, expected) in [("", &plain), ("!", &negated), ("&", &union)] {
                let query = format!("{{ .l = 1 }} {form}{operator} {{ .r = 1 }}");
                let found: BTreeSet<u64> = found(&trace, &query).into_iter().collect();
                prop_assert_eq!(&found, expected, "{}", query);
            }
        }
    }
}

/// Two steps of 10 s: (0, 10] and (10, 20].
const RANGE: RangeQuery = RangeQuery {
    start_ns: 0,
    end_ns: 20_000_000_000,
    step_ns: 10_000_000_000,
};

type Shown = Vec<(Vec<(String, AttributeValue)>, Vec<(i64, f64)>)>;

fn series(traces: &[Made], query: &str) -> Shown {
    let query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut aggregation = Aggregation::new(&query, RANGE, 100).unwrap();
    traces.iter().for_each(|trace| aggregation.observe(trace));
    let series = aggregation.finish();
    series
        .into_iter()
        .map(|series| {
            (
                series.labels,
                series
                    .samples
                    .iter()
                    .map(|sample| (sample.timestamp_ms, sample.value))
                    .collect(),
            )
        })
        .collect()
}

/// Spans that start at 10 s (the last of the first step), 11 s, 12 s, and 21 s (outside).
fn metered() -> Vec<Made> {
    let of = |id: u64, service, n, ms: u64| Made {
        spans: vec![
            span(id, 0, "x")
                .service(service)
                .int("n", n)
                .lasting(ms * MS),
        ],
    };
    vec![
        of(10, "a", 1, 100),
        of(11, "a", 5, 400),
        of(12, "b", 3, 1_000),
        of(21, "b", 9, 100),
    ]
}

#[test]
fn metrics_are_counted_where_spans_start() {
    let text =
        |name: &str, value: &str| vec![(name.to_owned(), AttributeValue::String(value.to_owned()))];
    let by = |value: &str| text("resource.service.name", value);
    let traces = metered();
    for (query, expected) in [
        (
            "{ } | count_over_time()",
            vec![(
                text("__name__", "count_over_time"),
                vec![(10_000, 1.0), (20_000, 2.0)],
            )],
        ),
        (
            "{ } | rate()",
            vec![(text("__name__", "rate"), vec![(10_000, 0.1), (20_000, 0.2)])],
        ),
        (
            "{ .n > 100 } | rate()",
            vec![(text("__name__", "rate"), vec![(10_000, 0.0), (20_000, 0.0)])],
        ),
        ("{ .n > 100 } | rate() by (resource.service.name)", vec![]),
        ("{ .n > 100 } | max_over_time(.n)", vec![]),
        (
            "{ } | count_over_time() by (resource.service.name)",
            vec![
                (by("a"), vec![(10_000, 1.0), (20_000, 1.0)]),
                (by("b"), vec![(10_000, 0.0), (20_000, 1.0)]),
            ],
        ),
        (
            "{ } | count_over_time() by (.nothing)",
            vec![(text(".nothing", "nil"), vec![(10_000, 1.0), (20_000, 2.0)])],
        ),
        (
            "{ } | sum_over_time(.n)",
            vec![(
                text("__name__", "sum_over_time"),
                vec![(10_000, 1.0), (20_000, 8.0)],
            )],
        ),
        (
            "{ } | avg_over_time(.n)",
            vec![(
                text("__name__", "avg_over_time"),
                vec![(10_000, 1.0), (20_000, 4.0)],
            )],
        ),
        (
            "{ } | min_over_time(.n)",
            vec![(
                text("__name__", "min_over_time"),
                vec![(10_000, 1.0), (20_000, 3.0)],
            )],
        ),
        (
            "{ } | max_over_time(duration)",
            vec![(
                text("__name__", "max_over_time"),
                vec![(10_000, 0.1), (20_000, 1.0)],
            )],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name)",
            vec![
                (by("a"), vec![(10_000, 1.0), (20_000, 5.0)]),
                (by("b"), vec![(20_000, 3.0)]),
            ],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name) | topk(1)",
            vec![(by("a"), vec![(10_000, 1.0), (20_000, 5.0)])],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name) | bottomk(1)",
            vec![
                (by("a"), vec![(10_000, 1.0)]),
                (by("b"), vec![(20_000, 3.0)]),
            ],
        ),
        (
            "{ } | count_over_time() > 1",
            vec![(text("__name__", "count_over_time"), vec![(20_000, 2.0)])],
        ),
    ] {
        assert_eq!(series(&traces, query), expected, "{query}");
    }
}

#[test]
fn histograms_and_quantiles_go_by_powers_of_two() {
    let number = |name: &str, value| vec![(name.to_owned(), AttributeValue::Double(value))];
    let traces = metered();
    assert_eq!(
        series(&traces, "{ } | histogram_over_time(duration)"),
        [
            (
                number("__bucket", 0.134_217_728),
                vec![(10_000, 1.0), (20_000, 0.0)]
            ),
            (
                number("__bucket", 0.536_870_912),
                vec![(10_000, 0.0), (20_000, 1.0)]
            ),
            (
                number("__bucket", 1.073_741_824),
                vec![(10_000, 0.0), (20_000, 1.0)]
            ),
        ]
    );
    assert_eq!(
        series(&traces, "{ } | quantile_over_time(duration, 0.5, 1)"),
        [
            (
                number("p", 0.5),
                vec![(10_000, 0.134_217_728), (20_000, 0.536_870_912)]
            ),
            (
                number("p", 1.0),
                vec![(10_000, 0.134_217_728), (20_000, 1.073_741_824)]
            ),
        ]
    );
}

#[test]
fn exemplars_name_traces_and_series_are_bounded() {
    let traces = metered();
    let query =
        parse("{ } | quantile_over_time(duration, 0.9) by (resource.service.name)").unwrap();
    let mut aggregation = Aggregation::new(&query, RANGE, 1).unwrap();
    traces.iter().for_each(|trace| aggregation.observe(trace));
    assert!(aggregation.is_truncated());
    let series = aggregation.finish();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].exemplars.len(), 1);
    let exemplar = &series[0].exemplars[0];
    assert_eq!(
        (exemplar.trace_id, exemplar.timestamp_ms, exemplar.value),
        (traces[0].id(), 10_000, 0.1)
    );
    assert_eq!(
        exemplar.labels,
        [(
            "duration".to_owned(),
            AttributeValue::String("100ms".to_owned())
        )]
    );
}
