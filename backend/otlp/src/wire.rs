//! One pass over an `ExportTraceServiceRequest` (whose bytes are those of `TracesData` too): no objects, and no allocation.
//!
//! The whole request is checked, down to the last attribute of an event: what [`walk`] lets pass can be iterated, stored and
//! sent on without an error. Strictness is the Collector's: fields in any order, unknown ones skipped, of a repeated scalar
//! the last one counts, a known field of another wire type is an error, ids have their exact length or none. Unlike it, groups
//! are an error (no version of OTLP has one) and values nest to a bound. Strings are not checked for UTF-8, as there.
//!
//! A sub-message given twice is merged in protobuf. Here a status is merged; of resources, scopes and values the last one
//! that is not empty counts. No encoder writes them twice.

mod attributes;
mod check;
mod cursor;
pub(crate) mod put;
mod span;
mod tags;
#[cfg(test)]
mod tests;
mod writer;

pub use attributes::{AnyValue, Array, Attributes, RawAttributes};
pub use span::{Event, Events, Link, Links, Resource, Scope, Span};
pub use writer::Writer;

use cursor::{Cursor, LEN, known, tag};

/// Arrays and lists inside each other, in one value. With the messages around it that is just below the hundred nested
/// messages at which protobuf decoders stop by default, so whoever gets the request from us can read it.
pub const VALUE_DEPTH_MAX: usize = 30;

/// Receives what [`walk`] finds: a resource before its scopes, a scope before its spans. A resource without scopes and a
/// scope without spans are told as well.
///
/// When the walk ends in an error, what was told before must be thrown away.
pub trait Visit<'a> {
    /// The scopes that follow belong to this resource.
    fn resource(&mut self, resource: Resource<'a>);
    /// The spans that follow belong to this scope.
    fn scope(&mut self, scope: Scope<'a>);
    /// A span of the last scope.
    fn span(&mut self, span: Span<'a>);
}

/// The bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf at byte {offset}: {reason}")]
pub struct Malformed {
    /// Offset in the request at which it shows.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Walks over a whole request.
///
/// # Errors
/// The bytes are no such message, or values nest deeper than [`VALUE_DEPTH_MAX`].
pub fn walk<'a, V: Visit<'a>>(request: &'a [u8], visitor: &mut V) -> Result<(), Malformed> {
    const RESOURCE_SPANS: u32 = tag(1, LEN);
    let mut fields = Cursor::new(request);
    while let Some(tag) = fields.tag()? {
        match tag {
            RESOURCE_SPANS => resource_spans(fields.message()?, visitor)?,
            _ => fields.skip(tag, known([1]))?,
        }
    }
    Ok(())
}

/// How many spans or log records a request holds. Looks no deeper than it must: the field numbers down to there are the same
/// in both.
///
/// # Errors
/// The part that was looked at is no such message.
pub fn count(request: &[u8]) -> Result<u64, Malformed> {
    const RESOURCES: u32 = tag(1, LEN);
    const SCOPES: u32 = tag(2, LEN);
    const ITEMS: u32 = tag(2, LEN);
    let mut count = 0;
    let mut resources = Cursor::new(request).only(RESOURCES);
    while let Some(resource) = resources.next_message()? {
        let mut scopes = resource.only(SCOPES);
        while let Some(scope) = scopes.next_message()? {
            let mut items = scope.only(ITEMS);
            while items.next_message()?.is_some() {
                count += 1;
            }
        }
    }
    Ok(count)
}

const SCHEMA_URL: u32 = tag(3, LEN);

/// Twice over the fields, since the resource and its schema may stand behind the scopes, as the schema mostly does.
fn resource_spans<'a, V: Visit<'a>>(message: Cursor<'a>, visitor: &mut V) -> Result<(), Malformed> {
    const RESOURCE: u32 = tag(1, LEN);
    const SCOPE_SPANS: u32 = tag(2, LEN);
    let mut resource = Resource::default();
    let mut fields = message;
    while let Some(tag) = fields.tag()? {
        match tag {
            RESOURCE => {
                let message = fields.message()?;
                check::resource(message)?;
                if !message.rest().is_empty() {
                    resource.bytes = message.rest();
                }
            }
            SCHEMA_URL => resource.schema_url = fields.bytes()?,
            _ => fields.skip(tag, known([1, 3]))?,
        }
    }
    visitor.resource(resource);
    let mut scopes = message.only(SCOPE_SPANS);
    while let Some(scope) = scopes.next_message()? {
        scope_spans(scope, visitor)?;
    }
    Ok(())
}

fn scope_spans<'a, V: Visit<'a>>(message: Cursor<'a>, visitor: &mut V) -> Result<(), Malformed> {
    const SCOPE: u32 = tag(1, LEN);
    const SPANS: u32 = tag(2, LEN);
    let mut scope = Scope::default();
    let mut fields = message;
    while let Some(tag) = fields.tag()? {
        match tag {
            SCOPE => {
                let message = fields.message()?;
                check::scope(message)?;
                if !message.rest().is_empty() {
                    scope.bytes = message.rest();
                }
            }
            SCHEMA_URL => scope.schema_url = fields.bytes()?,
            _ => fields.skip(tag, known([1, 3]))?,
        }
    }
    visitor.scope(scope);
    let mut spans = message.only(SPANS);
    while let Some(message) = spans.next_message()? {
        visitor.span(span::read(message)?);
    }
    Ok(())
}
