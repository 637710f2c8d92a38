//! Whatever comes in, in whatever pieces and order: a search answers what evaluating every trace by itself gives. So no
//! filter, block bound or early end ever loses a match.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use proptest::sample::select;
use traceql::model::{Span as _, Trace as _};

use super::otlp_requests::{
    MS, NOW, SECOND, T0, int, pair, request, service, span, string, trace_id,
};
use super::plain::{PlainSpan, PlainTrace};
use super::{around, number};

const KEYS: [&str; 4] = ["a", "b", "c", "service.name"];

/// One ingest, and whether a block is made after it.
type Ingest = (Vec<PlainSpan>, bool);

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec!["x", "y", "", "é"]).prop_map(string),
        select(vec![0, 1, -1, 7]).prop_map(int),
        select(vec![1.0, 0.5, -0.0, f64::NAN]).prop_map(Value::DoubleValue),
        any::<bool>().prop_map(Value::BoolValue),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    // Found nowhere else, so that they are found for themselves.
    let element = select(vec![string("p"), int(42)]);
    let element = element.prop_map(|value| AnyValue { value: Some(value) });
    let array = prop::collection::vec(element, 0..3);
    prop_oneof![
        6 => scalars(),
        1 => array.prop_map(|values| Value::ArrayValue(ArrayValue { values })),
        1 => Just(Value::BytesValue(vec![1])),
    ]
}

prop_compose! {
    fn plain_spans()(
        (trace, id, parent) in (0..8_u64, 1..5_u64, 0..5_u64),
        (name, kind, code) in (select(vec!["n1", "n2", "n3"]), 0..7, 0..4),
        (start, length) in (0..40_000 * MS, prop_oneof![0..10 * MS, 0..10 * SECOND]),
        attributes in prop::collection::vec((select(KEYS.to_vec()), values()), 0..4),
        resource in prop::collection::vec((select(KEYS.to_vec()), values()), 0..2),
        (of_event, of_link) in (prop::option::of(values()), prop::option::weighted(0.2, values())),
        service in select(vec!["s1", "s2"]),
    ) -> PlainSpan {
        let attributes = attributes.into_iter().map(|(key, value)| pair(key, value));
        let (start_time_unix_nano, end_time_unix_nano) = (T0 + start, T0 + start + length);
        let event = |value| Event {
            name: "e".to_owned(),
            time_unix_nano: start_time_unix_nano,
            attributes: vec![pair("of.event", value)],
            ..Event::default()
        };
        let link = |value| Link { attributes: vec![pair("of.link", value)], ..Link::default() };
        let span = Span {
            kind,
            status: Some(Status { code, message: name.to_owned() }),
            attributes: attributes.collect(),
            start_time_unix_nano,
            end_time_unix_nano,
            events: of_event.map(event).into_iter().collect(),
            links: of_link.map(link).into_iter().collect(),
            ..span(trace, id, parent, name)
        };
        let mut around = vec![pair("service.name", string(service))];
        around.extend(resource.into_iter().map(|(key, value)| pair(key, value)));
        PlainSpan { service: service.to_owned(), resource: around, span }
    }
}

fn ingests() -> impl Strategy<Value = Vec<Ingest>> {
    let spans = prop::collection::vec(plain_spans(), 1..4);
    prop::collection::vec((spans, prop::bool::weighted(0.7)), 1..12)
}

fn filters() -> impl Strategy<Value = String> {
    let literals = vec![
        "\"x\"", "\"\"", "\"é\"", "0", "1", "-1", "1.0", "0.5", "\"p\"", "42",
    ];
    let attribute = select(vec![
        ".a",
        ".b",
        ".service.name",
        ".nowhere",
        "span.a",
        "span.c",
        "resource.a",
        "resource.service.name",
        "event.of.event",
        "link.of.link",
    ]);
    let operator = select(vec!["=", "!=", ">", ">=", "<", "<="]);
    let compared = (attribute.clone(), operator.clone(), select(literals))
        .prop_map(|(field, operator, literal)| format!("{field} {operator} {literal}"));
    let flags = (
        attribute.clone(),
        select(vec!["= true", "!= true", "= false"]),
    )
        .prop_map(|(field, operator)| format!("{field} {operator}"));
    let matched = (
        attribute.clone(),
        select(vec!["=~", "!~"]),
        select(vec!["x|y", "x.*", "s1|s2", ".*"]),
    )
        .prop_map(|(field, operator, pattern)| format!("{field} {operator} \"{pattern}\""));
    let exists = (attribute, select(vec!["= nil", "!= nil"]))
        .prop_map(|(field, operator)| format!("{field} {operator}"));
    let durations = (
        select(vec!["duration", "traceDuration"]),
        operator,
        select(vec!["0ns", "5ms", "1s", "9s"]),
    )
        .prop_map(|(field, operator, bound)| format!("{field} {operator} {bound}"));
    let intrinsic = select(vec![
        "name = \"n1\"",
        "name != \"n1\"",
        "name =~ \"n1|n3\"",
        "status = error",
        "status != ok",
        "status = unset",
        "kind = server",
        "kind != client",
        "kind = unspecified",
        "rootName = \"n2\"",
        "rootServiceName = \"s1\"",
        "statusMessage = \"n3\"",
        "event:name = \"e\"",
        "nestedSetParent < 0",
        "true",
        ".a",
    ])
    .prop_map(str::to_owned);
    let leaf = prop_oneof![4 => compared, 1 => flags, 1 => matched, 1 => exists, 1 => durations, 3 => intrinsic];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let joined = (inner.clone(), select(vec!["&&", "||"]), inner.clone());
        prop_oneof![
            joined.prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            inner.prop_map(|inner| format!("!({inner})")),
        ]
    })
}

fn queries() -> impl Strategy<Value = String> {
    let relations = vec![
        "&&", "||", ">", ">>", "<", "<<", "~", "!>", "!<<", "!~", "&>>",
    ];
    let selection = prop_oneof![
        3 => filters().prop_map(|filter| format!("{{ {filter} }}")),
        1 => (filters(), select(relations), filters())
            .prop_map(|(left, relation, right)| format!("{{ {left} }} {relation} {{ {right} }}")),
    ];
    let stages = select(vec![
        "",
        "",
        "",
        " | count() > 1",
        " | max(duration) > 5ms",
        " | by(name)",
        " | by(.a) | count() = 1",
        " | { .b != nil }",
        " | select(.c)",
    ]);
    let query = (selection, stages).prop_map(|(selection, stage)| format!("{selection}{stage}"));
    // Some comparisons are refused: of a service with nil.
    query.prop_filter("no query", |query| traceql::parse(query).is_ok())
}

/// What was stored, by number of the trace, and the first start and last end of all that came, copies as well.
#[derive(Default)]
struct Naive(BTreeMap<u64, (PlainTrace, u64, u64)>);

impl Naive {
    fn add(&mut self, added: &PlainSpan) {
        let id = otlp::TraceId::from_slice(&added.span.trace_id).unwrap();
        let empty = PlainTrace {
            id,
            spans: Vec::new(),
        };
        let known = self.0.entry(number(id)).or_insert((empty, u64::MAX, 0));
        known.1 = known.1.min(added.span.start_time_unix_nano);
        known.2 = known.2.max(added.span.end_time_unix_nano);
        known.0.add(added.clone());
    }

    /// Each trace that matches, the newest first, with the spans of its sets and what is said of the sets.
    fn search(&self, request: &traces::SearchRequest) -> Vec<(u64, Vec<String>)> {
        let range = request.range;
        let inside = self.0.values().filter(|(_, first_ns, last_ns)| {
            *first_ns < range.end_ns && *last_ns >= range.start_ns
        });
        let mut found: Vec<_> = inside
            .filter_map(|(trace, first_ns, _)| {
                let found = request.query.evaluate(trace)?;
                let sets = found.spansets.into_iter().map(|set| {
                    let ids = set
                        .spans
                        .iter()
                        .map(|index| trace.span(*index).id().to_string());
                    shown(ids.collect(), &set.attributes)
                });
                Some((*first_ns, number(trace.id), sorted(sets.collect())))
            })
            .collect();
        found.sort_by_key(|(first_ns, number, _)| std::cmp::Reverse((*first_ns, *number)));
        let newest = found.into_iter().take(request.limit);
        newest.map(|(_, number, sets)| (number, sets)).collect()
    }
}

fn shown(ids: Vec<String>, attributes: &[(String, traces::AttributeValue)]) -> String {
    format!("{:?} {attributes:?}", sorted(ids))
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

/// One resource for each span: it has its own attributes.
fn encoded(spans: &[PlainSpan]) -> Vec<u8> {
    let resource_spans = spans.iter().map(|plain| {
        let mut around = service(&plain.service, vec![plain.span.clone()]);
        if let Some(resource) = &mut around.resource {
            resource.attributes.clone_from(&plain.resource);
        }
        around
    });
    request(resource_spans.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_search_answers_what_evaluating_every_trace_gives(
        ingests in ingests(),
        queries in prop::collection::vec((queries(), 0..50_u64, 1..50_u64, 1..10_usize), 30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = super::open(dir.path());
        let mut naive = Naive::default();
        for (spans, seals) in &ingests {
            store.ingest(&encoded(spans), NOW).unwrap();
            spans.iter().for_each(|span| naive.add(span));
            if *seals {
                store.seal().unwrap();
            }
        }
        for (query, start, length, limit) in &queries {
            let mut request = super::asked(query);
            request.range = around(T0 + start * SECOND, T0 + (start + length) * SECOND);
            request.limit = *limit;
            let response = store.search(&request).unwrap();
            let answered: Vec<_> = response.traces.iter().map(|trace| {
                let sets = trace.span_sets.iter().map(|set| {
                    let ids = set.spans.iter().map(|span| span.span_id.to_string());
                    assert_eq!(set.spans.len(), set.matched);
                    shown(ids.collect(), &set.attributes)
                });
                (number(trace.trace_id), sorted(sets.collect()))
            }).collect();
            prop_assert_eq!(answered, naive.search(&request), "{}", query);
            prop_assert_eq!(response.partial, None);
        }
        for (number, (trace, ..)) in &naive.0 {
            let stored = store.trace(trace_id(*number)).unwrap().unwrap();
            prop_assert_eq!(stored.spans, trace.spans.len());
        }
    }
}
