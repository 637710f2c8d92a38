//! A day's worth of traffic in small: 20,000 traces of every kind that the policies tell apart, in the order of a
//! network (reordered, over several requests, some twice), and which of their spans must be kept.

use std::collections::BTreeSet;

use bytes::Bytes;
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};

use crate::traffic::{
    attribute, failed, hash_keeps, int, late, mix, request, span, text, trace_id,
};

pub(crate) const TRACES: u64 = 20_000;
const SPANS_PER_REQUEST: usize = 100;
const KINDS: u64 = 10;
/// Spans travel up to this many places from where they were made.
const REORDERED_BY: u64 = 400;
/// Each so many-th request is sent twice, as after a lost answer.
const SENT_TWICE: usize = 7;

/// Trace id and span id.
pub(crate) type Key = (Vec<u8>, Vec<u8>);

/// What is sent before any decision, what after the decision, and what after the decision on the latter.
pub(crate) struct Day {
    pub(crate) waves: [Vec<Bytes>; 3],
    /// What must have been kept once each wave is decided.
    pub(crate) expected: [BTreeSet<Key>; 3],
    pub(crate) spans: u64,
    pub(crate) copies: u64,
}

type Made = (&'static str, Span);

pub(crate) fn day() -> Day {
    let mut waves: [Vec<Made>; 3] = Default::default();
    let mut expected: [BTreeSet<Key>; 3] = Default::default();
    for number in 0..TRACES {
        let id = trace_id(number);
        let (on_time, kept_by_policy) = on_time(number, id);
        let [after, long_after] = late_spans(number, id);
        for (wave, spans) in [on_time, after, long_after].into_iter().enumerate() {
            // On-time spans are judged together, late ones by themselves, all by the same hash.
            let kept = |span: &Span| {
                hash_keeps(&id)
                    || if wave == 0 {
                        kept_by_policy
                    } else {
                        span.status.is_some()
                    }
            };
            let kept = spans
                .iter()
                .filter(|(_, span)| kept(span))
                .map(|(_, span)| (span.trace_id.clone(), span.span_id.clone()));
            expected[wave].extend(kept);
            waves[wave].extend(spans);
        }
    }
    let mut so_far = BTreeSet::new();
    let expected = expected.map(|wave| {
        so_far.extend(wave);
        so_far.clone()
    });
    let spans = waves.iter().map(|wave| wave.len() as u64).sum();
    let mut copies = 0;
    let waves = waves.map(|wave| requests(wave, &mut copies));
    Day {
        waves,
        expected,
        spans,
        copies,
    }
}

/// Three spans in two services, and whether a policy other than the hash keeps them.
fn on_time(number: u64, id: [u8; 16]) -> (Vec<Made>, bool) {
    let mut root = span(id, 0, vec![text("url.path", "/v1/tasks")]);
    let mut child = span(id, 1, Vec::new());
    let mut leaf = span(id, 2, Vec::new());
    let kind = number % KINDS;
    match kind {
        0 => leaf = failed(leaf),
        1 => root.attributes.push(int("http.response.status_code", 503)),
        2 => child.attributes.push(int("tripod.job.attempt", 2)),
        3 => root
            .attributes
            .push(text("http.response.status_code", "503")),
        4 => root.attributes.push(int("http.response.status_code", 404)),
        5 => child.attributes.push(int("tripod.job.attempt", 1)),
        // What only looks like a mark or a failure.
        6 => root
            .attributes
            .push(attribute("tripod.late", Value::BoolValue(false))),
        _ => {}
    }
    (
        vec![("gateway", root), ("gateway", child), ("worker", leaf)],
        kind < 3,
    )
}

/// Late spans that come after the decision on the trace, and after the decision on its first late spans. None of the
/// kinds 0 to 5 has any; an error stands beside a success in none of them, so each is judged by itself.
fn late_spans(number: u64, id: [u8; 16]) -> [Vec<Made>; 2] {
    let success = |at| ("worker", late(span(id, at, Vec::new())));
    let error = |at| ("worker", late(failed(span(id, at, Vec::new()))));
    match number % KINDS {
        6 => [vec![error(10)], Vec::new()],
        7 => [vec![success(10)], vec![success(11)]],
        8 => [vec![error(10), error(11)], vec![error(12)]],
        // The first late span is dropped unless the hash keeps it; the error after that decision must not be.
        9 => [vec![success(10)], vec![error(11)]],
        _ => Default::default(),
    }
}

/// Shuffles, cuts into requests, and repeats some. `copies` counts the spans that are sent again.
fn requests(mut spans: Vec<Made>, copies: &mut u64) -> Vec<Bytes> {
    let mut places: Vec<u64> = (0..spans.len() as u64)
        .map(|at| at + mix(at) % REORDERED_BY)
        .collect();
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|at| places[*at]);
    places.clear();
    let mut spans: Vec<Option<Made>> = spans.drain(..).map(Some).collect();
    let shuffled: Vec<Made> = order
        .into_iter()
        .filter_map(|at| spans[at].take())
        .collect();
    let mut requests = Vec::new();
    for (at, chunk) in shuffled.chunks(SPANS_PER_REQUEST).enumerate() {
        requests.push(request(chunk));
        if at % SENT_TWICE == 0 {
            requests.push(request(chunk));
            *copies += chunk.len() as u64;
        }
    }
    requests
}
