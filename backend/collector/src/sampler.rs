//! The tail sampler of one shard: a synchronous state machine over a monotonic time that is handed in.
//!
//! Owns which spans are held, when a trace is decided and what is remembered of it. No IO, no threads, no clock; what a
//! policy says is `policy`'s, what happens to kept spans is `pipeline`'s.
//!
//! A span belongs to a trace *of a lane*: on-time and late spans of one trace are two entries, as in two pipelines. After
//! a decision to keep, later spans of that entry are kept. After a decision to drop, a span is dropped only if the policies
//! would drop it by itself as well: else it opens a new entry. So an error is never lost because it came after a decision,
//! be it marked as late or not, and a success follows the hash either way.

mod account;
mod bodies;
mod chains;
mod index;
mod output;
mod recent;

pub(crate) use account::{Account, EARLY, Early};
pub(crate) use bodies::Origin;
pub(crate) use output::{EXPORT_BYTES, Kept};

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
    time::Duration,
};

use otlp::TraceId;

use crate::policy::{Decision, Facts, Policies};
use bodies::{Bodies, Place, WholeSpan};
use chains::{Chain, Chains};
use index::Index;
use output::Output;
use recent::{Recent, SpanIds};

/// Remembered span ids per remembered kept trace, on average: more, and kept traces are forgotten earlier.
const SPAN_IDS_PER_TRACE: usize = 16;

/// What an undecided trace takes beside its spans: its entry, and its place in the table at usual load.
const TRACE_BYTES: usize = size_of::<Entry>() + 2 * size_of::<(TraceId, u64)>();

/// Bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first span of a trace to its decision.
    pub decision_wait: Duration,
    /// Above this many undecided traces the oldest are decided early.
    pub traces_max: usize,
    /// A trace with this many spans is decided at once; its further spans inherit the decision.
    pub spans_per_trace_max: usize,
    /// A trace with more bytes of spans than this is dropped, whatever the policies say.
    pub trace_bytes_max: u64,
    /// Above this many bytes the oldest traces are decided early.
    pub bytes_max: usize,
    /// Kept traces that are remembered with the ids of their spans.
    pub kept_remembered: usize,
    /// Dropped traces that are remembered.
    pub dropped_remembered: usize,
    /// Traces for which there is room from the start. Room doubles when it is used up: shards that start differently do
    /// not all grow within one request.
    pub first_capacity: usize,
}

/// One span on its way in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub trace_id: TraceId,
    /// Marked as having ended after its trace was decided.
    pub late: bool,
    /// What the policies of its lane see in this span and its resource.
    pub facts: Facts,
    pub origin: Origin<'a>,
    /// The content of the span message.
    pub span: &'a [u8],
    /// Offset of the 8 bytes of the span id in `span`.
    pub id_at: u32,
}

/// One shard. See the module's documentation.
pub(crate) struct Sampler {
    lanes: [Lane; 2],
    bodies: Bodies,
    chains: Chains,
    hash: RandomState,
    limits: Limits,
    account: Account,
    output: Output,
    places: Vec<Place>,
}

/// On-time or late spans: the pipeline of the configuration file.
struct Lane {
    policies: Arc<Policies>,
    /// Undecided traces, by their number in arrival order.
    live: Index,
    /// Entries in arrival order; the first has number `first`.
    entries: VecDeque<Entry>,
    first_capacity: usize,
    first: u64,
    /// Number of the entry that was used last.
    last: u64,
    kept: Recent<TraceId, SpanIds>,
    /// Hashes of trace ids. To forget one costs the memory of another entry for a while, and changes no decision.
    dropped: Recent<u64, ()>,
}

struct Entry {
    trace: Trace,
    arrived: Duration,
    bytes: u64,
    /// Would be kept by its first span alone: a guess, by which bodies are chosen.
    wanted: bool,
    /// Decided before its turn; the entry waits to be removed.
    decided: bool,
}

/// What a decision needs.
#[derive(Clone, Copy)]
struct Trace {
    id: TraceId,
    late: bool,
    facts: Facts,
    chain: Chain,
    spans: u32,
}

impl Sampler {
    /// Policies of on-time and of late spans.
    pub(crate) fn new(policies: [Arc<Policies>; 2], limits: Limits) -> Self {
        let account = Account::new(policies.each_ref().map(|lane| lane.names().len()));
        Self {
            lanes: policies.map(|policies| Lane::new(policies, &limits)),
            bodies: Bodies::new(),
            chains: Chains::new(limits.first_capacity),
            hash: RandomState::new(),
            limits,
            account,
            output: Output::new(limits.spans_per_trace_max),
            places: Vec::new(),
        }
    }

    /// Takes one span. Never refuses: what does not fit makes the oldest traces be decided early.
    pub(crate) fn push(&mut self, now: Duration, arrival: &Arrival<'_>) {
        self.account.accepted += 1;
        self.account.late += u64::from(arrival.late);
        let lane = &mut self.lanes[usize::from(arrival.late)];
        if let Some(index) = lane.find(&arrival.trace_id) {
            return self.append(arrival, index);
        }
        if let Some(ids) = lane.kept.take(&arrival.trace_id) {
            return self.keep_after_decision(arrival, ids);
        }
        let dropped = lane.dropped.contains(&self.hash.hash_one(arrival.trace_id));
        if dropped {
            if !lane.keeps(&arrival.facts, arrival.trace_id) {
                self.account.sampled_out += 1;
                self.account.dropped_after_decision += 1;
                return;
            }
            self.account.judged_again += 1;
        }
        let index = lane.open(now, arrival);
        self.account.traces += 1;
        self.append(arrival, index);
    }

    /// Decides what is due, at most `traces_max` traces. True if more is due.
    pub(crate) fn tick(&mut self, now: Duration, traces_max: usize) -> bool {
        let due = now.checked_sub(self.limits.decision_wait);
        for _ in 0..traces_max {
            let Some(lane) = self
                .oldest()
                .filter(|lane| due.is_some_and(|due| self.lanes[*lane].entries[0].arrived <= due))
            else {
                return false;
            };
            self.decide_oldest(lane, None);
        }
        true
    }

    /// Decides the oldest traces whatever their age, at most `traces_max`. True if some are left.
    pub(crate) fn decide_rest(&mut self, traces_max: usize) -> bool {
        for _ in 0..traces_max {
            let Some(lane) = self.oldest() else {
                return false;
            };
            self.decide_oldest(lane, Some(Early::Stop));
        }
        self.oldest().is_some()
    }

    /// Kept spans, full requests first. What is not taken stays.
    pub(crate) fn take_kept(&mut self) -> Option<Kept> {
        self.output.take()
    }

    /// A full request of kept spans is waiting.
    pub(crate) fn is_full(&self) -> bool {
        self.output.is_full()
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Bytes of undecided spans, as they are held.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.bodies.bytes() + self.chains.len() * Chains::SPAN_BYTES + self.traces() * TRACE_BYTES
    }

    /// Undecided spans.
    pub(crate) fn buffered_spans(&self) -> usize {
        self.chains.len()
    }

    /// Undecided traces.
    pub(crate) fn traces(&self) -> usize {
        self.lanes.iter().map(|lane| lane.live.len()).sum()
    }

    fn append(&mut self, arrival: &Arrival<'_>, index: usize) {
        let lane = &mut self.lanes[usize::from(arrival.late)];
        let entry = &mut lane.entries[index];
        let trace = &mut entry.trace;
        trace.facts.merge(&arrival.facts);
        let (span, id_at) = (arrival.span, arrival.id_at);
        let place = self
            .bodies
            .store(entry.wanted, &arrival.origin, span, id_at);
        self.chains.push(&mut trace.chain, place);
        trace.spans += 1;
        entry.bytes += span.len() as u64;
        let early = if entry.bytes > self.limits.trace_bytes_max {
            Some(Early::TooLarge)
        } else {
            (trace.spans as usize >= self.limits.spans_per_trace_max).then_some(Early::Size)
        };
        if early.is_some() {
            entry.decided = true;
            let trace = *trace;
            self.decide(trace, early);
        }
        self.relieve();
    }

    /// Decides the oldest traces until the bounds hold.
    fn relieve(&mut self) {
        loop {
            let early = if self.buffered_bytes() > self.limits.bytes_max {
                Early::Memory
            } else if self.traces() > self.limits.traces_max {
                Early::Traces
            } else {
                return;
            };
            let Some(lane) = self.oldest() else { return };
            self.decide_oldest(lane, Some(early));
        }
    }

    /// The lane whose first entry is the oldest.
    fn oldest(&self) -> Option<usize> {
        let arrived = |lane: &usize| self.lanes[*lane].entries.front().map(|entry| entry.arrived);
        (0..self.lanes.len())
            .filter(|lane| arrived(lane).is_some())
            .min_by_key(arrived)
    }

    fn decide_oldest(&mut self, lane: usize, early: Option<Early>) {
        let Some(entry) = self.lanes[lane].entries.pop_front() else {
            return;
        };
        self.lanes[lane].first += 1;
        if !entry.decided {
            self.decide(entry.trace, early);
        }
        self.lanes[lane].shrink();
    }

    fn decide(&mut self, trace: Trace, early: Option<Early>) {
        let lane = &mut self.lanes[usize::from(trace.late)];
        lane.live.remove(&trace.id);
        let decision = match early {
            Some(Early::TooLarge) => Decision::Drop { policy: None },
            _ => lane.policies.decide(&trace.facts, &trace.id.0),
        };
        self.account.decided(trace.late, decision, early);
        self.chains.take(trace.chain, &mut self.places);
        if let Decision::Keep { .. } = decision {
            self.keep(trace.late, trace.id);
        } else {
            lane.dropped.insert(self.hash.hash_one(trace.id), ());
            self.account.sampled_out += u64::from(trace.spans);
        }
        for place in &self.places {
            self.bodies.release(place.body);
        }
        self.output.flush_if_full();
    }

    /// Hands out the spans at `places`, each id once, and remembers them.
    fn keep(&mut self, late: bool, trace_id: TraceId) {
        let mut ids = SpanIds::default();
        for place in &self.places {
            let span = self.bodies.read(*place);
            self.account.handed_out(self.output.add(&span, &mut ids));
        }
        ids.shrink();
        self.lanes[usize::from(late)].kept.insert(trace_id, ids);
    }

    fn keep_after_decision(&mut self, arrival: &Arrival<'_>, mut ids: SpanIds) {
        let span = WholeSpan::new(arrival.origin, arrival.span, arrival.id_at);
        let is_new = self.output.add(&span, &mut ids);
        self.account.handed_out(is_new);
        self.account.kept_after_decision += u64::from(is_new);
        self.lanes[usize::from(arrival.late)]
            .kept
            .insert(arrival.trace_id, ids);
        self.output.flush_if_full();
    }
}

impl Lane {
    fn new(policies: Arc<Policies>, limits: &Limits) -> Self {
        Self {
            policies,
            live: Index::new(),
            entries: VecDeque::with_capacity(limits.first_capacity),
            first_capacity: limits.first_capacity,
            first: 0,
            last: 0,
            kept: Recent::new(limits.kept_remembered * SPAN_IDS_PER_TRACE, |ids| {
                SPAN_IDS_PER_TRACE.max(ids.len())
            }),
            dropped: Recent::new(limits.dropped_remembered, |()| 1),
        }
    }

    /// The index of an undecided trace. Spans of one trace mostly follow each other: the last one is looked at first.
    fn find(&mut self, id: &TraceId) -> Option<usize> {
        let last = self
            .last
            .checked_sub(self.first)
            .map(|index| index as usize);
        let entry = last.and_then(|index| self.entries.get(index));
        if entry.is_some_and(|entry| entry.trace.id == *id && !entry.decided) {
            return last;
        }
        self.last = self.live.get(id)?;
        Some((self.last - self.first) as usize)
    }

    /// Opens an entry and returns its index.
    fn open(&mut self, now: Duration, arrival: &Arrival<'_>) -> usize {
        let index = self.entries.len();
        self.last = self.first + index as u64;
        self.live.insert(arrival.trace_id, self.last);
        let trace = Trace {
            id: arrival.trace_id,
            late: arrival.late,
            facts: Facts::default(),
            chain: Chain::EMPTY,
            spans: 0,
        };
        self.entries.push_back(Entry {
            trace,
            arrived: now,
            bytes: 0,
            wanted: self.keeps(&arrival.facts, arrival.trace_id),
            decided: false,
        });
        index
    }

    fn keeps(&self, facts: &Facts, id: TraceId) -> bool {
        matches!(self.policies.decide(facts, &id.0), Decision::Keep { .. })
    }

    /// Gives back what a burst took, when it is over.
    fn shrink(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > self.first_capacity {
            self.entries = VecDeque::with_capacity(self.first_capacity);
        }
    }
}
