#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData},
};
use otlp::wire;
use proptest::prelude::*;
use prost::Message;

use super::*;

const TRACE_ID: [u8; 16] = *b"0123456789abcdef";

fn policies(definitions: Vec<(Condition, bool)>) -> Policies {
    let named = definitions.into_iter().enumerate();
    let definitions = named.map(|(index, (condition, drops))| Definition {
        name: format!("p{index}"),
        condition,
        drops,
    });
    Policies::compile(definitions.collect()).unwrap()
}

fn has(key: &str, test: Test) -> Condition {
    Condition::Attribute(key.to_owned(), test)
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn span(attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: vec![1; 8],
        attributes,
        ..Span::default()
    }
}

/// What each span says by itself with its resource, and what they say when one is asked after the other.
struct Observed {
    spans: Vec<Facts>,
    threaded: Facts,
}

fn facts(policies: &Policies, resource: Vec<KeyValue>, spans: Vec<Span>) -> Vec<Facts> {
    observe(policies, resource, spans).spans
}

/// Off the wire, as the collector does.
fn observe(policies: &Policies, resource: Vec<KeyValue>, spans: Vec<Span>) -> Observed {
    struct Reader<'p> {
        policies: &'p Policies,
        resource: Facts,
        observed: Observed,
    }
    impl<'a> wire::Visit<'a> for Reader<'_> {
        fn resource(&mut self, resource: wire::Resource<'a>) {
            self.resource = self.policies.resource_facts(&resource);
        }
        fn scope(&mut self, _: wire::Scope<'a>) {}
        fn span(&mut self, span: wire::Span<'a>) {
            let mut facts = self.resource;
            self.policies.observe(&mut facts, &span);
            self.observed.spans.push(facts);
            self.observed.threaded.merge(&self.resource);
            self.policies.observe(&mut self.observed.threaded, &span);
        }
    }
    let resource = Some(Resource {
        attributes: resource,
        ..Resource::default()
    });
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let request = TracesData {
        resource_spans: vec![ResourceSpans {
            resource,
            scope_spans,
            ..ResourceSpans::default()
        }],
    };
    let observed = Observed {
        spans: Vec::new(),
        threaded: Facts::default(),
    };
    let mut reader = Reader {
        policies,
        resource: Facts::default(),
        observed,
    };
    wire::walk(&request.encode_to_vec(), &mut reader).unwrap();
    reader.observed
}

fn merged(facts: &[Facts]) -> Facts {
    facts.iter().fold(Facts::default(), |mut all, facts| {
        all.merge(facts);
        all
    })
}

fn decide(policies: &Policies, resource: Vec<KeyValue>, spans: Vec<Span>) -> Decision {
    policies.decide(&merged(&facts(policies, resource, spans)), &TRACE_ID)
}

fn keeps(condition: Condition, resource: Vec<KeyValue>, spans: Vec<Span>) -> bool {
    decide(&policies(vec![(condition, false)]), resource, spans) == Decision::Keep { policy: 0 }
}

fn timed(start_ns: u64, end_ns: u64) -> Span {
    Span {
        start_time_unix_nano: start_ns,
        end_time_unix_nano: end_ns,
        ..span(Vec::new())
    }
}

#[test]
fn a_drop_wins_over_any_other_policy_and_the_first_sampling_one_is_named() {
    let failed = || Span {
        status: Some(Status {
            code: 2,
            ..Status::default()
        }),
        ..span(Vec::new())
    };
    let policies = policies(vec![
        (has("a", Test::Bool(true)), false),
        (Condition::Status(vec![2]), false),
        (Condition::Always, false),
        (has("probe", Test::Bool(true)), true),
    ]);
    let marked = |key| {
        vec![Span {
            attributes: vec![attribute(key, Value::BoolValue(true))],
            ..failed()
        }]
    };
    assert_eq!(
        decide(&policies, Vec::new(), vec![failed()]),
        Decision::Keep { policy: 1 }
    );
    assert_eq!(
        decide(&policies, Vec::new(), vec![span(Vec::new())]),
        Decision::Keep { policy: 2 }
    );
    assert_eq!(
        decide(&policies, Vec::new(), marked("a")),
        Decision::Keep { policy: 0 }
    );
    assert_eq!(
        decide(&policies, Vec::new(), marked("probe")),
        Decision::Drop { policy: Some(3) }
    );
    assert_eq!(policies.names(), ["p0", "p1", "p2", "p3"]);
}

#[test]
fn nothing_that_samples_is_a_drop_by_nobody() {
    let policies = policies(vec![(Condition::Status(vec![2]), false)]);
    assert_eq!(
        decide(&policies, Vec::new(), vec![span(Vec::new())]),
        Decision::Drop { policy: None }
    );
}

#[test]
fn the_parts_of_an_and_may_hold_on_different_spans() {
    let both = || {
        let parts = vec![has("a", Test::Bool(true)), has("b", Test::Bool(true))];
        Condition::All(parts)
    };
    let with = |key| span(vec![attribute(key, Value::BoolValue(true))]);
    assert!(keeps(both(), Vec::new(), vec![with("a"), with("b")]));
    assert!(!keeps(both(), Vec::new(), vec![with("a"), with("a")]));
}

#[test]
fn the_first_attribute_with_a_key_is_the_one_that_counts() {
    let number = |value| attribute("n", Value::IntValue(value));
    let test = || has("n", Test::Int { min: 5, max: 9 });
    assert!(keeps(
        test(),
        Vec::new(),
        vec![span(vec![number(5), number(1)])]
    ));
    assert!(!keeps(
        test(),
        Vec::new(),
        vec![span(vec![number(1), number(5)])]
    ));
}

#[test]
fn a_value_of_another_type_reads_as_zero() {
    let other = || vec![span(vec![attribute("k", text("7"))])];
    let double = || vec![span(vec![attribute("k", Value::DoubleValue(7.0))])];
    assert!(keeps(
        has(
            "k",
            Test::Int {
                min: i64::MIN,
                max: 3
            }
        ),
        Vec::new(),
        other()
    ));
    assert!(!keeps(
        has("k", Test::Int { min: 5, max: 9 }),
        Vec::new(),
        double()
    ));
    assert!(keeps(has("k", Test::Bool(false)), Vec::new(), other()));
    assert!(!keeps(
        has("k", Test::Bool(false)),
        Vec::new(),
        vec![span(Vec::new())]
    ));
}

#[test]
fn an_empty_text_matches_a_pattern_on_a_resource_only() {
    let anything = || has("k", Test::Pattern(vec![Pattern::new(".*").unwrap()]));
    let empty = || attribute("k", text(""));
    assert!(keeps(anything(), vec![empty()], vec![span(Vec::new())]));
    assert!(keeps(
        anything(),
        vec![attribute("k", Value::IntValue(1))],
        vec![span(Vec::new())]
    ));
    assert!(!keeps(anything(), Vec::new(), vec![span(vec![empty()])]));
    assert!(!keeps(
        has("k", Test::OneOf(vec![String::new()])),
        vec![empty()],
        vec![span(Vec::new())]
    ));
}

#[test]
fn a_duration_is_that_of_the_whole_trace() {
    let longer_than = |above_ms| {
        Condition::Latency(Latency {
            above_ms,
            up_to_ms: i64::MAX,
        })
    };
    let spans = || {
        vec![
            timed(3_000_000, 4_000_000),
            timed(1_000_000, 2_000_000),
            timed(2_000_000, 6_999_999),
        ]
    };
    assert!(keeps(longer_than(4), Vec::new(), spans()));
    assert!(!keeps(longer_than(5), Vec::new(), spans()));
    let between = |above_ms, up_to_ms| Condition::Latency(Latency { above_ms, up_to_ms });
    assert!(keeps(between(4, 5), Vec::new(), spans()));
    assert!(!keeps(between(3, 4), Vec::new(), spans()));
    assert!(
        !keeps(
            longer_than(0),
            Vec::new(),
            vec![timed(9_000_000, 1_000_000)]
        ),
        "ended before it began"
    );
    assert!(
        keeps(
            longer_than(0),
            Vec::new(),
            vec![timed(0, 1_000_000), timed(0, 2_000_000)]
        ),
        "without any start"
    );
    assert!(
        !keeps(
            longer_than(5),
            Vec::new(),
            vec![timed(0, 0), timed(9_000_000, 12_000_000)]
        ),
        "a start of zero is none"
    );
    assert!(
        !keeps(longer_than(0), Vec::new(), vec![timed(1, u64::MAX)]),
        "a time beyond 2262 is before 1970"
    );
}

#[test]
fn a_status_beyond_those_known_satisfies_nothing() {
    let with = |code| Span {
        status: Some(Status {
            code,
            ..Status::default()
        }),
        ..span(Vec::new())
    };
    assert!(keeps(
        Condition::Status(vec![0]),
        Vec::new(),
        vec![span(Vec::new())]
    ));
    for code in [3, -1, i32::MAX, i32::MIN] {
        assert!(
            !keeps(
                Condition::Status(vec![0, 1, 2]),
                Vec::new(),
                vec![with(code)]
            ),
            "{code}"
        );
    }
}

#[test]
fn more_conditions_than_bits_are_refused() {
    let condition = |count: usize| {
        Condition::All(
            (0..count)
                .map(|n| has(&format!("k{n}"), Test::Bool(true)))
                .collect(),
        )
    };
    let compile = |count| {
        Policies::compile(vec![Definition {
            name: "p".to_owned(),
            condition: condition(count),
            drops: false,
        }])
    };
    assert!(compile(LEAVES_MAX).is_ok());
    assert_eq!(compile(LEAVES_MAX + 1).unwrap_err(), TooManyLeaves);
}

#[test]
fn the_last_bit_is_as_good_as_the_first() {
    let parts = (0..LEAVES_MAX)
        .map(|n| has(&format!("k{n}"), Test::Bool(true)))
        .collect();
    let all = |count: usize| {
        vec![span(
            (0..count)
                .map(|n| attribute(&format!("k{n}"), Value::BoolValue(true)))
                .collect(),
        )]
    };
    assert!(keeps(Condition::All(parts), Vec::new(), all(LEAVES_MAX)));
    let parts = (0..LEAVES_MAX)
        .map(|n| has(&format!("k{n}"), Test::Bool(true)))
        .collect();
    assert!(!keeps(
        Condition::All(parts),
        Vec::new(),
        all(LEAVES_MAX - 1)
    ));
}

/// One policy of each kind, so that any difference in facts shows.
fn of_every_kind() -> Policies {
    let number = || has("n", Test::Int { min: 2, max: 3 });
    policies(vec![
        (Condition::Not(Box::new(has("n", Test::Bool(true)))), true),
        (number(), false),
        (
            Condition::Latency(Latency {
                above_ms: 2,
                up_to_ms: 6,
            }),
            false,
        ),
        (Condition::Status(vec![1]), false),
        (has("s", Test::OneOf(vec!["a".to_owned()])), false),
        (
            has("s", Test::Pattern(vec![Pattern::new("^[bc]$").unwrap()])),
            false,
        ),
    ])
}

fn any_span() -> impl Strategy<Value = Span> {
    let value = prop_oneof![
        (0..4_i64).prop_map(Value::IntValue),
        any::<bool>().prop_map(Value::BoolValue),
        "[a-d]?".prop_map(Value::StringValue),
    ];
    let attributes =
        prop::collection::vec((prop_oneof![Just("n"), Just("s"), Just("x")], value), 0..4);
    (attributes, 0..3_i32, 0..8_u64, 0..8_u64).prop_map(|(attributes, code, start, end)| Span {
        attributes: attributes
            .into_iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        status: Some(Status {
            code,
            ..Status::default()
        }),
        ..timed(start * 1_000_000, end * 1_000_000)
    })
}

proptest! {
    #[test]
    fn order_grouping_and_repetition_change_no_decision(
        spans in prop::collection::vec(any_span(), 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        cut in any::<prop::sample::Index>(),
    ) {
        let policies = of_every_kind();
        let facts = facts(&policies, vec![attribute("s", text("z"))], spans);
        let once = merged(&facts);
        // All of them at least once, some again, in any order, in two groups.
        let again = order.iter().map(|index| *index.get(&facts)).chain(facts.iter().rev().copied());
        let again: Vec<Facts> = again.collect();
        let (one, other) = again.split_at(cut.index(again.len()));
        let (one, other) = (merged(one), merged(other));
        prop_assert_eq!(merged(&[one, other]), once);
        prop_assert_eq!(merged(&[other, one, one]), once);
        prop_assert_eq!(policies.decide(&merged(&[other, one]), &TRACE_ID), policies.decide(&once, &TRACE_ID));
    }

    #[test]
    fn facts_merge_like_a_set(facts in prop::collection::vec((any::<u64>(), 0..5_u64, 0..5_u64), 3)) {
        let [a, b, c]: [Facts; 3] = facts.iter()
            .map(|(seen, start_ns, end_ns)| Facts { seen: *seen, start_ns: *start_ns, end_ns: *end_ns })
            .collect::<Vec<_>>().try_into().unwrap();
        prop_assert_eq!(merged(&[a, b]), merged(&[b, a]));
        prop_assert_eq!(merged(&[merged(&[a, b]), c]), merged(&[a, merged(&[b, c])]));
        prop_assert_eq!(merged(&[a, a]), a);
        prop_assert_eq!(merged(&[a, Facts::default()]), a);
    }

    #[test]
    fn what_is_known_already_is_not_looked_for_and_not_lost(spans in prop::collection::vec(any_span(), 1..6)) {
        let observed = observe(&of_every_kind(), Vec::new(), spans);
        prop_assert_eq!(observed.threaded, merged(&observed.spans));
    }
}
