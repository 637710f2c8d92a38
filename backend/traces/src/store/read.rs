//! A trace by its id.

use std::time::Instant;

use blocks::Payload;
use otlp::TraceId;
use traceql::model::Trace as _;

use super::{Damaged, Error, Store, TRACE_BYTES_MAX, key};
use crate::joined::JoinedTrace;
use crate::own_metrics::{self, Asked};
use crate::record::{Record, export};
use crate::request::{Partial, TraceData};

/// Bytes of records that a trace is joined of; later ones are left out. More than is stored of one at a time, because a
/// trace that is forgotten meanwhile may grow again.
const READ_BYTES_MAX: usize = 2 * TRACE_BYTES_MAX;

impl Store {
    /// The spans of a trace, each once, whatever the request with which it came. `None`: none are stored.
    ///
    /// # Errors
    /// Blocks cannot be read, or hold what is no record.
    pub fn trace(&self, id: TraceId) -> Result<Option<TraceData>, Error> {
        let begun = Instant::now();
        let result = self.read(id);
        let partial = result
            .as_ref()
            .map(|data| data.as_ref().and_then(|data| data.partial.as_ref()));
        own_metrics::asked(Asked::Trace, partial, begun.elapsed());
        result
    }

    fn read(&self, id: TraceId) -> Result<Option<TraceData>, Error> {
        let payloads = self.blocks.snapshot().find(key(id))?;
        let traces = joined(&payloads)?;
        let Some(read) = traces.into_iter().find(|read| read.trace.id() == id) else {
            return Ok(None);
        };
        Ok(Some(TraceData {
            protobuf: export::traces_data(&read.trace)?,
            spans: read.trace.len(),
            partial: read.partial(),
        }))
    }
}

/// A trace, and whether records of it were left out.
pub(super) struct Read<'a> {
    pub(super) trace: JoinedTrace<'a>,
    is_cut: bool,
}

impl Read<'_> {
    pub(super) fn partial(&self) -> Option<Partial> {
        let max = READ_BYTES_MAX;
        self.is_cut.then_some(Partial::TraceBytes { max })
    }
}

/// The traces of one key: one, unless two ids have the same hash.
pub(super) fn joined(payloads: &[Payload]) -> Result<Vec<Read<'_>>, Damaged> {
    let mut by_id: Vec<Records<'_>> = Vec::new();
    for payload in payloads {
        let record = Record::open(payload)?;
        let id = record.trace_id();
        let known = by_id.iter().position(|records| records.id == id);
        let position = known.unwrap_or_else(|| {
            by_id.push(Records {
                id,
                bytes: 0,
                records: Vec::new(),
                is_cut: false,
            });
            by_id.len() - 1
        });
        by_id[position].push(record, payload.len());
    }
    Ok(by_id.into_iter().map(Records::join).collect())
}

/// The records of one trace, up to the bound.
struct Records<'a> {
    id: TraceId,
    bytes: usize,
    records: Vec<Record<'a>>,
    is_cut: bool,
}

impl<'a> Records<'a> {
    fn push(&mut self, record: Record<'a>, bytes: usize) {
        self.bytes += bytes;
        match self.bytes <= READ_BYTES_MAX || self.records.is_empty() {
            true => self.records.push(record),
            false => self.is_cut = true,
        }
    }

    fn join(self) -> Read<'a> {
        Read {
            trace: JoinedTrace::new(self.id, self.records),
            is_cut: self.is_cut,
        }
    }
}
