//! How many spans per second one core walks over: alone, with each span's attributes, and with what a sampler reads and
//! writes. Spans have the ten attributes of an HTTP server span and come 512 in a request, as exporters send them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ResourceMessage,
    trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage, Status},
};
use otlp::wire::{self, Resource, Scope, Span, Visit, Writer};
use prost::Message as _;

const SPANS: u64 = 512;

/// Sums up ids and status, so that they are read.
#[derive(Default)]
struct Ids(u64);

/// The same, and looks for an attribute as a policy does.
#[derive(Default)]
struct Sought(Ids);

/// The same, and decodes every attribute.
#[derive(Default)]
struct Decoded(Ids);

/// Writes every span to a new request.
#[derive(Default)]
struct Copy<'a> {
    resource: Resource<'a>,
    scope: Scope<'a>,
    writer: Writer,
}

impl<'a> Visit<'a> for Ids {
    fn resource(&mut self, _: Resource<'a>) {}

    fn scope(&mut self, _: Scope<'a>) {}

    fn span(&mut self, span: Span<'a>) {
        let ids = [span.trace_id, span.span_id, span.parent_span_id];
        self.0 += ids
            .iter()
            .map(|id| id.iter().map(|byte| u64::from(*byte)).sum::<u64>())
            .sum::<u64>();
        self.0 += span.status_code as u64 + span.end_ns.saturating_sub(span.start_ns);
    }
}

impl<'a> Visit<'a> for Sought {
    fn resource(&mut self, _: Resource<'a>) {}

    fn scope(&mut self, _: Scope<'a>) {}

    fn span(&mut self, span: Span<'a>) {
        self.0.span(span);
        for (key, value) in span.attributes().raw() {
            if key == b"http.response.status_code"
                && let Some(wire::AnyValue::Int(status)) = wire::AnyValue::decode(value)
            {
                self.0.0 += status as u64;
            }
        }
    }
}

impl<'a> Visit<'a> for Decoded {
    fn resource(&mut self, _: Resource<'a>) {}

    fn scope(&mut self, _: Scope<'a>) {}

    fn span(&mut self, span: Span<'a>) {
        self.0.span(span);
        for (key, value) in span.attributes() {
            self.0.0 += key.len() as u64 + u64::from(matches!(value, wire::AnyValue::Int(_)));
        }
    }
}

impl<'a> Visit<'a> for Copy<'a> {
    fn resource(&mut self, resource: Resource<'a>) {
        self.resource = resource;
    }

    fn scope(&mut self, scope: Scope<'a>) {
        self.scope = scope;
    }

    fn span(&mut self, span: Span<'a>) {
        self.writer.span(&self.resource, &self.scope, span.bytes);
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn span(number: u64) -> SpanMessage {
    let text = |key, value: &str| attribute(key, Value::StringValue(value.to_owned()));
    SpanMessage {
        trace_id: u128::from(number / 3)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
            .to_vec(),
        span_id: number
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes()
            .to_vec(),
        parent_span_id: vec![1; 8],
        name: "GET /v1/tasks/{task_id}".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_780_000_000_000_000_000 + number,
        end_time_unix_nano: 1_780_000_000_005_000_000 + number,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.path", "/v1/tasks/0198f2c4-6f0e-7c3a"),
            text("url.scheme", "http"),
            text("http.route", "/v1/tasks/{task_id}"),
            attribute("http.response.status_code", Value::IntValue(200)),
            text("server.address", "gateway.tripod.internal"),
            attribute("server.port", Value::IntValue(8080)),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "curl/8.14.1"),
            text("client.address", "127.0.0.1"),
        ],
        status: Some(Status::default()),
        flags: 0x101,
        ..SpanMessage::default()
    }
}

fn request() -> Vec<u8> {
    let service = attribute("service.name", Value::StringValue("gateway".to_owned()));
    let scope = InstrumentationScope {
        name: "tripod".to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: (0..SPANS).map(span).collect(),
        schema_url: String::new(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(ResourceMessage {
            attributes: vec![service],
            ..ResourceMessage::default()
        }),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
    .encode_to_vec()
}

fn walk(criterion: &mut Criterion) {
    let request = request();
    let mut group = criterion.benchmark_group("walk");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("count", |bencher| {
        bencher.iter(|| wire::count(black_box(&request)))
    });
    group.bench_function("ids and status", |bencher| {
        bencher.iter(|| {
            let mut visitor = Ids::default();
            wire::walk(black_box(&request), &mut visitor).map(|()| visitor.0)
        });
    });
    group.bench_function("ids, status and one attribute", |bencher| {
        bencher.iter(|| {
            let mut visitor = Sought::default();
            wire::walk(black_box(&request), &mut visitor).map(|()| visitor.0.0)
        });
    });
    group.bench_function("ids, status and all attributes", |bencher| {
        bencher.iter(|| {
            let mut visitor = Decoded::default();
            wire::walk(black_box(&request), &mut visitor).map(|()| visitor.0.0)
        });
    });
    group.bench_function("walk and write", |bencher| {
        bencher.iter(|| {
            let mut visitor = Copy::default();
            wire::walk(black_box(&request), &mut visitor).map(|()| visitor.writer.finish())
        });
    });
    group.bench_function("prost, for scale", |bencher| {
        bencher.iter(|| ExportTraceServiceRequest::decode(black_box(&request[..])));
    });
    group.finish();
}

criterion_group!(benches, walk);
criterion_main!(benches);
