//! Which spans and events exist at all, and who gets them: the outermost layer of the process.
//!
//! Spans are chosen by the span filter alone and events by `RUST_LOG` alone, so a quiet log neither ends traces nor
//! loses the span that a warning belongs to.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::layer::JsonLayer;
use crate::trace::SpanFilter;

/// `RUST_LOG`, as `tracing-subscriber` reads it.
#[derive(Debug)]
pub(crate) struct EventFilter {
    directives: EnvFilter,
    /// Some directive is about spans, as `[request{id=1}]=debug` is. Only then the filter needs to hear of spans,
    /// which costs a look-up each time one is made, entered, left and closed.
    by_span: bool,
}

/// Lets pass what the filters say, and events only to the log layer: the layers below would make span events of
/// them, and any error event would turn its span's status. Taking events here costs nothing, while a filter of its
/// own for each layer makes every span a sixth more expensive.
pub(crate) struct Gate<P> {
    pub(crate) spans: SpanFilter,
    pub(crate) events: EventFilter,
    pub(crate) log: JsonLayer<P>,
}

impl EventFilter {
    /// Reads a list of directives. Says what is wrong with it if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let directives = EnvFilter::builder().parse(text);
        Ok(Self {
            directives: directives.map_err(|error| error.to_string())?,
            by_span: text.contains('['),
        })
    }

    fn if_by_span(&self) -> Option<&EnvFilter> {
        self.by_span.then_some(&self.directives)
    }
}

impl<S, P> Layer<S> for Gate<P>
where
    P: Fn(&[u8]) + Send + Sync + 'static,
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        Layer::<S>::on_register_dispatch(&self.log, dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Asked for spans too: directives that match span fields are registered here.
        let events = Layer::<S>::register_callsite(&self.events.directives, metadata);
        match metadata.is_span() {
            true if self.spans.enabled(metadata) => Interest::always(),
            true => Interest::never(),
            false => events,
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        match metadata.is_span() {
            true => self.spans.enabled(metadata),
            false => self.events.directives.enabled(metadata, context),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let events = Layer::<S>::max_level_hint(&self.events.directives)?;
        Some(events.max(self.spans.max_level()))
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.log.on_event(event, context);
        false
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(directives) = self.events.if_by_span() {
            directives.on_new_span(attributes, id, context.clone());
        }
        self.log.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(directives) = self.events.if_by_span() {
            directives.on_record(id, values, context.clone());
        }
        self.log.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(directives) = self.events.if_by_span() {
            directives.on_enter(id, context);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(directives) = self.events.if_by_span() {
            directives.on_exit(id, context);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(directives) = self.events.if_by_span() {
            directives.on_close(id, context);
        }
    }
}
