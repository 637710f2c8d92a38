//! What the tests send and what they read back: spans described in a few words, requests, and an export that remembers.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use collector::{Clock, Config, Export, ExportError};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use prost::Message;

/// Start of the simulated day.
pub(crate) const START_NS: u64 = 1_790_000_000_000_000_000;

/// The file that the product runs with.
pub(crate) fn configuration_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/collector/collector.yaml")
}

/// Its content, at another decision wait.
pub(crate) fn config(decision_wait: &str) -> Config {
    let wait = decision_wait.to_owned();
    Config::read(&configuration_file(), &move |name| {
        (name == "TRIPOD_DECISION_WAIT").then(|| wait.clone())
    })
    .unwrap()
}

/// The collector's own predicate, written down a second time: 5 % by FNV-1a over salt and trace id.
pub(crate) fn hash_keeps(trace_id: &[u8; 16]) -> bool {
    let bytes = b"tripod-v1".iter().chain(trace_id);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash <= 0x0CCC_CCCC_CCCC_CCFF
}

/// The `number`-th of a fixed sequence of trace ids, spread like random ones.
pub(crate) fn trace_id(number: u64) -> [u8; 16] {
    (u128::from(mix(2 * number)) << 64 | u128::from(mix(2 * number + 1))).to_be_bytes()
}

/// `SplitMix64`: numbers that look random and are the same everywhere.
pub(crate) fn mix(number: u64) -> u64 {
    let mut value = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One span of `service` with the given attributes.
pub(crate) fn span(trace_id: [u8; 16], number: u64, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: trace_id.to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        parent_span_id: if number == 0 {
            Vec::new()
        } else {
            number.to_be_bytes().to_vec()
        },
        name: format!("operation {number}"),
        kind: 2,
        start_time_unix_nano: START_NS + number * 1_000_000,
        end_time_unix_nano: START_NS + number * 1_000_000 + 500_000,
        attributes,
        ..Span::default()
    }
}

pub(crate) fn failed(mut span: Span) -> Span {
    span.status = Some(Status {
        message: "it broke".to_owned(),
        code: 2,
    });
    span
}

pub(crate) fn late(mut span: Span) -> Span {
    span.attributes
        .push(attribute("tripod.late", Value::BoolValue(true)));
    span
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

/// A request with the spans of each service under its resource, in the order given.
pub(crate) fn request(spans: &[(&str, Span)]) -> Bytes {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    for run in spans.chunk_by(|one, other| one.0 == other.0) {
        resource_spans.push(ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", run[0].0)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: format!("{}-library", run[0].0),
                    ..InstrumentationScope::default()
                }),
                spans: run.iter().map(|(_, span)| span.clone()).collect(),
                schema_url: "https://opentelemetry.io/schemas/1.42.0".to_owned(),
            }],
            schema_url: String::new(),
        });
    }
    ExportTraceServiceRequest { resource_spans }
        .encode_to_vec()
        .into()
}

/// Time that stands still until it is moved.
#[derive(Clone, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn pass(&self, time: Duration) {
        self.0
            .fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Arc::new(move || Duration::from_millis(now.load(Ordering::SeqCst)))
    }
}

/// An export that remembers, and fails while it is told to.
#[derive(Default)]
pub(crate) struct Kept {
    requests: Mutex<Vec<Bytes>>,
    pub(crate) broken: AtomicBool,
    pub(crate) attempts: AtomicU64,
}

impl Export for Kept {
    fn export(&self, request: Bytes, spans: u64) -> Result<(), ExportError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(ExportError::Unavailable("switched off".into()));
        }
        assert_eq!(
            flatten(&request).len() as u64,
            spans,
            "the export is told how many spans it gets"
        );
        self.requests.lock().unwrap().push(request);
        Ok(())
    }
}

impl Kept {
    /// Every span that was exported, with its service, as often as it was.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .flat_map(|request| flatten(request))
            .collect()
    }

    /// How often each span of each trace was exported.
    pub(crate) fn counted(&self) -> HashMap<(Vec<u8>, Vec<u8>), u64> {
        let mut counted = HashMap::new();
        for (_, span) in self.spans() {
            *counted.entry((span.trace_id, span.span_id)).or_default() += 1;
        }
        counted
    }
}

/// The spans of a request with their service. Fails if a span's scope is not its service's.
fn flatten(request: &[u8]) -> Vec<(String, Span)> {
    let mut spans = Vec::new();
    for resource_spans in ExportTraceServiceRequest::decode(request)
        .unwrap()
        .resource_spans
    {
        let attributes = resource_spans.resource.unwrap_or_default().attributes;
        let name = attributes
            .first()
            .and_then(|service| service.value.clone()?.value);
        let Some(Value::StringValue(service)) = name else {
            panic!("a resource without its service")
        };
        for scope_spans in resource_spans.scope_spans {
            assert_eq!(
                scope_spans.scope.unwrap_or_default().name,
                format!("{service}-library")
            );
            assert_eq!(
                scope_spans.schema_url,
                "https://opentelemetry.io/schemas/1.42.0"
            );
            spans.extend(
                scope_spans
                    .spans
                    .into_iter()
                    .map(|span| (service.clone(), span)),
            );
        }
    }
    spans
}
