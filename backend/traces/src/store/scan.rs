//! Walks the traces of a time range that may match, newest blocks first, each trace once and complete.
//!
//! Every read but the one by id goes through here, so the bounds on time and bytes of a request stand here. What is damaged
//! is passed over, and said in the answer.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use traceql::model::Trace as _;
use traceql::{Candidates, Query};

use super::{Error, Store, read};
use crate::joined::JoinedTrace;
use crate::record::Record;
use crate::request::{Partial, SearchMetrics, TimeRange};
use crate::terms;

/// Longest walk of one request.
const SCAN_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of records, uncompressed, that one request reads at most.
const SCAN_BYTES_MAX: u64 = 16 << 30;
/// A trace is in a range when it overlaps it. Its records are looked for this far outside of the range, so that a trace is
/// found as well when what matches came in another record than what lies inside.
const SPREAD_NS: u64 = 60 * 1_000_000_000;

/// What to walk.
pub(super) struct Walk<'q> {
    pub(super) range: TimeRange,
    pub(super) candidates: &'q Candidates,
}

/// Who walks.
pub(super) trait Visitor {
    /// Whether nothing that ended before `newest_ns` can matter any more.
    fn has_enough(&mut self, _newest_ns: u64) -> bool {
        false
    }

    /// A trace that overlaps the range. Breaks to end the walk before its time.
    fn trace(&mut self, trace: &JoinedTrace<'_>) -> ControlFlow<Partial>;
}

/// What a walk saw.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) metrics: SearchMetrics,
    pub(super) partial: Option<Partial>,
}

impl Store {
    /// # Errors
    /// Files cannot be read.
    pub(super) fn walk(
        &self,
        walk: &Walk<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<Walked, Error> {
        let snapshot = self.blocks.snapshot();
        let range = &walk.range;
        let scan = blocks::Scan {
            time_ns: range.start_ns.saturating_sub(SPREAD_NS)
                ..range.end_ns.saturating_add(SPREAD_NS),
            any_of: terms::conjunctions(walk.candidates),
            newest_first: true,
        };
        let mut progress = Progress {
            range,
            snapshot: &snapshot,
            deadline: Instant::now() + SCAN_TIME_MAX,
            joined: HashSet::new(),
            walked: Walked::default(),
        };
        for page in snapshot.scan(&scan) {
            let Some(page) = progress.intact(page)? else {
                continue;
            };
            if visitor.has_enough(page.time_max_ns()) {
                break;
            }
            if let ControlFlow::Break(partial) = progress.page(&page, visitor)? {
                progress.walked.partial = Some(partial);
                break;
            }
        }
        Ok(progress.walked)
    }
}

/// The traces that a query may match; all of them without one.
pub(super) fn candidates(query: Option<&Query>) -> Candidates {
    query.map_or(Candidates::All, Query::candidates)
}

struct Progress<'w> {
    range: &'w TimeRange,
    snapshot: &'w blocks::Snapshot,
    deadline: Instant,
    /// Keys of several records that were visited.
    joined: HashSet<u64>,
    walked: Walked,
}

impl Progress<'_> {
    /// `None` when it is damaged.
    fn intact<T>(&mut self, result: Result<T, impl Into<Error>>) -> Result<Option<T>, Error> {
        match result.map_err(Into::into) {
            Ok(intact) => Ok(Some(intact)),
            Err(Error::Blocks(blocks::Error::Damaged { .. }) | Error::Damaged(_)) => {
                self.walked.partial = Some(Partial::Damaged);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn page(
        &mut self,
        page: &blocks::Page,
        visitor: &mut impl Visitor,
    ) -> Result<ControlFlow<Partial>, Error> {
        for stored in page.records() {
            let step = match self.snapshot.is_split(stored.key) {
                false => self.whole(&stored, visitor)?,
                true if self.joined.insert(stored.key) => self.join(stored.key, visitor)?,
                true => ControlFlow::Continue(()),
            };
            if step.is_break() {
                return Ok(step);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A record that is a whole trace.
    fn whole(
        &mut self,
        stored: &blocks::Stored<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<ControlFlow<Partial>, Error> {
        if !overlaps(self.range, (stored.time_min_ns, stored.time_max_ns)) {
            return Ok(ControlFlow::Continue(()));
        }
        self.walked.metrics.inspected_bytes += stored.payload.len() as u64;
        let Some(record) = self.intact(Record::open(stored.payload))? else {
            return Ok(ControlFlow::Continue(()));
        };
        let trace = JoinedTrace::new(record.trace_id(), vec![record]);
        Ok(self.visit(&trace, visitor))
    }

    fn join(
        &mut self,
        key: u64,
        visitor: &mut impl Visitor,
    ) -> Result<ControlFlow<Partial>, Error> {
        let found = self.snapshot.find(key);
        let payloads = self.intact(found)?.unwrap_or_default();
        let bytes: usize = payloads.iter().map(|payload| payload.len()).sum();
        self.walked.metrics.inspected_bytes += bytes as u64;
        let traces = self.intact::<Vec<read::Read<'_>>>(read::joined(&payloads))?;
        for read in traces.into_iter().flatten() {
            if let Some(partial) = read.partial() {
                self.walked.partial = Some(partial);
            }
            let is_inside = overlaps(self.range, read.trace.indexed_ns());
            if is_inside && let step @ ControlFlow::Break(_) = self.visit(&read.trace, visitor) {
                return Ok(step);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn visit(
        &mut self,
        trace: &JoinedTrace<'_>,
        visitor: &mut impl Visitor,
    ) -> ControlFlow<Partial> {
        self.walked.metrics.inspected_traces += 1;
        self.walked.metrics.inspected_spans += trace.len() as u64;
        visitor.trace(trace)?;
        self.bounds()
    }

    fn bounds(&self) -> ControlFlow<Partial> {
        if self.walked.metrics.inspected_bytes > SCAN_BYTES_MAX {
            let max = SCAN_BYTES_MAX;
            return ControlFlow::Break(Partial::ReadBytes { max });
        }
        if Instant::now() > self.deadline {
            let max_ms = SCAN_TIME_MAX.as_millis() as u64;
            return ControlFlow::Break(Partial::Time { max_ms });
        }
        ControlFlow::Continue(())
    }
}

/// Whether something that lasts from the first to the last time is in the range.
fn overlaps(range: &TimeRange, (first_ns, last_ns): (u64, u64)) -> bool {
    first_ns < range.end_ns && last_ns >= range.start_ns
}
