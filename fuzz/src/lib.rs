//! What more than one fuzz target checks: the promises of the walk over a trace request.
//!
//! A broken promise is a panic, as is everything that a fuzz target finds.

use otlp::wire::{
    AnyValue, Attributes, Malformed, Resource, Scope, Span, VALUE_DEPTH_MAX, Visit, Writer, count,
    walk,
};

/// Walks a request, looks at all that is in it, and writes it anew: what the walk lets pass can be iterated, stored and sent
/// on without an error.
///
/// # Errors
/// The walk does not let it pass.
pub fn check_trace_request(request: &[u8]) -> Result<(), Malformed> {
    let mut seen = Seen::default();
    walk(request, &mut seen)?;
    assert_eq!(count(request), Ok(seen.spans.len() as u64));

    let mut writer = Writer::new();
    for (resource, scope, span) in &seen.spans {
        writer.span(resource, scope, span);
    }
    let written = writer.finish();
    let mut again = Seen::default();
    walk(&written, &mut again).expect("what is written can be walked");
    assert_eq!(seen.spans, again.spans);
    Ok(())
}

/// All spans with what they came with.
#[derive(Default)]
struct Seen<'a> {
    resource: Resource<'a>,
    scope: Scope<'a>,
    spans: Vec<(Resource<'a>, Scope<'a>, &'a [u8])>,
}

impl<'a> Visit<'a> for Seen<'a> {
    fn resource(&mut self, resource: Resource<'a>) {
        check_attributes(resource.attributes(), 0);
        resource.attributes_dropped();
        self.resource = resource;
    }

    fn scope(&mut self, scope: Scope<'a>) {
        check_attributes(scope.attributes(), 0);
        (scope.name(), scope.version(), scope.attributes_dropped());
        self.scope = scope;
    }

    fn span(&mut self, span: Span<'a>) {
        check_id(span.trace_id, 16);
        check_id(span.span_id, 8);
        check_id(span.parent_span_id, 8);
        check_attributes(span.attributes(), 0);
        for event in span.events() {
            check_attributes(event.attributes(), 0);
        }
        for link in span.links() {
            check_id(link.trace_id, 16);
            check_id(link.span_id, 8);
            check_attributes(link.attributes(), 0);
        }
        self.spans.push((self.resource, self.scope, span.bytes));
    }
}

fn check_id(id: &[u8], length: usize) {
    assert!(id.is_empty() || id.len() == length);
}

/// None is skipped but those whose keys are no text.
fn check_attributes(attributes: Attributes<'_>, depth: usize) {
    let mut named = 0;
    for (key, value) in attributes.raw() {
        let value = AnyValue::decode(value).expect("the walk checks every value");
        check_value(value, depth);
        named += usize::from(str::from_utf8(key).is_ok());
    }
    assert_eq!(attributes.count(), named);
}

fn check_value(value: AnyValue<'_>, depth: usize) {
    assert!(depth <= VALUE_DEPTH_MAX);
    match value {
        AnyValue::Array(values) => values.for_each(|value| check_value(value, depth + 1)),
        AnyValue::KeyValues(values) => check_attributes(values, depth + 1),
        _ => {}
    }
}
