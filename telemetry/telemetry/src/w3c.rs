//! W3C Trace Context, level 2: between the outside (HTTP headers, message attributes, outbox items) and an
//! OpenTelemetry [`Context`]. <https://www.w3.org/TR/trace-context-2/>
//!
//! The same rules for every carrier. Malformed input never fails: an invalid `traceparent` restarts the trace, an
//! invalid `tracestate` is dropped without harm to its `traceparent`. The sampled flag is carried but decides nothing.

use std::sync::LazyLock;
use std::time::SystemTime;

use conventions::headers::{TRACEPARENT, TRACESTATE, TRACESTATE_MEMBER};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId, TraceState};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use self::traceparent::Traceparent;
use self::tracestate::Tracestate;
use crate::trace::start;

mod traceparent;
mod tracestate;

#[cfg(test)]
mod tests;

static TRACEPARENT_HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);
static TRACESTATE_HEADER: HeaderName = HeaderName::from_static(TRACESTATE);

/// A place in a trace as text, for whatever is no HTTP request: outbox items, message attributes, files.
///
/// ```
/// use opentelemetry::trace::TraceContextExt;
/// use telemetry::w3c::Carrier;
///
/// let carrier: Carrier = serde_json::from_str(
///     r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"foo=1"}"#,
/// ).unwrap();
/// let context = carrier.context();
/// assert_eq!(context.span().span_context().trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert_eq!(Carrier::of(&context), Some(carrier));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// As the header of that name.
    pub traceparent: String,
    /// As the headers of that name, combined; left out when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

/// The propagator that [`crate::init`] installs for libraries that ask OpenTelemetry's globals: the functions of this
/// module behind OpenTelemetry's trait.
///
/// ```
/// use std::collections::HashMap;
/// use opentelemetry::propagation::TextMapPropagator;
/// use telemetry::w3c::Propagator;
///
/// let headers = HashMap::from([(
///     "traceparent".to_owned(),
///     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
/// )]);
/// let context = Propagator::default().extract(&headers);
/// let mut copied = HashMap::new();
/// Propagator::default().inject_context(&context, &mut copied);
/// assert_eq!(copied, headers);
/// ```
#[derive(Debug, Default)]
pub struct Propagator(());

/// Rides in a context beside its span: the list as it came, when OpenTelemetry's type refused some of its members.
struct Refused {
    /// Guards against a context that was reused for another trace.
    trace_id: TraceId,
    list: Tracestate,
}

/// The remote parent that the headers name, or an empty context if they name none. More than one `traceparent` is as
/// good as none, since nobody can say which is right.
///
/// ```
/// use http::HeaderMap;
/// use opentelemetry::trace::TraceContextExt;
/// use telemetry::w3c;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
/// assert!(w3c::extract(&headers).span().span_context().is_remote());
///
/// headers.append("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01".parse().unwrap());
/// assert!(!w3c::extract(&headers).span().span_context().is_valid());
/// ```
pub fn extract(headers: &HeaderMap) -> Context {
    match parse_headers(headers) {
        Some((parent, list)) => continued(&Context::new(), parent, list),
        None => Context::new(),
    }
}

/// [`extract`] for a process that faces the outside: what comes as our own member of `tracestate` is not believed but
/// replaced by `started`, so nobody outside decides which spans count as late.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use http::HeaderMap;
/// use opentelemetry::trace::TraceContextExt;
/// use telemetry::w3c;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
/// headers.insert("tracestate", "foo=1,tripod=t:1".parse().unwrap());
/// let context = w3c::extract_at_edge(&headers, UNIX_EPOCH + Duration::from_millis(0x18f));
/// assert_eq!(context.span().span_context().trace_state().header(), "tripod=t:18f,foo=1");
/// ```
pub fn extract_at_edge(headers: &HeaderMap, started: SystemTime) -> Context {
    let Some((parent, mut list)) = parse_headers(headers) else {
        return Context::new();
    };
    list.put(TRACESTATE_MEMBER, start::member(started));
    continued(&Context::new(), parent, list)
}

/// Writes the context's span into the headers and takes away what stood there. Without a valid span they are left
/// as they are.
///
/// ```
/// use http::HeaderMap;
/// use opentelemetry::Context;
/// use telemetry::w3c;
///
/// let mut headers = HeaderMap::new();
/// w3c::inject(&Context::current(), &mut headers);
/// assert!(headers.is_empty(), "there is no span here");
/// ```
pub fn inject(context: &Context, headers: &mut HeaderMap) {
    let Some(carrier) = Carrier::of(context) else {
        return;
    };
    headers.insert(&TRACEPARENT_HEADER, header_value(&carrier.traceparent));
    match carrier.tracestate {
        Some(list) => headers.insert(&TRACESTATE_HEADER, header_value(&list)),
        None => headers.remove(&TRACESTATE_HEADER),
    };
}

/// What to send on with work done inside `span`: its own context, or the current one if there is no recorder of spans,
/// so that a service without one still passes the trace of its caller through.
pub(crate) fn context_to_send(span: &Span) -> Context {
    let own = span.context();
    match own.span().span_context().is_valid() {
        true => own,
        false => Context::current(),
    }
}

/// Value of the `traceresponse` header: the span that answered. `None` without a valid span.
pub(crate) fn traceresponse(span: &SpanContext) -> Option<HeaderValue> {
    Traceparent::of(span).map(|response| header_value(&response.format()))
}

impl Carrier {
    /// Where this code is: the current span of the current trace. `None` outside any span.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// The context's span. `None` if it has no valid one.
    pub fn of(context: &Context) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        let traceparent = Traceparent::of(span)?.format();
        let list = match context.get::<Refused>() {
            Some(refused) if refused.trace_id == span.trace_id() => {
                refused.list.merged(span.trace_state()).format()
            }
            _ => span.trace_state().header(),
        };
        let tracestate = (!list.is_empty()).then_some(list);
        Some(Self {
            traceparent,
            tracestate,
        })
    }

    /// The context to give to a span as its remote parent; empty if the text is malformed.
    pub fn context(&self) -> Context {
        let list = self.tracestate.as_deref().map(str::as_bytes);
        match Traceparent::parse(self.traceparent.as_bytes()) {
            Some(parent) => continued(&Context::new(), parent, parse_list(list)),
            None => Context::new(),
        }
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let Some(carrier) = Carrier::of(context) else {
            return;
        };
        injector.set(TRACEPARENT, carrier.traceparent);
        if let Some(list) = carrier.tracestate {
            injector.set(TRACESTATE, list);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let parents = extractor.get_all(TRACEPARENT).unwrap_or_default();
        let [parent] = parents.as_slice() else {
            return context.clone();
        };
        let Some(parent) = Traceparent::parse(parent.as_bytes()) else {
            return context.clone();
        };
        let lists = extractor.get_all(TRACESTATE).unwrap_or_default();
        let list = parse_list(lists.into_iter().map(str::as_bytes));
        continued(context, parent, list)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 2]> =
            LazyLock::new(|| [TRACEPARENT.to_owned(), TRACESTATE.to_owned()]);
        FieldIter::new(&*FIELDS)
    }
}

fn parse_headers(headers: &HeaderMap) -> Option<(Traceparent, Tracestate)> {
    let mut parents = headers.get_all(&TRACEPARENT_HEADER).iter();
    let parent = Traceparent::parse(parents.next()?.as_bytes())?;
    if parents.next().is_some() {
        return None;
    }
    let lists = headers.get_all(&TRACESTATE_HEADER).iter();
    Some((parent, parse_list(lists.map(HeaderValue::as_bytes))))
}

fn parse_list<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Tracestate {
    Tracestate::parse(values).unwrap_or_default()
}

fn continued(base: &Context, parent: Traceparent, list: Tracestate) -> Context {
    let (state, all): (TraceState, bool) = list.to_otel();
    let span = parent.span_context(state);
    let trace_id = span.trace_id();
    let context = base.with_remote_span_context(span);
    match all {
        true => context,
        false => context.with_value(Refused { trace_id, list }),
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("both grammars allow printable ASCII only")
}

/// Optional whitespace of HTTP: spaces and tabs (RFC 9110, section 5.6.3).
fn trim_whitespace(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
