//! What a query sees of a trace: complete (fragments joined, each span once), with parents resolved to positions.
//!
//! Traits, so that the store can answer from its encoded records without building objects. No query logic here.

/// A typed attribute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    String(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// Where an attribute is looked for. Unscoped (`.name`) means span first, then resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

/// `kind` of a span, with the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// `status` of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    Unset,
    Ok,
    Error,
}

/// One complete trace.
pub trait Trace {
    type Span<'s>: Span
    where
        Self: 's;

    fn id(&self) -> otlp::TraceId;
    fn len(&self) -> usize;
    /// The span at `index < len()`. Cheap: called often.
    fn span(&self, index: usize) -> Self::Span<'_>;
    /// Position of the first span (by start) without a parent id, if it was stored.
    fn root(&self) -> Option<usize>;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One span of a [`Trace`].
pub trait Span {
    fn id(&self) -> otlp::SpanId;
    /// Position of the parent in the same trace; `None` for a root and for a span whose parent was not stored.
    fn parent(&self) -> Option<usize>;
    fn name(&self) -> &str;
    fn kind(&self) -> Kind;
    fn status(&self) -> Status;
    fn status_message(&self) -> &str;
    /// Unix nanoseconds.
    fn start_ns(&self) -> u64;
    /// End minus start, 0 when the end lies before the start.
    fn duration_ns(&self) -> u64;
    /// Values of `key` in `scope`, in order, while `found` returns `false`: each scalar element of an array by itself; for
    /// events and links those of all of them.
    fn attribute<'s>(&'s self, scope: Scope, key: &str, found: &mut dyn FnMut(Value<'s>) -> bool);
    /// Every attribute of `scope`.
    fn attributes<'s>(&'s self, scope: Scope, each: &mut dyn FnMut(&'s str, Value<'s>));
    /// Whether the value of `key` in `scope` is an array.
    fn is_array(&self, _scope: Scope, _key: &str) -> bool {
        false
    }
    /// Name and time of each event, Unix nanoseconds.
    fn events<'s>(&'s self, each: &mut dyn FnMut(&'s str, u64));
    /// Trace id and span id of each link, as they came.
    fn links<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], &'s [u8]));
    /// Name and version of the instrumentation scope.
    fn instrumentation(&self) -> (&str, &str);
}

/// A value that has left its trace. Statuses and kinds are their TraceQL words, durations Go's text or nanoseconds, as Tempo
/// answers them.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    String(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Array(Vec<AttributeValue>),
}

impl From<Value<'_>> for AttributeValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::String(text) => Self::String(text.to_owned()),
            Value::Int(number) => Self::Int(number),
            Value::Double(number) => Self::Double(number),
            Value::Bool(flag) => Self::Bool(flag),
        }
    }
}
