//! What a field is of one span. A field may have several values: the elements of an array, those of all events or links.

use std::cell::OnceCell;

use conventions::resource::SERVICE_NAME;

use crate::literal::{Datum, Whole};
use crate::model::{AttributeValue, Scope, Span, Trace, Value};
use crate::structure::Tree;
use crate::{Field, Intrinsic, Literal};

/// Of a trace id, the longest one.
const ID_BYTES_MAX: usize = 16;
const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// A trace with what is computed of the whole of it, when it is asked for: once, however many spans are read.
pub struct Seen<'t, T: Trace> {
    pub trace: &'t T,
    tree: OnceCell<Tree>,
    bounds_ns: OnceCell<(u64, u64)>,
    root: OnceCell<Option<(String, String)>>,
}

/// How an id is shown: trace ids without leading zeros, span ids with them.
#[derive(Clone, Copy)]
enum IdForm {
    Full,
    Short,
}

impl<'t, T: Trace> Seen<'t, T> {
    pub fn new(trace: &'t T) -> Self {
        Self {
            trace,
            tree: OnceCell::new(),
            bounds_ns: OnceCell::new(),
            root: OnceCell::new(),
        }
    }

    /// The value of a field that a search answer shows of a span: an array with all elements, but as a lone value if it has
    /// one only; of several events or links the first.
    pub fn read(&self, field: &Field, index: usize) -> Option<AttributeValue> {
        let value = self.whole(field, index, &self.trace.span(index));
        (!value.is_nil()).then(|| value.shown())
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
                    done = done
                        || match intrinsic {
                            Intrinsic::LinkTraceId => take_id(trace_id, IdForm::Short, take),
                            _ => take_id(span_id, IdForm::Full, take),
                        };
                });
            }
            Intrinsic::InstrumentationName => _ = take(Datum::String(span.instrumentation().0)),
            Intrinsic::InstrumentationVersion => _ = take(Datum::String(span.instrumentation().1)),
            Intrinsic::TraceId => _ = take_id(&self.trace.id().0, IdForm::Short, take),
            Intrinsic::SpanId => _ = take_id(&span.id().0, IdForm::Full, take),
            Intrinsic::ParentId => {
                if let Some(parent) = span.parent() {
                    take_id(&self.trace.span(parent).id().0, IdForm::Full, take);
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

    /// What spans are grouped by: a service and an event always have a name, as in Tempo.
    pub(crate) fn group(&self, field: &Field, index: usize, span: &T::Span<'_>) -> Whole {
        let value = self.whole(field, index, span);
        let is_name = match field {
            Field::Attribute { scope, key } => {
                key == SERVICE_NAME && matches!(scope, None | Some(Scope::Resource))
            }
            Field::Intrinsic(intrinsic) => *intrinsic == Intrinsic::EventName,
        };
        match value.is_nil() && is_name {
            true => Whole::One(Literal::String(String::new())),
            false => value,
        }
    }

    pub(crate) fn whole(&self, field: &Field, index: usize, span: &T::Span<'_>) -> Whole {
        if !field.is_array(span) {
            return Whole::One(self.first(field, index, span));
        }
        let mut values = Vec::new();
        self.each(field, index, span, &mut |datum| {
            values.push(Literal::from(datum));
            false
        });
        match values.len() {
            1 => Whole::One(values.remove(0)),
            _ => Whole::Array(values),
        }
    }
}

/// Ids are compared as hexadecimal text, with or without leading zeros; the form that Tempo shows comes first. One that is
/// longer than an id can be is no id.
fn take_id(id: &[u8], shown: IdForm, take: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
    let mut digits = [0; 2 * ID_BYTES_MAX];
    let Some(digits) = digits.get_mut(..2 * id.len()) else {
        return false;
    };
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id) {
        pair[0] = HEXADECIMAL[usize::from(byte >> 4)];
        pair[1] = HEXADECIMAL[usize::from(byte & 0xf)];
    }
    let full = str::from_utf8(digits).expect("hexadecimal digits are ASCII");
    let short = full.trim_start_matches('0');
    let (first, second) = match shown {
        IdForm::Full => (full, short),
        IdForm::Short => (short, full),
    };
    take(Datum::String(first)) || full.len() > short.len() && take(Datum::String(second))
}

impl Field {
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
