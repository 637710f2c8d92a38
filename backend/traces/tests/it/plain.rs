//! A trace as a plain list of OTLP spans: what the store's own form of it is compared with.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::{SpanId, TraceId};
use traceql::model::{self, Kind, Scope, Status, Value};

/// A span and what is around it.
#[derive(Clone, Debug)]
pub(crate) struct PlainSpan {
    pub(crate) service: String,
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct PlainTrace {
    pub(crate) id: TraceId,
    pub(crate) spans: Vec<PlainSpan>,
}

impl PlainTrace {
    /// A copy that came later replaces the first one if it ends later or, at the same end, has more attributes.
    pub(crate) fn add(&mut self, added: PlainSpan) {
        let of = |span: &Span| (span.span_id.clone(), span.kind);
        let worth = |span: &Span| (span.end_time_unix_nano, span.attributes.len());
        let known = self
            .spans
            .iter_mut()
            .find(|known| of(&known.span) == of(&added.span));
        match known {
            None => self.spans.push(added),
            Some(known) if worth(&added.span) > worth(&known.span) => *known = added,
            Some(_) => {}
        }
    }
}

impl model::Trace for PlainTrace {
    type Span<'s> = Seen<'s>;

    fn id(&self) -> TraceId {
        self.id
    }

    fn len(&self) -> usize {
        self.spans.len()
    }

    fn span(&self, index: usize) -> Seen<'_> {
        Seen {
            trace: self,
            plain: &self.spans[index],
        }
    }

    fn root(&self) -> Option<usize> {
        let roots = self.spans.iter().enumerate();
        let roots = roots.filter(|(_, plain)| plain.span.parent_span_id.is_empty());
        roots
            .min_by_key(|(_, plain)| plain.span.start_time_unix_nano)
            .map(|(index, _)| index)
    }
}

pub(crate) struct Seen<'s> {
    trace: &'s PlainTrace,
    plain: &'s PlainSpan,
}

impl Seen<'_> {
    fn lists(&self, scope: Scope) -> Vec<&[KeyValue]> {
        let span = &self.plain.span;
        match scope {
            Scope::Span => vec![&span.attributes],
            Scope::Resource => vec![&self.plain.resource],
            Scope::Event => span
                .events
                .iter()
                .map(|event| &event.attributes[..])
                .collect(),
            Scope::Link => span.links.iter().map(|link| &link.attributes[..]).collect(),
            Scope::Instrumentation => Vec::new(),
        }
    }

    fn value(list: &[KeyValue], key: &str) -> Vec<Value<'static>> {
        let pair = list.iter().find(|pair| pair.key == key);
        let value = pair.and_then(|pair| pair.value.as_ref()?.value.as_ref());
        value.map(scalars).unwrap_or_default()
    }
}

/// Leaked, a test is short: the trait borrows from the span.
fn scalars(value: &any_value::Value) -> Vec<Value<'static>> {
    match value {
        any_value::Value::StringValue(text) => vec![Value::String(text.clone().leak())],
        any_value::Value::IntValue(number) => vec![Value::Int(*number)],
        any_value::Value::DoubleValue(number) => vec![Value::Double(*number)],
        any_value::Value::BoolValue(flag) => vec![Value::Bool(*flag)],
        any_value::Value::ArrayValue(array) => {
            let values = array.values.iter().filter_map(|value| value.value.as_ref());
            values.flat_map(scalars).collect()
        }
        _ => Vec::new(),
    }
}

impl model::Span for Seen<'_> {
    fn id(&self) -> SpanId {
        SpanId::from_slice(&self.plain.span.span_id).unwrap()
    }

    fn parent(&self) -> Option<usize> {
        let parent = &self.plain.span.parent_span_id;
        let is_parent = |known: &PlainSpan| known.span.span_id == *parent;
        match *parent == self.plain.span.span_id {
            true => None,
            false => self.trace.spans.iter().position(is_parent),
        }
    }

    fn name(&self) -> &str {
        &self.plain.span.name
    }

    fn kind(&self) -> Kind {
        match self.plain.span.kind {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Unspecified,
        }
    }

    fn status(&self) -> Status {
        match self.plain.span.status.as_ref().map(|status| status.code) {
            Some(1) => Status::Ok,
            Some(2) => Status::Error,
            _ => Status::Unset,
        }
    }

    fn status_message(&self) -> &str {
        self.plain
            .span
            .status
            .as_ref()
            .map_or("", |status| &status.message)
    }

    fn start_ns(&self) -> u64 {
        self.plain.span.start_time_unix_nano
    }

    fn duration_ns(&self) -> u64 {
        let span = &self.plain.span;
        span.end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano)
    }

    fn attribute<'s>(&'s self, scope: Scope, key: &str, found: &mut dyn FnMut(Value<'s>) -> bool) {
        let values = self
            .lists(scope)
            .into_iter()
            .flat_map(|list| Self::value(list, key));
        let _ = values.into_iter().any(found);
    }

    fn attributes<'s>(&'s self, scope: Scope, each: &mut dyn FnMut(&'s str, Value<'s>)) {
        for pair in self.lists(scope).into_iter().flatten() {
            let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
            for value in value.map(scalars).unwrap_or_default() {
                each(pair.key.clone().leak(), value);
            }
        }
    }

    fn is_array(&self, scope: Scope, key: &str) -> bool {
        self.lists(scope).into_iter().any(|list| {
            let pair = list.iter().find(|pair| pair.key == key);
            let value = pair.and_then(|pair| pair.value.as_ref()?.value.as_ref());
            matches!(value, Some(any_value::Value::ArrayValue(_)))
        })
    }

    fn events<'s>(&'s self, each: &mut dyn FnMut(&'s str, u64)) {
        for event in &self.plain.span.events {
            each(&event.name, event.time_unix_nano);
        }
    }

    fn links<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], &'s [u8])) {
        for link in &self.plain.span.links {
            each(&link.trace_id, &link.span_id);
        }
    }

    fn instrumentation(&self) -> (&str, &str) {
        ("tests", "1")
    }
}
