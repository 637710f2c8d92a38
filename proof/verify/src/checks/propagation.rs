//! One request is one tree of spans, through every service, however often something of it was tried again.

use std::collections::HashMap;

use conventions::spans::{HTTP_REQUEST_RESEND_COUNT, TRIPOD_JOB_ATTEMPT};

use super::traces::Found;
use crate::{
    apis::tempo::{CONSUMER, PRODUCER, SERVER, Span},
    evidence::{Check, Evidence},
    http::HttpError,
    run::{Observed, Stage},
    sampling::TraceId,
};

pub(super) const CLAIM: &str = "every request is one tree of spans through all services";
/// Broken traces that are told.
const TOLD_MAX: usize = 3;
/// Answers that are kept as evidence.
const ANSWERS_MAX: usize = 2;

/// What each trace of a phase must show.
pub(super) struct Wanted<'s> {
    pub(super) services: &'s [String],
    pub(super) attempts: u64,
    pub(super) resent: bool,
}

pub(super) fn id(phase: &str) -> String {
    format!("trace-{phase}")
}

impl Stage {
    pub(super) async fn propagation(
        &self,
        phase: (&str, usize),
        wanted: &Wanted<'_>,
        observed: &Observed,
        evidence: &mut Evidence,
    ) -> Result<(), HttpError> {
        let (name, number) = phase;
        // One that was refused went no further.
        let taken = observed.made_in(number).filter(|made| made.status < 400);
        let ids: Vec<TraceId> = taken.map(|made| made.trace_id).collect();
        let found = self
            .traces_when(&ids, self.target.patience, |found| {
                fault(found, wanted).is_none()
            })
            .await?;
        let broken: Vec<(&Found, String)> = found
            .iter()
            .filter_map(|found| Some((found, fault(found, wanted)?)))
            .collect();
        let told = broken.iter().take(TOLD_MAX);
        let told: Vec<String> = told
            .map(|(found, fault)| format!("{}: {fault}", found.id))
            .collect();
        // A resent call is one of many, so one trace must show it, and not each.
        let has_resent = !wanted.resent || found.iter().any(shows_resent);
        let is_held = !ids.is_empty() && broken.is_empty() && has_resent;
        let shown = broken
            .iter()
            .map(|(found, _)| &found.answer)
            .chain(found.iter().map(|found| &found.answer));
        let example = broken.first().map(|(found, _)| *found).or(found.first());
        if let Some((found, spans)) = example.and_then(|of| Some((of, of.spans.as_ref()?))) {
            let waterfall = self.waterfall(&id(name), found.id, spans).await;
            evidence.waterfalls.push(waterfall);
        }
        evidence.checks.push(
            Check::judged(&id(name), CLAIM, is_held)
                .expected(format!(
                    "{} traces through {}{}{}",
                    ids.len(),
                    wanted.services.join(", "),
                    match wanted.attempts {
                        0 | 1 => String::new(),
                        attempts => format!(", the job delivered {attempts} times or more"),
                    },
                    if wanted.resent {
                        ", a call sent again"
                    } else {
                        ""
                    }
                ))
                .observed(match (broken.len(), has_resent) {
                    (0, true) => "all of them".to_owned(),
                    (0, false) => "all of them, but no call was sent again".to_owned(),
                    (count, _) => format!("{count} are not: {}", told.join("; ")),
                })
                .asked(shown.take(ANSWERS_MAX)),
        );
        Ok(())
    }
}

fn shows_resent(found: &Found) -> bool {
    let mut spans = found.spans.iter().flatten();
    spans.any(|span| span.attribute(HTTP_REQUEST_RESEND_COUNT).is_some())
}

/// How often the job of a trace was delivered.
pub(crate) fn attempts(found: &Found) -> u64 {
    let spans = found.spans.iter().flatten();
    let attempts = spans.filter_map(|span| span.attribute(TRIPOD_JOB_ATTEMPT)?.parse().ok());
    attempts.max().unwrap_or(0)
}

/// What is wrong with a trace.
fn fault(found: &Found, wanted: &Wanted<'_>) -> Option<String> {
    let Some(spans) = &found.spans else {
        return Some("there is no such trace".to_owned());
    };
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (&*span.id, span)).collect();
    let mut roots = spans
        .iter()
        .filter(|span| !by_id.contains_key(&*span.parent_id));
    let root = roots.next();
    if let Some(second) = roots.next() {
        return Some(format!(
            "the parent of {} {} is not there",
            second.service, second.name
        ));
    }
    let first = wanted.services.first().map(String::as_str);
    if root.is_none_or(|root| root.kind != SERVER || Some(&*root.service) != first) {
        return Some("its root is no server span of the first service".to_owned());
    }
    for pair in wanted.services.windows(2) {
        let (caller, called) = (&pair[0], &pair[1]);
        let mut entries = spans
            .iter()
            .filter(|span| span.service == **called && [SERVER, CONSUMER].contains(&&*span.kind));
        let is_called = |span: &&Span| {
            let parent = by_id.get(&*span.parent_id);
            parent.is_some_and(|parent| parent.service == **caller)
        };
        if !entries.any(|span| is_called(&span)) {
            return Some(format!("{called} was not called by {caller}"));
        }
    }
    let consumers = spans.iter().filter(|span| span.kind == CONSUMER);
    for consumer in consumers {
        let parent = by_id.get(&*consumer.parent_id);
        if parent.is_none_or(|parent| parent.kind != PRODUCER) {
            return Some(format!("{} is no child of who sent it", consumer.name));
        }
        if !consumer.links.contains(&consumer.parent_id) {
            return Some(format!("{} does not link to who sent it", consumer.name));
        }
    }
    let delivered = attempts(found);
    (delivered < wanted.attempts).then(|| format!("its job was delivered {delivered} times"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::http::Answer;

    fn span(service: &str, kind: &str, id: &str, parent: &str) -> Span {
        Span {
            service: service.to_owned(),
            name: format!("{service}-{id}"),
            ..Span::sample(kind, id, parent)
        }
    }

    /// gateway → task-service → worker, the job delivered twice.
    fn whole() -> Vec<Span> {
        let consumer = |id: &str, attempt: &str| Span {
            links: vec!["4".to_owned()],
            attributes: vec![(TRIPOD_JOB_ATTEMPT.to_owned(), attempt.to_owned())],
            ..span("worker", CONSUMER, id, "4")
        };
        vec![
            span("gateway", SERVER, "1", "outside"),
            span("gateway", "SPAN_KIND_CLIENT", "2", "1"),
            span("task-service", SERVER, "3", "2"),
            span("task-service", PRODUCER, "4", "3"),
            consumer("5", "1"),
            consumer("6", "2"),
        ]
    }

    fn judged(spans: Option<Vec<Span>>, attempts: u64) -> Option<String> {
        let found = Found {
            id: TraceId([1; 16]),
            spans,
            answer: Answer::empty(),
        };
        let services = ["gateway", "task-service", "worker"].map(str::to_owned);
        let wanted = Wanted {
            services: &services,
            attempts,
            resent: false,
        };
        fault(&found, &wanted)
    }

    #[test]
    fn a_whole_tree_is_good() {
        assert_eq!(judged(Some(whole()), 2), None);
    }

    #[test]
    fn each_cut_is_noticed() {
        let cut = |change: fn(&mut Vec<Span>)| {
            let mut spans = whole();
            change(&mut spans);
            judged(Some(spans), 2).unwrap()
        };
        assert!(judged(None, 1).unwrap().contains("no such trace"));
        assert!(cut(|spans| spans[2].parent_id = "lost".to_owned()).contains("is not there"));
        assert!(cut(|spans| drop(spans.remove(1))).contains("is not there"));
        assert!(cut(|spans| spans[0].service = "worker".to_owned()).contains("root"));
        assert!(cut(|spans| spans.truncate(4)).contains("worker was not called"));
        assert!(cut(|spans| spans[2].service = "other".to_owned()).contains("was not called"));
        assert!(cut(|spans| spans[4].parent_id = "3".to_owned()).contains("no child of"));
        assert!(cut(|spans| spans[4].links.clear()).contains("does not link"));
        assert!(cut(|spans| spans.truncate(5)).contains("delivered 1 times"));
    }
}
