//! What Grafana's log explorer asks for: labels with their number of values, and fields that lines have.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{extract::State, response::Response};
use logql::{Direction, Expr};
use serde::Serialize;
use serde_json::json;
use tsdb::Labels;

use super::{Shared, answer, failure::Failure, index, params::Params};

/// Lines that are looked at for fields, and fields that are shown, without parameters.
const LINES: usize = 1_000;
const FIELDS: usize = 1_000;

#[derive(Serialize)]
struct Field {
    label: String,
    r#type: &'static str,
    cardinality: usize,
    parsers: Option<Vec<&'static str>>,
}

pub(super) async fn labels(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let streams = index::streams(&loki, &params).await?;
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in streams.iter().flat_map(Labels::iter) {
        values.entry(name).or_default().insert(value);
    }
    let detected: Vec<_> = values
        .iter()
        .map(|(name, values)| json!({"label": name, "cardinality": values.len()}))
        .collect();
    Ok(answer::json_of(&json!({"detectedLabels": detected})))
}

/// Of the newest lines: structured metadata, and what they have as JSON.
pub(super) async fn fields(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let Expr::Log(_) = logql::parse(params.query())? else {
        return Err(Failure::bad_request("only log selector is supported"));
    };
    let parsed = logql::parse(&format!("{} | json", params.query()))?;
    let range_ns = params.range_ns((loki.now_ns)())?;
    let at = Arc::clone(&loki);
    let found = loki.queries.run(move || {
        let Expr::Log(log) = &parsed else {
            return Err(Failure::internal(
                "a log query with a parser is a log query",
            ));
        };
        let streams = at
            .engine
            .log_query(&*at.store, log, range_ns, Direction::Backward, LINES)?;
        let mut fields: BTreeMap<String, (BTreeSet<String>, bool)> = BTreeMap::new();
        for entry in streams.value.iter().flat_map(|stream| &stream.entries) {
            let metadata = entry.metadata.iter().map(|pair| (pair, false));
            let parsed = entry.parsed.iter().map(|pair| (pair, true));
            for ((name, value), is_parsed) in metadata.chain(parsed) {
                if name.starts_with("__") {
                    continue;
                }
                let field = fields.entry(name.to_owned()).or_default();
                field.0.insert(value.to_owned());
                field.1 |= is_parsed;
            }
        }
        Ok(fields)
    });
    let fields: Vec<Field> = found
        .await?
        .into_iter()
        .take(FIELDS)
        .map(|(label, (values, is_parsed))| Field {
            r#type: kind(&values),
            cardinality: values.len(),
            parsers: is_parsed.then(|| vec!["json"]),
            label,
        })
        .collect();
    Ok(answer::json_of(&json!({"fields": fields, "limit": FIELDS})))
}

/// What all values are.
fn kind(values: &BTreeSet<String>) -> &'static str {
    let all = |is: fn(&str) -> bool| values.iter().all(|value| is(value));
    if all(|value| value.parse::<i64>().is_ok()) {
        "int"
    } else if all(|value| value.parse::<f64>().is_ok()) {
        "float"
    } else if all(|value| value == "true" || value == "false") {
        "boolean"
    } else {
        "string"
    }
}
