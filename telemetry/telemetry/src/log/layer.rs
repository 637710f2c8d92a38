//! The `tracing` layer that turns events into log lines. How a line looks is in `line` and `fields`; where it goes
//! is the caller's.

use std::cell::Cell;
use std::sync::OnceLock;

use opentelemetry::trace::TraceContextExt as _;
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::fields::{EventFields, SpanFields};
use super::line::{Format, Ids};

/// Room that a thread keeps for its next line.
const KEPT_BYTES_MAX: usize = 16 << 10;

thread_local! {
    /// The buffer of a thread's lines. Taken while in use: a value's `Debug` may itself log.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Hands each event, as one JSON line, to `push`.
pub(crate) struct JsonLayer<P> {
    format: Format,
    push: P,
    /// Where the contexts of explicit parents are looked up.
    dispatch: OnceLock<WeakDispatch>,
}

impl<P: Fn(&[u8])> JsonLayer<P> {
    pub(crate) fn new(format: Format, push: P) -> Self {
        Self {
            format,
            push,
            dispatch: OnceLock::new(),
        }
    }

    /// The ids of an explicit parent, or of its nearest ancestor that is traced.
    fn ids_of<S>(&self, parent: &SpanRef<'_, S>) -> Option<Ids>
    where
        S: for<'lookup> LookupSpan<'lookup>,
    {
        let dispatch = self.dispatch.get()?.upgrade()?;
        parent.scope().find_map(|span| {
            let context = get_otel_context(&span.id(), &dispatch)?;
            Ids::of(context.span().span_context())
        })
    }

    fn write_line<S>(&self, out: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        let parent = event.parent().and_then(|id| context.span(id));
        let ids = match &parent {
            Some(parent) => self.ids_of(parent),
            None => Ids::current(),
        };
        let metadata = event.metadata();
        self.format.begin(out, ids, *metadata.level());
        let begun = out.len();
        event.record(&mut EventFields::new(out));
        let span = parent.or_else(|| context.lookup_current());
        let mut extensions = span.as_ref().map(SpanRef::extensions_mut);
        let fields = extensions
            .as_mut()
            .and_then(|extensions| extensions.get_mut::<SpanFields>());
        let span = fields.map(SpanFields::json);
        self.format.end(out, begun, metadata.target(), span);
    }
}

impl<S, P> Layer<S> for JsonLayer<P>
where
    P: Fn(&[u8]) + Send + Sync + 'static,
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields::new(span.name(), attributes.fields().len());
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Not under the lock: a value's `Debug` may itself log inside this span.
        let mut recorded = SpanFields::new(span.name(), values.len());
        values.record(&mut recorded);
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            fields.add(&recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // A thread whose locals are gone already gets a buffer of its own.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        self.write_line(&mut buffer, event, &context);
        (self.push)(&buffer);
        if buffer.capacity() <= KEPT_BYTES_MAX {
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}
