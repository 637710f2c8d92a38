//! Resources, scopes, spans, events and links as slices of the request.

use super::cursor::{Cursor, FIXED32, FIXED64, LEN, Only, VARINT, known, tag};
use super::{Attributes, Malformed, check, tags};

/// What produced the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Content of the `Resource` message.
    pub bytes: &'a [u8],
    /// Schema of the resource, from the message around it.
    pub schema_url: &'a [u8],
}

/// The library that recorded the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Content of the `InstrumentationScope` message.
    pub bytes: &'a [u8],
    /// Schema of the spans, from the message around them.
    pub schema_url: &'a [u8],
}

/// One span. Strings are as they were sent, be they UTF-8 or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    /// Content of the `Span` message: a part of the request, as all slices here are parts of it.
    pub bytes: &'a [u8],
    /// 16 bytes, maybe all zero, or none.
    pub trace_id: &'a [u8],
    /// 8 bytes, maybe all zero, or none.
    pub span_id: &'a [u8],
    /// 8 bytes, maybe all zero, or none.
    pub parent_span_id: &'a [u8],
    /// The header of that name from the W3C.
    pub trace_state: &'a [u8],
    /// What was done.
    pub name: &'a [u8],
    /// `SpanKind`, maybe one that came later than this code.
    pub kind: i32,
    /// `StatusCode`, likewise.
    pub status_code: i32,
    /// Of an error.
    pub status_message: &'a [u8],
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// W3C trace flags in the lowest byte, then whether the parent is remote.
    pub flags: u32,
    /// Attributes that the sender left out.
    pub attributes_dropped: u32,
    /// Events that the sender left out.
    pub events_dropped: u32,
    /// Links that the sender left out.
    pub links_dropped: u32,
}

/// Something that happened during a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// Content of the `Span.Event` message.
    pub bytes: &'a [u8],
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// What happened.
    pub name: &'a [u8],
    /// Attributes that the sender left out.
    pub attributes_dropped: u32,
}

/// Another span that has to do with this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    /// Content of the `Span.Link` message.
    pub bytes: &'a [u8],
    /// 16 bytes, maybe all zero, or none.
    pub trace_id: &'a [u8],
    /// 8 bytes, maybe all zero, or none.
    pub span_id: &'a [u8],
    /// Of the linked span.
    pub trace_state: &'a [u8],
    /// As in [`Span::flags`].
    pub flags: u32,
    /// Attributes that the sender left out.
    pub attributes_dropped: u32,
}

/// The events of a span, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a>(Only<'a>);

/// The links of a span, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a>(Only<'a>);

impl<'a> Resource<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.bytes, 1)
    }

    /// Attributes that the sender left out.
    pub fn attributes_dropped(&self) -> u32 {
        last_number(self.bytes, 2)
    }
}

impl<'a> Scope<'a> {
    /// Name of the library.
    pub fn name(&self) -> &'a [u8] {
        last_bytes(self.bytes, 1)
    }

    /// Version of the library.
    pub fn version(&self) -> &'a [u8] {
        last_bytes(self.bytes, 2)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.bytes, 3)
    }

    /// Attributes that the sender left out.
    pub fn attributes_dropped(&self) -> u32 {
        last_number(self.bytes, 4)
    }
}

impl<'a> Span<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.bytes, 9)
    }

    /// Its events.
    pub fn events(&self) -> Events<'a> {
        Events(Cursor::new(self.bytes).only(tag(11, LEN)))
    }

    /// Its links.
    pub fn links(&self) -> Links<'a> {
        Links(Cursor::new(self.bytes).only(tag(13, LEN)))
    }
}

impl<'a> Event<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.bytes, 3)
    }
}

impl<'a> Link<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.bytes, 4)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        use tags::event::{DROPPED, NAME, TIME};
        let mut fields = self.0.next_message().ok()??;
        let mut event = Event {
            bytes: fields.rest(),
            ..Event::default()
        };
        while let Some(tag) = fields.tag().ok()? {
            match tag {
                TIME => event.time_ns = fields.fixed64().ok()?,
                NAME => event.name = fields.bytes().ok()?,
                DROPPED => event.attributes_dropped = fields.varint().ok()? as u32,
                _ => fields.skip(tag, 0).ok()?,
            }
        }
        Some(event)
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        use tags::link::{DROPPED, FLAGS, SPAN_ID, TRACE_ID, TRACE_STATE};
        let mut fields = self.0.next_message().ok()??;
        let mut link = Link {
            bytes: fields.rest(),
            ..Link::default()
        };
        while let Some(tag) = fields.tag().ok()? {
            match tag {
                TRACE_ID => link.trace_id = fields.bytes().ok()?,
                SPAN_ID => link.span_id = fields.bytes().ok()?,
                TRACE_STATE => link.trace_state = fields.bytes().ok()?,
                DROPPED => link.attributes_dropped = fields.varint().ok()? as u32,
                FLAGS => link.flags = fields.fixed32().ok()?,
                _ => fields.skip(tag, 0).ok()?,
            }
        }
        Some(link)
    }
}

/// Reads a span and checks all that is in it.
pub(super) fn read(message: Cursor<'_>) -> Result<Span<'_>, Malformed> {
    const TRACE_ID: u32 = tag(1, LEN);
    const SPAN_ID: u32 = tag(2, LEN);
    const TRACE_STATE: u32 = tag(3, LEN);
    const PARENT_SPAN_ID: u32 = tag(4, LEN);
    const NAME: u32 = tag(5, LEN);
    const KIND: u32 = tag(6, VARINT);
    const START: u32 = tag(7, FIXED64);
    const END: u32 = tag(8, FIXED64);
    const ATTRIBUTE: u32 = tag(9, LEN);
    const ATTRIBUTES_DROPPED: u32 = tag(10, VARINT);
    const EVENT: u32 = tag(11, LEN);
    const EVENTS_DROPPED: u32 = tag(12, VARINT);
    const LINK: u32 = tag(13, LEN);
    const LINKS_DROPPED: u32 = tag(14, VARINT);
    const STATUS: u32 = tag(15, LEN);
    const FLAGS: u32 = tag(16, FIXED32);
    /// Numbers 1 to 16.
    const KNOWN: u64 = (1 << 17) - 2;
    let mut span = Span {
        bytes: message.rest(),
        ..Span::default()
    };
    let mut fields = message;
    while let Some(tag) = fields.tag()? {
        match tag {
            TRACE_ID => span.trace_id = check::trace_id(&mut fields)?,
            SPAN_ID => span.span_id = check::span_id(&mut fields)?,
            TRACE_STATE => span.trace_state = fields.bytes()?,
            PARENT_SPAN_ID => span.parent_span_id = check::span_id(&mut fields)?,
            NAME => span.name = fields.bytes()?,
            KIND => span.kind = fields.varint()? as i32,
            START => span.start_ns = fields.fixed64()?,
            END => span.end_ns = fields.fixed64()?,
            ATTRIBUTE => check::key_value(fields.message()?, 0)?,
            ATTRIBUTES_DROPPED => span.attributes_dropped = fields.varint()? as u32,
            EVENT => check::event(fields.message()?)?,
            EVENTS_DROPPED => span.events_dropped = fields.varint()? as u32,
            LINK => check::link(fields.message()?)?,
            LINKS_DROPPED => span.links_dropped = fields.varint()? as u32,
            STATUS => status(fields.message()?, &mut span)?,
            FLAGS => span.flags = fields.fixed32()?,
            _ => fields.skip(tag, KNOWN)?,
        }
    }
    Ok(span)
}

fn status<'a>(mut fields: Cursor<'a>, span: &mut Span<'a>) -> Result<(), Malformed> {
    const MESSAGE: u32 = tag(2, LEN);
    const CODE: u32 = tag(3, VARINT);
    while let Some(tag) = fields.tag()? {
        match tag {
            MESSAGE => span.status_message = fields.bytes()?,
            CODE => span.status_code = fields.varint()? as i32,
            _ => fields.skip(tag, known([2, 3]))?,
        }
    }
    Ok(())
}

fn last_bytes(message: &[u8], number: u32) -> &[u8] {
    let mut fields = Cursor::new(message).only(tag(number, LEN));
    let mut last: &[u8] = &[];
    while let Ok(Some(field)) = fields.next_message() {
        last = field.rest();
    }
    last
}

fn last_number(message: &[u8], number: u32) -> u32 {
    let mut fields = Cursor::new(message);
    let mut last = 0;
    while let Ok(Some(found)) = fields.tag() {
        if found == tag(number, VARINT) {
            last = fields.varint().unwrap_or_default();
        } else if fields.skip(found, 0).is_err() {
            break;
        }
    }
    last as u32
}
