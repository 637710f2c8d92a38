//! The bytes of undecided spans: copied once into a body with their resource and scope, compressed when the body is
//! full, freed with its last span. Knows nothing of traces and decisions.
//!
//! Spans of traces that seem to be kept go into other bodies than the rest: so a body is mostly wanted whole or not at all,
//! and what is dropped is seldom decompressed.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use otlp::wire::{Resource, Scope};

/// A body is sealed before it grows over this. LZ4 looks back 64 KiB, and below that size its small table serves.
const BODY_BYTES: usize = 65_000;

/// Resource and scope pairs of one body that are compared before another one is added.
const ORIGINS_COMPARED: usize = 8;

/// Decompressed bodies that are kept at hand: a trace over several services lies in as many bodies, and so do its
/// neighbours.
const RECENT_BODIES: usize = 4;

/// What a span came with.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub resource: Resource<'a>,
    pub scope: Scope<'a>,
}

/// Where a span lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub body: u32,
    origin: u32,
    offset: u32,
    length: u32,
    /// Offset of the span id inside the span, so that duplicates are found without parsing.
    id_at: u32,
}

#[cfg(test)]
impl Place {
    pub(super) fn test(body: u32) -> Self {
        Self {
            body,
            origin: 0,
            offset: 0,
            length: 0,
            id_at: 0,
        }
    }
}

/// A span with what it came with.
pub(super) struct WholeSpan<'a> {
    pub origin: Origin<'a>,
    pub id: u64,
    pub span: &'a [u8],
}

#[derive(Clone, Copy)]
struct Range {
    offset: u32,
    length: u32,
}

/// A resource with its schema and a scope with its schema, as ranges of the body.
#[derive(Clone, Copy)]
struct OriginRanges([Range; 4]);

enum Data {
    Raw(Vec<u8>),
    Compressed { bytes: Box<[u8]>, length: u32 },
}

struct Body {
    data: Data,
    origins: Vec<OriginRanges>,
    /// Spans of undecided traces in it.
    live: u32,
}

/// The bodies of one shard.
pub(super) struct Bodies {
    slots: Vec<Option<Body>>,
    vacant: Vec<u32>,
    /// The body being filled, by whether its spans seem to be kept.
    open: [Option<u32>; 2],
    /// Decompressed bodies, the last used at the end.
    recent: Vec<(u32, Vec<u8>)>,
    table: CompressTable,
    scratch: Vec<u8>,
    bytes: usize,
}

impl<'a> WholeSpan<'a> {
    /// `id_at`: offset of the 8 bytes of the span id in `span`.
    pub(super) fn new(origin: Origin<'a>, span: &'a [u8], id_at: u32) -> Self {
        let id = span[id_at as usize..][..8]
            .try_into()
            .expect("eight bytes were asked for");
        Self {
            origin,
            id: u64::from_le_bytes(id),
            span,
        }
    }
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            open: [None; 2],
            recent: Vec::with_capacity(RECENT_BODIES),
            table: CompressTable::small(),
            scratch: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes of the bodies that hold undecided spans, as they are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies one span. `id_at` is the offset of its 8 id bytes.
    pub(super) fn store(
        &mut self,
        wanted: bool,
        origin: &Origin<'_>,
        span: &[u8],
        id_at: u32,
    ) -> Place {
        let slot = self.room(wanted, span.len());
        let body = self.slots[slot as usize]
            .as_mut()
            .expect("an open body is there");
        let Data::Raw(raw) = &mut body.data else {
            unreachable!("an open body is not compressed")
        };
        let before = body.origins.len() * size_of::<OriginRanges>() + raw.len();
        let origin = find_origin(raw, &mut body.origins, origin);
        let Range { offset, length } = append(raw, span);
        body.live += 1;
        self.bytes += body.origins.len() * size_of::<OriginRanges>() + raw.len() - before;
        Place {
            body: slot,
            origin,
            offset,
            length,
            id_at,
        }
    }

    /// The span at `place`, which must not have been released.
    pub(super) fn read(&mut self, place: Place) -> WholeSpan<'_> {
        let body = self.slots[place.body as usize]
            .as_ref()
            .expect("a body lives as long as its spans");
        let raw: &[u8] = match &body.data {
            Data::Raw(raw) => raw,
            Data::Compressed { bytes, length } => {
                recent(&mut self.recent, place.body, bytes, *length as usize)
            }
        };
        let [resource, resource_schema, scope, scope_schema] = body.origins[place.origin as usize]
            .0
            .map(|range| part(raw, range));
        let span = part(
            raw,
            Range {
                offset: place.offset,
                length: place.length,
            },
        );
        let origin = Origin {
            resource: Resource {
                bytes: resource,
                schema_url: resource_schema,
            },
            scope: Scope {
                bytes: scope,
                schema_url: scope_schema,
            },
        };
        WholeSpan::new(origin, span, place.id_at)
    }

    /// Forgets one span of `body`; the last one frees it.
    pub(super) fn release(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let body = entry.as_mut().expect("a body lives as long as its spans");
        body.live -= 1;
        if body.live > 0 {
            return;
        }
        self.bytes -= held(body);
        if let Data::Raw(raw) = &mut body.data {
            // Still open: it goes on being filled.
            raw.clear();
            body.origins.clear();
        } else {
            *entry = None;
            self.vacant.push(slot);
            self.recent.retain(|(recent, _)| *recent != slot);
        }
    }

    /// The open body, with room for a span of `length`.
    fn room(&mut self, wanted: bool, length: usize) -> u32 {
        let open = self.open[usize::from(wanted)];
        if let Some(slot) = open {
            let body = self.slots[slot as usize]
                .as_ref()
                .expect("an open body is there");
            let filled = held(body);
            if filled == 0 || filled + length <= BODY_BYTES {
                return slot;
            }
        }
        let raw = match open {
            Some(slot) => self.seal(slot),
            None => Vec::with_capacity(BODY_BYTES),
        };
        let body = Body {
            data: Data::Raw(raw),
            origins: Vec::new(),
            live: 0,
        };
        let slot = match self.vacant.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1)
                    .expect("bodies are bounded far below 2^32 by their bytes")
            }
        };
        self.slots[slot as usize] = Some(body);
        self.open[usize::from(wanted)] = Some(slot);
        slot
    }

    /// Compresses a full body. The buffer it was filled in is returned empty, for the next one.
    fn seal(&mut self, slot: u32) -> Vec<u8> {
        let body = self.slots[slot as usize]
            .as_mut()
            .expect("an open body is there");
        let Data::Raw(raw) = &mut body.data else {
            unreachable!("an open body is not compressed")
        };
        let mut raw = std::mem::take(raw);
        self.scratch.resize(get_maximum_output_size(raw.len()), 0);
        let compressed = compress_into_with_table(&raw, &mut self.scratch, &mut self.table)
            .expect("the output has the size that the worst case needs");
        let length = u32::try_from(raw.len()).expect("a body holds less than 4 GiB");
        self.bytes -= raw.len();
        self.bytes += compressed;
        body.data = Data::Compressed {
            bytes: self.scratch[..compressed].into(),
            length,
        };
        body.origins.shrink_to_fit();
        raw.clear();
        raw.shrink_to(BODY_BYTES);
        raw
    }
}

/// Bytes that a body counts for.
fn held(body: &Body) -> usize {
    let data = match &body.data {
        Data::Raw(raw) => raw.len(),
        Data::Compressed { bytes, .. } => bytes.len(),
    };
    data + body.origins.len() * size_of::<OriginRanges>()
}

/// The decompressed bytes of `slot`, from those at hand or by decompressing.
fn recent<'a>(
    recent: &'a mut Vec<(u32, Vec<u8>)>,
    slot: u32,
    bytes: &[u8],
    length: usize,
) -> &'a [u8] {
    if let Some(at) = recent.iter().position(|(body, _)| *body == slot) {
        recent[at..].rotate_left(1);
    } else {
        let mut raw = if recent.len() < RECENT_BODIES {
            Vec::new()
        } else {
            recent.remove(0).1
        };
        raw.resize(length, 0);
        decompress_into(bytes, &mut raw).expect("a body decompresses to what was compressed");
        recent.push((slot, raw));
    }
    &recent.last().expect("it was just put there").1
}

fn find_origin(raw: &mut Vec<u8>, origins: &mut Vec<OriginRanges>, origin: &Origin<'_>) -> u32 {
    let parts = [
        origin.resource.bytes,
        origin.resource.schema_url,
        origin.scope.bytes,
        origin.scope.schema_url,
    ];
    let same = |ranges: &OriginRanges| {
        ranges
            .0
            .iter()
            .zip(parts)
            .all(|(range, wanted)| part(raw, *range) == wanted)
    };
    let compared = origins.len().saturating_sub(ORIGINS_COMPARED);
    let found = origins[compared..]
        .iter()
        .rposition(same)
        .map(|at| compared + at);
    let at = found.unwrap_or_else(|| {
        // The resource is shared by all scopes of a service, so it is looked for alone as well.
        let resource = origins
            .last()
            .filter(|last| part(raw, last.0[0]) == parts[0])
            .map(|last| last.0[0]);
        let resource = resource.unwrap_or_else(|| append(raw, parts[0]));
        let ranges = OriginRanges([
            resource,
            append(raw, parts[1]),
            append(raw, parts[2]),
            append(raw, parts[3]),
        ]);
        origins.push(ranges);
        origins.len() - 1
    });
    u32::try_from(at).expect("a body holds fewer origins than bytes")
}

fn append(raw: &mut Vec<u8>, bytes: &[u8]) -> Range {
    let range = |value: usize| u32::try_from(value).expect("a body holds less than 4 GiB");
    let at = Range {
        offset: range(raw.len()),
        length: range(bytes.len()),
    };
    raw.extend_from_slice(bytes);
    at
}

fn part(raw: &[u8], range: Range) -> &[u8] {
    &raw[range.offset as usize..][..range.length as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str) -> Origin<'_> {
        Origin {
            resource: Resource {
                bytes: name.as_bytes(),
                schema_url: b"resource schema",
            },
            scope: Scope {
                bytes: b"scope",
                schema_url: b"",
            },
        }
    }

    #[test]
    fn spans_are_read_back_whole_from_open_and_from_compressed_bodies() {
        let mut bodies = Bodies::new();
        let spans: Vec<Vec<u8>> = (0..2000_u32)
            .map(|at| {
                [
                    at.to_le_bytes().repeat(2 + at as usize % 60),
                    vec![b'x'; 40],
                ]
                .concat()
            })
            .collect();
        let names = ["gateway", "worker", "task-service"];
        let places: Vec<Place> = spans
            .iter()
            .enumerate()
            .map(|(at, span)| bodies.store(at % 7 == 0, &origin(names[at % 3]), span, 0))
            .collect();
        let raw: usize = spans.iter().map(Vec::len).sum();
        assert!(
            bodies.bytes() < raw,
            "{} bytes are held for {raw}",
            bodies.bytes()
        );
        // Back and forth, so that more bodies are wanted than are at hand.
        for at in (0..1000).flat_map(|at| [at, 1999 - at]) {
            let stored = bodies.read(places[at]);
            assert_eq!(stored.span, spans[at]);
            assert_eq!(stored.id, u64::from(at as u32) * 0x1_0000_0001);
            assert_eq!(stored.origin.resource.bytes, names[at % 3].as_bytes());
            assert_eq!(stored.origin.resource.schema_url, b"resource schema");
            assert_eq!(stored.origin.scope.bytes, b"scope");
        }
        places.iter().for_each(|place| bodies.release(place.body));
        assert_eq!(bodies.bytes(), 0);
        assert!(
            bodies.recent.is_empty(),
            "no freed body is at hand any more"
        );
    }

    #[test]
    fn a_freed_slot_is_used_again_and_read_afresh() {
        let mut bodies = Bodies::new();
        for round in 0..10_u8 {
            let spans: Vec<Vec<u8>> = (0..20).map(|at| vec![round * 20 + at; 20_000]).collect();
            let places: Vec<Place> = spans
                .iter()
                .map(|span| bodies.store(false, &origin("gateway"), span, 0))
                .collect();
            for (place, span) in places.iter().zip(&spans) {
                assert_eq!(bodies.read(*place).span, span);
            }
            places.iter().for_each(|place| bodies.release(place.body));
        }
        assert!(bodies.slots.len() <= 10, "{} slots", bodies.slots.len());
    }

    #[test]
    fn a_span_larger_than_a_body_has_one_of_its_own() {
        let mut bodies = Bodies::new();
        let large = vec![7; 10 * BODY_BYTES];
        let places = [&large[..], &[1; 8], &large]
            .map(|span| bodies.store(false, &origin("gateway"), span, 0));
        let lengths = places.map(|place| bodies.read(place).span.len());
        assert_eq!(lengths, [large.len(), 8, large.len()]);
    }
}
