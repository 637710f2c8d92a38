//! Every signal names its trace and its service, and nothing points to what is not there: series, exemplars, spans. What log
//! lines say is judged in `lines`.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{lines, traces::Found};
use crate::{
    apis::loki::{Line, Loki},
    clock::system_ms,
    evidence::{Check, Evidence},
    http::{Answer, HttpError},
    run::{Observed, Stage},
    sampling::TraceId,
};

pub(super) const ID: &str = "join";
pub(super) const CLAIM: &str = "every signal names its trace and its service";
/// Clocks of machines.
const MARGIN_MS: i64 = 60_000;
const POLL: Duration = Duration::from_millis(500);
/// Examples that are told.
const TOLD_MAX: usize = 3;
const ANSWERS_MAX: usize = 2;

impl Stage {
    pub(super) async fn join(
        &self,
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        evidence.checks.push(self.series_have_services().await?);
        evidence
            .checks
            .push(self.exemplars_have_traces(observed).await?);
        let made = observed.made.iter();
        let kept: Vec<TraceId> = made
            .filter(|made| made.status >= 500 || made.trace_id.is_kept())
            .map(|made| made.trace_id)
            .collect();
        let found = self
            .traces_when(&kept, self.patience, |found| found.spans.is_some())
            .await?;
        evidence.checks.push(spans_have_services(&found));
        match &self.loki {
            Some(loki) => self.log_joins(loki, &found, observed, evidence).await,
            None => Ok(()),
        }
    }

    /// Lines are shipped a little later than they are written, so they are read until each trace has its own.
    async fn log_joins(
        &self,
        loki: &Loki,
        found: &[Found],
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let (deadline, names) = (Instant::now() + self.patience, &self.target.names);
        loop {
            let (read, answer) = self.all_lines(loki, observed).await?;
            let of_traces = lines::of_traces(found, &read, names, &answer);
            if !of_traces.is_held() && Instant::now() < deadline && !self.stopping.is_cancelled() {
                tokio::time::sleep(POLL).await;
                continue;
            }
            evidence.checks.push(of_traces);
            evidence.checks.push(lines::named(&read, names, &answer));
            if self.target.exclusive {
                let made = observed.made.iter().map(|made| made.trace_id);
                let made = made.chain(observed.prepared).collect();
                evidence
                    .checks
                    .push(lines::orphans(&read, &made, names, &answer));
            }
            return Ok(());
        }
    }

    async fn all_lines(
        &self,
        loki: &Loki,
        observed: &Observed,
    ) -> Result<(Vec<Line>, Answer), HttpError> {
        let selector = format!("{{{}=~\".+\"}}", self.target.names.service);
        let span_ms = (observed.begun_ms, system_ms() + MARGIN_MS);
        loki.all_lines(&selector, span_ms).await
    }

    async fn series_have_services(&self) -> Result<Check, HttpError> {
        let (service, now_ms) = (&self.target.names.service, self.clock.now_ms());
        let without = format!("count by (__name__, job) ({{job!=\"\",{service}=\"\"}})");
        let with = format!("count({{job!=\"\",{service}!=\"\"}})");
        let (without, answer) = self.prometheus.instant(&without, now_ms).await?;
        let (with, named) = self.prometheus.instant(&with, now_ms).await?;
        let count = with.first().map_or(0.0, |(_, count)| *count);
        let examples: Vec<String> = without
            .iter()
            .map(|(labels, _)| format!("{labels:?}"))
            .collect();
        Ok(Check::judged(
            "series-have-services",
            "every scraped series names its service",
            without.is_empty() && count > 0.0,
        )
        .expected("no series without the label")
        .observed(match without.len() {
            0 => format!("{count} series, all of them with it"),
            metrics => format!("{metrics} metrics without it: {}", told(&examples)),
        })
        .asked([&answer, &named]))
    }

    async fn exemplars_have_traces(&self, observed: &Observed) -> Result<Check, HttpError> {
        let now_ms = system_ms().max(self.clock.now_ms());
        let (exemplars, answer) = self
            .prometheus
            .exemplars(
                "{__name__=~\".+\"}",
                (observed.begun_ms, now_ms + MARGIN_MS),
            )
            .await?;
        let label = &self.target.names.trace_id;
        let named: BTreeSet<Option<TraceId>> = exemplars
            .iter()
            .map(|exemplar| TraceId::parse(exemplar.labels.get(label)?))
            .collect();
        let is_one_nameless = named.contains(&None);
        let ids: Vec<TraceId> = named.into_iter().flatten().collect();
        let found = self
            .traces_when(&ids, self.patience, |found| found.spans.is_some())
            .await?;
        let missing: Vec<String> = found
            .iter()
            .filter(|found| found.spans.is_none())
            .map(|found| found.id.to_string())
            .collect();
        Ok(Check::judged(
            "exemplars-have-traces",
            "no exemplar is without its trace",
            !ids.is_empty() && missing.is_empty() && !is_one_nameless,
        )
        .expected(format!("{} traces, all of them found", ids.len()))
        .observed(match (missing.len(), is_one_nameless) {
            (0, false) => "all of them".to_owned(),
            (0, true) => "an exemplar has no trace id".to_owned(),
            (count, _) => format!("{count} are missing: {}", told(&missing)),
        })
        .asked([&answer]))
    }
}

fn spans_have_services(found: &[Found]) -> Check {
    let spans = || {
        found
            .iter()
            .filter_map(|found| found.spans.as_ref())
            .flatten()
    };
    let nameless: Vec<String> = spans()
        .filter(|span| span.service.is_empty())
        .map(|span| span.name.clone())
        .collect();
    Check::judged(
        "spans-have-services",
        "every span names its service",
        spans().next().is_some() && nameless.is_empty(),
    )
    .expected("no span without it")
    .observed(match nameless.len() {
        0 => format!(
            "{} spans of {} traces, all of them with it",
            spans().count(),
            found.len()
        ),
        count => format!("{count} without it: {}", told(&nameless)),
    })
    .asked(found.iter().map(|found| &found.answer).take(ANSWERS_MAX))
}

/// Some examples.
pub(super) fn told(items: &[String]) -> String {
    let items: Vec<&str> = items.iter().take(TOLD_MAX).map(String::as_str).collect();
    items.join("; ")
}
