//! The messages of OTLP as tables: name, number and kind of each field
//! (<https://github.com/open-telemetry/opentelemetry-proto>, version 1).

/// A message.
pub(super) struct Schema(&'static [Field]);

pub(super) struct Field {
    /// In JSON: the one of the `.proto` file in camel case.
    pub name: &'static str,
    pub number: u32,
    pub kind: Kind,
    /// An array in JSON.
    pub repeated: bool,
}

/// How a value is written, in JSON and in protobuf.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    /// Base64 in JSON.
    Bytes,
    /// 16 bytes, or none; hexadecimal in JSON.
    TraceId,
    /// 8 bytes, or none; hexadecimal in JSON.
    SpanId,
    Bool,
    Int64,
    Uint32,
    Fixed32,
    Fixed64,
    Double,
    /// Names of the values, in their order from 0.
    Enum(&'static [&'static str]),
    Message(&'static Schema),
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Int64, Message, SpanId, String, TraceId, Uint32,
};

impl Schema {
    /// JSON may use the name of the `.proto` file as well.
    pub(super) fn field(&'static self, name: &str) -> Option<&'static Field> {
        self.0
            .iter()
            .find(|field| field.name == name || is_in_snake_case(name, field.name))
    }
}

/// Whether `name` is `camel` with words parted by underscores.
fn is_in_snake_case(name: &str, camel: &str) -> bool {
    let mut name = name.bytes();
    camel.bytes().all(|byte| {
        (byte.is_ascii_lowercase() || name.next() == Some(b'_'))
            && name.next() == Some(byte.to_ascii_lowercase())
    }) && name.next().is_none()
}

const fn field(name: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        name,
        number,
        kind,
        repeated: false,
    }
}

const fn repeated(name: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        repeated: true,
        ..field(name, number, kind)
    }
}

/// `ExportTraceServiceRequest`.
pub(super) static TRACES: Schema =
    Schema(&[repeated("resourceSpans", 1, Message(&RESOURCE_SPANS))]);

/// `ExportLogsServiceRequest`.
pub(super) static LOGS: Schema = Schema(&[repeated("resourceLogs", 1, Message(&RESOURCE_LOGS))]);

static RESOURCE_SPANS: Schema = Schema(&[
    field("resource", 1, Message(&RESOURCE)),
    repeated("scopeSpans", 2, Message(&SCOPE_SPANS)),
    field("schemaUrl", 3, String),
]);

static SCOPE_SPANS: Schema = Schema(&[
    field("scope", 1, Message(&SCOPE)),
    repeated("spans", 2, Message(&SPAN)),
    field("schemaUrl", 3, String),
]);

static RESOURCE_LOGS: Schema = Schema(&[
    field("resource", 1, Message(&RESOURCE)),
    repeated("scopeLogs", 2, Message(&SCOPE_LOGS)),
    field("schemaUrl", 3, String),
]);

static SCOPE_LOGS: Schema = Schema(&[
    field("scope", 1, Message(&SCOPE)),
    repeated("logRecords", 2, Message(&LOG_RECORD)),
    field("schemaUrl", 3, String),
]);

static RESOURCE: Schema = Schema(&[
    repeated("attributes", 1, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 2, Uint32),
    repeated("entityRefs", 3, Message(&ENTITY_REF)),
]);

static ENTITY_REF: Schema = Schema(&[
    field("schemaUrl", 1, String),
    field("type", 2, String),
    repeated("idKeys", 3, String),
    repeated("descriptionKeys", 4, String),
]);

static SCOPE: Schema = Schema(&[
    field("name", 1, String),
    field("version", 2, String),
    repeated("attributes", 3, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 4, Uint32),
]);

static SPAN: Schema = Schema(&[
    field("traceId", 1, TraceId),
    field("spanId", 2, SpanId),
    field("traceState", 3, String),
    field("parentSpanId", 4, SpanId),
    field("name", 5, String),
    field("kind", 6, Enum(SPAN_KINDS)),
    field("startTimeUnixNano", 7, Fixed64),
    field("endTimeUnixNano", 8, Fixed64),
    repeated("attributes", 9, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 10, Uint32),
    repeated("events", 11, Message(&EVENT)),
    field("droppedEventsCount", 12, Uint32),
    repeated("links", 13, Message(&LINK)),
    field("droppedLinksCount", 14, Uint32),
    field("status", 15, Message(&STATUS)),
    field("flags", 16, Fixed32),
]);

static EVENT: Schema = Schema(&[
    field("timeUnixNano", 1, Fixed64),
    field("name", 2, String),
    repeated("attributes", 3, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 4, Uint32),
]);

static LINK: Schema = Schema(&[
    field("traceId", 1, TraceId),
    field("spanId", 2, SpanId),
    field("traceState", 3, String),
    repeated("attributes", 4, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 5, Uint32),
    field("flags", 6, Fixed32),
]);

static STATUS: Schema = Schema(&[
    field("message", 2, String),
    field("code", 3, Enum(STATUS_CODES)),
]);

static LOG_RECORD: Schema = Schema(&[
    field("timeUnixNano", 1, Fixed64),
    field("severityNumber", 2, Enum(SEVERITIES)),
    field("severityText", 3, String),
    field("body", 5, Message(&ANY_VALUE)),
    repeated("attributes", 6, Message(&KEY_VALUE)),
    field("droppedAttributesCount", 7, Uint32),
    field("flags", 8, Fixed32),
    field("traceId", 9, TraceId),
    field("spanId", 10, SpanId),
    field("observedTimeUnixNano", 11, Fixed64),
    field("eventName", 12, String),
]);

static KEY_VALUE: Schema = Schema(&[
    field("key", 1, String),
    field("value", 2, Message(&ANY_VALUE)),
]);

static ANY_VALUE: Schema = Schema(&[
    field("stringValue", 1, String),
    field("boolValue", 2, Bool),
    field("intValue", 3, Int64),
    field("doubleValue", 4, Double),
    field("arrayValue", 5, Message(&ARRAY_VALUE)),
    field("kvlistValue", 6, Message(&KEY_VALUE_LIST)),
    field("bytesValue", 7, Bytes),
]);

static ARRAY_VALUE: Schema = Schema(&[repeated("values", 1, Message(&ANY_VALUE))]);

static KEY_VALUE_LIST: Schema = Schema(&[repeated("values", 1, Message(&KEY_VALUE))]);

const SPAN_KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
