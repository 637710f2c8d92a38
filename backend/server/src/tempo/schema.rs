//! The messages of Tempo's answers as tables (<https://github.com/grafana/tempo>, `pkg/tempopb`), and what sets their fields.
//! The numbers of a message stand here once: its table, and beside it what writes it.

use traceql::model::AttributeValue;

use super::json::{Field, Kind, Presence, Schema};
use super::proto::Message;

use Kind::{Bool, Bytes, Double, Enum, Int64, Map, String, Uint32, Uint64};
use Presence::{Always, AlwaysRepeated, Explicit, Oneof, Repeated};

const fn field(name: &'static str, number: u32, kind: Kind, presence: Presence) -> Field {
    Field {
        name,
        number,
        kind,
        presence,
    }
}

const fn optional(name: &'static str, number: u32, kind: Kind) -> Field {
    field(name, number, kind, Explicit)
}

const fn one_of(name: &'static str, number: u32, kind: Kind) -> Field {
    field(name, number, kind, Oneof)
}

const fn many(name: &'static str, number: u32, schema: &'static Schema) -> Field {
    field(name, number, Kind::Message(schema), Repeated)
}

/// A trace in the first version of the API, whose only field is called otherwise there.
pub(super) static TRACE_V1: Schema = Schema(&[many("batches", 1, &RESOURCE_SPANS)]);
static TRACE: Schema = Schema(&[many("resourceSpans", 1, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Schema = Schema(&[
    field("resource", 1, Kind::Message(&RESOURCE), Always),
    many("scopeSpans", 2, &SCOPE_SPANS),
    optional("schemaUrl", 3, String),
]);
static RESOURCE: Schema = Schema(&[
    many("attributes", 1, &KEY_VALUE),
    optional("droppedAttributesCount", 2, Uint32),
]);
static SCOPE_SPANS: Schema = Schema(&[
    field("scope", 1, Kind::Message(&SCOPE), Always),
    many("spans", 2, &SPAN),
    optional("schemaUrl", 3, String),
]);
static SCOPE: Schema = Schema(&[
    optional("name", 1, String),
    optional("version", 2, String),
    many("attributes", 3, &KEY_VALUE),
    optional("droppedAttributesCount", 4, Uint32),
]);
pub(super) static SPAN: Schema = Schema(&[
    optional("traceId", 1, Bytes),
    optional("spanId", 2, Bytes),
    optional("traceState", 3, String),
    optional("parentSpanId", 4, Bytes),
    optional("flags", 16, Uint32),
    optional("name", 5, String),
    optional("kind", 6, Enum(&SPAN_KINDS)),
    optional("startTimeUnixNano", 7, Uint64),
    optional("endTimeUnixNano", 8, Uint64),
    many("attributes", 9, &KEY_VALUE),
    optional("droppedAttributesCount", 10, Uint32),
    many("events", 11, &EVENT),
    optional("droppedEventsCount", 12, Uint32),
    many("links", 13, &LINK),
    optional("droppedLinksCount", 14, Uint32),
    field("status", 15, Kind::Message(&STATUS), Always),
]);
const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static STATUS: Schema = Schema(&[
    optional("message", 2, String),
    optional("code", 3, Enum(&STATUS_CODES)),
]);
const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
static EVENT: Schema = Schema(&[
    optional("timeUnixNano", 1, Uint64),
    optional("name", 2, String),
    many("attributes", 3, &KEY_VALUE),
    optional("droppedAttributesCount", 4, Uint32),
]);
static LINK: Schema = Schema(&[
    optional("traceId", 1, Bytes),
    optional("spanId", 2, Bytes),
    optional("traceState", 3, String),
    many("attributes", 4, &KEY_VALUE),
    optional("droppedAttributesCount", 5, Uint32),
    optional("flags", 6, Uint32),
]);

pub(super) static KEY_VALUE: Schema = Schema(&[
    optional("key", 1, String),
    optional("value", 2, Kind::Message(&ANY_VALUE)),
]);
pub(super) static ANY_VALUE: Schema = Schema(&[
    one_of("stringValue", 1, String),
    one_of("boolValue", 2, Bool),
    one_of("intValue", 3, Int64),
    one_of("doubleValue", 4, Double),
    one_of("arrayValue", 5, Kind::Message(&VALUES)),
    one_of("kvlistValue", 6, Kind::Message(&PAIRS)),
    one_of("bytesValue", 7, Bytes),
]);
static VALUES: Schema = Schema(&[many("values", 1, &ANY_VALUE)]);
static PAIRS: Schema = Schema(&[many("values", 1, &KEY_VALUE)]);

/// `KeyValue`.
pub(super) fn key_value(key: &str, value: &AttributeValue) -> Message {
    let mut pair = Message::default();
    pair.text(1, key);
    pair.message(2, &any_value(value));
    pair
}

fn any_value(value: &AttributeValue) -> Message {
    let mut any = Message::default();
    match value {
        AttributeValue::String(text) => any.set_bytes(1, text.as_bytes()),
        AttributeValue::Bool(flag) => any.set_number(2, u64::from(*flag)),
        AttributeValue::Int(number) => any.set_number(3, *number as u64),
        AttributeValue::Double(number) => any.set_double(4, *number),
        AttributeValue::Array(values) => {
            let mut array = Message::default();
            for value in values {
                array.message(1, &any_value(value));
            }
            any.message(5, &array);
        }
    }
    any
}

/// The answer to a trace by its id, second version.
pub(super) static TRACE_BY_ID: Schema = Schema(&[
    field("trace", 1, Kind::Message(&TRACE), Always),
    field("metrics", 2, Kind::Message(&TRACE_BY_ID_METRICS), Always),
    optional("status", 3, Enum(&PARTIAL_STATUS)),
    optional("message", 4, String),
]);
static TRACE_BY_ID_METRICS: Schema = Schema(&[optional("inspectedBytes", 1, Uint64)]);
const PARTIAL_STATUS: [&str; 2] = ["COMPLETE", "PARTIAL"];
/// The second of `PARTIAL_STATUS`.
pub(super) const PARTIAL: u64 = 1;

pub(super) static SEARCH: Schema = Schema(&[
    field("traces", 1, Kind::Message(&TRACE_SUMMARY), AlwaysRepeated),
    field("metrics", 2, Kind::Message(&SEARCH_METRICS), Always),
]);
static TRACE_SUMMARY: Schema = Schema(&[
    optional("traceID", 1, String),
    optional("rootServiceName", 2, String),
    optional("rootTraceName", 3, String),
    optional("startTimeUnixNano", 4, Uint64),
    optional("durationMs", 5, Uint32),
    optional("spanSet", 6, Kind::Message(&SPAN_SET)),
    many("spanSets", 7, &SPAN_SET),
    optional("serviceStats", 8, Map(&SERVICE_STATS)),
]);
static SERVICE_STATS: Schema = Schema(&[
    optional("spanCount", 1, Uint32),
    optional("errorCount", 2, Uint32),
]);
static SPAN_SET: Schema = Schema(&[
    many("spans", 1, &SPAN_SUMMARY),
    optional("matched", 2, Uint32),
    many("attributes", 3, &KEY_VALUE),
]);
static SPAN_SUMMARY: Schema = Schema(&[
    optional("spanID", 1, String),
    optional("name", 2, String),
    optional("startTimeUnixNano", 3, Uint64),
    optional("durationNanos", 4, Uint64),
    many("attributes", 5, &KEY_VALUE),
]);
static SEARCH_METRICS: Schema = Schema(&[
    optional("inspectedTraces", 1, Uint32),
    optional("inspectedBytes", 2, Uint64),
    optional("completedJobs", 4, Uint32),
    optional("totalJobs", 5, Uint32),
    optional("inspectedSpans", 7, Uint64),
]);

pub(super) static TAGS: Schema = Schema(&[
    field("tagNames", 1, String, AlwaysRepeated),
    field("metrics", 2, Kind::Message(&METADATA_METRICS), Always),
]);
pub(super) static TAGS_V2: Schema = Schema(&[
    field("scopes", 1, Kind::Message(&TAGS_OF_SCOPE), AlwaysRepeated),
    field("metrics", 2, Kind::Message(&METADATA_METRICS), Always),
]);
static TAGS_OF_SCOPE: Schema = Schema(&[
    optional("name", 1, String),
    field("tags", 2, String, Repeated),
]);
pub(super) static TAG_VALUES: Schema = Schema(&[
    field("tagValues", 1, String, AlwaysRepeated),
    field("metrics", 2, Kind::Message(&METADATA_METRICS), Always),
]);
pub(super) static TAG_VALUES_V2: Schema = Schema(&[
    field("tagValues", 1, Kind::Message(&TAG_VALUE), AlwaysRepeated),
    field("metrics", 2, Kind::Message(&METADATA_METRICS), Always),
]);
static TAG_VALUE: Schema = Schema(&[optional("type", 1, String), optional("value", 2, String)]);
static METADATA_METRICS: Schema = Schema(&[
    optional("inspectedBytes", 1, Uint64),
    optional("totalJobs", 2, Uint32),
    optional("completedJobs", 3, Uint32),
]);

pub(super) static QUERY_RANGE: Schema = Schema(&[
    field("series", 1, Kind::Message(&TIME_SERIES), AlwaysRepeated),
    field("metrics", 2, Kind::Message(&SEARCH_METRICS), Always),
    optional("status", 3, Enum(&PARTIAL_STATUS)),
    optional("message", 4, String),
]);
static TIME_SERIES: Schema = Schema(&[
    many("labels", 1, &KEY_VALUE),
    many("samples", 2, &SAMPLE),
    many("exemplars", 4, &EXEMPLAR),
]);
static SAMPLE: Schema = Schema(&[
    optional("timestampMs", 2, Int64),
    optional("value", 1, Double),
]);
static EXEMPLAR: Schema = Schema(&[
    many("labels", 1, &KEY_VALUE),
    optional("value", 2, Double),
    optional("timestampMs", 3, Int64),
]);
pub(super) static QUERY_INSTANT: Schema = Schema(&[
    many("series", 1, &INSTANT_SERIES),
    field("metrics", 2, Kind::Message(&SEARCH_METRICS), Always),
    optional("status", 3, Enum(&PARTIAL_STATUS)),
    optional("message", 4, String),
]);
static INSTANT_SERIES: Schema =
    Schema(&[many("labels", 1, &KEY_VALUE), optional("value", 2, Double)]);
