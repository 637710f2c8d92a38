//! What more than one fuzz target checks or needs: the promises of the walk over a trace request, stores with odd contents, and
//! surroundings in which rules can be evaluated.
//!
//! A broken promise is a panic, as is everything that a fuzz target finds.

pub mod metrics;

use alerting::Surroundings;
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

/// The folder of a store whose log has one frame with this body and the right checksum.
pub fn log_of(body: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let mut log = b"TRPDWAL1".to_vec();
    log.extend_from_slice(&(body.len() as u32).to_le_bytes());
    log.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    log.extend_from_slice(body);
    std::fs::write(dir.path().join("00000001.wal"), log).expect("a file can be written");
    dir
}

/// A record without terms, as a frame holds it.
pub fn frame_record(key: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    for number in [key, 1, u64::MAX / 2] {
        record.extend_from_slice(&number.to_le_bytes());
    }
    record.extend_from_slice(&0_u32.to_le_bytes());
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(payload);
    record
}

/// Blocks of a few pages.
pub fn small_blocks() -> blocks::Options {
    blocks::Options {
        block_bytes: 1 << 20,
        ..blocks::Options::default()
    }
}

/// Scans everything and looks every key up; how many records there are. What cannot be read is left out.
pub fn read_everything(store: &blocks::Store) -> u64 {
    let snapshot = store.snapshot();
    let scan = blocks::Scan {
        time_ns: 0..u64::MAX,
        ..blocks::Scan::default()
    };
    let mut records = 0;
    for page in snapshot.scan(&scan).flatten() {
        for stored in page.records() {
            records += 1;
            let found = snapshot.find(stored.key);
            assert!(
                found.is_err() || found.is_ok_and(|found| !found.is_empty()),
                "a record that a scan finds is found by its key"
            );
        }
    }
    let filtered = blocks::Scan {
        any_of: vec![vec![vec![5, 6], vec![1]]],
        ..scan
    };
    let _ = snapshot.scan(&filtered).count();
    records
}

/// Evaluates rules on a few series in memory.
pub fn with_surroundings(evaluate: impl FnOnce(&Surroundings<'_>)) {
    let memory = metrics::Memory::new();
    evaluate(&Surroundings {
        engine: &metrics::engine(),
        source: &memory,
        append: &memory,
        external_labels: &tsdb::Labels::new([("env", "dev")]),
        external_url: "http://127.0.0.1:9090/prometheus",
    });
}
