//! What is said about the process and its store. `version` is that of the API: clients decide by it what they may ask.

use std::{
    collections::{HashMap, HashSet},
    env,
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use axum::{extract::State, response::IntoResponse, response::Response};
use tsdb::{Labels, Stats};

use super::{API_VERSION, Shared, answer::Answer, failure::Failure, form::Form, json};
use crate::go;

const NAME: &str = "__name__";
/// Entries of each list about the store when the request does not say how many, and at most.
const ENTRIES: usize = 10;
const ENTRIES_MAX: usize = 10_000;

/// `GET /status/buildinfo`.
pub(super) async fn build_info() -> Answer {
    Answer::new(|out| {
        let _ = write!(
            out,
            "{{\"version\":\"{API_VERSION}\",\"revision\":\"tripod {}\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}}",
            env!("CARGO_PKG_VERSION")
        );
    })
}

/// `GET /status/config`: the file as it was written.
pub(super) async fn config(State(api): Shared) -> Answer {
    Answer::new(|out| {
        out.push_str("{\"yaml\":");
        json::string(out, &api.prometheus.config_text());
        out.push('}');
    })
}

/// `GET /status/flags`: those of Prometheus' that mean something here.
pub(super) async fn flags(State(api): Shared) -> Answer {
    let engine = api.prometheus.engine();
    let limits = engine.options();
    let duration_ms = tsdb::duration::format;
    let flags = [
        ("enable-feature", "exemplar-storage".to_owned()),
        ("query.lookback-delta", duration_ms(limits.lookback_ms)),
        ("query.max-concurrency", api.options.queries_max.to_string()),
        ("query.max-samples", limits.samples_max.to_string()),
        ("query.timeout", duration(limits.timeout)),
        (
            "storage.tsdb.retention.time",
            duration(api.options.retention),
        ),
        ("web.enable-admin-api", "false".to_owned()),
        (
            "web.enable-lifecycle",
            api.options.is_lifecycle_enabled.to_string(),
        ),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ];
    Answer::new(|out| {
        let flags = flags.iter().map(|(name, value)| (*name, value));
        json::map(out, flags, |out, value| json::string(out, value));
    })
}

/// `GET /status/runtimeinfo`. What belongs to Go's runtime is empty or zero.
pub(super) async fn runtime_info(State(api): Shared) -> Answer {
    let reload = api.prometheus.last_reload();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Answer::new(|out| {
        out.push_str("{\"startTime\":");
        json::moment(out, Some(api.prometheus.started_at_ms()));
        // Where the process runs is nobody's business.
        out.push_str(",\"CWD\":\"\",\"hostname\":\"\",\"serverTime\":");
        json::moment(out, Some(api.prometheus.now_ms()));
        let _ = write!(out, ",\"reloadConfigSuccess\":{}", reload.is_good);
        out.push_str(",\"lastConfigTime\":");
        json::moment(out, Some(reload.at_ms));
        let _ = write!(
            out,
            ",\"corruptionCount\":0,\"goroutineCount\":0,\"GOMAXPROCS\":{threads},\"GOMEMLIMIT\":0,\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":\"{}\"}}",
            duration(api.options.retention)
        );
    })
}

/// `GET /status/tsdb`: what the series in memory are made of, the most frequent first.
pub(super) async fn tsdb(State(api): Shared, form: Form) -> Result<Response, Failure> {
    let entries = entries(&form)?;
    let store = Arc::clone(api.prometheus.store());
    let job = move || {
        let stats = store.stats();
        let series = match (stats.head_t_min_ms, stats.head_t_max_ms) {
            (Some(min_ms), Some(max_ms)) => store.series(&[], min_ms..=max_ms)?,
            _ => Vec::new(),
        };
        let counts = Counts::of(&series);
        Ok(Answer::new(|out| counts.write(out, &stats, entries)).into_response())
    };
    api.queries.run(job).await
}

fn entries(form: &Form) -> Result<usize, Failure> {
    let Some(text) = form.get("limit") else {
        return Ok(ENTRIES);
    };
    match go::atoi(text).map(usize::try_from) {
        Ok(Ok(entries @ 1..=ENTRIES_MAX)) => Ok(entries),
        Ok(Ok(1..)) => Err(Failure::bad_data(format_args!(
            "limit must not exceed {ENTRIES_MAX}"
        ))),
        _ => Err(Failure::bad_data("limit must be a positive number")),
    }
}

/// How often labels occur.
#[derive(Default)]
struct Counts<'s> {
    by_metric: HashMap<&'s str, usize>,
    by_pair: HashMap<(&'s str, &'s str), usize>,
    /// Different values of each label, and the bytes of them.
    values: HashMap<&'s str, (usize, usize)>,
}

impl<'s> Counts<'s> {
    fn of(series: &'s [Labels]) -> Self {
        let mut counts = Self::default();
        for labels in series {
            for (name, value) in labels.iter() {
                *counts.by_pair.entry((name, value)).or_default() += 1;
                if name == NAME {
                    *counts.by_metric.entry(value).or_default() += 1;
                }
            }
        }
        let distinct: HashSet<_> = counts.by_pair.keys().copied().collect();
        for (name, value) in distinct {
            let (number, bytes) = counts.values.entry(name).or_default();
            *number += 1;
            *bytes += value.len();
        }
        counts
    }

    fn write(&self, out: &mut String, stats: &Stats, entries: usize) {
        let _ = write!(
            out,
            "{{\"headStats\":{{\"numSeries\":{},\"numLabelPairs\":{},\"chunkCount\":{},\"minTime\":{},\"maxTime\":{}}}",
            stats.series,
            self.by_pair.len(),
            stats.head_chunks,
            // What Prometheus says of an empty head.
            stats.head_t_min_ms.unwrap_or(i64::MAX),
            stats.head_t_max_ms.unwrap_or(i64::MIN),
        );
        let named = |of: &HashMap<&str, usize>| {
            let pairs = of.iter().map(|(name, count)| ((*name).to_owned(), *count));
            pairs.collect::<Vec<_>>()
        };
        let of_values = |pick: fn(&(usize, usize)) -> usize| {
            let pairs = self.values.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), pick(value)))
                .collect()
        };
        let pairs = self.by_pair.iter();
        let pairs = pairs.map(|((name, value), count)| (format!("{name}={value}"), *count));
        for (name, list) in [
            ("seriesCountByMetricName", named(&self.by_metric)),
            (
                "labelValueCountByLabelName",
                of_values(|(number, _)| *number),
            ),
            ("memoryInBytesByLabelName", of_values(|(_, bytes)| *bytes)),
            ("seriesCountByLabelValuePair", pairs.collect()),
        ] {
            let _ = write!(out, ",\"{name}\":");
            most(out, list, entries);
        }
        out.push('}');
    }
}

/// The entries with the highest counts; equal ones by name.
fn most(out: &mut String, mut list: Vec<(String, usize)>, entries: usize) {
    list.sort_unstable_by(|(a_name, a), (b_name, b)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    json::array(out, list.iter().take(entries), |out, (name, count)| {
        out.push_str("{\"name\":");
        json::string(out, name);
        let _ = write!(out, ",\"value\":{count}}}");
    });
}

fn duration(duration: Duration) -> String {
    tsdb::duration::format(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
