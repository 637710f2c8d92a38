//! Puts spans, still encoded, into a new request: a concatenation, not an encoding.

use std::ops::Range;

use super::cursor::{LEN, tag};
use super::{Resource, Scope, put};

const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPAN: u32 = 2;
const SCHEMA_URL: u32 = 3;

/// Bytes kept free for the length of a message whose end is not known yet. Numbers padded to that are valid protobuf; they
/// reach to 32 GiB.
const LENGTH_BYTES: usize = 5;

/// Builds an `ExportTraceServiceRequest`. Spans that follow each other with equal resource and scope are grouped.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    resource: Option<Group>,
    scope: Option<Group>,
}

/// A message that is still being filled.
#[derive(Clone, Debug)]
struct Group {
    /// Where its content starts.
    content: usize,
    /// Where its resource or scope lies, and its schema.
    head: Range<usize>,
    schema_url: Range<usize>,
}

impl Writer {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one span.
    pub fn span(&mut self, resource: &Resource<'_>, scope: &Scope<'_>, span: &[u8]) {
        if !self.is_open(&self.resource, resource.bytes, resource.schema_url) {
            self.close_scope();
            self.close_resource();
            let group = self.open(
                RESOURCE_SPANS,
                (RESOURCE, resource.bytes),
                resource.schema_url,
            );
            self.resource = Some(group);
        }
        if !self.is_open(&self.scope, scope.bytes, scope.schema_url) {
            self.close_scope();
            let group = self.open(SCOPE_SPANS, (SCOPE, scope.bytes), scope.schema_url);
            self.scope = Some(group);
        }
        self.field(SPAN, span);
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// No span was added yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The request.
    pub fn finish(mut self) -> Vec<u8> {
        self.close_scope();
        self.close_resource();
        self.out
    }

    fn is_open(&self, group: &Option<Group>, head: &[u8], schema_url: &[u8]) -> bool {
        group.as_ref().is_some_and(|group| {
            self.out[group.head.clone()] == *head
                && self.out[group.schema_url.clone()] == *schema_url
        })
    }

    fn open(&mut self, number: u32, (head_number, head): (u32, &[u8]), schema_url: &[u8]) -> Group {
        put::varint(&mut self.out, tag(number, LEN).into());
        self.out.extend_from_slice(&[0; LENGTH_BYTES]);
        let content = self.out.len();
        let head = self.field(head_number, head);
        let end = self.out.len();
        let schema_url = if schema_url.is_empty() {
            end..end
        } else {
            self.field(SCHEMA_URL, schema_url)
        };
        Group {
            content,
            head,
            schema_url,
        }
    }

    fn close_scope(&mut self) {
        if let Some(group) = self.scope.take() {
            self.close(group.content);
        }
    }

    fn close_resource(&mut self) {
        if let Some(group) = self.resource.take() {
            self.close(group.content);
        }
    }

    fn close(&mut self, content: usize) {
        let mut length = self.out.len() - content;
        let (last, rest) = self.out[content - LENGTH_BYTES..content]
            .split_last_mut()
            .expect("bytes were kept free");
        for byte in rest {
            *byte = length as u8 & 0x7f | 0x80;
            length >>= 7;
        }
        *last = length as u8;
    }

    /// Writes a field with a length, and says where its content lies.
    fn field(&mut self, number: u32, content: &[u8]) -> Range<usize> {
        put::bytes_field(&mut self.out, number, content);
        self.out.len() - content.len()..self.out.len()
    }
}
