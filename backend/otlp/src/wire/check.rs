//! Whether the messages inside a span, a resource or a scope are what they should be.

use super::cursor::{Cursor, LEN, VARINT, known, tag};
use super::{Malformed, VALUE_DEPTH_MAX, tags};

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// `Resource`: attributes, dropped_attributes_count, entity_refs.
pub(super) fn resource(mut fields: Cursor<'_>) -> Result<(), Malformed> {
    const ATTRIBUTE: u32 = tag(1, LEN);
    const DROPPED: u32 = tag(2, VARINT);
    while let Some(tag) = fields.tag()? {
        match tag {
            ATTRIBUTE => key_value(fields.message()?, 0)?,
            DROPPED => drop(fields.varint()?),
            _ => fields.skip(tag, known([1, 2]))?,
        }
    }
    Ok(())
}

/// `InstrumentationScope`: name, version, attributes, dropped_attributes_count.
pub(super) fn scope(mut fields: Cursor<'_>) -> Result<(), Malformed> {
    const NAME: u32 = tag(1, LEN);
    const VERSION: u32 = tag(2, LEN);
    const ATTRIBUTE: u32 = tag(3, LEN);
    const DROPPED: u32 = tag(4, VARINT);
    while let Some(tag) = fields.tag()? {
        match tag {
            NAME | VERSION => drop(fields.bytes()?),
            ATTRIBUTE => key_value(fields.message()?, 0)?,
            DROPPED => drop(fields.varint()?),
            _ => fields.skip(tag, known([1, 2, 3, 4]))?,
        }
    }
    Ok(())
}

/// `Span.Event`: time_unix_nano, name, attributes, dropped_attributes_count.
pub(super) fn event(mut fields: Cursor<'_>) -> Result<(), Malformed> {
    use tags::event::{ATTRIBUTE, DROPPED, NAME, TIME};
    while let Some(tag) = fields.tag()? {
        match tag {
            TIME => drop(fields.fixed64()?),
            NAME => drop(fields.bytes()?),
            ATTRIBUTE => key_value(fields.message()?, 0)?,
            DROPPED => drop(fields.varint()?),
            _ => fields.skip(tag, known([1, 2, 3, 4]))?,
        }
    }
    Ok(())
}

/// `Span.Link`: trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags.
pub(super) fn link(mut fields: Cursor<'_>) -> Result<(), Malformed> {
    use tags::link::{ATTRIBUTE, DROPPED, FLAGS, SPAN_ID, TRACE_ID, TRACE_STATE};
    while let Some(tag) = fields.tag()? {
        match tag {
            TRACE_ID => drop(trace_id(&mut fields)?),
            SPAN_ID => drop(span_id(&mut fields)?),
            TRACE_STATE => drop(fields.bytes()?),
            ATTRIBUTE => key_value(fields.message()?, 0)?,
            DROPPED => drop(fields.varint()?),
            FLAGS => drop(fields.fixed32()?),
            _ => fields.skip(tag, known([1, 2, 3, 4, 5, 6]))?,
        }
    }
    Ok(())
}

pub(super) fn trace_id<'a>(fields: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    id(fields, TRACE_ID_BYTES, "trace id is not 16 bytes")
}

pub(super) fn span_id<'a>(fields: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    id(fields, SPAN_ID_BYTES, "span id is not 8 bytes")
}

/// `KeyValue`: key, value.
pub(super) fn key_value(mut fields: Cursor<'_>, depth: usize) -> Result<(), Malformed> {
    use tags::key_value::{KEY, VALUE};
    while let Some(tag) = fields.tag()? {
        match tag {
            KEY => drop(fields.bytes()?),
            VALUE => any_value(fields.message()?, depth)?,
            _ => fields.skip(tag, known([1, 2]))?,
        }
    }
    Ok(())
}

fn any_value(mut fields: Cursor<'_>, depth: usize) -> Result<(), Malformed> {
    use tags::any_value::{ARRAY, BOOL, BYTES, DOUBLE, INT, KEY_VALUES, STRING};
    while let Some(tag) = fields.tag()? {
        match tag {
            STRING | BYTES => drop(fields.bytes()?),
            BOOL | INT => drop(fields.varint()?),
            DOUBLE => drop(fields.fixed64()?),
            ARRAY | KEY_VALUES if depth == VALUE_DEPTH_MAX => {
                return Err(fields.malformed("values nest too deep"));
            }
            ARRAY => elements(fields.message()?, depth + 1, any_value)?,
            KEY_VALUES => elements(fields.message()?, depth + 1, key_value)?,
            _ => fields.skip(tag, known([1, 2, 3, 4, 5, 6, 7]))?,
        }
    }
    Ok(())
}

/// `ArrayValue` and `KeyValueList`: values.
fn elements<'a>(
    message: Cursor<'a>,
    depth: usize,
    check: impl Fn(Cursor<'a>, usize) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut values = message.only(tags::any_value::VALUES);
    while let Some(value) = values.next_message()? {
        check(value, depth)?;
    }
    Ok(())
}

/// An empty id is one that was not given.
fn id<'a>(
    fields: &mut Cursor<'a>,
    bytes: usize,
    reason: &'static str,
) -> Result<&'a [u8], Malformed> {
    let malformed = fields.malformed(reason);
    let id = fields.bytes()?;
    if id.is_empty() || id.len() == bytes {
        Ok(id)
    } else {
        Err(malformed)
    }
}
