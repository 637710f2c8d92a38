//! Answers as JSON in Loki's shape.

use std::collections::BTreeMap;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use logql::{Scanned, Stream};
use serde::Serialize;
use serde_json::{Value, json};
use tsdb::{Labels, Sample, Series};

use super::API_VERSION;
use crate::go;

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

pub(super) fn success<T: Serialize>(data: Option<T>) -> Response {
    json_of(&Success {
        status: "success",
        data,
    })
}

pub(super) fn json_of(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("texts, numbers, lists and maps of text are JSON");
    let headers = [(header::CONTENT_TYPE, "application/json; charset=UTF-8")];
    (headers, body).into_response()
}

/// A status and one text under a name.
pub(super) fn formatted(code: StatusCode, status: &str, name: &str, text: &str) -> Response {
    let body = json!({"status": status, name: text}).to_string();
    let headers = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (code, headers, body).into_response()
}

/// Lines, stream by stream.
pub(super) fn streams(streams: &[Stream], scanned: Scanned) -> Response {
    let result: Vec<Value> = streams
        .iter()
        .map(|stream| {
            let values = stream.entries.iter();
            let values: Vec<Value> = values
                .map(|entry| json!([entry.t_ns.to_string(), entry.line]))
                .collect();
            json!({"stream": map(&stream.labels), "values": values})
        })
        .collect();
    let entries = streams.iter().map(|stream| stream.entries.len()).sum();
    data("streams", Value::Array(result), scanned, entries)
}

pub(super) fn matrix(series: &[Series], scanned: Scanned) -> Response {
    let result: Vec<Value> = series
        .iter()
        .map(|series| {
            let values: Vec<Value> = series.samples.iter().map(point).collect();
            json!({"metric": map(&series.labels), "values": values})
        })
        .collect();
    let samples = series.iter().map(|series| series.samples.len()).sum();
    data("matrix", Value::Array(result), scanned, samples)
}

pub(super) fn vector(samples: &[(Labels, Sample)], scanned: Scanned) -> Response {
    let result: Vec<Value> = samples
        .iter()
        .map(|(labels, sample)| json!({"metric": map(labels), "value": point(sample)}))
        .collect();
    data("vector", Value::Array(result), scanned, samples.len())
}

pub(super) fn scalar(sample: &Sample, scanned: Scanned) -> Response {
    data("scalar", point(sample), scanned, 1)
}

fn data(kind: &str, result: Value, scanned: Scanned, entries: usize) -> Response {
    let stats = json!({"summary": {
        "bytesProcessedPerSecond": 0,
        "linesProcessedPerSecond": 0,
        "totalBytesProcessed": scanned.bytes,
        "totalLinesProcessed": scanned.lines,
        "execTime": 0.0,
        "queueTime": 0.0,
        "subqueries": 0,
        "totalEntriesReturned": entries,
        "splits": 0,
        "shards": 0,
    }});
    success(Some(
        json!({"resultType": kind, "result": result, "stats": stats}),
    ))
}

/// `[seconds, "value"]`, the seconds with as many digits as are needed.
pub(super) fn point(sample: &Sample) -> Value {
    let mut value = String::new();
    match sample.value {
        value if value.is_nan() => return json!([seconds(sample.t_ms), "NaN"]),
        f64::INFINITY => value.push_str("+Inf"),
        f64::NEG_INFINITY => value.push_str("-Inf"),
        number => go::float(&mut value, number),
    }
    json!([seconds(sample.t_ms), value])
}

fn seconds(t_ms: i64) -> Value {
    match t_ms % 1_000 {
        0 => json!(t_ms / 1_000),
        _ => json!(t_ms as f64 / 1_000.0),
    }
}

pub(super) fn map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}

pub(super) async fn build_info() -> Response {
    json_of(&json!({
        "version": API_VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}
