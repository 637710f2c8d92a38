//! One target: the labels it was discovered with, what relabelling made of them, and where and when it is scraped.
//!
//! Pure: discovering and scraping are the manager's business.

#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tsdb::{Labels, duration};
use url::Url;

use crate::{
    config::{Group, Job},
    relabel::{self, LabelSet},
};

/// Labels with a meaning, as Prometheus names them.
const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
/// What only native histograms have. They are not read, so `false` is the one value that is taken.
const NATIVE_HISTOGRAMS: [&str; 3] = [
    "__always_scrape_classic_histograms__",
    "__convert_classic_histograms_to_nhcb__",
    "__scrape_native_histograms__",
];
/// `false` as Go's programs may write it.
const FALSE: [&str; 6] = ["false", "False", "FALSE", "f", "F", "0"];
const PARAM_PREFIX: &str = "__param_";
const RESERVED_PREFIX: &str = "__";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// What is scraped.
#[derive(Clone, Debug)]
pub struct Target {
    pub job: Arc<Job>,
    /// Before relabelling.
    pub discovered: Labels,
    /// Of every series that it exposes.
    pub labels: Labels,
    pub url: Url,
    pub interval_ms: i64,
    pub timeout_ms: i64,
}

/// What became of something discovered.
#[derive(Clone, Debug)]
pub enum Found {
    Active(Target),
    /// By relabelling.
    Dropped(Labels),
    /// It cannot be scraped.
    Invalid(TargetError),
}

/// Why something discovered cannot be scraped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("target {address:?} of job {job:?} cannot be scraped: {reason}")]
pub struct TargetError {
    pub job: String,
    pub address: String,
    pub reason: String,
}

/// The targets of a group, in its order.
pub fn find(job: &Arc<Job>, group: &Group) -> Vec<Found> {
    group
        .targets
        .iter()
        .map(|address| one(job, group, address))
        .collect()
}

impl Target {
    /// What tells it from others: the same series from the same place.
    pub(crate) fn key(&self) -> (Labels, String) {
        (self.labels.clone(), self.url.to_string())
    }

    /// When in each interval it is scraped: spread by a hash, so that a thousand targets are not asked at once, and the same
    /// after a restart.
    pub fn offset_ms(&self) -> i64 {
        let mut hasher = DefaultHasher::new();
        self.labels.hash(&mut hasher);
        self.url.as_str().hash(&mut hasher);
        let interval_ms = self.interval_ms.unsigned_abs().max(1);
        i64::try_from(hasher.finish() % interval_ms).unwrap_or(0)
    }

    /// The first instant of its own not before `now_ms`.
    pub fn next_scrape_ms(&self, now_ms: i64) -> i64 {
        let since = (now_ms - self.offset_ms()).rem_euclid(self.interval_ms);
        if since == 0 {
            now_ms
        } else {
            now_ms + self.interval_ms - since
        }
    }
}

fn one(job: &Arc<Job>, group: &Group, address: &str) -> Found {
    let mut labels = discovered(job, group, address);
    let before = labels.clone().into_labels();
    if !relabel::apply(&job.relabel, &mut labels) {
        return Found::Dropped(before);
    }
    match active(job, before, labels) {
        Ok(target) => Found::Active(target),
        Err(reason) => Found::Invalid(TargetError {
            job: job.name.clone(),
            address: address.to_owned(),
            reason,
        }),
    }
}

/// What relabelling starts with: the target's own, its group's, then those of the job.
fn discovered(job: &Job, group: &Group, address: &str) -> LabelSet {
    let mut labels = LabelSet::from_iter([(ADDRESS, address)]);
    for (name, value) in &group.labels {
        labels.set_default(name, value);
    }
    labels.set_default(JOB, &job.name);
    labels.set_default(SCRAPE_INTERVAL, &duration::format(job.interval_ms));
    labels.set_default(SCRAPE_TIMEOUT, &duration::format(job.timeout_ms));
    labels.set_default(METRICS_PATH, &job.metrics_path);
    labels.set_default(SCHEME, "http");
    for name in NATIVE_HISTOGRAMS {
        labels.set_default(name, FALSE[0]);
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set_default(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    labels
}

fn active(job: &Arc<Job>, discovered: Labels, mut labels: LabelSet) -> Result<Target, String> {
    let address = labels.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err("it has no address".into());
    }
    if labels.get(SCHEME) != "http" {
        return Err(format!(
            "the scheme {:?} is not supported",
            labels.get(SCHEME)
        ));
    }
    for name in NATIVE_HISTOGRAMS {
        let value = labels.get(name);
        if !value.is_empty() && !FALSE.contains(&value) {
            return Err(format!("{name}: {value:?} is not supported"));
        }
    }
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Err("a label has no name".into());
    }
    let interval_ms = duration(&labels, SCRAPE_INTERVAL)?;
    let timeout_ms = duration(&labels, SCRAPE_TIMEOUT)?;
    if timeout_ms > interval_ms {
        return Err("the scrape timeout is longer than the scrape interval".into());
    }
    let url = url(job, &labels, &address)?;
    labels.set_default(INSTANCE, &address);
    labels.retain(|name| !name.starts_with(RESERVED_PREFIX));
    Ok(Target {
        job: Arc::clone(job),
        discovered,
        labels: labels.into_labels(),
        url,
        interval_ms,
        timeout_ms,
    })
}

fn duration(labels: &LabelSet, name: &str) -> Result<i64, String> {
    let ms = duration::parse(labels.get(name)).map_err(|error| format!("{name}: {error}"))?;
    if ms > 0 {
        Ok(ms)
    } else {
        Err(format!("{name} is zero"))
    }
}

fn url(job: &Job, labels: &LabelSet, address: &str) -> Result<Url, String> {
    let wrong = || format!("{address:?} is no address");
    if address.contains(['/', '?', '#', '@', '\\']) {
        return Err(wrong());
    }
    let mut url = Url::parse(&format!("http://{address}")).map_err(|_| wrong())?;
    url.set_path(labels.get(METRICS_PATH));
    let mut params = job.params.clone();
    for (name, value) in labels.iter() {
        // A label stands for the first value of its parameter.
        if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(name.to_owned()).or_default();
            values.splice(..values.len().min(1), [value.to_owned()]);
        }
    }
    let pairs = params
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    if pairs.clone().next().is_some() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}
