//! Takes an OTLP request: groups spans by trace, encodes a record for each, appends all of them at once.
//!
//! What cannot be stored is refused span by span and counted; a request that is no protobuf is refused whole.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Instant;

use otlp::wire::{self, Visit};
use otlp::{SpanId, TraceId};

use super::sizes::Sizes;
use super::{Error, Store, TRACE_BYTES_MAX};
use crate::own_metrics;
use crate::record::encode::Builder;
use crate::request::Ingested;

/// A span that starts or ends later than this after its arrival is indexed under its arrival: a wrong clock must not keep a
/// block alive for years. Its own times are kept. Tempo's default (`ingestion_time_range_slack`).
const FUTURE_SLACK_NS: u64 = 2 * 60 * 1_000_000_000;
/// Each trace of a request gets a copy of the resources and scopes of its spans; all copies together have at most this many
/// bytes, so that a large resource over many traces does not multiply.
const COPIED_BYTES_MAX: usize = 64 << 20;
/// Builders kept for the next ingest, and the largest one that is worth keeping.
const BUILDERS_MAX: usize = 4096;
const BUILDER_BYTES_MAX: usize = 64 << 10;

impl Store {
    /// Stores the spans of an `ExportTraceServiceRequest`. They survive a kill and are seen by every query when this
    /// returns. `now_ns` bounds the times under which they are indexed.
    ///
    /// # Errors
    /// The bytes are no such request, or they could not be written. Nothing of the request is stored then.
    pub fn ingest(&self, request: &[u8], now_ns: u64) -> Result<Ingested, Error> {
        let begun = Instant::now();
        let result = self.take(request, now_ns);
        own_metrics::ingested(request.len(), &result, begun.elapsed());
        result
    }

    fn take(&self, request: &[u8], now_ns: u64) -> Result<Ingested, Error> {
        let spare =
            std::mem::take(&mut *self.builders.lock().unwrap_or_else(PoisonError::into_inner));
        let mut grouping = Grouping::new(&self.sizes, now_ns, spare);
        wire::walk(request, &mut grouping)?;
        grouping.traces.retain(|trace| trace.spans > 0);
        let ingested = grouping.ingested();
        self.append(&mut grouping.traces)?;
        self.sizes
            .add(grouping.traces.iter().map(|trace| (trace.key, trace.bytes)));
        self.reuse(grouping);
        Ok(ingested)
    }

    fn append(&self, traces: &mut [OneTrace]) -> Result<(), Error> {
        let mut payloads = Vec::new();
        let mut ends = Vec::with_capacity(traces.len());
        for trace in traces.iter_mut() {
            let times_ns = trace.time_min_ns..=trace.time_max_ns;
            trace.builder.finish(trace.id, &times_ns, &mut payloads);
            trace.builder.sort_terms();
            ends.push(payloads.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let records: Vec<blocks::Record<'_>> = traces
            .iter()
            .zip(starts.zip(&ends))
            .map(|(trace, (start, end))| blocks::Record {
                key: trace.key,
                time_min_ns: trace.time_min_ns,
                time_max_ns: trace.time_max_ns,
                terms: trace.builder.terms(),
                payload: &payloads[start..*end],
            })
            .collect();
        Ok(self.blocks.append(&records)?)
    }

    fn reuse(&self, grouping: Grouping<'_>) {
        let used = grouping.traces.into_iter().map(|trace| trace.builder);
        let small = used
            .chain(grouping.spare)
            .filter(|builder| builder.capacity() <= BUILDER_BYTES_MAX);
        let mut builders = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        builders.extend(small);
        builders.truncate(BUILDERS_MAX);
    }
}

/// The traces of one request.
struct Grouping<'a> {
    sizes: &'a Sizes,
    now_ns: u64,
    spare: Vec<Builder>,
    positions: HashMap<TraceId, usize>,
    traces: Vec<OneTrace>,
    resource: wire::Resource<'a>,
    scope: wire::Scope<'a>,
    /// How many resources and scopes have passed: a record takes them in when its first span under them comes.
    resources: usize,
    scopes: usize,
    /// Bytes of resources and scopes so far, counted for each trace.
    copied: usize,
    refused: Refused,
}

/// The spans of one trace.
struct OneTrace {
    id: TraceId,
    key: u64,
    builder: Builder,
    resource: usize,
    scope: usize,
    bytes: usize,
    bytes_before: usize,
    spans: u64,
    time_min_ns: u64,
    time_max_ns: u64,
}

/// Spans that were not stored, by reason.
#[derive(Default)]
struct Refused {
    trace_id: u64,
    span_id: u64,
    too_large: u64,
    copied: u64,
}

impl<'a> Grouping<'a> {
    fn new(sizes: &'a Sizes, now_ns: u64, spare: Vec<Builder>) -> Self {
        Self {
            sizes,
            now_ns,
            spare,
            positions: HashMap::new(),
            traces: Vec::new(),
            resource: wire::Resource::default(),
            scope: wire::Scope::default(),
            resources: 0,
            scopes: 0,
            copied: 0,
            refused: Refused::default(),
        }
    }

    fn ingested(&self) -> Ingested {
        let truncated = self
            .traces
            .iter()
            .map(|trace| trace.builder.attributes_truncated());
        Ingested {
            spans: self.traces.iter().map(|trace| trace.spans).sum(),
            traces: self.traces.len() as u64,
            rejected: self.refused.total(),
            message: self.refused.message(),
            attributes_truncated: truncated.sum(),
        }
    }

    fn take_span(&mut self, span: &wire::Span<'a>) {
        let Some(id) = TraceId::from_slice(span.trace_id).filter(|id| !id.is_zero()) else {
            self.refused.trace_id += 1;
            return;
        };
        if SpanId::from_slice(span.span_id).is_none_or(|id| id.is_zero()) {
            self.refused.span_id += 1;
            return;
        }
        let position = match self.positions.get(&id) {
            Some(position) => *position,
            None => self.begin(id),
        };
        let trace = &mut self.traces[position];
        let is_resource_new = trace.resource != self.resources;
        let is_scope_new = trace.scope != self.scopes;
        let mut copied = 0;
        if is_resource_new {
            copied += self.resource.bytes.len() + self.resource.schema_url.len();
        }
        if is_scope_new {
            copied += self.scope.bytes.len() + self.scope.schema_url.len();
        }
        let bytes = span.bytes.len() + copied;
        if trace.bytes_before + trace.bytes + bytes > TRACE_BYTES_MAX {
            self.refused.too_large += 1;
            return;
        }
        if self.copied + copied > COPIED_BYTES_MAX {
            self.refused.copied += 1;
            return;
        }
        self.copied += copied;
        if is_resource_new {
            trace.builder.resource(&self.resource);
            trace.resource = self.resources;
        }
        if is_scope_new {
            trace.builder.scope(&self.scope);
            trace.scope = self.scopes;
        }
        trace.builder.span(span);
        trace.count(span, bytes, self.now_ns);
    }

    fn begin(&mut self, id: TraceId) -> usize {
        let mut builder = self.spare.pop().unwrap_or_default();
        builder.clear();
        let key = super::key(id);
        self.traces.push(OneTrace {
            id,
            key,
            builder,
            resource: 0,
            scope: 0,
            bytes: 0,
            bytes_before: self.sizes.of(key),
            spans: 0,
            time_min_ns: u64::MAX,
            time_max_ns: 0,
        });
        self.positions.insert(id, self.traces.len() - 1);
        self.traces.len() - 1
    }
}

impl<'a> Visit<'a> for Grouping<'a> {
    fn resource(&mut self, resource: wire::Resource<'a>) {
        self.resource = resource;
        self.resources += 1;
    }

    fn scope(&mut self, scope: wire::Scope<'a>) {
        self.scope = scope;
        self.scopes += 1;
    }

    fn span(&mut self, span: wire::Span<'a>) {
        self.take_span(&span);
    }
}

impl OneTrace {
    fn count(&mut self, span: &wire::Span<'_>, bytes: usize, now_ns: u64) {
        let (start_ns, end_ns) = indexed_times(span.start_ns, span.end_ns, now_ns);
        self.time_min_ns = self.time_min_ns.min(start_ns);
        self.time_max_ns = self.time_max_ns.max(end_ns);
        self.bytes += bytes;
        self.spans += 1;
    }
}

impl Refused {
    fn total(&self) -> u64 {
        self.trace_id + self.span_id + self.too_large + self.copied
    }

    fn message(&self) -> String {
        let reasons = [
            (self.trace_id, "trace ids must be 16 bytes and not all zero"),
            (self.span_id, "span ids must be 8 bytes and not all zero"),
            (self.too_large, "trace exceeds 5000000 bytes"),
            (
                self.copied,
                "resources and scopes are too large to be stored with each of the traces",
            ),
        ];
        let said: Vec<String> = reasons
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| format!("{reason} ({count} spans)"))
            .collect();
        said.join("; ")
    }
}

/// The times under which a span is found: its own, unless they are missing, reversed or too far ahead.
fn indexed_times(start_ns: u64, end_ns: u64, now_ns: u64) -> (u64, u64) {
    let latest_ns = now_ns.saturating_add(FUTURE_SLACK_NS);
    let usable = |time_ns: u64| if time_ns > latest_ns { now_ns } else { time_ns };
    let (start_ns, end_ns) = match (usable(start_ns), usable(end_ns)) {
        (0, 0) => (now_ns, now_ns),
        (0, end_ns) => (end_ns, end_ns),
        (start_ns, end_ns) => (start_ns, end_ns.max(start_ns)),
    };
    (start_ns, end_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_reversed_and_future_times_are_indexed_near_the_arrival() {
        let now = 1_000 * FUTURE_SLACK_NS;
        for (start, end, expected) in [
            (10, 20, (10, 20)),
            (0, 0, (now, now)),
            (0, 20, (20, 20)),
            (20, 0, (20, 20)),
            (20, 10, (20, 20)),
            (
                now + FUTURE_SLACK_NS,
                u64::MAX,
                (now + FUTURE_SLACK_NS, now + FUTURE_SLACK_NS),
            ),
            (u64::MAX, u64::MAX, (now, now)),
        ] {
            assert_eq!(indexed_times(start, end, now), expected, "{start} {end}");
        }
    }
}
