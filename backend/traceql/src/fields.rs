//! What a field is of one span. A field may have several values: the elements of an array, those of all events or links.

use std::cell::OnceCell;

use conventions::resource::SERVICE_NAME;

use crate::literal::Datum;
use crate::model::{AttributeValue, Scope, Span, Trace, Value};
use crate::structure::Tree;
use crate::{Field, Intrinsic, Literal};

/// A trace with what is computed of the whole of it, when it is asked for.
pub(crate) struct Seen<'t, T: Trace> {
    pub(crate) trace: &'t T,
    tree: OnceCell<Tree>,
    bounds_ns: OnceCell<(u64, u64)>,
    root: OnceCell<Option<(String, String)>>,
}

impl<'t, T: Trace> Seen<'t, T> {
    pub(crate) fn new(trace: &'t T) -> Self {
        Self {
            trace,
            tree: OnceCell::new(),
            bounds_ns: OnceCell::new(),
            root: OnceCell::new(),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Tree::of(self.trace))
    }

    /// From the first start to the last end.
    fn duration_ns(&self) -> u64 {
        let (start_ns, end_ns) = *self.bounds_ns.get_or_init(|| {
            (0..self.trace.len()).fold((u64::MAX, 0), |(start_ns, end_ns), index| {
                let span = self.trace.span(index);
                let span_end_ns = span.start_ns().saturating_add(span.duration_ns());
                (start_ns.min(span.start_ns()), end_ns.max(span_end_ns))
            })
        });
        end_ns.saturating_sub(start_ns)
    }

    /// Name and service of the root, if it was stored.
    fn root(&self) -> Option<&(String, String)> {
        let root = self.root.get_or_init(|| {
            let span = self.trace.span(self.trace.root()?);
            let mut service = String::new();
            span.attribute(Scope::Resource, SERVICE_NAME, &mut |value| {
                if let Value::String(text) = value {
                    text.clone_into(&mut service);
                }
                true
            });
            Some((span.name().to_owned(), service))
        });
        root.as_ref()
    }

    /// Offers the values of a field until one is taken.
    pub(crate) fn each(
        &self,
        field: &Field,
        index: usize,
        span: &T::Span<'_>,
        take: &mut dyn FnMut(Datum<'_>) -> bool,
    ) {
        match field {
            Field::Attribute {
                scope: Some(scope),
                key,
            } => {
                span.attribute(*scope, key, &mut |value| take(value.into()));
            }
            Field::Attribute { scope: None, key } => {
                let mut is_there = false;
                span.attribute(Scope::Span, key, &mut |value| {
                    is_there = true;
                    take(value.into())
                });
                if !is_there {
                    span.attribute(Scope::Resource, key, &mut |value| take(value.into()));
                }
            }
            Field::Intrinsic(intrinsic) => self.each_intrinsic(*intrinsic, index, span, take),
        }
    }

    fn each_intrinsic(
        &self,
        intrinsic: Intrinsic,
        index: usize,
        span: &T::Span<'_>,
        take: &mut dyn FnMut(Datum<'_>) -> bool,
    ) {
        let number = |number: u64| Datum::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let duration = |ns: u64| Datum::Duration(i64::try_from(ns).unwrap_or(i64::MAX));
        match intrinsic {
            Intrinsic::Duration => _ = take(duration(span.duration_ns())),
            Intrinsic::Name => _ = take(Datum::String(span.name())),
            Intrinsic::Status => _ = take(Datum::Status(span.status())),
            Intrinsic::StatusMessage => _ = take(Datum::String(span.status_message())),
            Intrinsic::Kind => _ = take(Datum::Kind(span.kind())),
            Intrinsic::ChildCount => _ = take(number(self.tree().children(index))),
            Intrinsic::RootName => {
                _ = self
                    .root()
                    .is_some_and(|(name, _)| take(Datum::String(name)))
            }
            Intrinsic::RootServiceName => {
                _ = self
                    .root()
                    .is_some_and(|(_, service)| take(Datum::String(service)));
            }
            Intrinsic::TraceDuration => _ = take(duration(self.duration_ns())),
            Intrinsic::NestedSetLeft => _ = take(Datum::Int(self.tree().left(index))),
            Intrinsic::NestedSetRight => _ = take(Datum::Int(self.tree().right(index))),
            Intrinsic::NestedSetParent => _ = take(Datum::Int(self.tree().parent_left(index))),
            Intrinsic::EventName | Intrinsic::EventTimeSinceStart => {
                let mut done = false;
                span.events(&mut |name, time_ns| {
                    let since_ns = time_ns.saturating_sub(span.start_ns());
                    let is_name = intrinsic == Intrinsic::EventName;
                    done = done
                        || take(if is_name {
                            Datum::String(name)
                        } else {
                            duration(since_ns)
                        });
                });
            }
            Intrinsic::LinkTraceId | Intrinsic::LinkSpanId => {
                let mut done = false;
                span.links(&mut |trace_id, span_id| {
                    let is_trace = intrinsic == Intrinsic::LinkTraceId;
                    done = done || take_id(if is_trace { trace_id } else { span_id }, take);
                });
            }
            Intrinsic::InstrumentationName => _ = take(Datum::String(span.instrumentation().0)),
            Intrinsic::InstrumentationVersion => _ = take(Datum::String(span.instrumentation().1)),
            Intrinsic::TraceId => _ = take_id(&self.trace.id().0, take),
            Intrinsic::SpanId => _ = take_id(&span.id().0, take),
            Intrinsic::ParentId => {
                if let Some(parent) = span.parent() {
                    take_id(&self.trace.span(parent).id().0, take);
                }
            }
        }
    }

    /// The first value; nil when there is none. A text that lives no longer than the call comes as a literal.
    pub(crate) fn first(&self, field: &Field, index: usize, span: &T::Span<'_>) -> Literal {
        let mut first = Literal::Nil;
        self.each(field, index, span, &mut |datum| {
            first = datum.into();
            true
        });
        first
    }
}

/// Ids are compared as hexadecimal text, with or without leading zeros.
fn take_id(id: &[u8], take: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
    let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let short = text.trim_start_matches('0');
    take(Datum::String(short)) || short.len() < text.len() && take(Datum::String(&text))
}

impl Field {
    /// The value that a search answer shows of a span: an array with all elements; of several events or links the first.
    pub fn read<T: Trace>(&self, trace: &T, index: usize) -> Option<AttributeValue> {
        let seen = Seen::new(trace);
        let span = trace.span(index);
        let mut values = Vec::new();
        let is_array = self.is_array(&span);
        seen.each(self, index, &span, &mut |datum| {
            values.push(Literal::from(datum).shown());
            !is_array
        });
        match is_array {
            true => Some(AttributeValue::Array(values)),
            false => values.pop(),
        }
    }

    fn is_array<S: Span>(&self, span: &S) -> bool {
        match self {
            Self::Attribute {
                scope: Some(scope),
                key,
            } => span.is_array(*scope, key),
            Self::Attribute { scope: None, key } => {
                let mut is_of_span = false;
                span.attribute(Scope::Span, key, &mut |_| {
                    is_of_span = true;
                    true
                });
                span.is_array(
                    if is_of_span {
                        Scope::Span
                    } else {
                        Scope::Resource
                    },
                    key,
                )
            }
            Self::Intrinsic(_) => false,
        }
    }

    /// The name under which a search answer shows it: a key without its scope.
    pub fn shown_key(&self) -> String {
        match self {
            Self::Attribute { key, .. } => key.clone(),
            Self::Intrinsic(_) => self.to_string(),
        }
    }
}

impl Literal {
    /// As an answer writes it: durations, statuses and kinds are text.
    pub(crate) fn shown(&self) -> AttributeValue {
        match self {
            Self::Nil => AttributeValue::String(String::new()),
            Self::Int(number) => AttributeValue::Int(*number),
            Self::Float(number) => AttributeValue::Double(*number),
            Self::String(text) => AttributeValue::String(text.clone()),
            Self::Bool(flag) => AttributeValue::Bool(*flag),
            Self::Duration(_) | Self::Status(_) | Self::Kind(_) => {
                AttributeValue::String(self.to_string())
            }
        }
    }
}
