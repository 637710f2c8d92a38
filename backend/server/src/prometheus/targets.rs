//! What is scraped, what it says about its metrics, and who is told of alerts.

use std::{collections::BTreeMap, fmt::Write as _};

use axum::extract::State;
use scrape::{
    manager::{TargetStatus, Targets},
    state::Family,
};

use super::{Shared, answer::Answer, failure::Failure, form::Form, json};
use crate::go;

/// `GET /targets`.
pub(super) async fn targets(State(api): Shared, form: Form) -> Answer {
    let found = api.prometheus.targets();
    let pool = form.of_url("scrapePool");
    let state = form.of_url("state").unwrap_or("any").to_lowercase();
    let shows = |kind: &str| state == "any" || state == kind;
    let is_in_pool = |job: &str| pool.is_none_or(|pool| pool == job);
    let active = by_job(&found);
    let active = active
        .iter()
        .filter(|status| shows("active") && is_in_pool(&status.target.job.name));
    let mut dropped: Vec<_> = found.dropped.iter().collect();
    dropped.sort_by_key(|dropped| &dropped.job);
    let listed = dropped
        .iter()
        .filter(|dropped| shows("dropped") && is_in_pool(&dropped.job))
        .flat_map(|dropped| {
            dropped
                .discovered
                .iter()
                .map(|labels| (labels, &dropped.job))
        });
    Answer::new(|out| {
        out.push_str("{\"activeTargets\":");
        json::array(out, active, |out, status| target(out, status));
        out.push_str(",\"droppedTargets\":");
        json::array(out, listed, |out, (labels, job)| {
            out.push_str("{\"discoveredLabels\":");
            json::labels(out, labels);
            out.push_str(",\"scrapePool\":");
            json::string(out, job);
            out.push('}');
        });
        out.push_str(",\"droppedTargetCounts\":");
        match shows("dropped") {
            true => {
                let counts = dropped
                    .iter()
                    .map(|dropped| (dropped.job.as_str(), dropped.count));
                json::map(out, counts, |out, count| {
                    let _ = write!(out, "{count}");
                });
            }
            false => out.push_str("null"),
        }
        out.push('}');
    })
}

/// `GET /scrape_pools`.
pub(super) async fn scrape_pools(State(api): Shared) -> Answer {
    // Of every job there is one, even if relabelling dropped nothing.
    let found = api.prometheus.targets();
    let mut jobs: Vec<&str> = found
        .dropped
        .iter()
        .map(|dropped| dropped.job.as_str())
        .collect();
    jobs.sort_unstable();
    Answer::new(|out| {
        out.push_str("{\"scrapePools\":");
        json::array(out, jobs, json::string);
        out.push('}');
    })
}

/// `GET /alertmanagers`.
pub(super) async fn alertmanagers(State(api): Shared) -> Answer {
    Answer::new(|out| {
        out.push_str("{\"activeAlertmanagers\":");
        json::array(out, api.prometheus.alertmanagers(), |out, url| {
            out.push_str("{\"url\":");
            json::string(out, &url);
            out.push('}');
        });
        out.push_str(",\"droppedAlertmanagers\":[]}");
    })
}

/// `GET /metadata`: by metric, what all targets say of it.
pub(super) async fn metadata(State(api): Shared, form: Form) -> Result<Answer, Failure> {
    let limit = number(&form, "limit")?;
    let per_metric = number(&form, "limit_per_metric")?.filter(|limit| *limit > 0);
    let metric = form.get("metric");
    let found = api.prometheus.targets();
    let mut metrics: BTreeMap<&str, Vec<&Family>> = BTreeMap::new();
    for family in found
        .active
        .iter()
        .flat_map(|status| status.families.iter())
    {
        if metric.is_some_and(|metric| metric != family.name) {
            continue;
        }
        let known = metrics.entry(&family.name).or_default();
        if !known.contains(&family) && per_metric.is_none_or(|limit| known.len() < limit) {
            known.push(family);
        }
    }
    let shown = metrics.into_iter().take(limit.unwrap_or(usize::MAX));
    Ok(Answer::new(|out| {
        json::map(out, shown, |out, families| {
            json::array(out, families, |out, family| {
                out.push('{');
                type_help_and_unit(out, family);
                out.push('}');
            });
        });
    }))
}

/// `GET /targets/metadata`: what each target says.
pub(super) async fn metadata_by_target(State(api): Shared, form: Form) -> Result<Answer, Failure> {
    let limit = number(&form, "limit")?.unwrap_or(usize::MAX);
    let matchers = match form.get("match_target") {
        Some(text) => promql::parse_selector(text)
            .map_err(|error| Failure::parameter("match_target", error))?,
        None => Vec::new(),
    };
    let metric = form.get("metric");
    let found = api.prometheus.targets();
    let mut listed: Vec<(&TargetStatus, &Family)> = Vec::new();
    for status in by_job(&found) {
        // A target that has been begun is listed to its end, as in Prometheus.
        if listed.len() >= limit {
            break;
        }
        let labels = &status.target.labels;
        if matchers.iter().all(|matcher| matcher.holds(labels)) {
            let families = status.families.iter();
            let asked = families.filter(|family| metric.is_none_or(|metric| metric == family.name));
            listed.extend(asked.map(|family| (status, family)));
        }
    }
    Ok(Answer::new(|out| {
        json::array(out, listed, |out, (status, family)| {
            out.push_str("{\"target\":");
            json::labels(out, &status.target.labels);
            if metric.is_none() {
                out.push_str(",\"metric\":");
                json::string(out, &family.name);
            }
            out.push(',');
            type_help_and_unit(out, family);
            out.push('}');
        });
    }))
}

fn by_job(found: &Targets) -> Vec<&TargetStatus> {
    let mut active: Vec<_> = found.active.iter().collect();
    active.sort_by_key(|status| &status.target.job.name);
    active
}

fn target(out: &mut String, status: &TargetStatus) {
    let target = &status.target;
    let url = target.url.as_str();
    out.push_str("{\"discoveredLabels\":");
    json::labels(out, &target.discovered);
    out.push_str(",\"labels\":");
    json::labels(out, &target.labels);
    for (name, text) in [
        ("scrapePool", target.job.name.as_str()),
        ("scrapeUrl", url),
        ("globalUrl", url),
        ("lastError", &status.last_error),
    ] {
        let _ = write!(out, ",\"{name}\":");
        json::string(out, text);
    }
    out.push_str(",\"lastScrape\":");
    json::moment(out, status.last_scrape_ms);
    out.push_str(",\"lastScrapeDuration\":");
    go::float(out, status.last_duration.as_secs_f64());
    let interval = tsdb::duration::format(target.interval_ms);
    let timeout = tsdb::duration::format(target.timeout_ms);
    let _ = write!(
        out,
        ",\"health\":\"{}\",\"scrapeInterval\":\"{interval}\",\"scrapeTimeout\":\"{timeout}\"}}",
        status.health.name()
    );
}

fn type_help_and_unit(out: &mut String, family: &Family) {
    let _ = write!(out, "\"type\":\"{}\",\"help\":", family.kind.name());
    json::string(out, &family.help);
    out.push_str(",\"unit\":");
    json::string(out, &family.unit);
}

/// A limit of these endpoints: a negative one is none.
fn number(form: &Form, name: &str) -> Result<Option<usize>, Failure> {
    let number = form.get(name).map(go::atoi).transpose();
    let number = number.map_err(|_| Failure::bad_data(format_args!("{name} must be a number")))?;
    Ok(number.and_then(|number| usize::try_from(number).ok()))
}
