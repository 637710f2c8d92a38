//! Search by TraceQL: the most recent traces that match, with what the query selects of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use conventions::resource::SERVICE_NAME;
use traceql::model::{AttributeValue, Scope, Span as _, Status, Trace as _, Value};
use traceql::{Field, Intrinsic, Match, Seen, SpanSet};

use super::scan::{Visitor, Walk};
use super::{Error, Store};
use crate::joined::{JoinedSpan, JoinedTrace};
use crate::own_metrics::{self, Asked};
use crate::request::{
    Partial, SearchRequest, SearchResponse, ServiceStats, SpanSetSummary, SpanSummary, TraceSummary,
};

/// Traces of an answer.
const TRACES_MAX: usize = 10_000;
/// Spans shown of each span set. Tempo's default (`max_spans_per_span_set`).
const SPANS_PER_SPANSET_MAX: usize = 100;
/// Span sets shown of a trace: groups of `by()`.
const SPANSETS_MAX: usize = 100;
/// Services told apart in `service_stats`.
const SERVICES_MAX: usize = 100;

impl Store {
    /// The most recent traces that match. Of a metrics query its spanset part is searched.
    ///
    /// # Errors
    /// Blocks cannot be read.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResponse, Error> {
        let begun = Instant::now();
        let result = self.find_matches(request);
        let partial = result.as_ref().map(|found| found.partial.as_ref());
        own_metrics::asked(Asked::Search, partial, begun.elapsed());
        result
    }

    fn find_matches(&self, request: &SearchRequest) -> Result<SearchResponse, Error> {
        let mut found = Found {
            request,
            shown: request.query.shown(),
            limit: request.limit.min(TRACES_MAX),
            is_cut: false,
            traces: BTreeMap::new(),
        };
        if found.limit == 0 {
            return Ok(SearchResponse::default());
        }
        let walk = Walk {
            range: request.range,
            candidates: &request.query.candidates(),
        };
        let walked = self.walk(&walk, &mut found)?;
        let max = TRACES_MAX;
        let cut = found.is_cut.then_some(Partial::Traces { max });
        Ok(SearchResponse {
            traces: found.traces.into_values().rev().collect(),
            metrics: walked.metrics,
            partial: walked.partial.or(cut),
        })
    }
}

/// The newest so far, by start and id.
struct Found<'r> {
    request: &'r SearchRequest,
    shown: Vec<Field>,
    limit: usize,
    /// Whether fewer traces are returned than were asked for.
    is_cut: bool,
    traces: BTreeMap<(u64, [u8; 16]), TraceSummary>,
}

impl Found<'_> {
    /// Whether a trace that starts at `start_ns`, or earlier, is not among the newest.
    fn is_beyond(&self, start_ns: u64) -> bool {
        let oldest = self.traces.first_key_value();
        self.traces.len() >= self.limit
            && oldest.is_some_and(|((oldest_ns, _), _)| start_ns < *oldest_ns)
    }
}

impl Visitor for Found<'_> {
    fn has_enough(&mut self, newest_ns: u64) -> bool {
        let enough = self.is_beyond(newest_ns);
        self.is_cut |= enough && self.limit < self.request.limit;
        enough
    }

    fn trace(&mut self, trace: &JoinedTrace<'_>) -> ControlFlow<Partial> {
        let (start_ns, _) = trace.indexed_ns();
        if self.is_beyond(start_ns) {
            self.is_cut |= self.limit < self.request.limit;
            return ControlFlow::Continue(());
        }
        if let Some(found) = self.request.query.evaluate(trace) {
            let summary = summary(trace, &found, &self.shown, self.request);
            self.traces.insert((start_ns, trace.id().0), summary);
            if self.traces.len() > self.limit {
                self.traces.pop_first();
                self.is_cut |= self.limit < self.request.limit;
            }
        }
        ControlFlow::Continue(())
    }
}

fn summary(
    trace: &JoinedTrace<'_>,
    found: &Match,
    shown: &[Field],
    request: &SearchRequest,
) -> TraceSummary {
    let (start_ns, end_ns) = trace.bounds_ns();
    let root = trace.root().map(|index| trace.span(index));
    let spans_max = request.spans_per_spanset.min(SPANS_PER_SPANSET_MAX);
    let span_sets = found.spansets.iter().take(SPANSETS_MAX);
    let seen = Seen::new(trace);
    TraceSummary {
        trace_id: trace.id(),
        root_service_name: root.as_ref().map(service_name).unwrap_or_default(),
        root_trace_name: root.map(|root| root.name().to_owned()).unwrap_or_default(),
        start_ns,
        duration_ns: end_ns - start_ns,
        span_sets: span_sets
            .map(|set| span_set(&seen, set, shown, spans_max))
            .collect(),
        service_stats: service_stats(trace),
    }
}

fn span_set(
    seen: &Seen<'_, JoinedTrace<'_>>,
    set: &SpanSet,
    shown: &[Field],
    spans_max: usize,
) -> SpanSetSummary {
    let spans = set.spans.iter().take(spans_max);
    SpanSetSummary {
        spans: spans
            .map(|index| span_summary(seen, *index, shown))
            .collect(),
        matched: set.spans.len(),
        attributes: set.attributes.clone(),
    }
}

fn span_summary(seen: &Seen<'_, JoinedTrace<'_>>, index: usize, shown: &[Field]) -> SpanSummary {
    let span = seen.trace.span(index);
    let is_named = shown.contains(&Field::Intrinsic(Intrinsic::Name));
    let mut attributes: Vec<(String, AttributeValue)> = Vec::new();
    for field in shown.iter().filter(|field| is_attribute(field)) {
        let key = field.shown_key();
        if attributes.iter().all(|(known, _)| *known != key)
            && let Some(value) = seen.read(field, index)
        {
            attributes.push((key, value));
        }
    }
    SpanSummary {
        span_id: span.id(),
        name: if is_named {
            span.name().to_owned()
        } else {
            String::new()
        },
        start_ns: span.start_ns(),
        duration_ns: span.duration_ns(),
        attributes,
    }
}

/// Whether an answer lists it among the attributes of a span: the rest has its own place there.
fn is_attribute(field: &Field) -> bool {
    let has_its_place = matches!(
        field,
        Field::Intrinsic(
            Intrinsic::Duration
                | Intrinsic::Name
                | Intrinsic::RootName
                | Intrinsic::RootServiceName
                | Intrinsic::TraceDuration
                | Intrinsic::TraceId
                | Intrinsic::SpanId
        )
    );
    !has_its_place
}

/// Empty without one.
pub(super) fn service_name(span: &JoinedSpan<'_, '_>) -> String {
    let mut name = String::new();
    span.attribute(Scope::Resource, SERVICE_NAME, &mut |value| match value {
        Value::String(text) => {
            name = text.to_owned();
            true
        }
        _ => false,
    });
    name
}

fn service_stats(trace: &JoinedTrace<'_>) -> BTreeMap<String, ServiceStats> {
    let mut stats: BTreeMap<String, ServiceStats> = BTreeMap::new();
    for index in 0..trace.len() {
        let span = trace.span(index);
        let name = service_name(&span);
        if stats.len() >= SERVICES_MAX && !stats.contains_key(&name) {
            continue;
        }
        let service = stats.entry(name).or_default();
        service.spans += 1;
        service.errors += u32::from(span.status() == Status::Error);
    }
    stats
}
