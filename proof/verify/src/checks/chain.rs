//! The chain that a person clicks: from the metric to an exemplar, to its trace, to the span, to the log lines.

use std::time::{Duration, Instant};

use crate::{
    apis::{prometheus::Exemplar, tempo::Span},
    clock::{MARGIN_MS, system_ms},
    evidence::{Check, Evidence, Link},
    http::{Answer, HttpError},
    run::{Observed, Stage},
    sampling::TraceId,
    scenario::{CheckSpec, SpanSpec},
};

const POLL: Duration = Duration::from_millis(200);

/// The fields of the check.
struct Wanted<'s> {
    service: &'s str,
    selector: &'s str,
    value_min: f64,
    span: &'s SpanSpec,
    level: Option<&'s str>,
}

impl Stage {
    /// Follows every exemplar of the faulty phase to its trace, and one of them to the end.
    pub(super) async fn chain(
        &self,
        spec: &CheckSpec,
        observed: &Observed,
        evidence: &mut Evidence,
    ) {
        let CheckSpec::Chain {
            service,
            selector,
            value_min,
            span,
            level,
        } = spec
        else {
            return;
        };
        let wanted = Wanted {
            service,
            selector,
            value_min: *value_min,
            span,
            level: level.as_deref(),
        };
        if let Err(error) = self.follow(&wanted, observed, evidence).await {
            let claim = "each signal leads to the next";
            evidence.checks.push(Check::not_run("chain", claim, &error));
        }
    }

    async fn follow(
        &self,
        wanted: &Wanted<'_>,
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let (exemplars, exemplified) = self.exemplars(wanted, observed).await?;
        evidence.checks.push(
            Check::judged(
                "exemplar",
                "the faulty requests left exemplars",
                !exemplars.is_empty(),
            )
            .expected("at least one that names a request of this run")
            .observed(format!("{} of them", exemplars.len()))
            .asked([&exemplified]),
        );
        let resolved = self.resolve(&exemplars).await?;
        let missing: Vec<&TraceId> = resolved
            .iter()
            .filter(|(_, spans, _)| spans.is_none())
            .map(|(id, _, _)| id)
            .collect();
        evidence.checks.push(
            Check::judged(
                "exemplars-resolve",
                "every exemplar names a trace that is there",
                missing.is_empty(),
            )
            .expected(format!("{} traces", resolved.len()))
            .observed(match missing.is_empty() {
                true => "all of them".to_owned(),
                false => format!("{missing:?} are missing"),
            })
            .asked(resolved.iter().map(|(_, _, answer)| answer).take(3)),
        );
        let shows = |spans: &Vec<Span>| spans.iter().any(|span| is_wanted(span, wanted));
        let shown = resolved
            .iter()
            .find(|(_, spans, _)| spans.as_ref().is_some_and(shows));
        evidence.checks.push(
            Check::judged("span", "the trace shows what went wrong", shown.is_some())
                .expected(format!("{} of {}", wanted.span, wanted.service))
                .observed(shown.map_or("no such span".to_owned(), |(id, spans, _)| {
                    let spans = spans.iter().flatten();
                    let span = spans.into_iter().find(|span| is_wanted(span, wanted));
                    format!("trace {id}: {}", span.map_or(String::new(), summary))
                }))
                .asked(shown.map(|(_, _, answer)| answer)),
        );
        let Some((id, Some(spans), answer)) = shown else {
            return Ok(());
        };
        let exemplar = exemplars.iter().find(|(own, _)| own == id);
        evidence.chain.extend(exemplar.map(|(id, exemplar)| {
            let seen = format!(
                "{} of {:?} names trace {id}",
                exemplar.value, exemplar.series
            );
            Link::new("exemplar", seen, &exemplified)
        }));
        let seen = spans.iter().map(summary).collect::<Vec<_>>().join("; ");
        evidence.chain.push(Link::new("trace", seen, answer));
        let read = self.log_lines(wanted, *id, observed, evidence).await;
        // Shown with its lines, which may have come only now.
        let waterfall = self.waterfall("the chain", *id, spans).await;
        evidence.waterfalls.push(waterfall);
        read
    }

    /// Those of the faulty requests, one for each trace.
    async fn exemplars(
        &self,
        wanted: &Wanted<'_>,
        observed: &Observed,
    ) -> Result<(Vec<(TraceId, Exemplar)>, Answer), HttpError> {
        // They have the time of the request, which on a virtual clock is earlier than that of the samples.
        let span_ms = (
            observed.begun_ms - MARGIN_MS,
            system_ms().max(self.clock.now_ms()) + MARGIN_MS,
        );
        let (exemplars, answer) = self.prometheus.exemplars(wanted.selector, span_ms).await?;
        let made: Vec<TraceId> = observed.made_in_fault().map(|made| made.trace_id).collect();
        let mut own: Vec<(TraceId, Exemplar)> = exemplars
            .into_iter()
            .filter(|exemplar| exemplar.value >= wanted.value_min)
            .filter_map(|exemplar| {
                let text = exemplar.labels.get(&self.target.names.trace_id)?;
                Some((TraceId::parse(text)?, exemplar))
            })
            .filter(|(id, _)| made.contains(id))
            .collect();
        own.sort_by_key(|(id, _)| *id);
        own.dedup_by_key(|(id, _)| *id);
        Ok((own, answer))
    }

    /// The traces of exemplars; of one that is not there after a while, its absence.
    async fn resolve(
        &self,
        exemplars: &[(TraceId, Exemplar)],
    ) -> Result<Vec<(TraceId, Option<Vec<Span>>, Answer)>, HttpError> {
        let deadline = Instant::now() + self.target.patience;
        let mut resolved = Vec::new();
        for (id, _) in exemplars {
            loop {
                let (spans, answer) = self.tempo.trace(*id).await?;
                if spans.is_some() || Instant::now() >= deadline {
                    resolved.push((*id, spans, answer));
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(resolved)
    }

    async fn log_lines(
        &self,
        wanted: &Wanted<'_>,
        id: TraceId,
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let Some(loki) = &self.loki else {
            return Ok(());
        };
        let names = &self.target.names;
        let selector = format!("{{{}=\"{}\"}}", names.service, wanted.service);
        let deadline = Instant::now() + self.target.patience;
        let is_good = |line: &serde_json::Value| {
            wanted.level.is_none_or(|level| line["level"] == level)
                && line[&names.trace_id] == id.to_string()
        };
        let (lines, answer) = loop {
            let span_ms = (observed.begun_ms - MARGIN_MS, system_ms() + MARGIN_MS);
            let (lines, answer) = loki.lines(&selector, id, span_ms).await?;
            if lines.iter().any(is_good) || Instant::now() >= deadline {
                break (lines, answer);
            }
            tokio::time::sleep(POLL).await;
        };
        let found = lines.iter().find(|line| is_good(line));
        evidence.checks.push(
            Check::judged(
                "log-lines",
                "the trace's log lines are read",
                found.is_some(),
            )
            .expected(format!(
                "a line of {} with trace_id {id}{}",
                wanted.service,
                wanted
                    .level
                    .map(|level| format!(" and level {level}"))
                    .unwrap_or_default()
            ))
            .observed(found.map_or(
                format!("none among {} lines", lines.len()),
                ToString::to_string,
            ))
            .asked([&answer]),
        );
        evidence
            .chain
            .extend(found.map(|line| Link::new("log line", line.to_string(), &answer)));
        Ok(())
    }
}

fn is_wanted(span: &Span, wanted: &Wanted<'_>) -> bool {
    span.service == wanted.service
        && span.name == wanted.span.name
        && (span.is_error || !wanted.span.error)
        && span.duration_ms >= wanted.span.longer_than_ms
}

fn summary(span: &Span) -> String {
    let error = if span.is_error { ", error" } else { "" };
    format!(
        "{} {} ({:.1} ms{error})",
        span.service, span.name, span.duration_ms
    )
}
