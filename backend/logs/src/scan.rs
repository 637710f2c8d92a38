//! Reading: lines in the order of time over all streams, with no more in memory than the pages that overlap.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap, HashMap},
    ops::{ControlFlow, Range},
};

use blocks::{Page, Payload};
use logql::{Direction, Entry, Hint, Scanned, Selection, Source, SourceError};
use memchr::memmem::Finder;
use tsdb::{Labels, Matcher};

use crate::{
    Error, Rules, Store,
    record::{self, Place, Reader},
    streams::{Hours, hour_of},
    terms,
};

/// Pairs of metadata that need no allocation.
const PAIRS_ON_STACK: usize = 8;

/// How much a stream has in a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub entries: u64,
    /// Of lines.
    pub bytes: u64,
    /// Groups of lines that were stored together.
    pub chunks: u64,
}

impl Source for Store {
    fn scan(
        &self,
        selection: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError> {
        let mut merge = Merge::new(selection, self.rules);
        let snapshot = self.blocks.snapshot();
        // After the snapshot: the streams of its lines are known.
        let is_label =
            |name: &str, value: &str| self.state_streams(|streams| streams.have_label(name, value));
        let scan = blocks::Scan {
            time_ns: unsigned(&selection.range_ns),
            any_of: terms::wanted(selection.matchers, selection.hints, is_label),
            newest_first: selection.direction == Direction::Backward,
        };
        let mut pages = snapshot.scan(&scan);
        let mut next = pages.next().transpose().map_err(Error::from)?;
        loop {
            // A page that may hold what comes before the first of the heap has to be read before it.
            while let Some(page) = next.take_if(|page| merge.needs(page)) {
                merge.add(&page)?;
                next = pages.next().transpose().map_err(Error::from)?;
            }
            let Some(cursor) = merge.heap.pop() else {
                break;
            };
            if merge.hand_out(&cursor, visit)?.is_break() {
                break;
            }
            merge.heap.extend(cursor.advance());
        }
        Ok(merge.scanned)
    }

    fn streams(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
    ) -> Result<Vec<Labels>, SourceError> {
        Ok(self.state_streams(|streams| streams.select(matchers, &range_ns)))
    }
}

impl Store {
    /// How much each stream has in a range, in label order.
    ///
    /// # Errors
    /// Files cannot be read.
    pub fn volume(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
    ) -> Result<Vec<(Labels, Volume)>, Error> {
        let volumes = self.volumes(matchers, range_ns, &|_| 0)?;
        Ok(volumes
            .into_iter()
            .map(|((labels, _), volume)| (labels, volume))
            .collect())
    }

    /// The same for each part of the range, which `part` tells by the time of a line in Unix nanoseconds; in the order of labels and
    /// parts. What is empty is left out.
    ///
    /// # Errors
    /// Files cannot be read.
    pub fn volumes(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
        part: &dyn Fn(i64) -> i64,
    ) -> Result<BTreeMap<(Labels, i64), Volume>, Error> {
        let selection = Selection {
            matchers,
            range_ns,
            direction: Direction::Forward,
            hints: &[],
        };
        let mut merge = Merge::new(&selection, self.rules);
        let snapshot = self.blocks.snapshot();
        let scan = blocks::Scan {
            time_ns: unsigned(&selection.range_ns),
            any_of: terms::wanted(matchers, &[], |_, _| true),
            newest_first: false,
        };
        let mut volumes: HashMap<(usize, i64), Volume> = HashMap::new();
        for page in snapshot.scan(&scan) {
            for payload in page?.payloads() {
                let Some(cursor) = merge.cursor(payload)? else {
                    continue;
                };
                let mut last = None;
                for place in &cursor.places {
                    let part = part(place.t_ns);
                    let volume = volumes.entry((cursor.stream, part)).or_default();
                    // A record counts once for each part that it is in.
                    volume.chunks += u64::from(last != Some(part));
                    volume.entries += 1;
                    volume.bytes += place.line.len() as u64;
                    last = Some(part);
                }
            }
        }
        Ok(volumes
            .into_iter()
            .map(|((stream, part), volume)| ((merge.streams[stream].clone(), part), volume))
            .collect())
    }
}

/// The lines of one record that are still to be handed out.
struct Cursor {
    payload: Payload,
    stream: usize,
    labels: Labels,
    sequence: u64,
    /// In the order in which they come.
    places: Vec<Place>,
    next: usize,
    is_backward: bool,
}

struct Merge<'q> {
    selection: &'q Selection<'q>,
    needles: Vec<Finder<'q>>,
    fields: Vec<(&'q str, &'q str)>,
    shows_duplicates: bool,
    heap: BinaryHeap<Cursor>,
    /// The number of a stream, `None` if it is not selected, by the bytes of its labels.
    known: HashMap<Box<[u8]>, Option<usize>>,
    streams: Vec<Labels>,
    /// Lines of the time that is handed out: the same one again is a duplicate.
    same_time: Vec<(usize, Payload, Place)>,
    scanned: Scanned,
}

impl<'q> Merge<'q> {
    fn new(selection: &'q Selection<'q>, rules: Rules) -> Self {
        let needles = selection.hints.iter().filter_map(|hint| match hint {
            Hint::Contains(text) => Some(Finder::new(text.as_bytes())),
            Hint::Field { .. } => None,
        });
        let fields = selection.hints.iter().filter_map(|hint| match hint {
            Hint::Field { name, value } => Some((&**name, &**value)),
            Hint::Contains(_) => None,
        });
        Self {
            selection,
            needles: needles.collect(),
            fields: fields.collect(),
            shows_duplicates: rules == Rules::Anything,
            heap: BinaryHeap::new(),
            known: HashMap::new(),
            streams: Vec::new(),
            same_time: Vec::new(),
            scanned: Scanned::default(),
        }
    }

    /// Whether something in the page may come before what is first now.
    fn needs(&self, page: &Page) -> bool {
        let Some(first) = self.heap.peek() else {
            return true;
        };
        let first_ns = first.place().t_ns.max(0) as u64;
        match self.selection.direction {
            Direction::Forward => page.time_min_ns() <= first_ns,
            Direction::Backward => page.time_max_ns() >= first_ns,
        }
    }

    fn add(&mut self, page: &Page) -> Result<(), Error> {
        for payload in page.payloads() {
            let cursor = self.cursor(payload)?;
            self.heap.extend(cursor);
        }
        Ok(())
    }

    /// The lines of a record that are in the range; `None` if none can be wanted.
    fn cursor(&mut self, payload: Payload) -> Result<Option<Cursor>, Error> {
        let mut reader = Reader::new(&payload, 0);
        let head = reader.head()?;
        let stream = match self.known.get(head.labels) {
            Some(stream) => *stream,
            None => self.meet(head.labels)?,
        };
        let Some(stream) = stream else {
            return Ok(None);
        };
        let has = |needle: &Finder<'_>| needle.find(&payload[head.at..]).is_some();
        if !self.needles.iter().all(has) {
            self.scanned.lines += head.entries as u64;
            self.scanned.bytes += (payload.len() - head.at) as u64;
            return Ok(None);
        }
        let mut places = Vec::with_capacity(head.entries);
        let mut before_ns = 0;
        for _ in 0..head.entries {
            let place = reader.place(before_ns)?;
            before_ns = place.t_ns;
            if self.selection.range_ns.contains(&place.t_ns) {
                places.push(place);
            }
        }
        let is_backward = self.selection.direction == Direction::Backward;
        if is_backward {
            places.reverse();
        }
        let sequence = head.sequence;
        Ok((!places.is_empty()).then(|| Cursor {
            stream,
            labels: self.streams[stream].clone(),
            sequence,
            places,
            next: 0,
            is_backward,
            payload,
        }))
    }

    fn meet(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let labels = record::labels(bytes)?;
        let mut matchers = self.selection.matchers.iter();
        let stream = matchers.all(|matcher| matcher.holds(&labels)).then(|| {
            self.streams.push(labels);
            self.streams.len() - 1
        });
        self.known.insert(bytes.into(), stream);
        Ok(stream)
    }

    /// Hands out the line of a cursor, unless the hints say that nobody wants it, or it was just handed out.
    fn hand_out(
        &mut self,
        cursor: &Cursor,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let place = cursor.place();
        let line = &cursor.payload[place.line.clone()];
        self.scanned.lines += 1;
        self.scanned.bytes += line.len() as u64;
        if !self
            .needles
            .iter()
            .all(|needle| needle.find(line).is_some())
            || self.is_duplicate(cursor)
        {
            return Ok(ControlFlow::Continue(()));
        }
        let line = record::as_text(&cursor.payload, &place.line)?;
        let (count, at) = place.metadata;
        let mut reader = Reader::new(&cursor.payload, at);
        let mut on_stack = [("", ""); PAIRS_ON_STACK];
        let mut on_heap = Vec::new();
        let pairs: &mut [(&str, &str)] = match on_stack.get_mut(..count) {
            Some(pairs) => pairs,
            None => {
                on_heap.resize(count, ("", ""));
                &mut on_heap
            }
        };
        for pair in pairs.iter_mut() {
            *pair = reader.pair()?;
        }
        let has = |(name, value): &(&str, &str)| match cursor.labels.get(name) {
            "" => pairs.contains(&(*name, *value)),
            label => label == *value,
        };
        if !self.fields.iter().all(has) {
            return Ok(ControlFlow::Continue(()));
        }
        let entry = Entry {
            t_ns: place.t_ns,
            line,
            metadata: pairs,
        };
        Ok(visit(&cursor.labels, entry))
    }

    fn is_duplicate(&mut self, cursor: &Cursor) -> bool {
        if self.shows_duplicates {
            return false;
        }
        let place = cursor.place();
        if self
            .same_time
            .first()
            .is_some_and(|(_, _, before)| before.t_ns != place.t_ns)
        {
            self.same_time.clear();
        }
        let is_same = |(stream, payload, before): &(usize, Payload, Place)| {
            *stream == cursor.stream
                && payload[before.line.clone()] == cursor.payload[place.line.clone()]
                && pairs_of(payload, before) == pairs_of(&cursor.payload, place)
        };
        if self.same_time.iter().any(is_same) {
            return true;
        }
        let line = (cursor.stream, cursor.payload.clone(), place.clone());
        self.same_time.push(line);
        false
    }
}

impl Cursor {
    fn place(&self) -> &Place {
        &self.places[self.next]
    }

    /// With the next line; `None` after the last.
    fn advance(mut self) -> Option<Self> {
        self.next += 1;
        (self.next < self.places.len()).then_some(self)
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |cursor: &Self| cursor.place().t_ns;
        key(self)
            .cmp(&key(other))
            .then_with(|| self.labels.cmp(&other.labels))
            .then_with(|| self.sequence.cmp(&other.sequence))
    }
}

/// The greatest comes first: the earliest line forward, the latest backward.
impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.is_backward {
            true => self.order(other),
            false => other.order(self),
        }
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor {}

/// The hours of every line that can be read.
pub(crate) fn hours(blocks: &blocks::Store) -> Result<Hours, Error> {
    let snapshot = blocks.snapshot();
    let everything = blocks::Scan {
        time_ns: 0..u64::MAX,
        ..blocks::Scan::default()
    };
    let mut hours = Hours::new();
    for page in snapshot.scan(&everything) {
        let page = match page {
            // It has no lines for anybody else either.
            Err(blocks::Error::Damaged { .. }) => continue,
            page => page?,
        };
        for payload in page.payloads() {
            let mut reader = Reader::new(&payload, 0);
            let head = reader.head()?;
            let of_stream = hours.entry(record::labels(head.labels)?).or_default();
            let mut before_ns = 0;
            for _ in 0..head.entries {
                before_ns = reader.place(before_ns)?.t_ns;
                of_stream.insert(hour_of(before_ns));
            }
        }
    }
    Ok(hours)
}

/// The bytes of the metadata of a line.
fn pairs_of<'p>(payload: &'p [u8], place: &Place) -> Option<Vec<(&'p str, &'p str)>> {
    let (count, at) = place.metadata;
    let mut reader = Reader::new(payload, at);
    (0..count).map(|_| reader.pair().ok()).collect()
}

/// Nothing is stored before 1970.
fn unsigned(range_ns: &Range<i64>) -> Range<u64> {
    range_ns.start.max(0) as u64..range_ns.end.max(0) as u64
}
