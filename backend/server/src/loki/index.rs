//! What there is: labels, values, streams, and how much of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use axum::{
    extract::{Path, State},
    response::Response,
};
use logql::Source;
use serde_json::{Value, json};
use tsdb::{Labels, Matcher, Sample};

use super::{Loki, Shared, answer, failure::Failure, params::Params};

/// Streams of `index/volume` without a limit.
const VOLUMES: usize = 100;
const NS_PER_MS: i64 = 1_000_000;

pub(super) async fn labels(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let streams = streams(&loki, &params).await?;
    let names = streams.iter().flat_map(Labels::iter);
    let names: BTreeSet<&str> = names.map(|(name, _)| name).collect();
    Ok(answer::success((!names.is_empty()).then_some(names)))
}

pub(super) async fn values(
    State(loki): Shared,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let streams = streams(&loki, &params).await?;
    let values = streams.iter().map(|labels| labels.get(&name));
    let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
    Ok(answer::success((!values.is_empty()).then_some(values)))
}

pub(super) async fn series(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let range_ns = params.range_ns((loki.now_ns)())?;
    let mut selectors: Vec<Vec<Matcher>> = Vec::new();
    for text in params.all(&["match", "match[]"]) {
        selectors.push(logql::parse_matchers(text)?);
    }
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let at = Arc::clone(&loki);
    let found = loki.queries.run(move || {
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for matchers in &selectors {
            found.extend(at.store.streams(matchers, range_ns.clone())?);
        }
        Ok::<_, Failure>(found)
    });
    let found = found.await?;
    let shown: Vec<_> = found.iter().map(answer::map).collect();
    Ok(answer::success(Some(shown)))
}

pub(super) async fn stats(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let volumes = volumes(&loki, &params).await?;
    let sum = |of: fn(&logs::Volume) -> u64| -> u64 {
        volumes.iter().map(|(_, volume)| of(volume)).sum()
    };
    Ok(answer::json_of(&json!({
        "streams": volumes.len(),
        "chunks": sum(|volume| volume.chunks),
        "bytes": sum(|volume| volume.bytes),
        "entries": sum(|volume| volume.entries),
    })))
}

/// Bytes by the labels that the query names, or by those of `targetLabels`.
pub(super) async fn volume(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let limit = match params.get("limit") {
        Some(_) => params.limit(loki.engine.options().entries_max)?,
        None => VOLUMES,
    };
    let end_ns = params.range_ns((loki.now_ns)())?.end;
    let names: Vec<String> = match params.get("targetLabels") {
        Some(names) => names.split(',').map(str::to_owned).collect(),
        None => logql::parse_matchers(params.query())?
            .iter()
            .map(|matcher| matcher.name.to_string())
            .collect(),
    };
    let volumes = volumes(&loki, &params).await?;
    let mut sums: BTreeMap<Labels, u64> = BTreeMap::new();
    for (labels, volume) in &volumes {
        let kept = labels
            .iter()
            .filter(|(name, _)| names.iter().any(|wanted| wanted == name));
        *sums.entry(Labels::new(kept)).or_default() += volume.bytes;
    }
    let mut sums: Vec<(Labels, u64)> = sums.into_iter().collect();
    sums.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    sums.truncate(limit);
    let result: Vec<Value> = sums
        .iter()
        .map(|(labels, bytes)| {
            let sample = Sample {
                t_ms: end_ns.div_euclid(NS_PER_MS),
                value: *bytes as f64,
            };
            json!({"metric": answer::map(labels), "value": answer::point(&sample)})
        })
        .collect();
    Ok(answer::success(Some(
        json!({"resultType": "vector", "result": result}),
    )))
}

/// The streams of the range, of those that `query` selects if there is one.
pub(super) async fn streams(loki: &Arc<Loki>, params: &Params) -> Result<Vec<Labels>, Failure> {
    let range_ns = params.range_ns((loki.now_ns)())?;
    let matchers = matchers(params)?;
    let at = Arc::clone(loki);
    loki.queries
        .run(move || Ok(at.store.streams(&matchers, range_ns)?))
        .await
}

async fn volumes(
    loki: &Arc<Loki>,
    params: &Params,
) -> Result<Vec<(Labels, logs::Volume)>, Failure> {
    let range_ns: Range<i64> = params.range_ns((loki.now_ns)())?;
    let matchers = matchers(params)?;
    let at = Arc::clone(loki);
    loki.queries
        .run(move || Ok(at.store.volume(&matchers, range_ns)?))
        .await
}

fn matchers(params: &Params) -> Result<Vec<Matcher>, Failure> {
    match params.get("query") {
        Some(text) => Ok(logql::parse_matchers(text)?),
        None => Ok(Vec::new()),
    }
}
