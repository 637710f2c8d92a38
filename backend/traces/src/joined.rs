//! A complete trace: the records of its fragments joined, each span once, as queries see it.
//!
//! A span is known by its id and kind (client and server of one call may share an id). Of several copies the one with the
//! later end stays, then the one with more attributes, then the one stored first.

use std::cell::OnceCell;
use std::collections::HashMap;

use otlp::{SpanId, TraceId};
use traceql::model::{Kind, Scope, Span, Status, Trace, Value};

use crate::any_value;
use crate::record::{Attributes, Damaged, Entry, Record, Row, Stored};

pub(crate) struct JoinedTrace<'a> {
    id: TraceId,
    records: Vec<Record<'a>>,
    rows: Vec<JoinedRow<'a>>,
    /// Position of a span by id, made when a parent is asked for the first time.
    positions: OnceCell<HashMap<SpanId, u32>>,
}

#[derive(Clone, Copy)]
struct JoinedRow<'a> {
    record: u32,
    row: Row<'a>,
}

impl<'a> JoinedTrace<'a> {
    /// Of records of one trace, oldest first.
    pub(crate) fn new(id: TraceId, records: Vec<Record<'a>>) -> Self {
        let mut rows = Vec::with_capacity(records.iter().map(Record::len).sum());
        for (record, opened) in (0..).zip(&records) {
            rows.extend((0..opened.len()).map(|index| JoinedRow {
                record,
                row: opened.row(index),
            }));
        }
        if records.len() > 1 {
            keep_once(&records, &mut rows);
        }
        Self {
            id,
            records,
            rows,
            positions: OnceCell::new(),
        }
    }

    /// Each span with the record in which it lies.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &Row<'a>)> {
        self.rows
            .iter()
            .map(|joined| (joined.record as usize, &joined.row))
    }

    pub(crate) fn records(&self) -> &[Record<'a>] {
        &self.records
    }

    /// The times under which it is found: those of its records, in which missing and impossible times are mended.
    pub(crate) fn indexed_ns(&self) -> (u64, u64) {
        let start = self.records.iter().map(|record| record.time_min_ns).min();
        let end = self.records.iter().map(|record| record.time_max_ns).max();
        (start.unwrap_or(0), end.unwrap_or(0))
    }

    /// First start and last end, as the spans say.
    pub(crate) fn bounds_ns(&self) -> (u64, u64) {
        let start = self.rows.iter().map(|joined| joined.row.start_ns).min();
        let end = self.rows.iter().map(|joined| joined.row.end_ns).max();
        let start = start.unwrap_or(0);
        (start, end.unwrap_or(0).max(start))
    }

    fn position(&self, id: SpanId) -> Option<usize> {
        let positions = self.positions.get_or_init(|| {
            let mut positions = HashMap::with_capacity(self.rows.len());
            for (position, joined) in (0..).zip(&self.rows) {
                positions.entry(joined.row.id).or_insert(position);
            }
            positions
        });
        positions.get(&id).map(|position| *position as usize)
    }
}

impl<'a> Trace for JoinedTrace<'a> {
    type Span<'s>
        = JoinedSpan<'s, 'a>
    where
        Self: 's;

    fn id(&self) -> TraceId {
        self.id
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn span(&self, index: usize) -> JoinedSpan<'_, 'a> {
        let joined = &self.rows[index];
        JoinedSpan {
            trace: self,
            record: &self.records[joined.record as usize],
            row: &joined.row,
        }
    }

    fn root(&self) -> Option<usize> {
        let roots = (0..self.rows.len()).filter(|index| self.rows[*index].row.parent.is_zero());
        roots.min_by_key(|index| self.rows[*index].row.start_ns)
    }
}

/// A span of a [`JoinedTrace`].
#[derive(Clone, Copy)]
pub(crate) struct JoinedSpan<'s, 'a> {
    trace: &'s JoinedTrace<'a>,
    record: &'s Record<'a>,
    row: &'s Row<'a>,
}

impl<'a> JoinedSpan<'_, 'a> {
    /// Events and links are many, see [`Self::each_list`].
    fn own(&self, scope: Scope) -> Option<Attributes<'a>> {
        match scope {
            Scope::Span => Some(self.record.attributes(self.row)),
            Scope::Resource => self.record.resource_attributes(self.row.scope),
            Scope::Instrumentation => Some(self.record.scope(self.row.scope).ok()?.attributes),
            Scope::Event | Scope::Link => None,
        }
    }

    /// The attributes of a scope: for events and links of each of them. Damage ends the walk: an evaluation has nobody to
    /// tell.
    pub(crate) fn each_list(&self, scope: Scope, mut each: impl FnMut(Attributes<'a>)) {
        if let Some(attributes) = self.own(scope) {
            return each(attributes);
        }
        for entry in self.entries().flatten() {
            match (scope, entry) {
                (Scope::Event, Entry::Event(event)) => each(event.attributes),
                (Scope::Link, Entry::Link(link)) => each(link.attributes),
                _ => {}
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, Damaged>> {
        let rest = self.record.rest(self.row).ok();
        rest.into_iter().flat_map(|rest| rest.entries)
    }
}

impl Span for JoinedSpan<'_, '_> {
    fn id(&self) -> SpanId {
        self.row.id
    }

    fn parent(&self) -> Option<usize> {
        if self.row.parent.is_zero() || self.row.parent == self.row.id {
            return None;
        }
        self.trace.position(self.row.parent)
    }

    fn name(&self) -> &str {
        self.row.name
    }

    fn kind(&self) -> Kind {
        match self.row.kind {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Unspecified,
        }
    }

    fn status(&self) -> Status {
        match self.row.status {
            1 => Status::Ok,
            2 => Status::Error,
            _ => Status::Unset,
        }
    }

    fn status_message(&self) -> &str {
        self.record
            .rest(self.row)
            .map_or("", |rest| rest.status_message)
    }

    fn start_ns(&self) -> u64 {
        self.row.start_ns
    }

    fn duration_ns(&self) -> u64 {
        self.row.end_ns.saturating_sub(self.row.start_ns)
    }

    fn attribute<'s>(&'s self, scope: Scope, key: &str, found: &mut dyn FnMut(Value<'s>) -> bool) {
        let mut done = false;
        self.each_list(scope, |attributes| {
            if !done && let Some(value) = attributes.find(key) {
                done = offer(value, found);
            }
        });
    }

    fn attributes<'s>(&'s self, scope: Scope, each: &mut dyn FnMut(&'s str, Value<'s>)) {
        self.each_list(scope, |attributes| {
            for (key, value) in attributes {
                offer(value, &mut |value| {
                    each(key, value);
                    false
                });
            }
        });
    }

    fn is_array(&self, scope: Scope, key: &str) -> bool {
        let mut is_array = false;
        self.each_list(scope, |attributes| {
            if let Some(Stored::Message(message)) = attributes.find(key) {
                is_array |= any_value::is_array(message);
            }
        });
        is_array
    }

    fn events<'s>(&'s self, each: &mut dyn FnMut(&'s str, u64)) {
        for entry in self.entries().flatten() {
            if let Entry::Event(event) = entry {
                each(event.name, event.time_ns);
            }
        }
    }

    fn links<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], &'s [u8])) {
        for entry in self.entries().flatten() {
            if let Entry::Link(link) = entry {
                each(link.trace_id, link.span_id);
            }
        }
    }

    fn instrumentation(&self) -> (&str, &str) {
        self.record
            .scope(self.row.scope)
            .map_or(("", ""), |scope| (scope.name, scope.version))
    }
}

/// Offers a value, of an array each element, until one is taken. Bytes, lists of pairs and empty values are no values to
/// TraceQL.
fn offer<'s>(value: Stored<'s>, found: &mut dyn FnMut(Value<'s>) -> bool) -> bool {
    match value {
        Stored::String(text) => found(Value::String(text)),
        Stored::Int(number) => found(Value::Int(number)),
        Stored::Double(number) => found(Value::Double(number)),
        Stored::Bool(flag) => found(Value::Bool(flag)),
        Stored::Message(bytes) => any_value::elements(bytes, found),
    }
}

/// Leaves one copy of each span.
fn keep_once(records: &[Record<'_>], rows: &mut Vec<JoinedRow<'_>>) {
    let mut kept: HashMap<(SpanId, i32), usize> = HashMap::with_capacity(rows.len());
    let mut count = 0;
    for at in 0..rows.len() {
        let joined = rows[at];
        let place = *kept
            .entry((joined.row.id, joined.row.kind))
            .or_insert(count);
        if place == count {
            rows[count] = joined;
            count += 1;
        } else if worth(records, &joined) > worth(records, &rows[place]) {
            rows[place] = joined;
        }
    }
    rows.truncate(count);
}

/// What decides between copies of a span.
fn worth(records: &[Record<'_>], joined: &JoinedRow<'_>) -> (u64, usize) {
    let record = &records[joined.record as usize];
    (joined.row.end_ns, record.attributes(&joined.row).count())
}
