//! Every signal names its trace and its service, and nothing points to what is not there: series, exemplars, spans. What log
//! lines say is judged in `lines`.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{lines, traces::Found};
use crate::{
    apis::{
        loki::{Line, Loki},
        tempo::{CLIENT, SERVER, Span},
    },
    clock::{MARGIN_MS, system_ms},
    evidence::{Check, Evidence},
    http::{Answer, HttpError},
    run::{Observed, Stage},
    sampling::TraceId,
};

pub(super) const ID: &str = "join";
pub(super) const CLAIM: &str = "every signal names its trace and its service";
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
            .filter(|made| made.status >= 500 || self.contract.sampling.is_kept(made.trace_id))
            .map(|made| made.trace_id)
            .collect();
        let found = self
            .traces_when(&kept, self.target.patience, |found| found.spans.is_some())
            .await?;
        evidence.checks.push(spans_have_services(&found));
        let tolerance = self.target.clock_tolerance;
        evidence.checks.extend(clocks_agree(&found, tolerance));
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
        let (deadline, names) = (Instant::now() + self.target.patience, &self.target.names);
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
                let made = made.chain(observed.prepared.iter().copied()).collect();
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
        let span_ms = (observed.begun_ms, system_ms() + MARGIN_MS);
        loki.all_lines(&self.any_stream(), span_ms).await
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
            .traces_when(&ids, self.target.patience, |found| found.spans.is_some())
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

/// No span begins before the one that called it, and who answers does so while the caller waits. `None` where no span called
/// another one.
fn clocks_agree(found: &[Found], tolerance: Duration) -> Option<Check> {
    let tolerance_ms = tolerance.as_secs_f64() * 1e3;
    let (mut pairs, mut odd) = (0, Vec::new());
    for found in found {
        let spans = || found.spans.iter().flatten();
        let by_id: HashMap<&str, &Span> = spans().map(|span| (&*span.id, span)).collect();
        for span in spans() {
            let Some(caller) = by_id.get(&*span.parent_id) else {
                continue;
            };
            pairs += 1;
            let after_ms = (span.start_ns as f64 - caller.start_ns as f64) / 1e6;
            let left_ms = caller.duration_ms - after_ms - span.duration_ms;
            let is_waited_for = span.kind == SERVER && caller.kind == CLIENT;
            if after_ms < -tolerance_ms || (is_waited_for && left_ms < -tolerance_ms) {
                odd.push(format!(
                    "{} {} starts {after_ms:.0} ms after {} {}",
                    span.service, span.name, caller.service, caller.name
                ));
            }
        }
    }
    let check = Check::judged(
        "clocks-agree",
        "each span lies within the time of the one that called it",
        odd.is_empty(),
    )
    .expected(format!(
        "{pairs} pairs of spans in order, within {tolerance_ms} ms"
    ))
    .observed(match odd.len() {
        0 => "all of them".to_owned(),
        count => format!("{count} are not: {}", told(&odd)),
    })
    .asked(found.iter().map(|found| &found.answer).take(ANSWERS_MAX));
    (pairs > 0).then_some(check)
}

/// Some examples.
pub(super) fn told(items: &[String]) -> String {
    let items: Vec<&str> = items.iter().take(TOLD_MAX).map(String::as_str).collect();
    items.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Verdict;

    fn span(id: &str, parent: &str, kind: &str, start_ms: u64, duration_ms: f64) -> Span {
        Span {
            start_ns: start_ms * 1_000_000,
            duration_ms,
            ..Span::sample(kind, id, parent)
        }
    }

    #[test]
    fn a_clock_that_is_ahead_or_behind_is_noticed() {
        let verdict = |start_ms| {
            let found = Found {
                id: TraceId([1; 16]),
                spans: Some(vec![
                    span("call", "", CLIENT, 5_000, 20.0),
                    span("answer", "call", SERVER, start_ms, 10.0),
                ]),
                answer: Answer::empty(),
            };
            clocks_agree(&[found], Duration::from_millis(100)).map(|check| check.verdict)
        };
        assert_eq!(verdict(5_005), Some(Verdict::Held));
        assert_eq!(verdict(4_950), Some(Verdict::Held));
        assert_eq!(verdict(8_005), Some(Verdict::Failed));
        assert_eq!(verdict(2_005), Some(Verdict::Failed));
        assert!(clocks_agree(&[], Duration::ZERO).is_none());
    }
}
