//! Made-up traces, the same ones from the same seed: several services, errors, nesting, events, links, every type of value.
//! Used by tests and benches.

use opentelemetry_proto::tonic::{
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
    },
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status, TracesData,
        span::{Event, Link},
    },
};
use prost::Message;

const SERVICES: [&str; 6] = [
    "gateway",
    "task-service",
    "worker",
    "billing",
    "search",
    "mail é",
];
const ROUTES: [&str; 5] = ["/v1/tasks", "/v1/tasks/{id}", "/v1/jobs", "/login", "/"];
const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];
const STATUSES: [i64; 6] = [200, 201, 204, 404, 429, 500];
const OPERATIONS: [&str; 4] = ["GetItem", "Query", "PutItem", "TransactWriteItems"];
const MILLISECOND_NS: u64 = 1_000_000;

/// One trace as its ids and the request that brings it.
pub(crate) struct Generated {
    pub trace_id: [u8; 16],
    pub request: Vec<u8>,
    pub spans: usize,
}

/// A generator of numbers (splitmix64).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// A trace whose root starts at `start_ns`.
pub(crate) fn trace(random: &mut Random, start_ns: u64) -> Generated {
    let mut trace_id = [0; 16];
    trace_id[..8].copy_from_slice(&random.next().to_be_bytes());
    trace_id[8..].copy_from_slice(&random.next().to_be_bytes());
    if random.one_in(8) {
        // Ids may begin with zeros, which some answers leave out.
        trace_id[..2].fill(0);
    }
    let count = 1 + random.below(12) as usize;
    let mut spans: Vec<(usize, Span)> = Vec::new();
    for index in 0..count {
        let parent = (index > 0).then(|| random.below(index as u64) as usize);
        let parent = parent.map(|parent| (spans[parent].0, spans[parent].1.clone()));
        let span = span(random, trace_id, start_ns, index, parent.as_ref());
        spans.push(span);
    }
    let request = TracesData {
        resource_spans: resources(random, spans),
    };
    Generated {
        trace_id,
        request: request.encode_to_vec(),
        spans: count,
    }
}

/// Spans by the service in which they run.
fn resources(random: &mut Random, spans: Vec<(usize, Span)>) -> Vec<ResourceSpans> {
    let mut by_service: Vec<Vec<Span>> = vec![Vec::new(); SERVICES.len()];
    for (service, span) in spans {
        by_service[service].push(span);
    }
    let used = by_service
        .into_iter()
        .enumerate()
        .filter(|(_, spans)| !spans.is_empty());
    used.map(|(service, spans)| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", SERVICES[service]),
                text("service.namespace", "shop"),
                text("cloud.region", ["eu-west-1", "us-east-1"][service % 2]),
                pair("replica", Value::IntValue(random.below(3) as i64)),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: format!("lib-{}", service % 3),
                version: "1.2".to_owned(),
                attributes: vec![text("scope.kind", "made-up")],
                ..InstrumentationScope::default()
            }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    })
    .collect()
}

fn span(
    random: &mut Random,
    trace_id: [u8; 16],
    start_ns: u64,
    index: usize,
    parent: Option<&(usize, Span)>,
) -> (usize, Span) {
    let service = match parent {
        Some((service, _)) if !random.one_in(2) => *service,
        _ => random.below(SERVICES.len() as u64) as usize,
    };
    let (earliest, length) = parent.map_or((start_ns, 2_000 * MILLISECOND_NS), |(_, parent)| {
        (
            parent.start_time_unix_nano,
            parent.end_time_unix_nano - parent.start_time_unix_nano,
        )
    });
    let start = earliest + parent.map_or(0, |_| random.below(length / 2 + 1));
    let end = start + 1 + random.below(length * 3 / 4 + 1);
    let kind = match parent {
        None => [2, 5, 1][random.below(3) as usize],
        Some(_) => [1, 2, 3, 3, 4, 5, 0][random.below(7) as usize],
    };
    let mut span = Span {
        trace_id: trace_id.to_vec(),
        span_id: (random.next() | 1).to_be_bytes().to_vec(),
        parent_span_id: parent
            .map(|(_, parent)| parent.span_id.clone())
            .unwrap_or_default(),
        flags: [0, 0x101, 0x301][random.below(3) as usize],
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    };
    describe(random, &mut span, index);
    fail(random, &mut span);
    decorate(random, &mut span);
    (service, span)
}

/// Name and attributes by kind.
fn describe(random: &mut Random, span: &mut Span, index: usize) {
    match span.kind {
        2 => {
            let (method, route) = (random.of(&METHODS), random.of(&ROUTES));
            span.name = format!("{method} {route}");
            span.attributes = vec![
                text("http.request.method", method),
                text("http.route", route),
                pair(
                    "http.response.status_code",
                    Value::IntValue(STATUSES[random.below(6) as usize]),
                ),
            ];
        }
        3 => {
            let operation = random.of(&OPERATIONS);
            span.name = format!("DynamoDB.{operation}");
            span.attributes = vec![
                text("db.system.name", "aws.dynamodb"),
                text("db.operation.name", operation),
                pair(
                    "db.cost",
                    Value::DoubleValue(random.below(1_000) as f64 / 8.0),
                ),
            ];
        }
        4 | 5 => {
            span.name = ["send jobs", "process jobs"][span.kind as usize - 4].to_owned();
            span.attributes = vec![
                text("messaging.system", "aws_sqs"),
                pair(
                    "tripod.job.attempt",
                    Value::IntValue(1 + random.below(4) as i64),
                ),
            ];
        }
        _ => {
            span.name = format!("step {}", index % 4);
            span.attributes = vec![pair("cache.hit", Value::BoolValue(random.one_in(2)))];
        }
    }
}

fn fail(random: &mut Random, span: &mut Span) {
    span.status = match random.below(10) {
        0 => Some(Status {
            code: 2,
            message: ["boom", "timeout", ""][random.below(3) as usize].to_owned(),
        }),
        1 | 2 => Some(Status {
            code: 1,
            message: String::new(),
        }),
        _ => None,
    };
}

/// What only some spans have.
fn decorate(random: &mut Random, span: &mut Span) {
    if random.one_in(3) {
        let tags = ["a", "b", "c"].iter().take(1 + random.below(3) as usize);
        let values = tags
            .map(|tag| any(Value::StringValue((*tag).to_owned())))
            .collect();
        span.attributes
            .push(pair("tags", Value::ArrayValue(ArrayValue { values })));
    }
    if random.one_in(6) {
        span.attributes.push(text("empty.text", ""));
        span.attributes.push(pair("zero", Value::IntValue(0)));
        span.attributes.push(pair(
            "big",
            Value::IntValue(i64::MAX - random.below(3) as i64),
        ));
        span.attributes
            .push(pair("raw", Value::BytesValue(vec![0, 1, 254])));
        let values = vec![text("inner", "<&>"), pair("n", Value::IntValue(-7))];
        span.attributes
            .push(pair("map", Value::KvlistValue(KeyValueList { values })));
    }
    if random.one_in(5) {
        // The same name with different types.
        let value = match random.below(3) {
            0 => Value::StringValue("7".to_owned()),
            1 => Value::IntValue(7),
            _ => Value::DoubleValue(7.0),
        };
        span.attributes.push(pair("mixed", value));
    }
    if span.status.as_ref().is_some_and(|status| status.code == 2) {
        let kind = ["io.Timeout", "db.Conflict"][random.below(2) as usize];
        span.events.push(Event {
            time_unix_nano: span.start_time_unix_nano + random.below(1_000_000),
            name: "exception".to_owned(),
            attributes: vec![text("exception.type", kind)],
            dropped_attributes_count: 0,
        });
    }
    if random.one_in(9) {
        span.links.push(Link {
            trace_id: vec![random.below(4) as u8 + 1; 16],
            span_id: vec![7; 8],
            trace_state: "tripod=t:1".to_owned(),
            attributes: vec![text("link.kind", "follows")],
            flags: 0x101,
            ..Link::default()
        });
    }
    if random.one_in(7) {
        span.trace_state = "vendor=x".to_owned();
        span.dropped_attributes_count = 2;
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}
