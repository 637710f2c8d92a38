//! Structural operators: against a literal reading of them, in deep traces and in broken ones.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use traceql::model::{Kind, Scope, Status, Trace};
use traceql::parse;

use super::found;
use crate::trace::{Attribute, Made, MadeSpan, span};

#[test]
fn a_deep_chain_and_a_circle_are_walked_without_harm() {
    let chain = Chain(100_000);
    for (query, expected) in [
        ("{ nestedSetLeft = 1 } >> { }", 99_999),
        ("{ } << { }", 99_999),
        ("{ } > { }", 99_999),
        ("{ } < { }", 99_999),
        ("{ nestedSetLeft = 1 } !>> { }", 1),
        ("{ nestedSetLeft = 1 } !<< { }", 100_000),
        ("{ nestedSetLeft = 1 } &>> { }", 100_000),
        ("{ nestedSetLeft > 99999 } &<< { nestedSetLeft = 1 }", 2),
        ("{ } !~ { }", 100_000),
        ("{ nestedSetRight = 100001 }", 1),
    ] {
        let found = parse(query).unwrap().evaluate(&chain).unwrap();
        assert_eq!(found.spansets[0].spans.len(), expected, "{query}");
    }
    // A hundred thousand groups of one span cost as much as one group of all.
    let groups = "{ } | by(span:id) | { } !> { }";
    let found_groups = parse(groups).unwrap().evaluate(&chain).unwrap();
    assert_eq!(found_groups.spansets.len(), 100_000);
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
        _ => left.id != right.id && !of_left.is_empty() && of_left.first() == of_right.first(),
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
