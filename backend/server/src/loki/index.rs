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
use logql::{STEPS_MAX, Source};
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
    let range_ns = params.range_ns((loki.now_ns)())?;
    let end_ms = milliseconds(range_ns.end);
    let series = volume_series(&loki, &params, range_ns, |_| 0).await?;
    let result: Vec<Value> = series
        .iter()
        .map(|(labels, parts)| {
            let value = point(end_ms, parts.values().sum());
            json!({"metric": labels, "value": value})
        })
        .collect();
    Ok(volumes_of("vector", result))
}

/// The same for each step in which there are lines, with the last millisecond of each as its time, and the end of the range as that of
/// the last.
pub(super) async fn volume_range(State(loki): Shared, params: Params) -> Result<Response, Failure> {
    let range_ns = params.range_ns((loki.now_ns)())?;
    let step_ns = params.span(&range_ns)?.step_ns;
    if (range_ns.end - range_ns.start) / step_ns > STEPS_MAX as i64 {
        return Err(Failure::bad_request(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    let end_ns = range_ns.end;
    let part = move |t_ns: i64| t_ns.div_euclid(step_ns);
    let series = volume_series(&loki, &params, range_ns, part).await?;
    let last_ns = |part: i64| match (part + 1) * step_ns {
        next_ns if next_ns >= end_ns => end_ns,
        next_ns => next_ns - NS_PER_MS,
    };
    let points = |sums: &BTreeMap<i64, u64>| -> Vec<Value> {
        let sums = sums.iter();
        sums.map(|(part, bytes)| point(milliseconds(last_ns(*part)), *bytes))
            .collect()
    };
    // A matrix with one point or none in each series is a vector to Loki.
    let is_matrix = series.iter().any(|(_, sums)| sums.len() > 1);
    let result = series.iter().map(|(labels, sums)| {
        let mut points = points(sums);
        match is_matrix {
            true => json!({"metric": labels, "values": points}),
            false => json!({"metric": labels, "value": points.pop()}),
        }
    });
    let kind = if is_matrix { "matrix" } else { "vector" };
    Ok(volumes_of(kind, result.collect()))
}

/// Bytes by part of the range for each set of labels that is asked for, the largest first.
async fn volume_series(
    loki: &Arc<Loki>,
    params: &Params,
    range_ns: Range<i64>,
    part: impl Fn(i64) -> i64 + Send + 'static,
) -> Result<Vec<(BTreeMap<String, String>, BTreeMap<i64, u64>)>, Failure> {
    let limit = match params.get("limit") {
        Some(_) => params.limit(loki.engine.options().entries_max)?,
        None => VOLUMES,
    };
    let by_label = params.get("aggregateBy") == Some("labels");
    let targets: Option<Vec<String>> = params
        .get("targetLabels")
        .map(|names| names.split(',').map(str::to_owned).collect());
    let matchers = logql::parse_matchers(params.query())?;
    let names: Option<Vec<String>> = match (targets, by_label) {
        (Some(names), _) => Some(names),
        (None, true) => None,
        (None, false) => {
            let names = matchers.iter().map(|matcher| matcher.name.to_string());
            Some(names.collect())
        }
    };
    let at = Arc::clone(loki);
    let found = loki
        .queries
        .run(move || Ok::<_, Failure>(at.store.volumes(&matchers, range_ns, &part)?));
    let mut sums: BTreeMap<BTreeMap<String, String>, BTreeMap<i64, u64>> = BTreeMap::new();
    for ((labels, part), volume) in found.await? {
        let is_wanted = |name: &str| {
            names
                .as_ref()
                .is_none_or(|names| names.iter().any(|own| own == name))
        };
        let kept = labels.iter().filter(|(name, _)| is_wanted(name));
        let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let sets: Vec<BTreeMap<String, String>> = match by_label {
            true => kept
                .map(|(name, _)| BTreeMap::from([(name, String::new())]))
                .collect(),
            false => vec![kept.collect()],
        };
        for set in sets {
            *sums.entry(set).or_default().entry(part).or_default() += volume.bytes;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    let total = |parts: &BTreeMap<i64, u64>| parts.values().sum::<u64>();
    sums.sort_by(|one, two| {
        let larger = total(&two.1).cmp(&total(&one.1));
        larger.then_with(|| one.0.cmp(&two.0))
    });
    sums.truncate(limit);
    Ok(sums)
}

/// A millisecond that has begun counts.
fn milliseconds(t_ns: i64) -> i64 {
    t_ns.div_euclid(NS_PER_MS) + i64::from(t_ns.rem_euclid(NS_PER_MS) > 0)
}

fn point(t_ms: i64, bytes: u64) -> Value {
    let value = bytes as f64;
    answer::point(&Sample { t_ms, value })
}

fn volumes_of(kind: &str, result: Vec<Value>) -> Response {
    answer::success(Some(json!({"resultType": kind, "result": result})))
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
