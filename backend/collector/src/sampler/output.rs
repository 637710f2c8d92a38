//! Spans of kept traces on their way out of a shard: each id of a trace once, in requests of a useful size.
//!
//! Which traces are kept is the sampler's; where the requests go is `pipeline`'s.

use std::collections::VecDeque;

use bytes::Bytes;
use otlp::wire::Writer;

use super::{bodies::WholeSpan, recent::SpanIds};

/// Kept spans are handed out, and sent, in requests of about this size.
pub(crate) const EXPORT_BYTES: usize = 1 << 20;

/// Spans to be exported.
pub(crate) struct Kept {
    /// An `ExportTraceServiceRequest`.
    pub request: Bytes,
    pub spans: u64,
}

/// The request being filled, and those that are full.
pub(super) struct Output {
    writer: Writer,
    /// Spans in the writer.
    spans: u64,
    full: VecDeque<Kept>,
    /// Ids to remember of one trace.
    ids_max: usize,
}

impl Output {
    pub(super) fn new(ids_max: usize) -> Self {
        Self {
            writer: Writer::new(),
            spans: 0,
            full: VecDeque::new(),
            ids_max,
        }
    }

    /// Adds a span unless its id is among `ids`, those of its trace. False if it is.
    pub(super) fn add(&mut self, span: &WholeSpan<'_>, ids: &mut SpanIds) -> bool {
        let is_new = ids.insert(span.id, self.ids_max);
        if is_new {
            let origin = &span.origin;
            self.writer.span(&origin.resource, &origin.scope, span.span);
            self.spans += 1;
        }
        is_new
    }

    /// A full request is waiting.
    pub(super) fn is_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Full requests first, then whatever there is. What is not taken stays.
    pub(super) fn take(&mut self) -> Option<Kept> {
        if self.full.is_empty() && self.spans > 0 {
            self.flush();
        }
        self.full.pop_front()
    }

    /// Between traces, so that a request holds whole ones.
    pub(super) fn flush_if_full(&mut self) {
        if self.writer.len() >= EXPORT_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let request = std::mem::replace(&mut self.writer, Writer::new()).finish();
        let spans = std::mem::take(&mut self.spans);
        self.full.push_back(Kept {
            request: request.into(),
            spans,
        });
    }
}
