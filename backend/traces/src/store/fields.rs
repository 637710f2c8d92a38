//! Every value that a field of TraceQL has in a span, for lists of values. What a query shows of a span is the matter of
//! `traceql`.

use otlp::SpanId;
use traceql::model::{AttributeValue, Scope, Span as _, Trace as _, Value};
use traceql::{Field, Intrinsic, Seen};

use super::search::service_name;
use crate::joined::{JoinedSpan, JoinedTrace};

/// Larger traces give no values of fields that are computed out of the whole trace for each span.
const COMPUTED_SPANS_MAX: usize = 1_000;

/// Each element of an array, of each event and link. Ids and durations of spans, which each span has for itself, have none.
pub(super) fn each_value(
    seen: &Seen<'_, JoinedTrace<'_>>,
    index: usize,
    field: &Field,
    each: &mut dyn FnMut(Value<'_>),
) {
    let trace = seen.trace;
    let span = trace.span(index);
    match field {
        Field::Attribute { scope, key } => {
            let scopes = match scope {
                None => &[Scope::Span, Scope::Resource][..],
                Some(scope) => std::slice::from_ref(scope),
            };
            for scope in scopes {
                span.attribute(*scope, key, &mut |value| {
                    each(value);
                    false
                });
            }
        }
        Field::Intrinsic(
            Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent
            | Intrinsic::ChildCount,
        ) => {
            if trace.len() <= COMPUTED_SPANS_MAX
                && let Some(AttributeValue::Int(number)) = seen.read(field, index)
            {
                each(Value::Int(number));
            }
        }
        Field::Intrinsic(intrinsic) => each_intrinsic(trace, &span, *intrinsic, each),
    }
}

fn each_intrinsic(
    trace: &JoinedTrace<'_>,
    span: &JoinedSpan<'_, '_>,
    intrinsic: Intrinsic,
    each: &mut dyn FnMut(Value<'_>),
) {
    let root = || trace.root().map(|index| trace.span(index));
    match intrinsic {
        Intrinsic::Name => each(Value::String(span.name())),
        Intrinsic::StatusMessage => each(Value::String(span.status_message())),
        Intrinsic::RootName => match root() {
            Some(root) => each(Value::String(root.name())),
            None => each(Value::String("")),
        },
        Intrinsic::RootServiceName => {
            let name = root().map(|root| service_name(&root)).unwrap_or_default();
            each(Value::String(&name));
        }
        Intrinsic::InstrumentationName => each(Value::String(span.instrumentation().0)),
        Intrinsic::InstrumentationVersion => each(Value::String(span.instrumentation().1)),
        Intrinsic::EventName => span.events(&mut |name, _| each(Value::String(name))),
        Intrinsic::EventTimeSinceStart => span.events(&mut |_, time_ns| {
            let since_ns = time_ns.saturating_sub(span.start_ns());
            each(Value::Int(i64::try_from(since_ns).unwrap_or(i64::MAX)));
        }),
        Intrinsic::LinkSpanId => span.links(&mut |_, id| {
            if let Some(id) = SpanId::from_slice(id) {
                each(Value::String(&id.to_string()));
            }
        }),
        _ => {}
    }
}
