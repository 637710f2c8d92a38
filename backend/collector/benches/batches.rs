//! The load of both benches: requests of 512 spans with 6 resource and 10 span attributes (about 431 bytes per span), half a
//! percent of the traces with an error and half a percent with a 503, every trace new on every send.

use std::ops::Range;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use prost::Message;

pub(crate) const SPANS_PER_BATCH: usize = 512;
const BATCHES: u64 = 16;
const ERRORS_PER_MILLE: u64 = 5;

/// Requests whose trace ids are replaced before each send.
pub(crate) struct Batches {
    batches: Vec<Batch>,
    sent: u64,
}

struct Batch {
    bytes: Vec<u8>,
    /// Where each span's trace id lies, with the number of its trace in the batch.
    ids: Vec<(Range<usize>, u64)>,
    traces: u64,
}

impl Batches {
    /// `seed` keeps the trace ids of several senders apart.
    pub(crate) fn new(spans_per_trace: usize, seed: u64) -> Self {
        let batches = (0..BATCHES)
            .map(|number| Batch::new(spans_per_trace, number))
            .collect();
        Self {
            batches,
            sent: seed << 40,
        }
    }

    /// The next request, and how many traces it begins.
    pub(crate) fn next(&mut self) -> (&[u8], u64) {
        let index = (self.sent % BATCHES) as usize;
        let batch = &mut self.batches[index];
        for (range, trace) in &batch.ids {
            let number = self.sent * 1024 + trace;
            batch.bytes[range.clone()].copy_from_slice(&trace_id(number));
        }
        self.sent += 1;
        (&batch.bytes, batch.traces)
    }
}

impl Batch {
    fn new(spans_per_trace: usize, number: u64) -> Self {
        let spans: Vec<Span> = (0..SPANS_PER_BATCH)
            .map(|at| span(number, at, spans_per_trace))
            .collect();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: resource_attributes(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "checkout".to_owned(),
                        version: "1.4.2".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        let bytes = request.encode_to_vec();
        let mut from = 0;
        let ids = (0..SPANS_PER_BATCH)
            .map(|at| {
                let trace = (at / spans_per_trace) as u64;
                // Tag and length of the field, then the id.
                let field = [&[0x0a, 16], trace_id(number << 32 | trace).as_slice()].concat();
                let found = bytes[from..]
                    .windows(field.len())
                    .position(|window| window == field);
                let start = from + found.expect("each span has its trace id") + 2;
                from = start;
                (start..start + 16, trace)
            })
            .collect();
        Self {
            bytes,
            ids,
            traces: SPANS_PER_BATCH.div_ceil(spans_per_trace) as u64,
        }
    }
}

fn span(batch: u64, at: usize, spans_per_trace: usize) -> Span {
    let trace = (at / spans_per_trace) as u64;
    let random = mix(batch << 32 | at as u64);
    let trace_random = mix(batch << 48 | trace) % 1000;
    let root = at.is_multiple_of(spans_per_trace);
    let failed = root && trace_random < ERRORS_PER_MILLE;
    let unavailable = root && (ERRORS_PER_MILLE..2 * ERRORS_PER_MILLE).contains(&trace_random);
    Span {
        trace_id: trace_id(batch << 32 | trace).to_vec(),
        span_id: (random | 1).to_be_bytes().to_vec(),
        parent_span_id: if root {
            Vec::new()
        } else {
            mix(random).to_be_bytes().to_vec()
        },
        name: format!("GET /v1/tasks/{}", random % 20),
        kind: 2,
        start_time_unix_nano: 1_790_000_000_000_000_000 + random % 1_000_000_000,
        end_time_unix_nano: 1_790_000_001_000_000_000 + random % 900_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", "/v1/tasks/{task_id}"),
            text("url.path", &format!("/v1/tasks/{:012x}", random >> 16)),
            text("url.scheme", "http"),
            int(
                "http.response.status_code",
                if unavailable { 503 } else { 200 },
            ),
            text("server.address", "tasks.internal"),
            int("server.port", 8080),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "tripod/0.1"),
            text(
                "client.address",
                &format!("10.0.{}.{}", random % 250, random % 199),
            ),
        ],
        status: failed.then(|| Status {
            message: "it broke".to_owned(),
            code: 2,
        }),
        ..Span::default()
    }
}

fn resource_attributes() -> Vec<KeyValue> {
    vec![
        text("service.name", "task-service"),
        text("service.namespace", "tripod"),
        text("service.version", "0.1.0"),
        text(
            "service.instance.id",
            "0192f0c1-9c1b-7cc3-98c4-dc0c0c07398f",
        ),
        text("deployment.environment.name", "bench"),
        text("host.name", "localhost"),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn trace_id(number: u64) -> [u8; 16] {
    (u128::from(mix(2 * number)) << 64 | u128::from(mix(2 * number + 1))).to_be_bytes()
}

/// `SplitMix64`: numbers that look random and are the same in every run.
fn mix(number: u64) -> u64 {
    let mut value = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
