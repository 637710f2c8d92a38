//! A trace as a tree: spans in the order in which they are printed, each with its depth.
//!
//! Input is whatever a store holds: parents may be missing, ids may repeat, times may lie outside each other.

use std::collections::{HashMap, HashSet};

use conventions::{resource, spans};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span as WireSpan, TracesData, span::SpanKind, status::StatusCode},
};

/// Branches below this are printed at this depth.
const DEPTH_MAX: usize = 64;

/// One trace, ready to print.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: String,
    /// Parents before their children, siblings by start.
    pub(crate) spans: Vec<Span>,
    /// Unix nanoseconds.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Span {
    /// Hexadecimal, as log lines have it.
    pub(crate) id: String,
    pub(crate) depth: usize,
    /// It names a parent that is not stored.
    pub(crate) orphan: bool,
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) error: bool,
    pub(crate) late: bool,
    /// In the order in which they were stored.
    pub(crate) attributes: Vec<(String, String)>,
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Trace {
    /// Puts the spans into printing order.
    pub(crate) fn assemble(id: &str, data: TracesData) -> Self {
        let mut spans = flatten(data);
        spans.sort_by_key(|(wire, _)| wire.start_time_unix_nano);
        let ids: HashSet<Vec<u8>> = spans.iter().map(|(wire, _)| wire.span_id.clone()).collect();
        let mut roots = Vec::new();
        let mut children: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (index, (wire, _)) in spans.iter().enumerate() {
            let parent = &wire.parent_span_id;
            if ids.contains(parent) && *parent != wire.span_id {
                children.entry(parent.clone()).or_default().push(index);
            } else {
                roots.push(index);
            }
        }
        let order = depth_first(&spans, &roots, &children);
        let printed = order
            .into_iter()
            .map(|(index, depth)| print_form(&spans[index], depth));
        Self {
            id: id.to_owned(),
            start_ns: spans
                .iter()
                .map(|(wire, _)| wire.start_time_unix_nano)
                .min()
                .unwrap_or_default(),
            end_ns: spans
                .iter()
                .map(|(wire, _)| wire.end_time_unix_nano.max(wire.start_time_unix_nano))
                .max()
                .unwrap_or_default(),
            spans: printed.collect(),
        }
    }

    /// Names of the services, in the order in which they appear.
    pub(crate) fn services(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.spans.iter().map(|span| span.service.as_str());
        names.filter(|name| seen.insert(*name)).collect()
    }
}

/// Every span with its service.
fn flatten(data: TracesData) -> Vec<(WireSpan, String)> {
    let mut spans = Vec::new();
    for group in data.resource_spans {
        let attributes = group.resource.unwrap_or_default().attributes;
        let named = attributes
            .iter()
            .find(|pair| pair.key == resource::SERVICE_NAME);
        let service = named.map(text).unwrap_or_else(|| "unknown".to_owned());
        for scope in group.scope_spans {
            spans.extend(scope.spans.into_iter().map(|span| (span, service.clone())));
        }
    }
    spans
}

/// Positions and depths, parents first. A circle of parents hangs from no root: its spans follow at the end.
fn depth_first(
    spans: &[(WireSpan, String)],
    roots: &[usize],
    children: &HashMap<Vec<u8>, Vec<usize>>,
) -> Vec<(usize, usize)> {
    let mut order = Vec::new();
    let mut seen = vec![false; spans.len()];
    let mut visit = |start: usize, order: &mut Vec<(usize, usize)>| {
        let mut stack = vec![(start, 0)];
        while let Some((index, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            order.push((index, depth));
            let below = children.get(&spans[index].0.span_id).into_iter().flatten();
            stack.extend(
                below
                    .rev()
                    .map(|child| (*child, (depth + 1).min(DEPTH_MAX))),
            );
        }
    };
    for root in roots.iter().copied().chain(0..spans.len()) {
        visit(root, &mut order);
    }
    order
}

fn print_form((wire, service): &(WireSpan, String), depth: usize) -> Span {
    let attributes: Vec<_> = wire
        .attributes
        .iter()
        .map(|pair| (pair.key.clone(), text(pair)))
        .collect();
    let late = attributes
        .iter()
        .any(|(key, value)| key == spans::TRIPOD_LATE && value == "true");
    let failed = |status: &opentelemetry_proto::tonic::trace::v1::Status| {
        status.code == StatusCode::Error as i32
    };
    Span {
        id: wire
            .span_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        depth,
        orphan: depth == 0 && !wire.parent_span_id.is_empty(),
        service: service.clone(),
        name: wire.name.clone(),
        kind: kind(wire.kind),
        start_ns: wire.start_time_unix_nano,
        end_ns: wire.end_time_unix_nano.max(wire.start_time_unix_nano),
        error: wire.status.as_ref().is_some_and(failed),
        late,
        attributes,
    }
}

fn kind(number: i32) -> &'static str {
    match SpanKind::try_from(number) {
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Unspecified) | Err(_) => "",
    }
}

fn text(pair: &KeyValue) -> String {
    pair.value.as_ref().map(value_text).unwrap_or_default()
}

fn value_text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::ArrayValue(array)) => {
            let items: Vec<_> = array.values.iter().map(value_text).collect();
            format!("[{}]", items.join(", "))
        }
        Some(any_value::Value::KvlistValue(list)) => {
            let pairs = list.values.iter();
            let items: Vec<_> = pairs
                .map(|pair| format!("{}: {}", pair.key, text(pair)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
        Some(any_value::Value::BytesValue(bytes)) => format!("{} bytes", bytes.len()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    fn data(spans: &[(u8, u8, u64)]) -> TracesData {
        let wire = |&(id, parent, start): &(u8, u8, u64)| WireSpan {
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 {
                Vec::new()
            } else {
                vec![parent; 8]
            },
            name: id.to_string(),
            start_time_unix_nano: start,
            end_time_unix_nano: start + 10,
            ..WireSpan::default()
        };
        TracesData {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: spans.iter().map(wire).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    fn order(spans: &[(u8, u8, u64)]) -> Vec<(String, usize)> {
        let trace = Trace::assemble("id", data(spans));
        trace
            .spans
            .into_iter()
            .map(|span| (span.name, span.depth))
            .collect()
    }

    fn expected(spans: &[(&str, usize)]) -> Vec<(String, usize)> {
        spans
            .iter()
            .map(|(name, depth)| ((*name).to_owned(), *depth))
            .collect()
    }

    #[test]
    fn children_follow_their_parent_by_start() {
        let spans = [(4, 2, 30), (1, 0, 0), (3, 1, 20), (2, 1, 10)];
        assert_eq!(
            order(&spans),
            expected(&[("1", 0), ("2", 1), ("4", 2), ("3", 1)])
        );
    }

    #[test]
    fn a_span_without_its_parent_is_an_orphan_beside_the_root() {
        let trace = Trace::assemble("id", data(&[(1, 0, 0), (2, 9, 5)]));
        let orphans: Vec<_> = trace.spans.iter().map(|span| span.orphan).collect();
        assert_eq!(orphans, [false, true]);
    }

    #[test]
    fn a_circle_of_parents_is_printed_once() {
        assert_eq!(
            order(&[(1, 2, 0), (2, 1, 5)]),
            expected(&[("1", 0), ("2", 1)])
        );
        assert_eq!(order(&[(1, 1, 0)]), expected(&[("1", 0)]));
    }
}
