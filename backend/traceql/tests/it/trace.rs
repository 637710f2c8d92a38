//! A trace in memory, written in a few words.

use std::cell::Cell;

use otlp::{SpanId, TraceId};
use traceql::model::{Kind, Scope, Span, Status, Trace, Value};

thread_local! {
    /// How often this thread has looked up attributes.
    pub(crate) static LOOKUPS: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) spans: Vec<MadeSpan>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Text(&'static str),
    Int(i64),
    Double(f64),
    Flag(bool),
    Texts(Vec<&'static str>),
}

#[derive(Clone, Debug)]
pub(crate) struct MadeSpan {
    pub(crate) id: u64,
    /// 0 for none.
    pub(crate) parent: u64,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) attributes: Vec<(Scope, &'static str, Attribute)>,
    pub(crate) events: Vec<(&'static str, u64)>,
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A span of a second that begins at its number in seconds, below another one (0: a root).
pub(crate) fn span(id: u64, parent: u64, name: &'static str) -> MadeSpan {
    MadeSpan {
        id,
        parent,
        name,
        kind: Kind::Internal,
        status: Status::Unset,
        start_ns: id * 1_000_000_000,
        duration_ns: 1_000_000_000,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
    }
}

impl MadeSpan {
    pub(crate) fn with(mut self, scope: Scope, key: &'static str, value: Attribute) -> Self {
        self.attributes.push((scope, key, value));
        self
    }

    pub(crate) fn int(self, key: &'static str, value: i64) -> Self {
        self.with(Scope::Span, key, Attribute::Int(value))
    }

    pub(crate) fn text(self, key: &'static str, value: &'static str) -> Self {
        self.with(Scope::Span, key, Attribute::Text(value))
    }

    pub(crate) fn service(self, name: &'static str) -> Self {
        self.with(Scope::Resource, "service.name", Attribute::Text(name))
    }

    pub(crate) fn failed(mut self) -> Self {
        self.status = Status::Error;
        self
    }

    pub(crate) fn lasting(mut self, duration_ns: u64) -> Self {
        self.duration_ns = duration_ns;
        self
    }
}

impl Trace for Made {
    type Span<'s> = Seen<'s>;

    fn id(&self) -> TraceId {
        TraceId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd])
    }

    fn len(&self) -> usize {
        self.spans.len()
    }

    fn span(&self, index: usize) -> Seen<'_> {
        Seen {
            trace: self,
            span: &self.spans[index],
        }
    }

    fn root(&self) -> Option<usize> {
        let roots = (0..self.spans.len()).filter(|index| self.spans[*index].parent == 0);
        roots.min_by_key(|index| self.spans[*index].start_ns)
    }
}

pub(crate) struct Seen<'s> {
    trace: &'s Made,
    span: &'s MadeSpan,
}

impl Span for Seen<'_> {
    fn id(&self) -> SpanId {
        SpanId(self.span.id.to_be_bytes())
    }

    fn parent(&self) -> Option<usize> {
        self.trace
            .spans
            .iter()
            .position(|span| span.id == self.span.parent)
    }

    fn name(&self) -> &str {
        self.span.name
    }

    fn kind(&self) -> Kind {
        self.span.kind
    }

    fn status(&self) -> Status {
        self.span.status
    }

    fn status_message(&self) -> &str {
        if self.span.status == Status::Error {
            "it broke"
        } else {
            ""
        }
    }

    fn start_ns(&self) -> u64 {
        self.span.start_ns
    }

    fn duration_ns(&self) -> u64 {
        self.span.duration_ns
    }

    fn attribute<'s>(&'s self, scope: Scope, key: &str, found: &mut dyn FnMut(Value<'s>) -> bool) {
        LOOKUPS.set(LOOKUPS.get() + 1);
        for (of, name, value) in &self.span.attributes {
            if *of == scope && *name == key && value.offer(found) {
                return;
            }
        }
    }

    fn attributes<'s>(&'s self, scope: Scope, each: &mut dyn FnMut(&'s str, Value<'s>)) {
        for (of, name, value) in &self.span.attributes {
            if *of == scope {
                value.offer(&mut |value| {
                    each(name, value);
                    false
                });
            }
        }
    }

    fn is_array(&self, scope: Scope, key: &str) -> bool {
        let mut of_key = self
            .span
            .attributes
            .iter()
            .filter(|(of, name, _)| *of == scope && *name == key);
        of_key.any(|(_, _, value)| matches!(value, Attribute::Texts(_)))
    }

    fn events<'s>(&'s self, each: &mut dyn FnMut(&'s str, u64)) {
        self.span
            .events
            .iter()
            .for_each(|(name, time_ns)| each(name, *time_ns));
    }

    fn links<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], &'s [u8])) {
        self.span
            .links
            .iter()
            .for_each(|(trace_id, span_id)| each(trace_id, span_id));
    }

    fn instrumentation(&self) -> (&str, &str) {
        ("library", "1.2")
    }
}

impl Attribute {
    fn offer<'s>(&'s self, found: &mut dyn FnMut(Value<'s>) -> bool) -> bool {
        match self {
            Self::Text(text) => found(Value::String(text)),
            Self::Int(number) => found(Value::Int(*number)),
            Self::Double(number) => found(Value::Double(*number)),
            Self::Flag(flag) => found(Value::Bool(*flag)),
            Self::Texts(texts) => texts.iter().any(|text| found(Value::String(text))),
        }
    }
}
